//! What the decoder hands out: frames, their places, and what can be wrong with one.

use std::fmt;

use strum::VariantArray;

/// What one resource holds beyond this is large: such resources take turns.
pub const LARGE_BYTES: usize = 8 << 20;

/// How much the decoder may hold at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecoderLimits {
    /// The longest resource, entry or Bundle envelope in bytes; a longer one is passed over as
    /// [`BrokenFrame::TooLarge`]. It bounds the decoder's memory, whatever the size of the object.
    pub max_resource_bytes: usize,
}

impl DecoderLimits {
    /// Returns the most that compressed data may inflate to: 16 times the largest resource (1 GiB by default), and 200
    /// times what is stored. Real files stay below a tenth of that; what goes beyond it is made to cost time.
    #[must_use]
    pub const fn max_inflated_bytes(self, stored_bytes: u64) -> u64 {
        let free = (self.max_resource_bytes as u64).saturating_mul(16);
        free.saturating_add(stored_bytes.saturating_mul(200))
    }
}

impl Default for DecoderLimits {
    /// Returns 64 MiB: several times the largest resource with an attachment seen in practice.
    fn default() -> Self {
        Self { max_resource_bytes: 64 << 20 }
    }
}

/// Where a frame stands in the object, after decompression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FramePlace {
    /// The frame's number in the object from 0; every frame has one, broken ones and Bundle ends too.
    pub ordinal: u64,
    /// The first byte, counted from 0 in the inflated stream.
    pub offset: u64,
    /// The number of bytes; the ranges of two frames never overlap.
    pub length: u64,
    /// The line on which it begins, counted from 1.
    pub line: u64,
}

/// One piece of the object. It borrows the decoder's buffer until the next call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A top-level value, a line, or an element of a top-level array: the bytes of one JSON object.
    Resource {
        /// Where it stands.
        place: FramePlace,
        /// From its `{` to its `}`. Braces and strings match; the grammar between is not yet judged.
        bytes: &'a [u8],
    },
    /// One element of a Bundle's `entry` array, whole: `{fullUrl, resource, request, …}`.
    Entry {
        /// Where it stands.
        place: FramePlace,
        /// From its `{` to its `}`, as for a resource.
        bytes: &'a [u8],
        /// Which Bundle of the object it belongs to, counted from 0.
        bundle: u64,
        /// What the Bundle has said of itself before its entries: a JSON object without its closing brace.
        head: &'a [u8],
    },
    /// A Bundle is complete; all of its entries came before.
    BundleEnd {
        /// From behind the last entry (or, without one, from the Bundle's beginning) to its last brace.
        place: FramePlace,
        /// The Bundle's own fields as one JSON object, without the `entry` array.
        envelope: &'a [u8],
        /// Which Bundle of the object it was, counted from 0.
        bundle: u64,
    },
    /// A stretch of the object that holds no whole resource; what follows it is read on.
    Broken {
        /// The bytes that are passed over; of length 0 where the object just stops too early.
        place: FramePlace,
        /// Why.
        reason: BrokenFrame,
    },
}

impl Frame<'_> {
    /// Returns where the frame stands.
    #[must_use]
    pub const fn place(&self) -> FramePlace {
        match self {
            Self::Resource { place, .. }
            | Self::Entry { place, .. }
            | Self::BundleEnd { place, .. }
            | Self::Broken { place, .. } => *place,
        }
    }
}

/// Why some bytes are not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, VariantArray)]
pub enum BrokenFrame {
    /// The value does not end: its line or the object is cut.
    Truncated,
    /// The value is longer than [`DecoderLimits::max_resource_bytes`].
    TooLarge,
    /// Text or binary data where a JSON object or array should begin, or behind one on its line.
    NotJson,
    /// A string, number, literal or array where an array of resources or entries needs an object.
    NotObject,
    /// The compressed stream stops before its end.
    CutCompression,
    /// The compressed stream contradicts itself or its checksum.
    CorruptCompression,
    /// Bytes follow the compressed stream that belong to no further one.
    TrailingData,
    /// A Zstandard frame asks for a window of more than 128 MiB.
    WindowTooLarge,
    /// The stream inflates to more than its stored size allows: see [`DecoderLimits::max_inflated_bytes`].
    InflatesTooMuch,
    /// Compressed data within compressed data.
    CompressedTwice,
    /// The object was removed while it was read: what follows was not seen.
    ObjectGone,
    /// What follows could not be reached in the time of an invocation, again and again.
    TooSlow,
    /// Text in UTF-16 or UTF-32.
    Utf16,
    /// An XML document.
    LooksLikeXml,
    /// Messages of HL7 version 2.
    LooksLikeHl7V2,
    /// A ZIP archive.
    LooksLikeZip,
    /// A PDF document.
    LooksLikePdf,
    /// A table of values that commas, semicolons or tabs separate.
    LooksLikeCsv,
}

