//! Where resources begin: the place, the table and the mandatory elements of a type.

use crate::check;
use crate::model;
use crate::row::{Names, TableId};

use super::{PlaceId, Places, Special};

/// Where the resources of a type go.
#[derive(Debug, Clone, Copy)]
pub(in crate::automatic) struct ResourceHome {
    pub(in crate::automatic) place: PlaceId,
    pub(in crate::automatic) table: TableId,
    /// The mandatory elements, as [`check::required`] has them.
    pub(in crate::automatic) required: u8,
}

impl Places {
    /// Where a resource of a type goes.
    pub(in crate::automatic) fn root(&mut self, resource_type: &str, names: &mut Names) -> ResourceHome {
        if let Some((_, root)) = self.last.as_ref().filter(|(name, _)| **name == *resource_type) {
            return *root;
        }
        let known = self.resources.get(resource_type).copied();
        let root = known.unwrap_or_else(|| {
            let carrier = model::type_named(resource_type);
            let place = self.add_place("", carrier, Special::Resource, names);
            self.set_owned(place, carrier.is_some());
            let (table, required) = (names.table(resource_type), check::required(resource_type));
            let root = ResourceHome { place, table, required };
            self.bytes += size_of::<ResourceHome>() + resource_type.len();
            self.resources.insert(resource_type.into(), root);
            root
        });
        self.last = Some((resource_type.into(), root));
        root
    }
}
