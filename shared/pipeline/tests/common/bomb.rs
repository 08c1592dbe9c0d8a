//! Few bytes that inflate to many.

/// Returns a Zstandard frame of 480 KiB that inflates to some bytes and then 15 GiB of one byte: each block says a byte
/// and how often it is repeated (RFC 8878, section 3.1.1.2).
pub(crate) fn of_15_gib(begin: &[u8], byte: u8) -> Vec<u8> {
    const LARGEST_BLOCK: u32 = 128 << 10;
    const RAW: u32 = 0;
    const REPEATED: u32 = 1;
    const WINDOW_OF_128_KIB: u8 = 7 << 3;
    let header = |size: u32, kind: u32, is_last: bool| {
        (size << 3 | kind << 1 | u32::from(is_last)).to_le_bytes().into_iter().take(3)
    };
    let mut frame = vec![0x28, 0xB5, 0x2F, 0xFD, 0, WINDOW_OF_128_KIB];
    frame.extend(header(u32::try_from(begin.len()).unwrap(), RAW, false));
    frame.extend_from_slice(begin);
    let blocks = (15 << 30) / u64::from(LARGEST_BLOCK);
    for number in 1..=blocks {
        frame.extend(header(LARGEST_BLOCK, REPEATED, number == blocks));
        frame.push(byte);
    }
    assert!(frame.len() < 500_000, "{}", frame.len());
    frame
}
