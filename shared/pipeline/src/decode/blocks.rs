//! Sixty-four bytes at a time: where the quotes, brackets and newlines are, as bit masks.

/// Bytes in a block: one bit of a mask each.
pub(super) const BLOCK_BYTES: usize = 64;

const EVERY_BYTE: u64 = 0x0101_0101_0101_0101;

/// One bit a byte, the first byte in the lowest bit.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Masks {
    pub(super) quote: u64,
    pub(super) backslash: u64,
    /// `{` and `[`, wherever they stand.
    pub(super) open: u64,
    /// `}` and `]`, wherever they stand.
    pub(super) close: u64,
    pub(super) newline: u64,
}

impl Masks {
    /// Finds the bytes of a block that matter. Brace and bracket differ in one bit (0x20), so one comparison finds
    /// both; the parser checks that they pair up. Newlines are found only if asked for.
    #[inline]
    pub(super) fn of(block: &[u8; BLOCK_BYTES], newlines: bool) -> Self {
        Self {
            quote: transpose(gather(block, |byte| byte == b'"')),
            backslash: transpose_rare(gather(block, |byte| byte == b'\\')),
            open: transpose(gather(block, |byte| byte | 0x20 == b'{')),
            close: transpose(gather(block, |byte| byte | 0x20 == b'}')),
            newline: if newlines { transpose_rare(gather(block, |byte| byte == b'\n')) } else { 0 },
        }
    }
}

/// Returns which bytes are escaped by a backslash before them, and whether the last valid one escapes the next. A run
/// of backslashes escapes alternately; subtraction carries along the run to find its parity.
#[inline]
pub(super) const fn escaped(backslash: u64, escape_before: u64) -> (u64, u64) {
    const ODD: u64 = 0xAAAA_AAAA_AAAA_AAAA;
    if backslash == 0 {
        return (escape_before, 0);
    }
    let may_escape = backslash & !escape_before;
    let behind = (may_escape << 1) | ODD;
    let run_ends = behind.wrapping_sub(may_escape) ^ ODD;
    (run_ends ^ (backslash | escape_before), run_ends & backslash)
}

/// Returns, for every bit, the parity of all set bits up to and including it: from quotes to "inside a string".
#[inline]
pub(super) const fn parity(mut mask: u64) -> u64 {
    mask ^= mask << 1;
    mask ^= mask << 2;
    mask ^= mask << 4;
    mask ^= mask << 8;
    mask ^= mask << 16;
    mask ^ (mask << 32)
}

/// Returns one bit a byte, but bit `8 × i + j` where byte `8 × j + i` is meant: the order in which the compiler
/// compares sixteen bytes an instruction and needs no more than an AND and an OR to gather them.
#[inline]
fn gather(block: &[u8; BLOCK_BYTES], matches: impl Fn(u8) -> bool) -> u64 {
    let found = block.map(|byte| if matches(byte) { u8::MAX } else { 0 });
    let (words, _) = found.as_chunks::<8>();
    words
        .iter()
        .zip(0_u32..)
        .fold(0, |all, (word, bit)| all | u64::from_le_bytes(*word) & (EVERY_BYTE << bit))
}

/// Turns `gather`'s order into the bytes' order: the transpose of an 8 × 8 bit matrix.
#[inline]
const fn transpose(mut bits: u64) -> u64 {
    let pairs = (bits ^ (bits >> 7)) & 0x00AA_00AA_00AA_00AA;
    bits ^= pairs ^ (pairs << 7);
    let fours = (bits ^ (bits >> 14)) & 0x0000_CCCC_0000_CCCC;
    bits ^= fours ^ (fours << 14);
    let eights = (bits ^ (bits >> 28)) & 0x0000_0000_F0F0_F0F0;
    bits ^ eights ^ (eights << 28)
}

/// Does as `transpose`, for bytes that most blocks do not have.
#[inline]
const fn transpose_rare(bits: u64) -> u64 {
    if bits == 0 { 0 } else { transpose(bits) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one_by_one(block: &[u8; BLOCK_BYTES], wanted: &[u8]) -> u64 {
        block.iter().enumerate().fold(0, |mask, (bit, byte)| mask | u64::from(wanted.contains(byte)) << bit)
    }

    proptest! {
        #[test]
        fn masks_agree_with_looking_at_one_byte_after_the_other(bytes in prop::collection::vec(
            prop_oneof![any::<u8>(), prop::sample::select(b"\"\\{}[]\n;=YZ_".to_vec())], BLOCK_BYTES)) {
            let block: [u8; BLOCK_BYTES] = bytes.try_into().unwrap();
            let masks = Masks::of(&block, true);
            prop_assert_eq!(Masks::of(&block, false).newline, 0);
            prop_assert_eq!(masks.quote, one_by_one(&block, b"\""));
            prop_assert_eq!(masks.backslash, one_by_one(&block, b"\\"));
            prop_assert_eq!(masks.open, one_by_one(&block, b"{["));
            prop_assert_eq!(masks.close, one_by_one(&block, b"}]"));
            prop_assert_eq!(masks.newline, one_by_one(&block, b"\n"));
        }

        #[test]
        fn escapes_agree_with_reading_on_from_the_left(backslash: u64, before in 0_u64..2) {
            let (mut expected, mut escapes) = (0_u64, before == 1);
            let mut last = false;
            for bit in 0..64 {
                let this = escapes;
                expected |= u64::from(this) << bit;
                escapes = backslash >> bit & 1 == 1 && !this;
                last = escapes;
            }
            let (escaped_bits, escaping) = escaped(backslash, before);
            prop_assert_eq!(escaped_bits, expected);
            prop_assert_eq!(escaping >> 63 == 1, last);
        }

        #[test]
        fn parity_counts_bits(mask: u64) {
            for bit in 0..64_u32 {
                let below = mask & (u64::MAX >> (63 - bit));
                prop_assert_eq!(parity(mask) >> bit & 1, u64::from(below.count_ones() % 2));
            }
        }
    }
}
