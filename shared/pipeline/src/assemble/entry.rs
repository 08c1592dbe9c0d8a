//! Entries of a Bundle (R5, section 2.36) and resources in parameters.

use flatten::defect::DefectCode;
use flatten::json::Node;
use flatten::reference::{self, Reference};
use flatten::time::moment;

use crate::batch::{Fate, ResourceWrite};
use crate::decode::Place;
use crate::version::Version;

use super::Assembler;

impl Assembler {
    /// An entry: a resource, a deletion, or neither. An entry with neither is no record: it answers a request or
    /// asks for something. The outcome that an answer holds is a resource all the same.
    pub(super) fn entry(&mut self, place: Place, entry: Node<'_>) {
        let full_url = entry.get_text("fullUrl");
        let outcome = entry.get("response").and_then(|response| response.get("outcome"));
        if let Some(outcome) = outcome.filter(|outcome| !outcome.is_null()) {
            self.resource(place, outcome, None);
        }
        if let Some(resource) = entry.get("resource").filter(|resource| !resource.is_null()) {
            return self.resource(place, resource, full_url.as_deref());
        }
        // Some senders leave the wrapping out.
        if entry.get("resourceType").is_some() {
            return self.resource(place, entry, None);
        }
        let request = entry.get("request");
        if request.and_then(|request| request.get("method")).is_some_and(|method| method.is("DELETE")) {
            self.deletion(place, entry);
        }
    }

    /// The resources of parameters are records of their own.
    pub(super) fn parameters(&mut self, place: Place, parameters: Option<Node<'_>>) {
        let Some(parameters) = parameters else { return };
        // One where an array may stand, or arrays in each other.
        parameters.items().for_each(|inner| self.parameters(place, Some(inner)));
        if let Some(resource) = parameters.get("resource").filter(|resource| !resource.is_null()) {
            self.resource(place, resource, None);
        }
        self.parameters(place, parameters.get("part"));
    }

    fn deletion(&mut self, place: Place, entry: Node<'_>) {
        let url = entry.get("request").and_then(|request| request.get_text("url"));
        let Some(Reference::Resource { kind, id }) = url.as_deref().map(reference::parse) else {
            return self.unusable(place, entry, DefectCode::UnresolvableDeletion);
        };
        let source = self.source(place, entry);
        let deleted = entry.get("response").and_then(|response| response.get_text("lastModified"));
        let deleted = deleted.and_then(|text| moment(&text)).map(|moment| moment.nanoseconds);
        let version = Version::new(deleted, &source).in_edition(self.edition);
        let tables = self.flattener.tables(kind);
        let (key, resource_type) = (format!("{kind}/{id}"), self.flattener.type_name(kind));
        self.records += 1;
        self.batch_bytes += size_of::<ResourceWrite>() + key.len();
        self.batch.resources.push(ResourceWrite {
            key,
            resource_type,
            version,
            source,
            tables,
            fate: Fate::Deleted,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::within;
    use crate::decode::Place;
    use flatten::json::{Limits, Tape};

    #[test]
    fn a_node_stands_behind_its_frame_s_beginning() {
        let mut tape = Tape::default();
        let document = tape.parse(br#"{"resource":{"a":1}}"#, Limits::default()).unwrap();
        let node = document.root().get("resource").unwrap();
        let place = within(Place { ordinal: 3, offset: 100, length: 20, line: 7 }, node);
        assert_eq!(place, Place { ordinal: 3, offset: 112, length: 7, line: 7 });
    }
}
