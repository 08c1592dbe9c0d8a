//! One value on its way from its first byte to its last, and what it turns out to be.

use super::frame::BrokenFrame;
use super::members::{ElementOf, element_of, is_colon};
use super::scan::{ScanEvent, Scanner, SeenEvent, Watch};
use super::window::View;

/// How far back the scan looks for the byte before a line break; also what is kept of a value that is
/// passed over, so that the answer is the same however the object was cut into chunks.
pub(super) const LOOK_BACK_BYTES: u64 = 128;

/// What is known about the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// An object whose `resourceType` has not been seen.
    Object,
    /// An object with an `entry` array, whose `resourceType` has not been seen.
    Undecided { entries: EntryArray, element_at: u64, is_open: bool },
    /// An object that is not a Bundle: nothing in it matters but its end.
    Plain,
    /// A Bundle whose `entry` array has not begun.
    Bundle,
    /// An element of a Bundle's `entry` array.
    Entry,
    /// What follows a Bundle's `entry` array.
    Tail,
    /// A value that is not an object.
    Foreign,
}

/// Where an `entry` array stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EntryArray {
    /// The key's first quote.
    pub(super) key_at: u64,
    /// The bracket.
    pub(super) open_at: u64,
}

/// What to do after an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Continue,
    /// It is a Bundle: read on from its entries.
    Entries(EntryArray),
    /// It ends before this offset.
    Done(u64),
    /// NDJSON, and its line ends at this offset.
    LineEnd(u64),
    /// The value was cut: at this offset a line begins with another.
    Cut(u64),
}

#[derive(Debug)]
pub(super) struct Unit {
    pub(super) start: u64,
    pub(super) line: u64,
    pub(super) role: Role,
    pub(super) scanner: Scanner,
    /// Whether it begins in the first column.
    pub(super) at_line_start: bool,
    /// Whether a comma or the array's bracket stands before it.
    pub(super) after_comma: bool,
    /// Set when the value must be passed over: why, once it ends.
    pub(super) passed_over: Option<BrokenFrame>,
    /// Its first line holds nothing but its brace: it is pretty-printed. `None` until its second event.
    pub(super) lone_brace: Option<bool>,
    /// The first line that begins with a brace, where the value may rightly have one.
    pub(super) resume_at: Option<u64>,
    string_at: u64,
    /// The last string among its own members: quote to quote.
    last_string: (u64, u64),
}

/// Where a value begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct UnitStart {
    pub(super) at: u64,
    pub(super) line: u64,
    /// Its first byte.
    pub(super) first: u8,
}

impl Unit {
    /// Returns a value that begins there.
    pub(super) fn new(role: Role, start: UnitStart, watch: Watch) -> Self {
        let UnitStart { at: start, line, first } = start;
        let scanner = match (role, first) {
            // A tail begins within its Bundle's brace.
            (Role::Tail, _) | (_, b'"') => Scanner::new(start, u32::from(role == Role::Tail), watch),
            _ => Scanner::new(start + 1, 1, watch),
        };
        Self {
            start,
            line,
            role,
            scanner,
            at_line_start: false,
            after_comma: true,
            passed_over: (role == Role::Foreign).then_some(BrokenFrame::NotObject),
            lone_brace: (role == Role::Tail || first != b'{').then_some(false),
            resume_at: None,
            string_at: 0,
            last_string: (0, 0),
        }
    }

    /// Reads on. `None` when the view holds no more.
    pub(super) fn read(&mut self, view: View<'_>, max_bytes: u64) -> Option<Turn> {
        loop {
            let Some(seen) = self.scanner.next(view, self.floor()) else {
                self.note_length(self.scanner.scanned_to() - self.start, max_bytes);
                return None;
            };
            self.note_length(seen.at + 1 - self.start, max_bytes);
            let turn = self.turn(seen, view);
            if turn != Turn::Continue {
                return Some(turn);
            }
        }
    }

    /// Returns the offset before which bytes may go, because the value is skipped.
    pub(super) fn needs_from(&self) -> u64 {
        if self.passed_over.is_none() {
            return self.start;
        }
        self.scanner.scanned_to().saturating_sub(2 * LOOK_BACK_BYTES).max(self.start)
    }

    /// Returns the depth of brackets at which the scan must stop.
    const fn floor(&self) -> u32 {
        match self.role {
            _ if self.passed_over.is_some() => 0,
            Role::Undecided { is_open: true, .. } => 2,
            Role::Object | Role::Bundle | Role::Tail | Role::Undecided { .. } => 1,
            Role::Plain | Role::Entry | Role::Foreign => 0,
        }
    }

    const fn note_length(&mut self, length: u64, max_bytes: u64) {
        if length > max_bytes && self.passed_over.is_none() {
            self.passed_over = Some(BrokenFrame::TooLarge);
        }
    }

