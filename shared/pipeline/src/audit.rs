//! What the ledger knows of the object versions of a bucket, and what an audit makes of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use strum::VariantArray;

use crate::ledger::Status;
use crate::listing::ListedVersion;
use crate::store::StoreError;
use crate::store::admin::{Admin, LoadOutline};

/// The status of a load now: a status of the ledger, or stuck. The better ones come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CurrentStatus {
    /// Everything is in the tables.
    Done,
    /// Everything but rejects is.
    Partial,
    /// A newer version of the object was loaded before.
    Superseded,
    /// A gate refused it.
    Refused,
    /// An attempt works on it, or was interrupted and will be followed by another.
    Running,
    /// Its last attempt was killed, and its lease has ended.
    Stuck,
    /// Every record is a reject.
    Failed,
    /// The object was deleted before it was loaded.
    Gone,
}

/// What the ledger knows of one load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownLoad {
    /// Its status.
    pub state: CurrentStatus,
    /// What its first notification stated to order versions of equal times.
    pub sequencer: Option<String>,
}

/// What became of an object version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, VariantArray)]
#[serde(rename_all = "lowercase")]
pub enum AuditVerdict {
    /// Everything is in.
    Done,
    /// Everything but rejects is in.
    Partial,
    /// A newer version was loaded before.
    Superseded,
    /// The ledger does not know it, or calls it gone although it is there.
    Missing,
    /// Its attempt was killed.
    Stuck,
    /// Every record is a reject.
    Failed,
    /// A gate refused it.
    Refused,
    /// It is not in yet.
    Running,
    /// It was deleted before it was loaded.
    Gone,
}

/// Object versions by what became of them.
pub type VerdictCounts = BTreeMap<AuditVerdict, u64>;

impl AuditVerdict {
    /// All of them, in the order of the columns.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Returns the verdict on a version. What S3 lists now cannot be gone: it was announced under a name by which it
    /// cannot be read any more.
    #[must_use]
    pub fn of(state: Option<CurrentStatus>, is_listed_now: bool) -> Self {
        match state {
            None => Self::Missing,
            Some(CurrentStatus::Gone) if is_listed_now => Self::Missing,
            Some(state) => state.into(),
        }
    }

    /// Returns its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Partial => "partial",
            Self::Superseded => "superseded",
            Self::Missing => "missing",
            Self::Stuck => "stuck",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Running => "running",
            Self::Gone => "gone",
        }
    }

    /// Returns whether the version is named in the report.
    #[must_use]
    pub const fn is_finding(self) -> bool {
        !matches!(self, Self::Done | Self::Partial | Self::Superseded)
    }

    /// Returns whether the audit is incomplete because of it. What was deleted before it was loaded cannot be loaded.
    #[must_use]
    pub const fn is_open(self) -> bool {
        match self {
            Self::Missing | Self::Stuck | Self::Failed | Self::Refused | Self::Running => true,
            Self::Done | Self::Partial | Self::Superseded | Self::Gone => false,
        }
    }

    /// Returns whether `--send` sends it. The function is at what is running, and a gate would refuse again.
    #[must_use]
    pub const fn is_sent(self) -> bool {
        matches!(self, Self::Missing | Self::Stuck | Self::Failed)
    }
}

impl From<CurrentStatus> for AuditVerdict {
    fn from(state: CurrentStatus) -> Self {
        match state {
            CurrentStatus::Stuck => Self::Stuck,
            CurrentStatus::Done => Self::Done,
            CurrentStatus::Partial => Self::Partial,
            CurrentStatus::Superseded => Self::Superseded,
            CurrentStatus::Refused => Self::Refused,
            CurrentStatus::Running => Self::Running,
            CurrentStatus::Failed => Self::Failed,
            CurrentStatus::Gone => Self::Gone,
        }
    }
}

/// Returns what the ledger knows of each of these versions at a moment, in milliseconds since 1970-01-01T00:00:00Z.
/// Fails when the store does.
pub async fn known_loads(
    store: &(impl Admin + ?Sized),
    versions: &[ListedVersion],
    now: i64,
) -> Result<Vec<Option<KnownLoad>>, StoreError> {
    let asked = versions.iter().filter(|version| !version.is_skipped());
    let ids: Vec<String> = asked.flat_map(ListedVersion::load_ids).collect();
    let outlines = store.load_outlines(&ids, now).await?;
    let known: BTreeMap<String, KnownLoad> =
        outlines.into_iter().map(|(id, outline)| (id, outline.into())).collect();
    let best = |version: &ListedVersion| {
        version.load_ids().filter_map(|id| known.get(&id)).min_by_key(|load| load.state).cloned()
    };
    Ok(versions.iter().map(best).collect())
}

impl From<LoadOutline> for KnownLoad {
    fn from(LoadOutline { status, is_stuck, sequencer }: LoadOutline) -> Self {
        let state = match status {
            Status::Running if is_stuck => CurrentStatus::Stuck,
            Status::Running => CurrentStatus::Running,
            Status::Done => CurrentStatus::Done,
            Status::Partial => CurrentStatus::Partial,
            Status::Failed => CurrentStatus::Failed,
            Status::Superseded => CurrentStatus::Superseded,
            Status::Gone => CurrentStatus::Gone,
            Status::Refused => CurrentStatus::Refused,
        };
        Self { state, sequencer }
    }
}
