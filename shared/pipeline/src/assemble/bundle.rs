//! Bundles: references between entries become keys, also in a Bundle inside a record.

use std::mem;

use flatten::defect::{Defect, DefectCode};
use flatten::json::{JsonKind, Node, Tape};
use flatten::links::Links;
use flatten::resource::Resource;

use crate::batch::Reason;
use crate::decode::{Frame, FramePlace};
use crate::version::{Position, Version};

use super::cell::ResolvedCell;
use super::held::{HeldResource, HeldResources};
use super::open_bundle::{EndedBundle, OpenBundle};
use super::order::{BundleFacts, EntryFacts};
use super::references::{BrokenSpool, Join, References};
use super::{Assembler, RESOURCE, Record, Urls, within};

/// Answers of a join that are handed on at once.
const ANSWERS_AT_ONCE: usize = 5_000;
/// Memory that parsing has taken for a larger resource is given back.
const LARGE_BYTES: usize = 8 << 20;

impl Assembler {
    /// Reads the entries of a Bundle that is whole inside a record.
    pub(super) fn nested_bundle(&mut self, place: FramePlace, node: Node<'_>, urls: Urls<'_>) {
        let is_nested = mem::replace(&mut self.current.is_nested, true);
        let key = self.whole_bundle(place, node, urls);
        self.current.is_nested = is_nested;
        // Others refer to it as to any entry.
        if let Some((full_url, key)) = urls.full.zip(key) {
            self.link(full_url, &key);
        }
    }

    /// Reads what a Bundle says of itself. An `entry` in it is one that did not stream by.
    pub(super) fn envelope(&mut self, place: FramePlace, node: Node<'_>) {
        if node.get("entry").is_some() {
            self.whole_bundle(place, node, Urls::default());
        } else {
            self.bundle_itself(place, node, Urls::default());
        }
    }

    /// Reads a Bundle without its entries. Returns its key.
    fn bundle_itself(&mut self, place: FramePlace, node: Node<'_>, urls: Urls<'_>) -> Option<String> {
        match Resource::read(node) {
            Ok(resource) => {
                // Its own `fullUrl` is one of the Bundle around it, not of its entries.
                let key = resource.key(urls.full, urls.put);
                self.read_keyed(place, &resource, key.clone());
                Some(key)
            }
            Err(defect) => {
                self.defective(place, node, None, defect);
                None
            }
        }
    }

    /// Reads a Bundle that was not streamed, entry by entry: it is inside a record, or cannot be told from other
    /// resources while it streams, because its `entry` is not an array, its names are written with escapes, or its
    /// entries come first and say nothing that only entries say. Nothing of it is copied but what it says of itself.
    fn whole_bundle(&mut self, place: FramePlace, node: Node<'_>, urls: Urls<'_>) -> Option<String> {
        let facts = BundleFacts::of(node);
        let references = References::open(!facts.is_answer);
        let bundle = OpenBundle { facts, references, ..OpenBundle::default() };
        let outer = mem::replace(&mut self.bundle, bundle);
        let mut envelope = String::from("{");
        for (name, value) in node.members() {
            if name.is("entry") {
                self.entries(place, value);
            } else {
                envelope.push_str(if envelope.len() > 1 { "," } else { "" });
                envelope.push_str(name.quoted());
                envelope.push(':');
                envelope.push_str(value.quoted());
            }
        }
        envelope.push('}');
        self.bundle.references.links.close();
        let mut tape = Tape::default();
        let place = within(place, node);
        let mut key = None;
        // It is made of what was read before.
        if let Ok(document) = tape.parse(envelope.as_bytes(), RESOURCE) {
            let around = self.current.record_place.replace(place);
            key = self.bundle_itself(place, document.root(), urls);
            self.current.record_place = around;
        }
        self.leave_bundle();
        // It is not larger than the record around it.
        if let Some(mut ended) = self.ended_bundles.pop_back() {
            while self.flush_some(&mut ended) {}
        }
        self.bundle = outer;
        key
    }

    fn entries(&mut self, place: FramePlace, entries: Node<'_>) {
        match entries.kind() {
            JsonKind::Array => entries.items().for_each(|entry| self.one_entry(place, entry)),
            _ => self.one_entry(place, entries),
        }
    }

    fn one_entry(&mut self, place: FramePlace, entry: Node<'_>) {
        match entry.kind() {
            JsonKind::Null => {}
            JsonKind::Object => self.entry(place, entry),
            _ => self.unusable(place, entry, DefectCode::ObjectExpected),
        }
    }

    /// Ends the current Bundle if the next frame does not belong to it.
    pub(super) fn end_bundle_before(&mut self, frame: &Frame<'_>) {
        let next = match *frame {
            Frame::Entry { bundle, .. } | Frame::BundleEnd { bundle, .. } => Some(bundle),
            Frame::Resource { .. } => None,
            Frame::Broken { .. } => return,
        };
        if self.bundle.number.is_some() && self.bundle.number != next {
            self.leave_bundle();
        }
    }

    /// Begins a Bundle that streams by, unless it is begun already. `head` is what it has said of itself so far.
    pub(super) fn enter_bundle(&mut self, number: u64, head: &[u8]) {
        if self.bundle.number == Some(number) {
            return;
        }
        self.leave_bundle();
        let facts = BundleFacts::of_head(&mut self.tape, head);
        self.bundle = OpenBundle {
            number: Some(number),
            facts,
            goes_on: true,
            references: References::open(!facts.is_answer),
            ..OpenBundle::default()
        };
    }

