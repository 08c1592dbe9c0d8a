//! From an object's bytes to its resources: raw bytes are pushed, frames are popped.
//!
//! ```text
//! raw bytes → Inflater → Window → Framer → Frame
//!             gzip/zstd  sliding  scan      borrowed bytes and their place
//! ```
//!
//! The decoder does no I/O, knows no file name and judges no grammar. It recognises the compression by
//! the first bytes, then looks for quotes and brackets only, so that whatever is wrong inside one
//! resource stays the parser's verdict on that one resource. It holds one resource and a few chunks,
//! never the object: a Bundle of any size passes entry by entry, pretty-printed or on one line. What is
//! broken is handed out as [`Frame::Broken`] with its place, and reading goes on at the next line or
//! element that begins a value.
//!
//! ```
//! use pipeline::decode::{Decoder, Frame, DecoderLimits};
//!
//! let mut decoder = Decoder::new(DecoderLimits::default());
//! decoder.push(b"{\"resourceType\":\"Patient\",\"id\":\"1\"}\n");
//! decoder.push(b"{\"resourceType\":\"Pat");
//! decoder.finish();
//! let mut codes = Vec::new();
//! while let Some(frame) = decoder.next() {
//!     match frame {
//!         Frame::Resource { place, bytes } => assert_eq!((place.line, bytes.len()), (1, 35)),
//!         Frame::Broken { place, reason } => codes.push((place.offset, reason.code())),
//!         Frame::Entry { .. } | Frame::BundleEnd { .. } => {}
//!     }
//! }
//! assert_eq!(codes, [(36, "truncated")]);
//! ```

mod blocks;
mod format;
mod frame;
mod framer;
mod inflate;
mod line;
mod members;
mod scan;
mod text;
mod unit;
mod value;
mod window;

#[cfg(test)]
mod tests;

pub use frame::{
    BrokenFrame, Compression, Decoded, DecoderLimits, Frame, FramePlace, LARGE_BYTES, ResumePoint, Shape,
    Step,
};

use framer::{Framer, Ready, What};
use inflate::{InflateProgress, Inflater};
use window::Window;

/// One object on its way from bytes to frames. See the module's example.
pub struct Decoder {
    inflater: Inflater,
    window: Window,
    framer: Framer,
    finished: bool,
    /// Whether the caller holds the permit for what is large.
    is_permitted: bool,
    /// Where the stream stood at the last pause.
    paused_at: u64,
}

/// So many inflated bytes lie between two pauses.
const PAUSE_BYTES: u64 = 4 << 20;

/// As [`Step`], without the frame's bytes.
enum Advance {
    Ready(Ready),
    NeedsBytes,
    Pause,
    NeedsPermit,
}

impl Decoder {
    /// Returns a decoder for one object.
    #[must_use]
    pub fn new(limits: DecoderLimits) -> Self {
        Self {
            inflater: Inflater::new(limits),
            window: Window::new(limits.max_resource_bytes),
            framer: Framer::new(limits.max_resource_bytes),
            finished: false,
            is_permitted: false,
            paused_at: 0,
        }
    }

    /// Returns a decoder that goes on where [`Decoder::resume_point`] was, given the object's bytes from there on.
    #[must_use]
    pub fn resume(limits: DecoderLimits, point: ResumePoint) -> Self {
        Self {
            inflater: Inflater::plain_from(point.offset, limits),
            window: Window::begin_at(point.offset, point.line, limits.max_resource_bytes),
            framer: Framer::resume(limits.max_resource_bytes, point),
            paused_at: point.offset,
            ..Self::new(limits)
        }
    }

    /// Returns where another decoder could go on behind the last frame, without the bytes before: between two lines of
    /// NDJSON that is not compressed.
    #[must_use]
    pub const fn resume_point(&self) -> Option<ResumePoint> {
        match self.inflater.compression() {
            Compression::Plain => self.framer.resume_point,
            Compression::Gzip | Compression::Zstd => None,
        }
    }

    /// Says whether the caller holds the permit that [`Step::NeedsPermit`] asks for.
    pub const fn allow_large(&mut self, is_permitted: bool) {
        self.is_permitted = is_permitted;
    }

