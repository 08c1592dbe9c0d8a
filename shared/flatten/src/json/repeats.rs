//! Values that repeat: most codes, categories and references of a file stand in it many times, byte by byte the same.
//! Comparing bytes is ten times as fast as parsing them.

use super::node::Entry;

/// Sets of two values each.
const SETS: usize = 512;
/// The bytes of a value that choose its set.
const WINDOW: usize = 48;
/// Longer values are parsed each time.
const MOST_BYTES: usize = 1024;

/// Objects and arrays that were parsed lately, each with its tape. They change nothing but speed.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    sets: Vec<[Repeat; 2]>,
}

/// An object or array that was parsed.
#[derive(Debug, Default, Clone)]
pub(super) struct Repeat {
    /// The whole value. Nothing that begins with it can be another value, because brackets end it.
    text: Vec<u8>,
    /// Positions count from the value's first byte and its first entry.
    entries: Vec<Entry>,
    /// Objects and arrays inside one another, itself included.
    pub(super) depth: usize,
    /// Values inside.
    pub(super) values: usize,
}

impl Repeats {
    /// Begins to remember values. Until then it takes no memory.
    pub(super) fn begin(&mut self) {
        if self.sets.is_empty() {
            self.sets.resize(SETS, Default::default());
        }
    }

    /// Returns whether values are remembered.
    pub(super) const fn has_begun(&self) -> bool {
        !self.sets.is_empty()
    }

    /// Returns the set of the value that `rest` begins with; `None` if `rest` is shorter than what is looked at.
    pub(super) fn set_of(rest: &[u8]) -> Option<usize> {
        let window: &[u8; WINDOW] = rest.first_chunk()?;
        let (words, _) = window.as_chunks::<8>();
        let mut hash = 0;
        for pair in words.chunks_exact(2) {
            let [a, b] =
                [pair.first(), pair.last()].map(|word| word.map_or(0, |word| u64::from_le_bytes(*word)));
            let product = u128::from(a ^ 0x9E37_79B9_7F4A_7C15) * u128::from(b ^ 0xC2B2_AE3D_27D4_EB4F);
            let folded = (product >> 64) ^ product & u128::from(u64::MAX);
            hash = u128::rotate_left(hash, 17) ^ folded;
        }
        usize::try_from((hash ^ hash >> 32) % SETS as u128).ok()
    }

    /// Returns the value that `rest` begins with, if it was remembered.
    pub(super) fn find(&mut self, set: usize, rest: &[u8]) -> Option<&Repeat> {
        let pair = self.sets.get_mut(set)?;
        let [first, second] = pair;
        if !first.begins(rest) {
            if !second.begins(rest) {
                return None;
            }
            std::mem::swap(first, second);
        }
        pair.first()
    }

    /// Remembers a value that began at byte `start`, with its tape, which began at entry `first`, its depth and its values.
    /// It takes the place of the one of its set that was not met for longer.
    pub(super) fn keep(
        &mut self,
        set: usize,
        (text, start): (&[u8], usize),
        (tape, first): (&[Entry], usize),
        (depth, values): (usize, usize),
    ) {
        let Some([newer, older]) = self.sets.get_mut(set).filter(|_| text.len() <= MOST_BYTES) else {
            return;
        };
        let (Ok(start), Ok(first)) = (u32::try_from(start), u32::try_from(first)) else { return };
        std::mem::swap(newer, older);
        (newer.depth, newer.values) = (depth, values);
        newer.text.clear();
        newer.text.extend_from_slice(text);
        newer.entries.clear();
        let negative = |number: u32| 0u32.wrapping_sub(number);
        push_moved(tape, (negative(start), negative(first)), &mut newer.entries);
    }
}

/// Appends a tape whose positions and indices are moved, either way.
fn push_moved(tape: &[Entry], (bytes, entries): (u32, u32), out: &mut Vec<Entry>) {
    out.extend(tape.iter().map(|entry| Entry {
        start: entry.start.wrapping_add(bytes),
        end: entry.end.wrapping_add(bytes),
        next: entry.next.wrapping_add(entries),
        ..*entry
    }));
}

impl Repeat {
    /// Returns how many bytes the value has.
    pub(super) const fn bytes(&self) -> usize {
        self.text.len()
    }

    /// Appends the value's tape to that of a document, where the value begins at byte `at`.
    pub(super) fn push(&self, at: u32, base: u32, out: &mut Vec<Entry>) {
        push_moved(&self.entries, (at, base), out);
    }

    fn begins(&self, rest: &[u8]) -> bool {
        !self.text.is_empty() && rest.starts_with(&self.text)
    }
}
