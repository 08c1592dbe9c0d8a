//! Bundles: their references find each other, and so do those of Bundles that stand whole inside a record.

use std::mem;

use flatten::defect::DefectCode;
use flatten::json::{Kind, Node, Tape};
use flatten::links::Links;
use flatten::resource::Resource;

use crate::decode::Place;

use super::{Assembler, RESOURCE, within};

impl Assembler {
    /// Reads the entries of a Bundle that stands whole inside a record.
    pub(super) fn nested_bundle(&mut self, place: Place, node: Node<'_>) {
        let outer = (mem::take(&mut self.links), mem::take(&mut self.pending), self.bundle.take());
        let is_nested = mem::replace(&mut self.is_nested, true);
        self.whole_bundle(place, node);
        self.is_nested = is_nested;
        (self.links, self.pending, self.bundle) = outer;
    }

    /// Reads what a Bundle says of itself. An `entry` in it is one that did not stream by.
    pub(super) fn envelope(&mut self, place: Place, node: Node<'_>) {
        if node.get("entry").is_some() {
            return self.whole_bundle(place, node);
        }
        match Resource::read(node) {
            Ok(resource) => self.read_resource(place, &resource, None),
            Err(defect) => self.defective(place, node, None, defect),
        }
    }

    /// Reads a Bundle entry by entry that did not stream by: it stands inside a record, or cannot be told from other
    /// resources while it streams, because its `entry` is no array, its names are written with escapes, or its entries
    /// come first and say nothing that only entries say. Nothing of it is copied but what it says of itself.
    fn whole_bundle(&mut self, place: Place, node: Node<'_>) {
        self.links = Links::open();
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
        self.leave_bundle();
        let mut tape = Tape::default();
        let place = within(place, node);
        // It is made of what was read before.
        if let Ok(document) = tape.parse(envelope.as_bytes(), RESOURCE) {
            self.envelope(place, document.root());
        }
    }

    fn entries(&mut self, place: Place, entries: Node<'_>) {
        match entries.kind() {
            Kind::Array => entries.items().for_each(|entry| self.one_entry(place, entry)),
            _ => self.one_entry(place, entries),
        }
    }

    fn one_entry(&mut self, place: Place, entry: Node<'_>) {
        match entry.kind() {
            Kind::Null => {}
            Kind::Object => self.entry(place, entry),
            _ => self.unusable(place, entry, DefectCode::ObjectExpected),
        }
    }

    pub(super) fn enter_bundle(&mut self, bundle: u64) {
        if self.bundle != Some(bundle) {
            self.leave_bundle();
            self.links = Links::open();
            self.bundle = Some(bundle);
        }
    }

    /// What a Bundle's references have not found by now is nowhere: no row has such a column.
    pub(super) fn leave_bundle(&mut self) {
        self.links.close();
        for (table, path) in self.pending.forget() {
            self.flattener.uncount(&table, &path);
        }
    }
}