impl BrokenFrame {
    /// All of them.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Returns the reason as a stable kebab-case code for ledgers, rejects and metrics.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::TooLarge => "too-large",
            Self::NotJson => "not-json",
            Self::NotObject => "not-object",
            Self::CutCompression => "cut-compression",
            Self::CorruptCompression => "corrupt-compression",
            Self::TrailingData => "trailing-data",
            Self::WindowTooLarge => "window-too-large",
            Self::InflatesTooMuch => "inflates-too-much",
            Self::CompressedTwice => "compressed-twice",
            Self::ObjectGone => "object-gone",
            Self::TooSlow => "too-slow",
            Self::Utf16 => "utf-16",
            Self::LooksLikeXml => "looks-like-xml",
            Self::LooksLikeHl7V2 => "looks-like-hl7v2",
            Self::LooksLikeZip => "looks-like-zip",
            Self::LooksLikePdf => "looks-like-pdf",
            Self::LooksLikeCsv => "looks-like-csv",
        }
    }
}

impl fmt::Display for BrokenFrame {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Truncated => "the value is cut off before its closing brace",
            Self::TooLarge => "the value is longer than the limit for one resource",
            Self::NotJson => "neither a JSON object nor an array, or text behind one",
            Self::NotObject => "an array element that is not a JSON object",
            Self::CutCompression => "the compressed data stops before its end",
            Self::CorruptCompression => "the compressed data is corrupt",
            Self::TrailingData => "other data follows the compressed data",
            Self::WindowTooLarge => "the compressed data needs a window of more than 128 MiB",
            Self::InflatesTooMuch => "the compressed data inflates to more than 200 times its size",
            Self::CompressedTwice => "compressed data within compressed data",
            Self::ObjectGone => "the object was removed while it was read",
            Self::TooSlow => "what follows cannot be reached in the time of an invocation",
            Self::Utf16 => "text in UTF-16 or UTF-32; JSON is UTF-8",
            Self::LooksLikeXml => "an XML document",
            Self::LooksLikeHl7V2 => "messages of HL7 version 2",
            Self::LooksLikeZip => "a ZIP archive",
            Self::LooksLikePdf => "a PDF document",
            Self::LooksLikeCsv => "a table of separated values",
        })
    }
}

/// What the next call of the decoder needs.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// A frame is ready.
    Frame(Frame<'a>),
    /// More bytes must be pushed; after the end of the object: nothing follows.
    NeedsBytes,
    /// Some megabytes were inflated without a frame: time to look at the clock.
    Pause,
    /// The next step holds much memory: see [`super::Decoder::allow_large`].
    NeedsPermit,
}

/// Where reading can begin again without what stands before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResumePoint {
    /// The first byte that is read.
    pub offset: u64,
    /// The ordinal of the next frame.
    pub ordinal: u64,
    /// The line on which the offset stands, from 1.
    pub line: u64,
}

/// How the object's bytes are packed, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not compressed.
    Plain,
    /// gzip (RFC 1952), of one or several members.
    Gzip,
    /// Zstandard (RFC 8878), of one or several frames.
    Zstd,
}

/// What the object turned out to be, by its top-level values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// No top-level JSON object or array so far.
    Empty,
    /// One object that is not a Bundle.
    Resource,
    /// One Bundle.
    Bundle,
    /// One array.
    Array,
    /// Several top-level values, each on a line of its own.
    Ndjson,
    /// Several top-level values that do not keep to lines.
    Concatenated,
}

/// What has been read so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoded {
    /// Bytes pushed: after the last push, the object's size.
    pub bytes_in: u64,
    /// Bytes after decompression.
    pub bytes_out: u64,
    /// Frames handed out, broken ones and Bundle ends included.
    pub frames: u64,
    /// How the object is packed.
    pub compression: Compression,
    /// What it turned out to be.
    pub shape: Shape,
}