    /// Returns whether more than [`LARGE_BYTES`] are held of one value, or as the window of a decompressor.
    #[must_use]
    pub fn is_large(&self) -> bool {
        self.window.held() > LARGE_BYTES as u64 || self.inflater.is_large()
    }

    /// Takes the object's next bytes, as they are stored. They are copied; memory stays bounded if
    /// [`Decoder::next`] is called until it answers `None` before the next push. Bytes pushed after
    /// [`Decoder::finish`] are not read.
    pub fn push(&mut self, bytes: &[u8]) {
        if !self.finished {
            self.inflater.push(bytes, &mut self.window);
        }
    }

    /// Says that no more bytes come: what is still open is cut, and [`Decoder::next`] will say so.
    pub fn finish(&mut self) {
        self.finished = true;
        self.inflater.finish(&mut self.window);
    }

    /// Returns the next frame; `None` when more bytes must be pushed, or after [`Decoder::finish`] at the end. The same
    /// bytes give the same frames, however they are cut into pushes.
    #[expect(clippy::should_implement_trait, reason = "the frame borrows the decoder, an iterator's cannot")]
    pub fn next(&mut self) -> Option<Frame<'_>> {
        let was_permitted = std::mem::replace(&mut self.is_permitted, true);
        let ready = loop {
            match self.advance() {
                Advance::Ready(ready) => break Some(ready),
                Advance::NeedsBytes => break None,
                Advance::Pause | Advance::NeedsPermit => {}
            }
        };
        self.is_permitted = was_permitted;
        ready.map(|ready| self.frame(ready))
    }

    /// Does as [`Decoder::next`], for callers that keep a deadline and share memory with others. It returns every few
    /// megabytes, and asks before it holds more than [`LARGE_BYTES`].
    pub fn step(&mut self) -> Step<'_> {
        match self.advance() {
            Advance::Ready(ready) => Step::Frame(self.frame(ready)),
            Advance::NeedsBytes => Step::NeedsBytes,
            Advance::Pause => Step::Pause,
            Advance::NeedsPermit => Step::NeedsPermit,
        }
    }

    fn advance(&mut self) -> Advance {
        loop {
            if let Some(ready) = self.framer.next(&mut self.window, false) {
                self.paused_at = self.window.end();
                return Advance::Ready(ready);
            }
            if !self.is_permitted && self.is_large() {
                return Advance::NeedsPermit;
            }
            if self.window.end() - self.paused_at >= PAUSE_BYTES {
                self.paused_at = self.window.end();
                return Advance::Pause;
            }
            match self.inflater.fill(&mut self.window, self.finished, self.is_permitted) {
                InflateProgress::More => {}
                InflateProgress::NeedsPermit => return Advance::NeedsPermit,
                InflateProgress::Nothing => {
                    return self.last_frames().map_or(Advance::NeedsBytes, Advance::Ready);
                }
            }
        }
    }

    /// Returns the line on which the last frame ended, from 1.
    #[must_use]
    pub const fn line(&self) -> u64 {
        self.framer.tail.1
    }

    /// Returns what has been read so far.
    #[must_use]
    pub fn summary(&self) -> Decoded {
        Decoded {
            bytes_in: self.inflater.bytes_in(),
            bytes_out: self.window.end(),
            frames: self.framer.frames,
            compression: self.inflater.compression(),
            shape: self.framer.shape(),
        }
    }

    /// Frames what is left at the end of the object, once everything is inflated.
    fn last_frames(&mut self) -> Option<Ready> {
        if !self.finished {
            return None;
        }
        self.framer.stream_ends(self.inflater.fault());
        self.framer.next(&mut self.window, true)
    }

    fn frame(&self, ready: Ready) -> Frame<'_> {
        let Ready { place, what } = ready;
        let bytes = self.window.view().slice(place.offset, place.offset + place.length);
        match what {
            What::Resource => Frame::Resource { place, bytes },
            What::Entry { bundle } => Frame::Entry { place, bytes, bundle, head: &self.framer.envelope },
            What::BundleEnd { bundle } => Frame::BundleEnd { place, envelope: &self.framer.envelope, bundle },
            What::Broken(reason) => Frame::Broken { place, reason },
        }
    }
}
