//! References in all rows and all archived resources.

use bson::{Bson, Document};
use futures::TryStreamExt as _;
use pipeline::store::admin::ReferenceVisitor;
use pipeline::store::references::{ReferenceElement, TableOfReferences, key_in_cell, visit_text};

use super::archive::archived_text;
use super::databases::{Databases, owner_of};
use super::failure::DriverFailure;

pub(super) async fn visit(
    databases: &Databases,
    visit: &mut ReferenceVisitor<'_>,
) -> Result<(), DriverFailure> {
    for (name, place) in databases.tables().await? {
        let mut rows = place.collection::<Document>(&name).find(Document::new()).await?;
        while let Some(row) = rows.try_next().await? {
            let Some(owner) = owner_of(&row) else { continue };
            match archived_text(&row) {
                Some(text) => visit_text(&text, &mut |path, target| {
                    visit(&owner, ReferenceElement::Path(path.to_owned()), target);
                }),
                None => visit_row(&name, &owner, &row, &mut |element, target| visit(&owner, element, target)),
            }
        }
    }
    Ok(())
}

fn visit_row(table: &str, owner: &str, row: &Document, visit: &mut impl FnMut(ReferenceElement, &str)) {
    let table = TableOfReferences::of(table, owner);
    for (column, cell) in row.iter().filter(|(column, _)| !column.starts_with('_')) {
        visit_cell(column, cell, &mut |path, target| visit(table.element(path), target));
    }
}

fn visit_cell(path: &str, cell: &Bson, visit: &mut impl FnMut(&str, &str)) {
    match cell {
        Bson::String(text) => {
            if let Some(target) = key_in_cell(text) {
                visit(path, target);
            }
        }
        Bson::Array(items) => items.iter().for_each(|item| visit_cell(path, item, visit)),
        Bson::Document(record) => {
            for (name, cell) in record {
                visit_cell(&format!("{path}.{name}"), cell, visit);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use bson::{Document, doc};

    use super::{ReferenceElement, visit_row};

    fn of_row(table: &str, owner: &str, row: &Document) -> Vec<(ReferenceElement, String)> {
        let mut told = Vec::new();
        visit_row(table, owner, row, &mut |element, target| told.push((element, target.to_owned())));
        told
    }

    #[test]
    fn references_are_told_with_their_element() {
        let path = |path: &str| ReferenceElement::Path(path.to_owned());
        let row = doc! {
            "subject_key": "Patient/1", "note": "see Patient/1", "_source": { "key": "Patient/1" },
            "participant": [{ "actor_key": "Patient/2" }, { "actor_key": "Patient/1" }],
        };
        let expected = [
            (path("subject"), "Patient/1".to_owned()),
            (path("participant.actor"), "Patient/2".to_owned()),
            (path("participant.actor"), "Patient/1".to_owned()),
        ];
        assert_eq!(of_row("Appointment", "Appointment/a", &row), expected);
        let listed =
            doc! { "performer_keys": ["Practitioner/1", "Patient/1"], "performer": [{ "key": "Patient/1" }] };
        let told = of_row("Observation", "Observation/o", &listed);
        assert_eq!(told.len(), 3);
        assert!(told.iter().all(|(element, _)| *element == path("performer")));
        let told = of_row("Device_contained", "Appointment/a", &doc! { "patient_key": "Patient/1#c" });
        assert_eq!(told, [(ReferenceElement::Contained, "Patient/1".to_owned())]);
        let told = of_row("patients", "Appointment/a", &doc! { "who": "Patient/1" });
        assert_eq!(told, [(ReferenceElement::View, "Patient/1".to_owned())]);
    }
}
