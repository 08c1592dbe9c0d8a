//! How many names one resource may bring: they are remembered, and so is what is found below them.

use super::super::name::Standing;
use super::remembered::Met;
use super::{Member, Places};

/// How many names one resource may bring that the element tables do not have: unknown elements and extension URLs,
/// each at its path. A path is remembered with about a kilobyte.
pub(in crate::automatic) const MOST_NAMES: usize = 20_000;

/// How many paths of members one resource may bring, whoever knows their names: below extensions there is any number.
const MOST_PATHS: usize = 100_000;

/// What the resource at hand has brought, each name once.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Budget {
    unknown: usize,
    paths: usize,
}

impl Places {
    /// The names of another resource are counted from here on.
    pub(in crate::automatic) const fn begin_resource(&mut self) {
        self.now = self.now.next();
        self.budget = Budget { unknown: 0, paths: 0 };
    }

    /// Whether the resource at hand has brought more names than one may.
    #[inline]
    pub(in crate::automatic) const fn has_too_many_names(&self) -> bool {
        self.budget.unknown > MOST_NAMES || self.budget.paths > MOST_PATHS
    }

    #[inline]
    pub(super) fn meet(&mut self, met: Met<Member>) {
        if met.is_first {
            self.budget.paths += 1;
            let is_known = match met.value {
                Member::Unknown => false,
                member => member.spot().is_none_or(|spot| self.essence(spot).is_tabled()),
            };
            self.budget.unknown += usize::from(!is_known);
        }
    }

    /// An extension that was met under its own name may be met again under one with digits.
    pub(super) fn meet_extension(&mut self, is_first: bool, standing: Standing) {
        self.budget.unknown += usize::from(is_first && !standing.is_clash());
    }
}
