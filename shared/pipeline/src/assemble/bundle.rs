//! Bundles: their references find each other, and so do those of Bundles that stand whole inside a record.

use std::mem;

use flatten::defect::DefectCode;
use flatten::json::{Kind, Node, Tape};
use flatten::links::Links;
use flatten::resource::Resource;

use crate::decode::{self, Decoder, Frame, Place};

use super::{Assembler, RESOURCE, within};

impl Assembler {
    /// Reads the entries of a Bundle that stands whole inside a record.
    pub(super) fn nested_bundle(&mut self, place: Place, node: Node<'_>) {
        let outer = (mem::take(&mut self.links), mem::take(&mut self.pending), self.bundle.take());
        let mut decoder = Decoder::new(decode::Limits { max_resource_bytes: node.raw().len() + 1 });
        let base = within(place, node);
        decoder.push(node.raw().as_bytes());
        decoder.finish();
        while let Some(mut frame) = decoder.next() {
            if let Frame::Resource { .. } = frame {
                self.strange_bundle(place, node);
                continue;
            }
            frame.shift(base);
            self.read(&frame);
        }
        (self.links, self.pending, self.bundle) = outer;
    }

    /// Reads what a Bundle says of itself. An `entry` in it is one that did not stream by.
    pub(super) fn envelope(&mut self, place: Place, node: Node<'_>) {
        if node.get("entry").is_some() {
            return self.strange_bundle(place, node);
        }
        match Resource::read(node) {
            Ok(resource) => self.read_resource(place, &resource, None),
            Err(defect) => self.defective(place, node, None, defect),
        }
    }

    /// Reads a Bundle that cannot be told from other resources while it streams by: its `entry` is no array, its
    /// names are written with escapes, or its entries come first and say nothing that only entries say.
    fn strange_bundle(&mut self, place: Place, node: Node<'_>) {
        self.links = Links::open();
        let mut envelope = String::from("{");
        for (name, value) in node.members() {
            if name.is("entry") {
                self.strange_entries(place, value);
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

    fn strange_entries(&mut self, place: Place, entries: Node<'_>) {
        match entries.kind() {
            Kind::Null => {}
            Kind::Array => entries.items().for_each(|entry| self.strange_entries(place, entry)),
            Kind::Object => self.entry(place, entries),
            _ => self.unusable(place, entries, DefectCode::ObjectExpected),
        }
    }

    pub(super) fn enter_bundle(&mut self, bundle: u64) {
        if self.bundle != Some(bundle) {
            self.leave_bundle();
            self.links = Links::open();
            self.bundle = Some(bundle);
        }
    }

    /// What a Bundle's references have not found by now is nowhere: no row has such a column. Inside lists others may
    /// have been answered, so there the row counts.
    pub(super) fn leave_bundle(&mut self) {
        self.links.close();
        for (table, path) in self.pending.forget() {
            if !path.contains('.') {
                self.flattener.uncount(&table, &path);
            }
        }
    }
}

/// Moves a frame of a Bundle that stood inside another record to where it stands in the object.
impl Frame<'_> {
    pub(super) fn shift(&mut self, base: Place) {
        let (Self::Resource { place, .. }
        | Self::Entry { place, .. }
        | Self::BundleEnd { place, .. }
        | Self::Broken { place, .. }) = self;
        *place = Place {
            ordinal: base.ordinal,
            offset: base.offset + place.offset,
            line: base.line + place.line - 1,
            ..*place
        };
    }
}
