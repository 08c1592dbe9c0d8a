//! Automatic rows: every resource readable with no configuration.
//!
//! A column's name is a function of FHIR path, extension URL and settings, never of the data. The rules stand
//! in `docs/flattening.md`; here they are in the order in which a resource meets them:
//!
//! - `resource`: a resource, its contained resources and its child tables become rows;
//! - `objects`: members, arrays with a primary item, extensions;
//! - `scalar`, `datatypes`, `references`: typed values, and what is derived from them;
//! - `naming`, `paths`: the columns of a path, worked out once and cached;
//! - `describe`: what the columns mean, for the dictionary.

mod settings;
mod resource;
mod objects;
mod row_state;
mod child_rows;
mod contained;
mod extensions;
mod datatypes;
mod references;
mod scalar;
mod paths;
mod object_kind;
mod naming;
mod describe;
mod pointer;

#[cfg(test)]
mod disagreements;

use std::collections::BTreeMap;

use crate::check::{StructuralCounts, is_fhir_id};
use crate::defect::{Defect, DefectCode};
use crate::dictionary::{Dictionary, ScopeId, Tally};
use crate::fhirpath::Context;
use crate::links::Links;
use crate::resource::Resource;
use crate::row::{NameList, Names, Rows};

use describe::Describer;
use naming::NamingPolicy;
use paths::PathCache;
use resource::{AutomaticRowWriter, ResourceInput};

pub(crate) use naming::mistakes;
pub use pointer::pointer_at;
pub use settings::{Arrays, InvalidExtensionNames, Settings, extension_names};

/// Makes the automatic rows of one worker, and caches the columns of every path.
#[derive(Debug)]
pub struct Automatic {
    settings: Settings,
    paths: PathCache,
    findings: StructuralCounts,
}

impl Automatic {
    /// Returns automatic rows by these settings, with an empty cache.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, paths: PathCache::default(), findings: StructuralCounts::default() }
    }

    /// Appends the rows of a resource: its own row first, then those of its child tables, then its contained
    /// resources. After a defect the caller rewinds the rows.
    pub fn flatten(
        &mut self,
        resource: &Resource<'_>,
        context: &Context<'_>,
        names: &mut Names,
        rows: &mut Rows,
    ) -> Result<(), Defect> {
        self.paths.begin_resource();
        let no_links;
        let links = if let Some(links) = context.links {
            links
        } else {
            no_links = Links::default();
            &no_links
        };
        let savepoint = rows.savepoint();
        let mut outcome = Ok(StructuralCounts::default());
        for &policy in NamingPolicy::ALL {
            rows.rewind(savepoint);
            let source = ResourceInput { resource, key: context.key, links, settings: &self.settings };
            outcome = AutomaticRowWriter::new(source, &mut self.paths, names, rows).write(policy);
            if !outcome.as_ref().is_err_and(|defect| defect.code == DefectCode::AmbiguousColumn) {
                break;
            }
        }
        self.findings = outcome?;
        self.findings.ids += u64::from(resource.id().is_some_and(|id| !is_fhir_id(id)));
        Ok(())
    }

    /// Returns what structural checks have found in the last resource.
    pub(crate) const fn findings(&self) -> StructuralCounts {
        self.findings
    }

    /// Begins another load, whose dictionary is its own.
    pub(crate) const fn begin_load(&mut self) {
        self.paths.begin_load();
    }

    /// Returns roughly how many bytes the cache takes. A new flattener with new [`Names`] makes the same rows.
    pub(crate) const fn bytes(&self) -> usize {
        self.paths.bytes()
    }

    /// Writes what was counted in these tables into the dictionary.
    pub(crate) fn describe(
        &self,
        tally: &Tally,
        names: &NameList,
        tables: BTreeMap<&str, ScopeId>,
        dictionary: &mut Dictionary,
    ) {
        let (paths, settings) = (&self.paths, &self.settings);
        Describer { paths, settings, tally, names, tables, dictionary }.describe();
    }
}