    /// Ends a Bundle that streamed by, with all that it says of itself.
    pub(super) fn end_bundle(&mut self, place: FramePlace, envelope: &[u8]) {
        let mut tape = mem::take(&mut self.tape);
        match tape.parse(envelope, RESOURCE) {
            Ok(document) => {
                self.bundle.facts = BundleFacts::of(document.root());
                self.bundle.references.links.close();
                self.current.record_place = Some(place);
                self.envelope(place, document.root());
                self.current.record_place = None;
            }
            Err(error) => {
                let reason = Reason::Defect { view: None, defect: Defect::from(error) };
                self.reject(place, None, Some(envelope), reason);
            }
        }
        self.tape = tape;
        self.leave_bundle();
    }

    /// Ends the Bundle at hand, if there is one. What waited for its end is [written](Self::flush_waiting) afterwards.
    pub(super) fn leave_bundle(&mut self) {
        self.disk_failed |= self.bundle.is_broken();
        let OpenBundle { facts, references, mut deletions, held, .. } = mem::take(&mut self.bundle);
        let deletions = (!deletions.is_empty()).then(|| deletions.take());
        self.ended_bundles.push_back(EndedBundle {
            facts,
            deletions,
            held: held.close(),
            join: references.close(),
        });
    }

    /// Returns whether something that waited for the end of a Bundle has still to be added.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.ended_bundles.is_empty()
    }

    /// Adds some of what waited for the end of a Bundle: deletions, then held resources, then keys of references. To
    /// be called until [`is_waiting`](Self::is_waiting) says no, and whatever is full handed on in between.
    pub fn flush_waiting(&mut self) {
        if let Some(mut ended) = self.ended_bundles.pop_front()
            && self.flush_some(&mut ended)
        {
            self.ended_bundles.push_front(ended);
        }
    }

    /// Adds some of what is left of a Bundle. Returns whether there is more.
    fn flush_some(&mut self, ended: &mut EndedBundle) -> bool {
        if let Some(mut deletions) = ended.deletions.take() {
            while let Some(held) = deletions.next() {
                // An earlier attempt has written it, if it has written what stands behind the Bundle.
                if !self.is_skipping {
                    let around = mem::replace(&mut self.current.entry, EntryFacts::held(held.newest_first));
                    let position = Position::new(held.place.ordinal, held.inside);
                    self.delete(held.place, held.key, ended.facts.made_at, position);
                    self.current.entry = around;
                }
                if self.is_full() {
                    ended.deletions = Some(deletions);
                    return true;
                }
            }
            self.disk_failed |= deletions.is_broken();
            return true;
        }
        if let Some(mut held) = ended.held.take() {
            match self.flush_held(&mut held, &mut ended.join) {
                Ok(true) => ended.held = Some(held),
                Ok(false) => {}
                Err(_) => self.disk_failed = true,
            }
            return true;
        }
        for _ in 0..ANSWERS_AT_ONCE {
            match ended.join.next(&self.facts.order, self.facts.edition) {
                Ok(Some(answer)) => self.answered(answer),
                Ok(None) => return false,
                Err(_) => {
                    self.disk_failed = true;
                    return false;
                }
            }
        }
        true
    }

    /// Flattens held resources until the batch is full. Returns whether there are more.
    fn flush_held(&mut self, held: &mut HeldResources, join: &mut Join) -> Result<bool, BrokenSpool> {
        while !self.is_full() {
            let Some((record, links)) = held.next(join)? else {
                return if held.is_broken() { Err(BrokenSpool) } else { Ok(false) };
            };
            if let Some((resource, base)) = HeldResource::read(record) {
                links.enter_base((!base.is_empty()).then_some(base));
                self.flatten_held(resource, links);
            }
        }
        Ok(true)
    }

    fn flatten_held(&mut self, held: HeldResource<'_>, links: &Links) {
        let mut tape = mem::take(&mut self.tape);
        if let Ok(document) = tape.parse(held.text.as_bytes(), RESOURCE)
            && let Ok(resource) = Resource::read(document.root())
        {
            self.make_room();
            let before = self.out.batch.rows.len();
            let hasher = self.hasher.as_ref();
            let hash = hasher.and_then(|hasher| hasher.hash(held.key, resource.node(), links));
            let outcome = self.flattener.flatten(&resource, held.key, links, &mut self.out.batch.rows);
            let record = Record {
                key: held.key.to_owned(),
                version: Version::from_token(held.version).in_edition(self.facts.edition),
                source: self.source_at(held.place),
                hash,
                frame: held.place,
            };
            self.enter_outcome(record, &resource, before, outcome);
        }
        if held.text.len() <= LARGE_BYTES {
            self.tape = tape;
        }
    }

    /// Adds keys and types that are known now.
    pub(super) fn answered(&mut self, answer: ResolvedCell) {
        match answer {
            ResolvedCell::Key(completion) => {
                // What is inside a list is counted with its row.
                if !self.is_skipping && !completion.path.contains('.') {
                    self.flattener.count_late(&completion.table, &completion.path);
                }
                self.out.completions.push(completion);
            }
            ResolvedCell::Nothing => {}
        }
    }
}
