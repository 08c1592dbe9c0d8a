//! JSON as it was written: one pass over borrowed bytes gives a flat tape of spans, nothing is copied and
//! every number keeps its text.
//!
//! ```
//! use flatten::json::{Limits, Tape};
//! let mut tape = Tape::default();
//! let document = tape.parse(br#"{"value": 1.50, "unit": "mm"}"#, Limits::default())?;
//! assert_eq!(document.root().get("value").and_then(|v| v.number()), Some("1.50"));
//! # Ok::<(), flatten::json::JsonError>(())
//! ```

mod escape;
mod node;
mod parse;
mod scan;
mod short;

pub(crate) use short::{Ends, is_alphanumeric_or, same};

pub use escape::unescape;
pub use node::{Document, Items, JsonKind, Members, Node};
pub use parse::{JsonError, JsonErrorKind, Limits};
pub use short::has_any;

/// The reusable storage of parsed documents: one allocation serves every resource of a load.
#[derive(Debug, Default)]
pub struct Tape {
    entries: Vec<node::Entry>,
}

/// Returns the position from `from` on of the first byte that a JSON string must escape: a quote, a backslash or a
/// control character.
#[must_use]
#[inline]
pub fn escape_position(text: &[u8], from: usize) -> Option<usize> {
    scan::string_stop(text, from)
}

/// A tape of so many entries is kept for whatever comes next.
const KEPT_ENTRIES: usize = 1 << 18;

impl Tape {
    /// Parses exactly one JSON value (RFC 8259) with optional white space around it.
    ///
    /// The document borrows the bytes and the tape; parsing the next one reuses the tape's memory.
    pub fn parse<'a>(&'a mut self, bytes: &'a [u8], limits: Limits) -> Result<Document<'a>, JsonError> {
        // What one document of many values took is not kept for small ones.
        if self.entries.capacity() > KEPT_ENTRIES {
            self.entries.clear();
            self.entries.shrink_to(bytes.len().max(KEPT_ENTRIES));
        }
        let text = parse::fill(&mut self.entries, bytes, limits)?;
        Ok(Document::new(text, &self.entries))
    }
}
