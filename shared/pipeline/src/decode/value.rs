//! What becomes of a value that was read: a frame, the beginning of a Bundle, or a broken stretch.

use super::frame::BrokenFrame;
use super::framer::{After, BundleFrame, Framer, FramerState, FramerStep, Gap, Level, Span, What};
use super::members::{ElementOf, add_members, element_of};
use super::scan::Watch;
use super::unit::{EntryArray, Role, Turn, Unit};
use super::window::Window;

/// How much may be read again after cut lines: this, and a multiple of the object. Only a file made for
/// the purpose comes near; it then loses lines instead of time.
const REREAD_BYTES: u64 = 1 << 20;
const REREAD_TIMES: u64 = 8;

impl Framer {
    pub(super) fn unit(&mut self, mut unit: Box<Unit>, window: &mut Window, at_end: bool) -> FramerStep {
        match unit.read(window.view(), self.max_bytes) {
            Some(Turn::Done(end)) => self.unit_ends(&unit, end, window),
            Some(Turn::Entries(entries)) => self.enter_bundle(&unit, entries, window),
            Some(Turn::LineEnd(at)) => self.unit_cut_by_line(&unit, at, window),
            Some(Turn::Cut(at)) => self.unit_cut(&unit, unit.resume_at, at, window),
            Some(Turn::Continue) | None if at_end => self.unit_cut_by_end(&unit, window),
            Some(Turn::Continue) | None => {
                window.release(unit.needs_from());
                self.wait(FramerState::Unit(unit))
            }
        }
    }

    fn unit_ends(&mut self, unit: &Unit, end: u64, window: &mut Window) -> FramerStep {
        let span = Span { start: unit.start, end, line: unit.line };
        if let Some(reason) = unit.passed_over {
            return self.passed_over_ends(unit, reason, span, window);
        }
        match unit.role {
            Role::Tail => self.bundle_ends(unit, end, window),
            Role::Entry => self.entry_ends(unit, span, window),
            Role::Bundle => {
                let bundle = self.count_bundle();
                self.object_ends(What::BundleEnd { bundle }, span, window)
            }
            Role::Object | Role::Undecided { .. } | Role::Plain | Role::Foreign => {
                self.object_ends(What::Resource, span, window)
            }
        }
    }

    /// Ends an object. At the top, the text behind it on its line may belong to it and is read first.
    fn object_ends(&mut self, what: What, span: Span, window: &mut Window) -> FramerStep {
        if self.level() == Level::Top {
            return self.go_on(FramerState::After(After { what, span, at: span.end }));
        }
        self.emit_object(what, span, window)
    }

    pub(super) fn emit_object(&mut self, what: What, span: Span, window: &mut Window) -> FramerStep {
        if matches!(what, What::BundleEnd { .. }) {
            self.envelope.clear();
            self.envelope.extend_from_slice(window.view().slice(span.start, span.end));
        }
        self.value_ends(span.end, window);
        self.emit(what, span, Gap::behind(span.end), window)
    }

    fn passed_over_ends(
        &mut self,
        unit: &Unit,
        reason: BrokenFrame,
        span: Span,
        window: &mut Window,
    ) -> FramerStep {
        let span = self.with_tail(unit, span);
        if unit.role == Role::Tail {
            self.bundle = None;
        }
        self.value_ends(span.end, window);
        self.emit(What::Broken(reason), span, Gap::behind(span.end), window)
    }

    /// Ends an entry. In a file that is not pretty-printed, an "entry" on a line of its own may be the next line of an
    /// NDJSON file whose Bundle was cut behind a comma. Its keys tell.
    fn entry_ends(&mut self, unit: &Unit, span: Span, window: &mut Window) -> FramerStep {
        let Some(bundle) = self.bundle else { return self.object_ends(What::Resource, span, window) };
        if unit.at_line_start && !bundle.lone_brace {
            let stray = match element_of(window.view().slice(span.start, span.end)) {
                ElementOf::Bundle => false,
                ElementOf::Other => true,
                ElementOf::Unknown => !unit.after_comma,
            };
            if stray {
                self.bundle = None;
                let cut = Span { start: self.tail.0, end: unit.start - 1, line: self.tail.1 };
                let next = Gap::at_line_start(unit.start);
                return self.emit(What::Broken(BrokenFrame::Truncated), cut, next, window);
            }
        }
        self.emit(What::Entry { bundle: bundle.number }, span, Gap::behind(span.end), window)
    }

