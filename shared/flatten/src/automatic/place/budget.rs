//! What senders may name: how many names one resource may bring, how long they are, and that no table is called by one.

use super::super::name::Standing;
use super::remembered::Met;
use super::{Member, PlaceId, Places, SpotId};

/// How many names one resource may bring that the element tables do not have: unknown elements and extension URLs,
/// each at its path. A path is remembered with about a kilobyte.
pub(in crate::automatic) const MOST_NAMES: usize = 20_000;

/// How many paths of members one resource may bring, whoever knows their names: below extensions there is any number.
const MOST_PATHS: usize = 100_000;

/// Below a longer name only elements that FHIR knows have columns of their own: a chain of made-up names has no end.
pub(super) const LONGEST_PREFIX: usize = 512;

/// What the resource at hand has brought, each name once.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Budget {
    unknown: usize,
    paths: usize,
}

#[expect(
    clippy::indexing_slicing,
    reason = "ids are indices that the parent handed out, and its lists only grow"
)]
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
                member => member.spot().is_none_or(|spot| self.field_flags(spot).is_tabled()),
            };
            self.budget.unknown += usize::from(!is_known);
        }
    }

    /// An extension that was met under its own name may be met again under one with digits.
    pub(super) fn meet_extension(&mut self, is_first: bool, standing: Standing) {
        self.budget.unknown += usize::from(is_first && !standing.is_clash());
    }

    /// Whether extensions at a place have columns; they do not where the names above are long already.
    pub(in crate::automatic) fn has_extensions(&self, place: PlaceId) -> bool {
        self.list[place.0 as usize].outer.len() <= LONGEST_PREFIX
    }

    /// Whether FHIR or the settings name everything on the way to a spot: only then a table is called by it.
    pub(in crate::automatic) fn is_owned(&self, spot: SpotId) -> bool {
        self.spots[spot.0 as usize].owned
    }

    pub(super) fn set_owned(&mut self, place: PlaceId, owned: bool) {
        self.list[place.0 as usize].owned = owned;
    }
}
