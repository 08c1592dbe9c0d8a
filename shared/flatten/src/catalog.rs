//! The catalog: which tables a resource becomes; compiled once at start, the only thing the pipeline holds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::automatic::{Automatic, Settings};
use crate::defect::Defect;
use crate::links::Links;
use crate::model;
use crate::resource::Resource;
use crate::row::{NameList, Names, Rows};

/// What a deployment makes of resources.
#[derive(Debug, Default)]
pub struct Catalog {
    /// How automatic rows are made.
    pub automatic: Settings,
    /// Resource types that go whole to the archive instead of the tables.
    pub inactive_types: BTreeSet<String>,
}

impl Catalog {
    /// Whether resources of a type go to the archive: the inactive ones, and those that no FHIR release knows.
    #[must_use]
    pub fn is_archived(&self, resource_type: &str) -> bool {
        self.inactive_types.contains(resource_type) || !model::is_resource_type(resource_type)
    }
}

/// What became of a resource.
#[derive(Debug)]
pub enum Flattened {
    /// Its rows were appended.
    Rows,
    /// It goes to the archive, whole.
    Archived,
}

/// One worker's flattener: the catalog, and what it remembers of names.
#[derive(Debug)]
pub struct Flattener {
    catalog: Arc<Catalog>,
    automatic: Automatic,
    names: Names,
    tables: BTreeMap<String, Arc<[String]>>,
}

impl Flattener {
    /// A flattener that has met nothing yet.
    #[must_use]
    pub fn new(catalog: Arc<Catalog>) -> Self {
        let automatic = Automatic::new(catalog.automatic.clone());
        Self { catalog, automatic, names: Names::default(), tables: BTreeMap::new() }
    }

    /// Appends all rows of a resource in all of its tables, or says that it is archived. After a defect the rows
    /// are as they were.
    pub fn flatten(
        &mut self,
        resource: &Resource<'_>,
        key: &str,
        links: &Links,
        rows: &mut Rows,
    ) -> Result<Flattened, Defect> {
        if self.catalog.is_archived(resource.resource_type()) {
            return Ok(Flattened::Archived);
        }
        let mark = rows.mark();
        match self.automatic.flatten(resource, key, links, &mut self.names, rows) {
            Ok(()) => Ok(Flattened::Rows),
            Err(defect) => {
                rows.rewind(mark);
                Err(defect)
            }
        }
    }

    /// The tables that hold one set of rows for each resource of a type. Child tables (`<Type>_<path>`) and
    /// contained resources (`<Type>_contained`) come besides.
    pub fn tables(&mut self, resource_type: &str) -> Arc<[String]> {
        if let Some(tables) = self.tables.get(resource_type) {
            return Arc::clone(tables);
        }
        let tables: Arc<[String]> = Arc::from([resource_type.to_owned()]);
        self.tables.insert(resource_type.to_owned(), Arc::clone(&tables));
        tables
    }

    /// The names that the rows refer to.
    #[must_use]
    pub fn names(&self) -> NameList {
        self.names.list()
    }

    /// Forgets all names if hostile input has made up too many. The rows so far must have been handed on.
    pub fn begin_batch(&mut self) {
        if self.automatic.is_bloated() {
            *self = Self::new(Arc::clone(&self.catalog));
        }
    }
}