    /// Begins the entries of a Bundle: what came before them is the envelope's first part.
    fn enter_bundle(&mut self, unit: &Unit, entries: EntryArray, window: &mut Window) -> FramerStep {
        if unit.role == Role::Tail {
            self.add_to_envelope(unit.start, entries.key_at, window);
        } else {
            self.tail = (unit.start, unit.line);
            self.lines.exception = unit.scanner.watch != Watch::Newlines;
            let number = self.count_bundle();
            let lone_brace = unit.lone_brace == Some(true);
            self.bundle = Some(BundleFrame { number, lone_brace, envelope_too_large: false });
            self.envelope.clear();
            self.envelope.push(b'{');
            self.add_to_envelope(unit.start + 1, entries.key_at, window);
        }
        self.go_on(FramerState::Gap(Gap::first_element(entries.open_at + 1)))
    }

    fn bundle_ends(&mut self, unit: &Unit, end: u64, window: &mut Window) -> FramerStep {
        self.add_to_envelope(unit.start, end - 1, window);
        self.envelope.push(b'}');
        let what = match self.bundle.take() {
            Some(bundle) if !bundle.envelope_too_large => What::BundleEnd { bundle: bundle.number },
            _ => What::Broken(BrokenFrame::TooLarge),
        };
        self.value_ends(end, window);
        let span = Span { start: self.tail.0, end, line: self.tail.1 };
        self.emit(what, span, Gap::behind(end), window)
    }

    fn add_to_envelope(&mut self, from: u64, to: u64, window: &Window) {
        let members = window.view().slice(from, to);
        if self.envelope.len() as u64 + members.len() as u64 <= self.max_bytes {
            add_members(&mut self.envelope, members);
        } else if let Some(bundle) = &mut self.bundle {
            bundle.envelope_too_large = true;
        }
    }

    /// Ends a line of NDJSON, and with it everything that is open.
    fn unit_cut_by_line(&mut self, unit: &Unit, at: u64, window: &mut Window) -> FramerStep {
        let span = self.with_tail(unit, Span { start: unit.start, end: at, line: unit.line });
        (self.bundle, self.in_array) = (None, false);
        let reason = unit.passed_over.unwrap_or(BrokenFrame::Truncated);
        self.emit(What::Broken(reason), span, Gap::behind(at), window)
    }

    /// Cuts this value, because a line begins with another one. Reading resumes at the first line that can be a value
    /// of its own: that line and those after it may be inside this value.
    fn unit_cut(&mut self, unit: &Unit, resume_at: Option<u64>, at: u64, window: &mut Window) -> FramerStep {
        let resume_at = resume_at
            .filter(|resume_at| unit.passed_over.is_none() && self.may_reread(at - resume_at, at))
            .unwrap_or(at);
        self.reread_bytes += at - resume_at;
        let span = self.with_tail(unit, Span { start: unit.start, end: resume_at - 1, line: unit.line });
        if unit.role == Role::Tail || !unit.at_line_start {
            // It shares its Bundle's line: the Bundle was cut. In an array the next element follows.
            self.bundle = None;
        }
        let reason = unit.passed_over.unwrap_or(BrokenFrame::Truncated);
        self.emit(What::Broken(reason), span, Gap::at_line_start(resume_at), window)
    }

    fn unit_cut_by_end(&mut self, unit: &Unit, window: &mut Window) -> FramerStep {
        let end = window.end();
        if let Some(resume_at) = unit.resume_at
            && unit.passed_over.is_none()
            && self.may_reread(end - resume_at, end)
        {
            return self.unit_cut(unit, unit.resume_at, end, window);
        }
        (self.bundle, self.in_array) = (None, false);
        let fault = if unit.passed_over.is_none() { self.fault.take() } else { None };
        let reason = unit.passed_over.or(fault).unwrap_or(BrokenFrame::Truncated);
        let span = self.with_tail(unit, Span { start: unit.start, end, line: unit.line });
        self.emit(What::Broken(reason), span, Gap::behind(end), window)
    }

    const fn may_reread(&self, bytes: u64, at: u64) -> bool {
        self.reread_bytes + bytes <= REREAD_BYTES.saturating_add(at.saturating_mul(REREAD_TIMES))
    }

    /// Returns the span with a Bundle's tail, which begins behind its last entry, not behind the array's bracket.
    const fn with_tail(&self, unit: &Unit, span: Span) -> Span {
        if matches!(unit.role, Role::Tail) {
            return Span { start: self.tail.0, end: span.end, line: self.tail.1 };
        }
        span
    }
}
