//! Entries of a Bundle (R5, section 2.36) and resources in parameters.

use std::borrow::Cow;

use flatten::defect::{Defect, DefectCode};
use flatten::json::{JsonKind, Node};
use flatten::reference::{self, Reference, is_id, is_type};

use crate::batch::{Fate, ResourceWrite};
use crate::decode::FramePlace;

use crate::version::Position;

use super::order::EntryFacts;
use super::{Assembler, Urls, within};

/// What an entry asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Delete,
    Patch,
    /// Nothing that changes the meaning of a resource in the entry.
    Other,
    /// Not a method of HTTP.
    Unknown,
}

/// The other methods of HTTP (RFC 9110, section 9).
const OTHER_METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "OPTIONS", "TRACE", "CONNECT"];

impl Method {
    fn of(method: Node<'_>) -> Self {
        let text = method.text().unwrap_or_default();
        match text.trim() {
            method if method.eq_ignore_ascii_case("DELETE") => Self::Delete,
            method if method.eq_ignore_ascii_case("PATCH") => Self::Patch,
            method if OTHER_METHODS.iter().any(|known| method.eq_ignore_ascii_case(known)) => Self::Other,
            _ => Self::Unknown,
        }
    }
}

impl Assembler {
    /// Reads an entry: a resource, a deletion, or neither. An entry with neither is not a record: it answers a request
    /// or asks for something. The outcome that an answer holds is a resource all the same.
    pub(super) fn entry(&mut self, place: FramePlace, entry: Node<'_>) {
        let around = std::mem::replace(&mut self.current.entry, EntryFacts::of(entry, self.bundle.facts));
        self.entry_of(place, entry);
        self.current.entry = around;
    }

    fn entry_of(&mut self, place: FramePlace, entry: Node<'_>) {
        let outcome = entry.get("response").and_then(|response| response.get("outcome"));
        if let Some(outcome) = outcome.filter(|outcome| !outcome.is_null()) {
            self.bundle.references.links.enter(None);
            self.resource(place, outcome, Urls::default());
        }
        let resource = entry.get("resource").filter(|resource| !resource.is_null());
        let request = entry.get("request").filter(|request| !request.is_null()).map(one);
        if request.is_some_and(|request| request.kind() != JsonKind::Object) {
            return self.request_reject(place, entry, request, DefectCode::UnknownMethod);
        }
        let method = request.and_then(|request| request.get("method")).filter(|method| !method.is_null());
        match method.map_or(Method::Other, Method::of) {
            // The method decides, also where the entry carries the resource.
            Method::Delete => return self.deletion(place, entry, resource),
            Method::Patch => return self.request_reject(place, entry, method, DefectCode::PatchNotApplied),
            Method::Unknown => return self.request_reject(place, entry, method, DefectCode::UnknownMethod),
            Method::Other => {}
        }
        let (full_url, request_url) = (entry.get_text("fullUrl"), request_url(entry));
        if let Some(resource) = resource {
            let is_put =
                method.and_then(Node::text).is_some_and(|method| method.trim().eq_ignore_ascii_case("PUT"));
            // What a server answers says where the resource is.
            let location = entry.get("response").map(one).and_then(|response| response.get_text("location"));
            let put = request_url.as_deref().filter(|_| is_put).or(location.as_deref());
            let urls = Urls { full: full_url.as_deref(), put };
            self.bundle.references.links.enter(urls.full);
            self.resource(place, resource, urls);
        } else if entry.get("resourceType").is_some() {
            // Some senders leave the wrapping out.
            self.bundle.references.links.enter(None);
            self.resource(place, entry, Urls::default());
        }
    }

    /// Reads the resources of parameters, which are records of their own.
    pub(super) fn parameters(&mut self, place: FramePlace, parameters: Option<Node<'_>>) {
        let Some(parameters) = parameters else { return };
        // One where an array may stand, or arrays in each other.
        parameters.items().for_each(|inner| self.parameters(place, Some(inner)));
        if let Some(resource) = parameters.get("resource").filter(|resource| !resource.is_null()) {
            self.resource(place, resource, Urls::default());
        }
        self.parameters(place, parameters.get("part"));
    }

    /// Sets an entry aside because of its request. The resource that the request names is told, because it is out of
    /// date now.
    fn request_reject(
        &mut self,
        place: FramePlace,
        entry: Node<'_>,
        method: Option<Node<'_>>,
        code: DefectCode,
    ) {
        let offset = method.map_or(entry.span().start, |method| method.span().start);
        self.defective(place, entry, request_key(entry), Defect::at(code, "", offset));
    }

