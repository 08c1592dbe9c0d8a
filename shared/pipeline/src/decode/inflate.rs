//! From the object's raw bytes to the inflated stream, a bounded piece at a time.

use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{Decoder as ZstdDecoder, InBuffer, Operation, OutBuffer};

use super::frame::{BrokenFrame, Compression, DecoderLimits, LARGE_BYTES};
use super::window::{ROOM_BYTES, Window};

/// How many bytes tell every format.
const MAGIC_BYTES: usize = 4;
const GZIP_MAGIC: &[u8] = &[0x1F, 0x8B];
const ZSTD_MAGIC: &[u8] = &[0x28, 0xB5, 0x2F, 0xFD];
/// A skippable frame's magic without its first byte, which is 0x50 to 0x5F (RFC 8878, section 3.1.2).
const ZSTD_SKIPPABLE: &[u8] = &[0x2A, 0x4D, 0x18];
/// The longest header of a Zstandard frame.
const ZSTD_LONGEST_HEADER: usize = 18;
/// The largest window of a Zstandard frame: what `zstd --long` asks for.
const ZSTD_MAX_WINDOW: u64 = 128 << 20;
/// What a Zstandard frame wants to see first.
const ZSTD_HEADER_BYTES: usize = 5;
/// The largest block (RFC 8878, section 3.1.1.2.4). A decompressor's room holds one.
const ZSTD_BLOCK_BYTES: usize = 128 << 10;
/// A block's header, which a decoder wants together with the block before it.
const ZSTD_BLOCK_HEADER_BYTES: usize = 3;
/// The largest window that gzip knows, as a power of two.
const GZIP_WINDOW_BITS: u8 = 15;

/// Holds raw bytes only as long as they are not inflated; nothing at all of a plain object.
pub(super) struct Inflater {
    raw: Vec<u8>,
    /// How much of `raw` has been read.
    taken: usize,
    bytes_in: u64,
    /// How many bytes the decompressor has read.
    inflated_from: u64,
    limits: DecoderLimits,
    codec: Codec,
    /// Between two members or frames, or before the first: another may follow.
    between: bool,
    fault: Option<BrokenFrame>,
}

enum Codec {
    /// Fewer bytes than needed to tell.
    Unknown,
    Plain,
    Gzip(Box<Decompress>),
    Zstd(Box<ZstdStream>),
}

struct ZstdStream {
    decoder: ZstdDecoder<'static>,
    /// How many bytes the decoder wants next: the rest of a block, and the next one's header.
    wants: usize,
    /// The window of the current frame.
    window_bytes: u64,
}

/// How far [`Inflater::fill`] got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InflateProgress {
    /// There may be more without another push.
    More,
    /// Another push is needed, or nothing follows.
    Nothing,
    /// The next step needs a large window.
    NeedsPermit,
}

/// What one call of a decompressor did.
struct Inflated {
    taken: usize,
    written: usize,
    ended: bool,
}

impl Inflater {
    pub(super) const fn new(limits: DecoderLimits) -> Self {
        Self {
            raw: Vec::new(),
            taken: 0,
            bytes_in: 0,
            inflated_from: 0,
            limits,
            codec: Codec::Unknown,
            between: true,
            fault: None,
        }
    }

    /// Goes on in the middle of an object that is not compressed.
    pub(super) fn plain_from(offset: u64, limits: DecoderLimits) -> Self {
        Self { bytes_in: offset, codec: Codec::Plain, ..Self::new(limits) }
    }

    /// Returns whether the decompressor holds a large window now.
    pub(super) const fn is_large(&self) -> bool {
        match &self.codec {
            Codec::Zstd(zstd) => zstd.window_bytes > LARGE_BYTES as u64 && self.fault.is_none(),
            Codec::Unknown | Codec::Plain | Codec::Gzip(_) => false,
        }
    }

    pub(super) const fn bytes_in(&self) -> u64 {
        self.bytes_in
    }

    pub(super) const fn compression(&self) -> Compression {
        match self.codec {
            Codec::Unknown | Codec::Plain => Compression::Plain,
            Codec::Gzip(_) => Compression::Gzip,
            Codec::Zstd(_) => Compression::Zstd,
        }
    }

    /// Returns why the stream ends too early. The answer is final once everything is pushed, finished and filled.
    pub(super) const fn fault(&self) -> Option<BrokenFrame> {
        self.fault
    }

