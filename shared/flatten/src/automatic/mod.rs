//! Automatic rows: every resource readable with no configuration.
//!
//! A column's name is a function of FHIR path, extension URL and settings, never of the data. The rules and
//! their reasons stand in `docs/flattening.md`; here they are in the order in which a resource meets them:
//!
//! - [`walk`](self): a resource, its contained resources and its deferred arrays become rows;
//! - `element`: objects, arrays and their primary items;
//! - `datatype`: what concepts, references, metadata and telecoms have beyond their members;
//! - `extension`: columns from the ends of URLs;
//! - `scalar`: typed values;
//! - `describe`: what the columns mean, for the dictionary.

mod walk;
mod element;
mod datatype;
mod extension;
mod scalar;
mod place;
mod describe;
mod name;
mod address;

#[cfg(test)]
mod disagreements;

use std::collections::BTreeMap;

use crate::check::{Structural, is_fhir_id};
use crate::decimals::Decimals;
use crate::defect::{Defect, DefectCode};
use crate::links::Links;
use crate::model::ResourceTypes;
use crate::resource::Resource;
use crate::row::{Names, Rows};

use place::Places;
use walk::{NamingPolicy, Walk};

pub use address::address_at;
pub(crate) use name::mistakes;

/// What a deployment can choose about automatic rows.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the items of repeating elements go.
    pub arrays: Arrays,
    /// How decimals are written, in views too.
    pub decimals: Decimals,
    /// Whether `text_div` is written.
    pub narrative: bool,
    /// Column names for extension URLs, instead of the ends of the URLs.
    pub extension_names: BTreeMap<String, String>,
    /// Base64 text longer than this many bytes is replaced by its size and SHA-256.
    pub inline_binary_bytes: usize,
    /// The resource types that have tables of their own.
    pub resource_types: ResourceTypes,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            arrays: Arrays::Embedded,
            decimals: Decimals::default(),
            narrative: false,
            extension_names: BTreeMap::new(),
            inline_binary_bytes: 256 << 10,
            resource_types: ResourceTypes::default(),
        }
    }
}

/// Where the items of repeating elements go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrays {
    /// Into array fields of the row, as `MongoDB` likes it.
    Embedded,
    /// Into rows of child tables `<Type>_<path>`, as SQL databases, CSV and Parquet need it.
    Tables,
}

/// The automatic flattener of one worker. It remembers the columns of every path it has met.
#[derive(Debug)]
pub struct Automatic {
    settings: Settings,
    places: Places,
    findings: Structural,
}

/// A row of more than this many bytes would not fit into a `MongoDB` document (16 MiB) with its overhead.
const ROW_BYTES: usize = 12 << 20;

impl Automatic {
    /// A flattener that has met nothing yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, places: Places::default(), findings: Structural::default() }
    }

    /// Appends the rows of a resource: its own row first, then those of its child tables, then its contained
    /// resources. After a defect the caller rewinds the rows.
    pub fn flatten(
        &mut self,
        resource: &Resource<'_>,
        key: &str,
        links: &Links,
        names: &mut Names,
        rows: &mut Rows,
    ) -> Result<(), Defect> {
        self.places.begin_resource();
        let mark = rows.mark();
        let mut outcome = Ok(Structural::default());
        for policy in NamingPolicy::ALL {
            rows.rewind(mark);
            let (settings, places) = (&self.settings, &mut self.places);
            outcome = Walk::new(settings, places, names, links, rows, resource, key).run(policy);
            if !outcome.as_ref().is_err_and(|defect| defect.code == DefectCode::AmbiguousColumn) {
                break;
            }
        }
        self.findings = outcome?;
        self.findings.ids += u64::from(resource.id().is_some_and(|id| !is_fhir_id(id)));
        Ok(())
    }

    /// What structural checks have found in the last resource that was flattened.
    pub(crate) const fn findings(&self) -> Structural {
        self.findings
    }

    /// Goes on with another load, whose dictionary is its own.
    pub(crate) const fn begin_load(&mut self) {
        self.places.begin_load();
    }

    /// How many bytes are remembered, give or take. It changes nothing but speed to begin anew, together with
    /// [`Names`].
    pub(crate) const fn bytes(&self) -> usize {
        self.places.bytes()
    }
}
