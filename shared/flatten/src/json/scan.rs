//! Finding the next byte that matters, sixteen or thirty-two bytes at a step: most names and most values end in the
//! first, so that the processor guesses right how many steps there are.

use wide::u8x16;

use super::short::block;

type Block = [u8; 16];

/// Returns where the string that is open at `from` meets a quote, a backslash or a control character.
#[inline]
pub(super) fn string_stop(bytes: &[u8], from: usize) -> Option<usize> {
    let mut rest = bytes.get(from..)?;
    let mut at = from;
    while let Some((low, behind)) = rest.split_first_chunk() {
        let (mut stops, mut step) = (string_stops(low), 16);
        rest = behind;
        if let Some((high, behind)) = rest.split_first_chunk() {
            (stops, step) = (stops | string_stops(high) << 16, 32);
            rest = behind;
        }
        if stops != 0 {
            return Some(at + stops.trailing_zeros() as usize);
        }
        at += step;
    }
    Some(at + stop_within(rest)?)
}

/// Returns the first place at which a string stops in less than sixteen bytes.
#[inline]
fn stop_within(few: &[u8]) -> Option<usize> {
    let Some((block, half)) = block(few) else {
        return few.iter().position(|&byte| byte == b'"' || byte == b'\\' || byte < 0x20);
    };
    let stops = string_stops(&block);
    let at = stops.trailing_zeros() as usize;
    let place = if at < half { at } else { at + few.len() - 2 * half };
    (stops != 0).then_some(place)
}

/// Returns where the white space that begins at `from` ends.
pub(super) fn space_end(bytes: &[u8], from: usize) -> usize {
    let mut rest = bytes.get(from..).unwrap_or_default();
    let mut at = from;
    while let Some((block, behind)) = rest.split_first_chunk() {
        let others = others_than_space(block);
        if others != 0 {
            return at + others.trailing_zeros() as usize;
        }
        rest = behind;
        at += block.len();
    }
    at + rest.iter().take_while(|byte| b" \n\r\t".contains(byte)).count()
}

/// Returns a bit for each byte at which a string stops.
#[inline]
fn string_stops(block: &Block) -> u32 {
    let bytes = u8x16::new(*block);
    let is_control = bytes.min(u8x16::splat(0x1F)).simd_eq(bytes);
    (is_control | bytes.simd_eq(u8x16::splat(b'"')) | bytes.simd_eq(u8x16::splat(b'\\'))).to_bitmask()
}

/// Returns a bit for each byte that is not white space.
#[inline]
fn others_than_space(block: &Block) -> u32 {
    let bytes = u8x16::new(*block);
    let [blank, line, start, tab] =
        [b' ', b'\n', b'\r', b'\t'].map(|space| bytes.simd_eq(u8x16::splat(space)));
    !(blank | line | start | tab).to_bitmask() & 0xFFFF
}

#[cfg(test)]
mod tests {
    use super::{space_end, string_stop};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn stops_where_a_byte_by_byte_search_stops(bytes in proptest::collection::vec(any::<u8>(), 0..80), from in 0usize..90) {
            let expected = bytes.iter().enumerate().skip(from).find(|(_, b)| matches!(b, b'"' | b'\\' | 0..0x20)).map(|(i, _)| i);
            prop_assert_eq!(string_stop(&bytes, from), expected);
        }

        #[test]
        fn white_space_ends_where_a_byte_by_byte_search_ends(text in r"[ \n\r\t]{0,40}[ x\n\x0b]{0,20}", from in 0usize..10) {
            let bytes = text.as_bytes();
            let space = bytes.iter().skip(from).take_while(|byte| b" \n\r\t".contains(byte)).count();
            prop_assert_eq!(space_end(bytes, from), from + space);
        }
    }
}
