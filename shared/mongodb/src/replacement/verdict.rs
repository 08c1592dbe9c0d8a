//! What the look means for a resource: whether it stands, and what has to go.

use std::sync::Arc;

use pipeline::batch::{Reason, Reject, ResourceWrite};
use pipeline::summary::Summary;
use pipeline::version::{ERASED, Version};

use super::Replacement;
use super::command::{Bound, DocumentPlace};
use super::plan::{Anchor, Planned};

/// What has become of a resource.
#[derive(Debug, Clone)]
pub(super) enum Verdict<'b> {
    /// Nothing speaks against it.
    Stands,
    /// The same content of the same time is in the database: nothing is written.
    Unchanged,
    /// A newer version is in the database.
    Superseded,
    /// A newer version, or the same, is in this batch: nothing of it is written.
    Repeated,
    /// The database refused one of its documents.
    Refused { place: DocumentPlace<'b>, code: i32 },
}

impl Planned<'_> {
    /// Draws the conclusions from the look; `true`: what stands is not known and the batch must be written again.
    pub(super) fn judge(&mut self) -> bool {
        // A mark that met one like it stands all the same.
        let is_judged = matches!(self.verdict, Verdict::Stands | Verdict::Unchanged)
            && !matches!(self.anchor, Anchor::Nowhere | Anchor::Mark);
        if !is_judged {
            return false;
        }
        let own = self.resource.version.as_str();
        let by_tombstone = self.anchor == Anchor::Tombstone;
        let newer = |version: &Option<String>| version.as_deref().is_some_and(|version| version > own);
        if newer(&self.row) || newer(&self.tombstone) || newer(&self.elsewhere) {
            self.verdict = Verdict::Superseded;
            return false;
        }
        let in_the_way = if by_tombstone { &self.tombstone } else { &self.row };
        self.kept && in_the_way.as_deref() != Some(own)
    }

    /// Which versions have to go from all places of the resource.
    pub(super) fn removal(&self) -> Option<Bound> {
        match self.verdict {
            Verdict::Repeated | Verdict::Unchanged => None,
            Verdict::Superseded => Some(Bound::UpToOwn),
            Verdict::Refused { .. } => Some(Bound::Own),
            Verdict::Stands => match self.anchor {
                Anchor::Nowhere => None,
                Anchor::Tombstone | Anchor::Mark => Some(Bound::Older),
                Anchor::Row(_) | Anchor::Archive => {
                    let own = Some(self.resource.version.as_str());
                    let is_elsewhere = self.elsewhere.is_some() && self.elsewhere.as_deref() != own;
                    let met_others = self.replaced
                        || self.kept
                        || self.met_beside
                        || self.tombstone.is_some()
                        || is_elsewhere;
                    (met_others || self.resource.version.is_remade()).then_some(Bound::Older)
                }
            },
        }
    }

    /// Which tombstones nothing needs any more, because an anchor row of a newer version stands or the resource was
    /// erased. A writer under other settings that was killed may have left a tombstone of a version that is a row now.
    pub(super) fn needless_tombstone(&self) -> Option<Bound> {
        match (&self.verdict, self.anchor) {
            (Verdict::Superseded, _) if self.tombstone.as_deref() == Some(ERASED) => Some(Bound::UpToOwn),
            (Verdict::Superseded, Anchor::Tombstone) => Some(Bound::UpToOwn),
            (Verdict::Stands, Anchor::Mark) => Some(Bound::Older),
            (Verdict::Stands, Anchor::Row(_) | Anchor::Archive) if self.tombstone.is_some() => {
                Some(Bound::Older)
            }
            _ => None,
        }
    }
}

impl Replacement<'_> {
    /// What became of the resources: their counts, and a reject for each that the database refused.
    pub(crate) fn outcome(&self) -> (Summary, Vec<Reject>) {
        let mut summary = Summary::default();
        let mut rejects = Vec::new();
        for planned in &self.resources {
            match planned.verdict {
                Verdict::Superseded | Verdict::Repeated => summary.superseded += 1,
                Verdict::Unchanged => summary.unchanged += 1,
                Verdict::Refused { place, code } => rejects.push(refused(planned.resource, place, code)),
                Verdict::Stands => planned.resource.count(&mut summary),
            }
        }
        (summary, rejects)
    }
}

fn refused(resource: &ResourceWrite, place: DocumentPlace<'_>, code: i32) -> Reject {
    let table = match place {
        DocumentPlace::Table(name) | DocumentPlace::Archive(name) => name,
        DocumentPlace::Tombstones => "_tombstones",
    };
    Reject {
        source: pipeline::object::Source { object: Arc::clone(&resource.source.object), ..resource.source },
        resource: Some(resource.key.clone()),
        sha256: None,
        version: Some(Version::from_token(resource.version.as_str())),
        reason: Reason::Refused { table: table.to_owned(), code },
    }
}
