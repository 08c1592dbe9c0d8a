//! The releases of FHIR that the model is the union of.

use std::fmt;

use strum::VariantArray;

/// A release of FHIR. Where releases differ, the later in this order decides: the published ones from the oldest to the
/// newest, and behind all of them R6, which can still change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, VariantArray)]
pub enum Release {
    /// R6, not published yet, as of November 2026.
    R6,
    /// DSTU2, 1.0.2.
    Dstu2,
    /// STU3, 3.0.2.
    Stu3,
    /// R4, 4.0.1.
    R4,
    /// R4B, 4.3.0.
    R4b,
    /// R5, 5.0.0.
    R5,
}

impl Release {
    /// Every release, the one that decides last.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Returns the release that a sign stands for in `elements.txt` and `extensions.txt`.
    const fn signed(sign: u8) -> Option<Self> {
        match sign {
            b'2' => Some(Self::Dstu2),
            b'3' => Some(Self::Stu3),
            b'4' => Some(Self::R4),
            b'b' => Some(Self::R4b),
            b'5' => Some(Self::R5),
            b'6' => Some(Self::R6),
            _ => None,
        }
    }
}

/// A set of releases.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Releases(u8);

impl Releases {
    /// All six.
    pub const ALL: Self = Self(0b11_1111);

    /// Returns the releases that `signs` names; other characters count for nothing.
    pub(super) fn from_signs(signs: &str) -> Self {
        Self(
            signs
                .bytes()
                .fold(0, |bits, sign| bits | Release::signed(sign).map_or(0, |release| 1 << release as u8)),
        )
    }

    /// Returns whether the release is in the set.
    #[must_use]
    pub const fn contains(self, release: Release) -> bool {
        self.0 >> release as u8 & 1 == 1
    }

    /// Returns the releases of the set, the one that decides last.
    pub fn iter(self) -> impl Iterator<Item = Release> {
        Release::ALL.iter().copied().filter(move |release| self.contains(*release))
    }

    /// Returns the newest release of the set; R6 only where no published one is in it.
    #[must_use]
    pub fn newest(self) -> Option<Release> {
        self.iter().last()
    }
}

impl fmt::Debug for Releases {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.iter()).finish()
    }
}