    pub(super) fn push(&mut self, bytes: &[u8], window: &mut Window) {
        self.bytes_in += bytes.len() as u64;
        if self.fault.is_some() {
            return;
        }
        if matches!(self.codec, Codec::Plain) {
            window.append(bytes);
            return;
        }
        self.raw.drain(..self.taken);
        self.taken = 0;
        self.raw.extend_from_slice(bytes);
        if matches!(self.codec, Codec::Unknown) && self.raw.len() >= MAGIC_BYTES {
            self.recognise(window);
        }
    }

    /// Notes that no more bytes come.
    pub(super) fn finish(&mut self, window: &mut Window) {
        if matches!(self.codec, Codec::Unknown) {
            self.recognise(window);
        }
    }

    /// Inflates a piece into the window. A frame with a large window is begun with permission only.
    pub(super) fn fill(
        &mut self,
        window: &mut Window,
        finished: bool,
        may_be_large: bool,
    ) -> InflateProgress {
        loop {
            if self.fault.is_some() || matches!(self.codec, Codec::Unknown | Codec::Plain) {
                return InflateProgress::Nothing;
            }
            if self.between && !self.begin_member(finished) {
                return InflateProgress::Nothing;
            }
            if self.is_large() && !may_be_large {
                return InflateProgress::NeedsPermit;
            }
            match self.inflate(window, finished) {
                Ok(inflated) if inflated.written > 0 => {
                    if window.end() > self.limits.max_inflated_bytes(self.inflated_from) {
                        self.fault = Some(BrokenFrame::InflatesTooMuch);
                    }
                    return InflateProgress::More;
                }
                Ok(inflated) if inflated.taken > 0 || inflated.ended => {}
                Ok(_) => {
                    self.fault = finished.then_some(BrokenFrame::CutCompression);
                    return InflateProgress::Nothing;
                }
                Err(written) => {
                    self.fault = Some(BrokenFrame::CorruptCompression);
                    return if written { InflateProgress::More } else { InflateProgress::Nothing };
                }
            }
        }
    }

    fn recognise(&mut self, window: &mut Window) {
        self.codec = match compression_of(&self.raw) {
            Compression::Plain => Codec::Plain,
            Compression::Gzip => Codec::Gzip(Box::new(Decompress::new_gzip(GZIP_WINDOW_BITS))),
            Compression::Zstd => match ZstdDecoder::new() {
                Ok(decoder) => {
                    Codec::Zstd(Box::new(ZstdStream { decoder, wants: ZSTD_HEADER_BYTES, window_bytes: 0 }))
                }
                Err(_) => Codec::Plain,
            },
        };
        if matches!(self.codec, Codec::Plain) {
            window.append(&self.raw);
            self.raw = Vec::new();
        }
    }

    /// Begins the next member or frame, if there is one. Zero bytes between and behind are padding, as
    /// tapes and block devices leave it.
    fn begin_member(&mut self, finished: bool) -> bool {
        let padding = self.raw.iter().skip(self.taken).take_while(|byte| **byte == 0).count();
        self.taken += padding;
        let rest = self.raw.get(self.taken..).unwrap_or_default();
        let header_bytes = match self.codec {
            Codec::Zstd(_) => ZSTD_LONGEST_HEADER,
            Codec::Unknown | Codec::Plain | Codec::Gzip(_) => MAGIC_BYTES,
        };
        if rest.is_empty() || (rest.len() < header_bytes && !finished) {
            return false;
        }
        if compression_of(rest) != self.compression() {
            self.fault = Some(BrokenFrame::TrailingData);
            return false;
        }
        match &mut self.codec {
            Codec::Gzip(gzip) => **gzip = Decompress::new_gzip(GZIP_WINDOW_BITS),
            Codec::Zstd(zstd) => {
                zstd.wants = ZSTD_HEADER_BYTES;
                zstd.window_bytes = zstd_window(rest).unwrap_or_default();
                if zstd.window_bytes > ZSTD_MAX_WINDOW {
                    self.fault = Some(BrokenFrame::WindowTooLarge);
                    return false;
                }
            }
            Codec::Unknown | Codec::Plain => {}
        }
        self.between = false;
        true
    }

