//! The order token: which of two versions of a resource is newer, the same answer at every attempt.

use std::fmt;

use crate::object::Source;

/// The total order over versions of a resource: `meta.lastUpdated` or else the object's time, then the
/// sequencer, then the key, then the ordinal, then the edition. Compared as text, so that the database compares it too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(String);

/// Sequencers are shorter than this; the shorter of two is padded with zeros on the right (S3 User Guide,
/// "Event message structure").
const SEQUENCER_WIDTH: usize = 32;

/// Behind every hex digit, with which the other tokens begin.
const ERASED: &str = "~";

/// The digits and separators of a token, without its sequencer and its key.
const EVERYTHING_ELSE: usize = 28 + 1 + 1 + 1 + 12 + 1 + 8;

impl Version {
    /// The token of a record that was last updated at `last_updated` (nanoseconds since
    /// 1970-01-01T00:00:00Z), or else at its object's time.
    #[must_use]
    pub fn new(last_updated: Option<i128>, source: &Source) -> Self {
        let object = &source.object;
        let nanoseconds = last_updated.unwrap_or_else(|| i128::from(object.created) * 1_000_000);
        // Moments before 1970 must sort first as text as well.
        let shifted = nanoseconds.saturating_add(1i128 << 90).max(0);
        let sequencer = object.sequencer.as_deref().unwrap_or_default();
        let padding = SEQUENCER_WIDTH.saturating_sub(sequencer.chars().count());
        // Every record has one: put together by hand, because formatting takes longer than reading a small record.
        let mut token = String::with_capacity(EVERYTHING_ELSE + sequencer.len() + padding + object.key.len());
        push_hex::<28>(&mut token, shifted.cast_unsigned());
        token.push('.');
        token.extend(sequencer.chars().map(|digit| digit.to_ascii_uppercase()));
        token.extend(std::iter::repeat_n('0', padding));
        token.push('.');
        token.push_str(&object.key);
        token.push('.');
        push_hex::<12>(&mut token, source.ordinal.into());
        Self(token)
    }

    /// Returns the token of an erasure, which is newer than every version of every resource.
    #[must_use]
    pub fn erased() -> Self {
        Self(ERASED.to_owned())
    }

    /// The same version made anew: newer than every lower edition, and to all others as it was.
    #[must_use]
    pub fn in_edition(self, edition: u32) -> Self {
        let Self(mut token) = self;
        if edition > 0 {
            token.push('~');
            push_hex::<8>(&mut token, edition.into());
        }
        Self(token)
    }

    /// Whether it is of an edition above the first.
    #[must_use]
    pub fn is_remade(&self) -> bool {
        // The ordinal that others end with has more digits than an edition.
        self.0.as_bytes().iter().nth_back(8) == Some(&b'~')
    }

    /// The edition of a token as it stands in `_version`.
    #[must_use]
    pub fn edition(token: &str) -> u32 {
        let edition = token.len().checked_sub(9).and_then(|at| token.get(at..)?.strip_prefix('~'));
        edition.and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or_default()
    }

    /// The token as it stands in `_version`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Appends the last `DIGITS` hex digits of a number, which must have no more.
fn push_hex<const DIGITS: usize>(token: &mut String, number: u128) {
    let mut digits = [0; DIGITS];
    let bytes = number.to_be_bytes();
    for (pair, byte) in digits.rchunks_exact_mut(2).zip(bytes.iter().rev()) {
        pair.copy_from_slice(&[hex_digit(byte >> 4), hex_digit(byte & 15)]);
    }
    token.push_str(std::str::from_utf8(&digits).unwrap_or_default());
}

const fn hex_digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'a' + value - 10 }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Version;
    use crate::object::{ObjectRef, Pin, Source};

    fn version(last_updated: Option<i128>, sequencer: &str, key: &str, ordinal: u64) -> Version {
        let object = ObjectRef {
            bucket: "b".into(),
            key: key.into(),
            pin: Pin::Latest,
            sequencer: Some(sequencer.into()),
            created: 5,
            size: None,
        };
        Version::new(
            last_updated,
            &Source { object: Arc::new(object), ordinal, offset: 0, length: 0, line: 1 },
        )
    }

    #[test]
    fn orders_by_time_then_sequencer_then_key_then_ordinal() {
        let ascending = [
            version(Some(-1), "FF", "z", 9),
            version(Some(0), "FF", "z", 9),
            version(Some(4_999_999), "FF", "z", 9),
            version(None, "0055AED6DCD90281E5", "z", 9),
            version(None, "0055aed6dcd90281e51", "a", 0),
            version(None, "0055aed6dcd90281e52", "a", 0),
            version(None, "0055aed6dcd90281e52", "a", 1),
            version(None, "0055aed6dcd90281e52", "b", 0),
            version(None, "0055aed6dcd90281e52", "b", 0).in_edition(1),
            version(None, "0055aed6dcd90281e52", "b", 0).in_edition(16),
            version(None, "0055aed6dcd90281e52", "b", 1),
            version(Some(5_000_001), "", "a", 0),
            version(Some(i128::MAX), "FF", "~", u64::MAX),
            Version::erased(),
        ];
        assert!(ascending.is_sorted_by(|a, b| a < b));
        let remade: Vec<_> = ascending.iter().map(Version::is_remade).collect();
        assert_eq!(remade.iter().filter(|&&remade| remade).count(), 2);
        let editions: Vec<_> = ascending.iter().map(|version| Version::edition(version.as_str())).collect();
        assert_eq!((editions.iter().sum::<u32>(), editions.iter().max()), (17, Some(&16)));
        assert!(!version(None, "", "a key with ~00000001", 0).is_remade());
    }
}
