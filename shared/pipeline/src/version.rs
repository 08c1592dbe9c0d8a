//! The order token: which of two versions of a resource is newer, the same answer at every attempt.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::object::{ObjectRef, Source};

/// The total order over versions of a resource: the version's time, then the S3 sequencer, then a hash of the object's
/// key, then the ordinal, then the edition. Compared as text, so that the database compares it too.
///
/// The key is in it as a hash, because a token outlasts the rows of an erased resource and a key may name a patient.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(String);

/// Sequencers are shorter than this; the shorter of two is padded with zeros on the right (S3 User Guide,
/// "Event message structure").
const SEQUENCER_WIDTH: usize = 32;

/// Behind every hex digit, with which the other tokens begin.
pub const ERASED: &str = "~";

/// The digits with which a token begins: its time.
const TIME_DIGITS: usize = 28;

/// The digits and separators of a token.
const TOKEN_BYTES: usize = 28 + 1 + SEQUENCER_WIDTH + 1 + 16 + 1 + 16;

/// A record may say that it is newer than its object by at most this, in nanoseconds: 24 hours for clocks and zones
/// that are wrong.
const TOLERANCE: i128 = 24 * 60 * 60 * 1_000_000_000;

/// Time and position of a token, without what all tokens of an object share.
pub(crate) type PackedVersion = [u8; 22];

/// The position of a record in its object: the ordinal of its frame, and its number within the frame, because a Bundle
/// inside a record brings many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(u64);

impl Position {
    /// Bits of the number within the frame. A frame has at most 64 MiB, and a record two bytes.
    const INSIDE_BITS: u32 = 25;

    /// Returns the position of the record with this number, from 0, in the frame of this ordinal.
    #[must_use]
    pub const fn new(ordinal: u64, inside: u64) -> Self {
        Self(ordinal << Self::INSIDE_BITS | inside)
    }

    /// Returns the position to use where the earlier of two records is the newer one, as in a history Bundle.
    #[must_use]
    pub const fn newest_first(self) -> Self {
        Self(u64::MAX - self.0)
    }
}

/// What all records of one object share in the order of versions.
#[derive(Debug, Clone)]
pub struct ObjectOrder {
    /// When the object was made, in nanoseconds since 1970-01-01T00:00:00Z.
    created: i128,
    /// `.<sequencer>.<hash of the key>.`
    middle: String,
}

/// The time that counts for a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionTime {
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    pub nanoseconds: i128,
    /// Whether the record states a later time, which is not believed.
    pub is_from_future: bool,
}

impl ObjectOrder {
    /// Prepares the tokens of an object's records.
    #[must_use]
    pub fn of(object: &ObjectRef) -> Self {
        // Messages of the queue are untrusted: nothing but digits of the documented length gets into a token.
        let digits = object.sequencer.as_deref().unwrap_or_default().chars();
        let digits = digits.filter(char::is_ascii_hexdigit).map(|digit| digit.to_ascii_uppercase());
        let sequencer: String = digits.chain(std::iter::repeat('0')).take(SEQUENCER_WIDTH).collect();
        let digest = Sha256::digest(object.key.as_bytes());
        let hash = digest.first_chunk().map_or(0, |first| u64::from_be_bytes(*first));
        Self { created: i128::from(object.created) * 1_000_000, middle: format!(".{sequencer}.{hash:016x}.") }
    }

    /// Returns the time that counts for a record that states this one, in nanoseconds since 1970-01-01T00:00:00Z. No
    /// version is newer than the object that brought it, plus 24 hours: a later time is replaced by the object's own.
    #[must_use]
    pub fn time(&self, stated: Option<i128>) -> VersionTime {
        let latest = self.created.saturating_add(TOLERANCE);
        let believed = stated.filter(|stated| *stated <= latest);
        VersionTime {
            nanoseconds: believed.unwrap_or(self.created),
            is_from_future: believed.is_none() && stated.is_some(),
        }
    }