    fn turn(&mut self, seen: SeenEvent, view: View<'_>) -> Turn {
        let only_brace = self.note_first_line(seen.at, view);
        match seen.event {
            ScanEvent::Close | ScanEvent::StringEnd if seen.depth == 0 => Turn::Done(seen.at + 1),
            ScanEvent::Newline => self.newline(seen.at, only_brace),
            ScanEvent::BraceAtLineStart { in_string } => self.brace(seen.at, in_string || only_brace, view),
            _ if self.passed_over.is_some() => Turn::Continue,
            ScanEvent::StringStart => {
                self.string_at = seen.at;
                Turn::Continue
            }
            ScanEvent::StringEnd => self.string(seen, view),
            ScanEvent::Open => self.open(seen, view),
            ScanEvent::Close => self.close(seen, view),
        }
    }

    /// Notes at the first event whether the value is pretty-printed. Returns whether there is only its brace yet.
    fn note_first_line(&mut self, at: u64, view: View<'_>) -> bool {
        if self.lone_brace.is_some() {
            return false;
        }
        let before = if self.passed_over.is_some() { b"-" } else { view.slice(self.start + 1, at) };
        let space = before.iter().take_while(|byte| byte.is_ascii_whitespace());
        let (space_bytes, lone) =
            space.fold((0, false), |(count, line), byte| (count + 1, line || *byte == b'\n'));
        self.lone_brace = Some(lone);
        if lone && self.scanner.watch == Watch::BracesAtLineStart {
            self.scanner.watch = Watch::Nothing;
        }
        space_bytes == before.len()
    }

    /// Takes the end of a line. In NDJSON it ends the value, unless the line is a lone brace: then a pretty-printed
    /// value has been appended to the file, and the next line tells.
    const fn newline(&mut self, at: u64, only_brace: bool) -> Turn {
        if only_brace && matches!(self.role, Role::Object) {
            self.scanner.watch = Watch::BracesAtLineStart;
            self.lone_brace = Some(false);
            return Turn::Continue;
        }
        Turn::LineEnd(at)
    }

    /// Takes a brace at the beginning of a line. In an unbroken value it can be the next element or a member's value;
    /// in a value that is not an object it is more likely the next line.
    fn brace(&mut self, at: u64, is_cut: bool, view: View<'_>) -> Turn {
        let is_cut = is_cut || self.role == Role::Foreign;
        if is_cut || !may_begin_value(view.slice(at.saturating_sub(LOOK_BACK_BYTES).max(self.start), at)) {
            return Turn::Cut(at);
        }
        if self.passed_over.is_none() {
            self.resume_at.get_or_insert(at);
        }
        Turn::Continue
    }

    /// Takes the end of a string among the members: the value of `resourceType` decides what the object is.
    fn string(&mut self, seen: SeenEvent, view: View<'_>) -> Turn {
        let (key, string) = (self.last_string, (self.string_at, seen.at));
        self.last_string = string;
        let decides = matches!(self.role, Role::Object | Role::Undecided { .. });
        if seen.depth != 1 || !decides || !is_member(view, key, b"resourceType", string.0) {
            return Turn::Continue;
        }
        match (view.slice(string.0 + 1, string.1), self.role) {
            (b"Bundle", Role::Undecided { entries, .. }) => return Turn::Entries(entries),
            (b"Bundle", _) => self.role = Role::Bundle,
            _ => self.role = Role::Plain,
        }
        Turn::Continue
    }

    fn open(&mut self, seen: SeenEvent, view: View<'_>) -> Turn {
        if let Role::Undecided { is_open: true, element_at, .. } = &mut self.role {
            *element_at = seen.at;
            return Turn::Continue;
        }
        let is_array = view.slice(seen.at, seen.at + 1) == b"[";
        if seen.depth != 1 || !is_array || !is_member(view, self.last_string, b"entry", seen.at) {
            return Turn::Continue;
        }
        let entries = EntryArray { key_at: self.last_string.0, open_at: seen.at };
        match self.role {
            Role::Bundle | Role::Tail => return Turn::Entries(entries),
            Role::Object => self.role = Role::Undecided { entries, element_at: 0, is_open: true },
            Role::Undecided { .. } | Role::Plain | Role::Entry | Role::Foreign => {}
        }
        Turn::Continue
    }

    /// Takes the end of an element of an undecided `entry` array, or of the array.
    fn close(&mut self, seen: SeenEvent, view: View<'_>) -> Turn {
        let Role::Undecided { entries, element_at, is_open } = &mut self.role else { return Turn::Continue };
        if seen.depth == 1 {
            *is_open = false;
            return Turn::Continue;
        }
        match element_of(view.slice(*element_at, seen.at + 1)) {
            ElementOf::Bundle => return Turn::Entries(*entries),
            ElementOf::Other => self.role = Role::Plain,
            ElementOf::Unknown => {}
        }
        Turn::Continue
    }
}

/// Returns whether the last byte that is not white space lets a value follow. If there is too much white space to see
/// one, it does.
fn may_begin_value(before: &[u8]) -> bool {
    let last = before.iter().rev().find(|byte| !byte.is_ascii_whitespace());
    matches!(last, Some(b'[' | b',' | b':') | None)
}

/// Returns whether the string is this key and its value begins at `value_at`.
fn is_member(view: View<'_>, string: (u64, u64), key: &[u8], value_at: u64) -> bool {
    view.slice(string.0 + 1, string.1) == key && is_colon(view.slice(string.1 + 1, value_at))
}