    fn deletion(&mut self, place: FramePlace, entry: Node<'_>, resource: Option<Node<'_>>) {
        // A conditional DELETE names nothing; the resource that it carries does.
        let Some(key) = request_key(entry).or_else(|| resource.and_then(key_of)) else {
            return self.unusable(place, entry, DefectCode::UnresolvableDeletion);
        };
        // Elsewhere than in a history it asks for the removal of one old version alone (R5, section 3.2.0.7.2).
        if request_url(entry).is_some_and(|url| url.contains("/_history/"))
            && !self.current.entry.newest_first()
        {
            return self.unusable(place, entry, DefectCode::UnresolvableDeletion);
        }
        let full_url = entry.get_text("fullUrl");
        if full_url.is_some_and(|url| !self.bundle.servers.note(&url, &key)) {
            return self.defective(place, entry, Some(key), Defect::whole(DefectCode::AmbiguousIdentity));
        }
        let place = within(place, entry);
        self.position.records += 1;
        let inside = self.current.inside;
        let position = self.position(place.ordinal);
        let facts = self.bundle.facts;
        match self.deleted_at() {
            // What the Bundle says of its time may stand behind its entries.
            None if self.bundle.goes_on && !facts.has_timestamp => {
                self.bundle.deletions.hold(place, &key, inside, self.current.entry.newest_first());
            }
            stated => self.delete(place, key, stated.or(facts.made_at), position),
        }
    }

    /// Deletes a resource at the time that is stated, in nanoseconds since 1970-01-01T00:00:00Z.
    pub(super) fn delete(
        &mut self,
        place: FramePlace,
        key: String,
        stated: Option<i128>,
        position: Position,
    ) {
        let version = self.version_at(stated, position);
        let source = self.source_at(place);
        let own_type = key.split('/').next().unwrap_or_default();
        let (tables, resource_type) = (self.flattener.tables(own_type), self.flattener.type_name(own_type));
        self.out.bytes += size_of::<ResourceWrite>() + key.len();
        let fate = Fate::Deleted;
        self.out.batch.resources.push(ResourceWrite {
            key,
            resource_type,
            version,
            source,
            hash: None,
            tables,
            fate,
        });
    }
}

/// Returns the key of the resource that an entry's request names by type and id.
fn request_key(entry: Node<'_>) -> Option<String> {
    let url = request_url(entry)?;
    // Parameters say how, and not which; a search has them behind the type alone.
    let address = url.split('?').next().unwrap_or_default();
    match reference::parse(address.trim_end_matches('/')) {
        Reference::Resource { resource_type, id } => Some(format!("{resource_type}/{id}")),
        _ => None,
    }
}

fn request_url(entry: Node<'_>) -> Option<Cow<'_, str>> {
    entry.get("request").map(one).and_then(|request| request.get_text("url"))
}

/// Returns the object that is meant, also one that is alone in an array.
fn one(node: Node<'_>) -> Node<'_> {
    let mut items = node.items();
    match (items.next(), items.next()) {
        (Some(only), None) => only,
        _ => node,
    }
}

/// Returns the key that a resource itself states.
fn key_of(resource: Node<'_>) -> Option<String> {
    let resource_type = resource.get_text("resourceType").filter(|name| is_type(name))?;
    let id = resource.get_text("id").filter(|id| is_id(id))?;
    Some(format!("{resource_type}/{id}"))
}

#[cfg(test)]
mod tests {
    use super::super::within;
    use super::request_key;
    use crate::decode::FramePlace;
    use flatten::json::{Limits, Tape};

    #[test]
    fn a_request_names_a_resource_by_type_and_id() {
        for (url, expected) in [
            ("Patient/7", Some("Patient/7")),
            ("/Patient/7", Some("Patient/7")),
            ("https://a.example/fhir/Patient/7/", Some("Patient/7")),
            ("Patient/7?_cascade=delete", Some("Patient/7")),
            ("Patient/7/_history/2", Some("Patient/7")),
            ("Patient?identifier=urn:x|7", None),
            ("Patient", None),
            ("urn:uuid:7", None),
        ] {
            let text = format!(r#"{{"request":{{"url":"{url}"}}}}"#);
            let mut tape = Tape::default();
            let document = tape.parse(text.as_bytes(), Limits::default()).unwrap();
            assert_eq!(request_key(document.root()).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn a_node_stands_behind_its_frame_s_beginning() {
        let mut tape = Tape::default();
        let document = tape.parse(br#"{"resource":{"a":1}}"#, Limits::default()).unwrap();
        let node = document.root().get("resource").unwrap();
        let place = within(FramePlace { ordinal: 3, offset: 100, length: 20, line: 7 }, node);
        assert_eq!(place, FramePlace { ordinal: 3, offset: 112, length: 7, line: 7 });
    }
}