    /// Returns the token of the object's record at this position.
    #[must_use]
    pub fn version(&self, nanoseconds: i128, position: Position) -> Version {
        // Moments before 1970 must sort first as text as well.
        let shifted = nanoseconds.saturating_add(1i128 << 90).max(0);
        // Every record has one: put together by hand, because formatting takes longer than reading a small record.
        let mut token = String::with_capacity(TOKEN_BYTES);
        push_hex::<28>(&mut token, shifted.cast_unsigned());
        token.push_str(&self.middle);
        push_hex::<16>(&mut token, position.0.into());
        Version(token)
    }

    /// Returns what tells the token of one of the object's records, of the first edition, from those of the others.
    #[must_use]
    pub(crate) fn packed(version: &Version) -> PackedVersion {
        let token = version.0.as_bytes();
        let position = token.get(28..).and_then(|rest| rest.get(1 + SEQUENCER_WIDTH + 1 + 16 + 1..));
        let digits = token.iter().take(28).chain(position.unwrap_or_default().iter().take(16));
        let mut packed = [0; 22];
        for (index, digit) in digits.enumerate() {
            if let Some(byte) = packed.get_mut(index / 2) {
                *byte = *byte << 4 | hex_value(*digit);
            }
        }
        packed
    }

    /// Returns the token of which only that is left.
    #[must_use]
    pub(crate) fn unpacked(&self, packed: &PackedVersion) -> Version {
        let mut token = String::with_capacity(TOKEN_BYTES);
        let (time, position) = packed.split_at(14);
        let push = |token: &mut String, bytes: &[u8]| {
            let digits = bytes.iter().flat_map(|byte| [hex_digit(byte >> 4), hex_digit(byte & 15)]);
            token.extend(digits.map(char::from));
        };
        push(&mut token, time);
        token.push_str(&self.middle);
        push(&mut token, position);
        Version(token)
    }
}

impl Version {
    /// Returns the token of a record from the time that it states (nanoseconds since
    /// 1970-01-01T00:00:00Z) and its place.
    #[must_use]
    pub fn new(stated: Option<i128>, source: &Source) -> Self {
        let order = ObjectOrder::of(&source.object);
        order.version(order.time(stated).nanoseconds, Position::new(source.ordinal, 0))
    }

    /// Reads a token of `_version`, without its edition.
    #[must_use]
    pub fn from_token(token: &str) -> Self {
        let base = if Self::edition(token) > 0 { token.get(..token.len().saturating_sub(9)) } else { None };
        Self(base.unwrap_or(token).to_owned())
    }

    /// Returns the token of an erasure, which is newer than every version of every resource.
    #[must_use]
    pub fn erased() -> Self {
        Self(ERASED.to_owned())
    }

    /// Returns the same version in an edition: newer than every lower edition of it, unchanged against all other
    /// versions.
    #[must_use]
    pub fn in_edition(self, edition: u32) -> Self {
        let Self(mut token) = self;
        if edition > 0 {
            token.push('~');
            push_hex::<8>(&mut token, edition.into());
        }
        Self(token)
    }

    /// Returns whether a token is of the same time.
    #[must_use]
    pub fn has_time_of(&self, token: &str) -> bool {
        self.0.get(..TIME_DIGITS).is_some_and(|time| token.get(..TIME_DIGITS) == Some(time))
    }

    /// Returns whether it is of an edition above the first.
    #[must_use]
    pub fn is_remade(&self) -> bool {
        // The ordinal that others end with has more digits than an edition.
        self.0.as_bytes().iter().nth_back(8) == Some(&b'~')
    }

    /// Returns the edition of a token of `_version`.
    #[must_use]
    pub fn edition(token: &str) -> u32 {
        let edition = token.len().checked_sub(9).and_then(|at| token.get(at..)?.strip_prefix('~'));
        edition.and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or_default()
    }

    /// Returns the token as it is written in `_version`.
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

const fn hex_value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => 0,
    }
}

