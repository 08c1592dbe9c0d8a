//! The order of cells. MongoDB appends a cell that is set late; the store in memory keeps it among the others.

use mongodb::bson::Document;
use mongodb_store::simulation::State;

/// Stands behind the cells of a document, in this order.
const ORIGIN: [&str; 6] = ["_hash", "_created", "_version", "_source", "_load", "_received"];

/// Sorts the cells of rows by name.
pub(crate) fn sort_cells(state: &mut State) {
    for document in state.tables.values_mut().flat_map(|table| table.values_mut()) {
        let mut cells: Vec<_> = std::mem::take(document).into_iter().collect();
        let place = |name: &str| ORIGIN.iter().position(|origin| *origin == name);
        cells.sort_by(|(one, _), (other, _)| (place(one), one).cmp(&(place(other), other)));
        *document = cells.into_iter().collect::<Document>();
    }
}
