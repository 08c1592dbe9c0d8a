//! Finding the next byte that matters, eight bytes at a step.

const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);

/// Marks (in the high bit of each byte) the zero bytes of `word`; exact up to and including the first one.
const fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

const fn bytes_equal_to(word: u64, byte: u8) -> u64 {
    zero_bytes(word ^ (ONES * byte as u64))
}

/// Where the string that is open at `from` meets a quote, a backslash or a control character.
pub(super) fn string_stop(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    let (words, tail) = rest.as_chunks::<8>();
    for (index, chunk) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*chunk);
        let controls = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let stops = bytes_equal_to(word, b'"') | bytes_equal_to(word, b'\\') | controls;
        if stops != 0 {
            return Some(from + index * 8 + (stops.trailing_zeros() / 8) as usize);
        }
    }
    let stop = tail.iter().position(|&byte| byte == b'"' || byte == b'\\' || byte < 0x20)?;
    Some(from + words.len() * 8 + stop)
}

#[cfg(test)]
mod tests {
    use super::string_stop;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn stops_where_a_byte_by_byte_search_stops(bytes in proptest::collection::vec(any::<u8>(), 0..80), from in 0usize..90) {
            let expected = bytes.iter().enumerate().skip(from).find(|(_, b)| matches!(b, b'"' | b'\\' | 0..0x20)).map(|(i, _)| i);
            prop_assert_eq!(string_stop(&bytes, from), expected);
        }
    }
}
