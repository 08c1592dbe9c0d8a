//! Short texts, compared and searched without a loop over their bytes: most are shorter than what a call into the C
//! library costs.

use wide::u8x16;

/// The length of a text, its first eight bytes and its last eight; of a shorter text all of its bytes. Up to sixteen
/// bytes this is the whole text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ends {
    length: usize,
    first: u64,
    last: u64,
}

impl Ends {
    #[inline]
    pub(crate) fn of(text: &[u8]) -> Self {
        let length = text.len();
        let (first, last) = match (text.first_chunk(), text.last_chunk()) {
            (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
            _ => match (text.first_chunk(), text.last_chunk()) {
                (Some(first), Some(last)) => {
                    (u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into())
                }
                _ => (text.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)), 0),
            },
        };
        Self { length, first, last }
    }

    /// Returns whether they are the whole text.
    pub(crate) const fn are_all(self) -> bool {
        self.length <= 16
    }
}

/// Returns whether two texts are the same.
#[inline]
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let ends = Ends::of(a);
    ends == Ends::of(b) && (ends.are_all() || a == b)
}

/// Returns whether one of these bytes stands in a text.
///
/// ```
/// use flatten::json::has_any;
/// assert!(has_any(b"a,b", *b",;"));
/// assert!(!has_any(b"a text of more than sixteen bytes", *b",;"));
/// ```
#[must_use]
#[inline]
pub fn has_any<const WANTED: usize>(text: &[u8], wanted: [u8; WANTED]) -> bool {
    any_block(text, |block| {
        let found = wanted.map(|byte| block.simd_eq(u8x16::splat(byte)));
        found.into_iter().fold(u8x16::ZERO, |any, one| any | one)
    })
}

/// Returns whether a text consists of ASCII letters, ASCII digits and these bytes.
#[inline]
pub(crate) fn is_alphanumeric_or<const OTHERS: usize>(text: &[u8], others: [u8; OTHERS]) -> bool {
    let up_to = |block: u8x16, first: u8, count: u8| {
        let place = block - u8x16::splat(first);
        place.min(u8x16::splat(count - 1)).simd_eq(place)
    };
    !any_block(text, |block| {
        // Upper and lower case differ in one bit.
        let allowed = up_to(block | u8x16::splat(0x20), b'a', 26) | up_to(block, b'0', 10);
        let others = others.map(|byte| block.simd_eq(u8x16::splat(byte)));
        !others.into_iter().fold(allowed, |any, one| any | one)
    })
}

/// Returns whether `test` finds a byte in one of the blocks that cover a text: each of its bytes stands in at least one
/// of them, and nothing else does. Blocks may overlap, so that the last bytes cost no loop of their own.
#[inline]
fn any_block(text: &[u8], test: impl Fn(u8x16) -> u8x16) -> bool {
    let finds = |block: &[u8; 16]| test(u8x16::new(*block)).to_bitmask() & 0xFFFF != 0;
    if let Some(last) = text.last_chunk() {
        let (blocks, _) = text.as_chunks();
        return blocks.iter().any(finds) || finds(last);
    }
    match block(text) {
        Some((block, _)) => finds(&block),
        None => text.iter().any(|byte| finds(&[*byte; 16])),
    }
}

/// Returns a block of a text of four to fifteen bytes, and how many bytes its two halves have: the text's first bytes,
/// then its last ones. Halves of four bytes stand in the block twice.
#[inline]
pub(super) fn block(text: &[u8]) -> Option<([u8; 16], usize)> {
    if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        let (first, last) = (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
        return Some(((u128::from(first) | u128::from(last) << 64).to_le_bytes(), 8));
    }
    let (first, last) = (u32::from_le_bytes(*text.first_chunk()?), u32::from_le_bytes(*text.last_chunk()?));
    let word = u128::from(first) | u128::from(last) << 32;
    Some(((word | word << 64).to_le_bytes(), 4))
}

#[cfg(test)]
mod tests {
    use super::{has_any, is_alphanumeric_or, same};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_the_bytes_that_a_loop_finds(text in proptest::collection::vec(0u8..32, 0..40)) {
            for byte in 0..32 {
                prop_assert_eq!(has_any(&text, [40, byte]), text.contains(&byte), "{}", byte);
            }
        }

        #[test]
        fn knows_the_letters_and_digits_that_a_loop_knows(text in "[a-z]{0,40}", at in 0usize..40, byte in any::<u8>()) {
            let mut text = text.into_bytes();
            if let Some(place) = text.get_mut(at) {
                *place = byte;
            }
            let expected = text.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'|'));
            prop_assert_eq!(is_alphanumeric_or(&text, *b"-|"), expected);
        }

        #[test]
        fn says_what_the_language_says(
            (a, at, byte) in proptest::collection::vec(any::<u8>(), 0..40)
                .prop_flat_map(|a| { let end = a.len().max(1); (Just(a), 0..end, any::<u8>()) }),
            b in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            prop_assert!(same(&a, &a));
            prop_assert_eq!(same(&a, &b), a == b);
            let mut changed = a.clone();
            if let Some(place) = changed.get_mut(at) {
                *place = byte;
            }
            prop_assert_eq!(same(&a, &changed), a == changed);
        }
    }
}
