//! Comparing short texts: most names are shorter than what a call into the C library costs.

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

#[cfg(test)]
mod tests {
    use super::same;
    use proptest::prelude::*;

    proptest! {
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