    /// Calls the decompressor once. The error says whether it wrote anything before it failed.
    fn inflate(&mut self, window: &mut Window, finished: bool) -> Result<Inflated, bool> {
        let rest = self.raw.get(self.taken..).unwrap_or_default();
        let inflated = match &mut self.codec {
            Codec::Gzip(gzip) => inflate_gzip(gzip, rest, window.room())?,
            Codec::Zstd(zstd) => zstd.inflate(rest, window.room(), finished)?,
            Codec::Unknown | Codec::Plain => return Err(false),
        };
        self.taken += inflated.taken;
        self.inflated_from += inflated.taken as u64;
        self.between = inflated.ended;
        Ok(inflated)
    }
}

fn inflate_gzip(gzip: &mut Decompress, input: &[u8], output: &mut Vec<u8>) -> Result<Inflated, bool> {
    let (length_before, taken_before, written_before) = (output.len(), gzip.total_in(), gzip.total_out());
    // Not all of the room that there is: after a giant it would take a while to fill.
    output.resize(length_before + ROOM_BYTES, 0);
    let room = output.get_mut(length_before..).unwrap_or_default();
    let status = gzip.decompress(input, room, FlushDecompress::None);
    let written = usize::try_from(gzip.total_out() - written_before).unwrap_or_default();
    output.truncate(length_before + written);
    let taken = usize::try_from(gzip.total_in() - taken_before).unwrap_or(input.len());
    match status {
        Ok(status) => Ok(Inflated { taken, written, ended: status == Status::StreamEnd }),
        Err(_) => Err(written > 0),
    }
}

impl ZstdStream {
    /// Inflates one block. A call that fails forgets what it wrote, so it gets one block without the next one's header,
    /// once all of it is there. A corrupt block never takes the good one before it along, however the object was cut
    /// into chunks.
    fn inflate(&mut self, input: &[u8], output: &mut Vec<u8>, finished: bool) -> Result<Inflated, bool> {
        let length_before = output.len();
        let block = self.wants.checked_sub(ZSTD_BLOCK_HEADER_BYTES).filter(|bytes| *bytes > 0);
        let portion = block.unwrap_or(self.wants).clamp(1, ZSTD_BLOCK_BYTES);
        let fed = match input.get(..portion) {
            Some(fed) => fed,
            None if finished => input,
            None => return Ok(Inflated { taken: 0, written: 0, ended: false }),
        };
        let mut source = InBuffer::around(fed);
        let mut target = OutBuffer::around_pos(output, length_before);
        let result = self.decoder.run(&mut source, &mut target);
        let (taken, written) = (source.pos(), target.pos() - length_before);
        match result {
            Ok(0) => Ok(Inflated { taken, written, ended: true }),
            Ok(wants) => {
                self.wants = wants;
                Ok(Inflated { taken, written, ended: false })
            }
            Err(_) => Err(written > 0),
        }
    }
}

/// Detects the compression by the first bytes, never by a name.
fn compression_of(head: &[u8]) -> Compression {
    let is_skippable = matches!(head.first(), Some(0x50..=0x5F))
        && head.get(1..).is_some_and(|rest| rest.starts_with(ZSTD_SKIPPABLE));
    if head.starts_with(GZIP_MAGIC) {
        Compression::Gzip
    } else if head.starts_with(ZSTD_MAGIC) || is_skippable {
        Compression::Zstd
    } else {
        Compression::Plain
    }
}

/// Returns the window that a Zstandard frame asks for (RFC 8878, section 3.1.1.1); `None` for a frame that is skipped
/// or cut.
fn zstd_window(header: &[u8]) -> Option<u64> {
    let [descriptor, rest @ ..] = header.strip_prefix(ZSTD_MAGIC)? else { return None };
    if descriptor & 0x20 == 0 {
        let [window, ..] = rest else { return None };
        let base = 1_u64 << (10 + (window >> 3));
        return Some(base + base / 8 * u64::from(window & 7));
    }
    // A frame of one segment is its own window; its size follows the number of its dictionary.
    let dictionary = [0, 1, 2, 4].into_iter().nth(usize::from(descriptor & 3))?;
    let (size_bytes, base) =
        [(1, 0), (2, 256), (4, 0), (8, 0)].into_iter().nth(usize::from(descriptor >> 6))?;
    let size = rest.get(dictionary..dictionary + size_bytes)?;
    let size = size.iter().rev().fold(0, |size, byte| size << 8 | u64::from(*byte));
    Some(size.saturating_add(base))
}