const fn hex_digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'a' + value - 10 }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{ObjectOrder, Position, Version, VersionTime};
    use crate::object::{ObjectRef, Pin, Source};

    const MILLISECOND: i128 = 1_000_000;
    const DAY: i128 = 24 * 60 * 60 * 1_000 * MILLISECOND;

    fn object(sequencer: &str, key: &str) -> ObjectRef {
        ObjectRef {
            bucket: "b".into(),
            key: key.into(),
            pin: Pin::Latest,
            sequencer: Some(sequencer.into()),
            created: 5,
            size: None,
        }
    }

    fn version(stated: Option<i128>, sequencer: &str, key: &str, ordinal: u64) -> Version {
        let object = Arc::new(object(sequencer, key));
        Version::new(stated, &Source { object, ordinal, offset: 0, length: 0, line: 1 })
    }

    #[test]
    fn orders_by_time_then_sequencer_then_key_then_ordinal() {
        let ascending = [
            version(Some(-1), "FF", "z", 9),
            version(Some(0), "FF", "z", 9),
            version(Some(4_999_999), "FF", "z", 9),
            version(None, "0055AED6DCD90281E5", "z", 9),
            version(None, "0055aed6dcd90281e51", "a", 0),
            // Keys are compared by their hashes: 3e23… and ca97….
            version(None, "0055aed6dcd90281e52", "b", 0),
            version(None, "0055aed6dcd90281e52", "b", 1),
            version(None, "0055aed6dcd90281e52", "a", 0),
            version(None, "0055aed6dcd90281e52", "a", 0).in_edition(1),
            version(None, "0055aed6dcd90281e52", "a", 0).in_edition(16),
            version(None, "0055aed6dcd90281e52", "a", 1),
            version(Some(5_000_001), "", "a", 0),
            Version::erased(),
        ];
        assert!(ascending.is_sorted_by(|a, b| a < b), "{ascending:#?}");
        let remade: Vec<_> = ascending.iter().map(Version::is_remade).collect();
        assert_eq!(remade.iter().filter(|&&remade| remade).count(), 2);
        let editions: Vec<_> = ascending.iter().map(|version| Version::edition(version.as_str())).collect();
        assert_eq!((editions.iter().sum::<u32>(), editions.iter().max()), (17, Some(&16)));
        for version in ascending.iter().filter(|version| !version.is_remade()) {
            assert_eq!(Version::from_token(version.clone().in_edition(3).as_str()), *version);
        }
    }

    #[test]
    fn no_version_is_newer_than_its_object_and_a_day() {
        let order = ObjectOrder::of(&object("", "k"));
        let (created, year_9999) = (5 * MILLISECOND, 253_370_764_800_000 * MILLISECOND);
        for (stated, nanoseconds, is_from_future) in [
            (None, created, false),
            (Some(-DAY), -DAY, false),
            (Some(created + DAY), created + DAY, false),
            (Some(created + DAY + 1), created, true),
            (Some(year_9999), created, true),
            (Some(i128::MAX), created, true),
        ] {
            assert_eq!(order.time(stated), VersionTime { nanoseconds, is_from_future }, "{stated:?}");
        }
    }

    #[test]
    fn a_token_holds_nothing_of_key_or_message_but_digits() {
        let long = "f".repeat(1_000_000);
        for sequencer in ["mueller anna", "~~~~", "\u{fc}", "00zz55", &long] {
            let token = version(None, sequencer, "mueller-anna.json", 7);
            assert_eq!(token.as_str().len(), super::TOKEN_BYTES);
            assert!(token.as_str().bytes().all(|byte| byte == b'.' || byte.is_ascii_hexdigit()), "{token}");
        }
    }

    #[test]
    fn a_token_is_unpacked_as_it_was() {
        let order = ObjectOrder::of(&object("00aB", "k"));
        for (time, ordinal) in [(0, 0), (-1, 7), (1_767_607_200_123_456_789, (1 << 38) - 1)] {
            let version = order.version(time, Position::new(ordinal, 3));
            assert_eq!(order.unpacked(&ObjectOrder::packed(&version)), version);
            assert_eq!(ObjectOrder::packed(&version.clone().in_edition(3)), ObjectOrder::packed(&version));
        }
    }

    #[test]
    fn the_earlier_record_of_a_history_is_newer() {
        let order = ObjectOrder::of(&object("", "k"));
        let version = |ordinal, inside| order.version(0, Position::new(ordinal, inside).newest_first());
        assert!(version(0, 0) > version(0, 1) && version(0, 1) > version(1, 0));
        assert!(version(1, 0) > version(1 << 38, 0));
        assert!(Position::new(0, (1 << 25) - 1) < Position::new(1, 0));
    }
}
