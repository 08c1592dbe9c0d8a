//! Datatypes: what concepts, references, metadata and telecoms have beyond their members.

use crate::check::is_uri_reference;
use crate::defect::{Defect, DefectCode};
use crate::json::{Kind, Node};
use crate::links::Link;
use crate::model::type_named;
use crate::reference::{self, Reference};
use crate::row::{ColumnId, ITEM};

use super::element::preferred_coding;
use super::place::{Derived, PlaceId, SpotId, TELECOM_SYSTEMS, items_kind};
use super::walk::Walk;

impl<'a> Walk<'_, 'a> {
    /// A `CodeableConcept`: the columns of its primary coding, and the codings of `all` concepts to search by.
    pub(super) fn concept(&mut self, place: PlaceId, node: Node<'a>, all: Node<'a>) -> Result<(), Defect> {
        self.members(place, node)?;
        let concepts = if all.kind() == Kind::Array { all.items() } else { Node::once(all) };
        let every = concepts.filter_map(|concept| concept.get("coding")).flat_map(Node::items);
        let column = self.places.own(place, Derived::Codings, self.names);
        self.pairs(column, every, "code");
        let several = node.get("coding").filter(|codings| codings.items().nth(1).is_some());
        let Some(codings) = several else { return Ok(()) };
        match self.places.element(place, "coding", self.settings, self.names) {
            Some(spot) => self.items(spot, type_named("Coding"), codings),
            None => Ok(()),
        }
    }

    /// The codings of a concept: the primary one gives its columns to the concept.
    pub(super) fn codings(
        &mut self,
        concept: PlaceId,
        spot: SpotId,
        codings: Node<'a>,
    ) -> Result<(), Defect> {
        if codings.kind() != Kind::Array {
            return self.element(spot, codings);
        }
        let Some(primary) = preferred_coding(codings) else {
            return match codings.items().find(|item| !item.is_null()) {
                Some(scalar) => Err(self.defect(DefectCode::ObjectExpected, scalar)),
                None => Ok(()),
            };
        };
        let place = self.places.elided_coding(spot, concept, self.names);
        let (has_more, echo, doubts) = (codings.items().nth(1).is_some(), self.echo, self.doubts);
        self.echo |= self.in_tables() && has_more;
        let outcome = self.members(place, primary);
        self.echo = echo;
        if has_more {
            // What is odd about it is counted in the list of all.
            self.doubts = doubts;
        }
        outcome
    }

    /// A `Reference`: as written, and the key and type of its target.
    pub(super) fn reference(&mut self, place: PlaceId, node: Node<'a>) -> Result<(), Defect> {
        // A type that is written is not derived as well.
        let is_typed = node.get("type").is_some_and(|written| match written.kind() {
            Kind::String => true,
            Kind::Array => items_kind(written).is_some(),
            _ => false,
        });
        let outer = std::mem::replace(&mut self.typed, is_typed);
        let outcome = self.members(place, node);
        self.typed = outer;
        outcome
    }

    /// Tags or security labels as `system|code`, and whole where they say more.
    pub(super) fn labels(&mut self, spot: SpotId, labels: Node<'a>) -> Result<(), Defect> {
        if labels.kind() != Kind::Array {
            return self.element(spot, labels);
        }
        if let Some(wrong) = labels.items().find(|label| !matches!(label.kind(), Kind::Object | Kind::Null)) {
            return Err(self.defect(DefectCode::ObjectExpected, wrong));
        }
        self.pairs(self.places.plain(spot), labels.items(), "code");
        let is_in_pair = |name: Node<'_>, value: Node<'_>| {
            matches!(value.kind(), Kind::String | Kind::Null) && (name.is("system") || name.is("code"))
        };
        let says_more = |label: Node<'_>| !label.members().all(|(name, value)| is_in_pair(name, value));
        if !labels.items().any(says_more) {
            return Ok(());
        }
        let whole = self.places.labels(spot, self.names);
        self.items(whole, type_named("Coding"), labels)
    }

    /// The best-ranked value of each system, beside the columns of the first.
    pub(super) fn telecoms(&mut self, spot: SpotId, array: Node<'a>) {
        let columns = self.places.telecoms(spot, self.names);
        for (system, column) in TELECOM_SYSTEMS.into_iter().zip(columns) {
            let of_system =
                array.items().filter(|point| point.get("system").is_some_and(|code| code.is(system)));
            let best = of_system
                .filter_map(|point| Some((rank(point), point.get("value")?)))
                .filter(|(_, value)| value.kind() == Kind::String)
                .min_by_key(|(rank, _)| *rank);
            if let Some((_, value)) = best {
                self.rows.text_of(column, value);
            }
        }
    }

    /// A list of `system|code` or `system|value`, as FHIR searches write them; no list where there is nothing.
    pub(super) fn pairs(&mut self, column: ColumnId, items: impl Iterator<Item = Node<'a>>, second: &str) {
        let mut list = None;
        for item in items {
            let (system, code) = match (text_part(item, "system"), text_part(item, second)) {
                (Ok(None), Ok(None)) => continue,
                (Ok(system), Ok(code)) => (system, code),
                // The pair would say that there is none of it: it stands elsewhere in the row.
                _ => continue,
            };
            if list.is_none() {
                list = Some(self.rows.open_list(column));
            }
            self.rows.text_with(ITEM, |text| {
                for (part, separator) in [(system, "|"), (code, "")] {
                    if let Some(part) = part {
                        part.push_text(text);
                    }
                    text.push_str(separator);
                }
            });
        }
        if let Some(list) = list {
            self.rows.close(list);
        }
    }

    /// A resource inside another that is not `contained`: an entry's or a parameter's is a record of its own and
    /// only its key stands here; the outcome of a response, and whatever a contained Bundle holds, is flattened in
    /// place.
    pub(super) fn inner_resource(&mut self, spot: SpotId, node: Node<'a>) -> Result<(), Defect> {
        let resource =
            crate::resource::Resource::read(node).map_err(|defect| self.defect(defect.code, node))?;
        if self.places.name(spot).ends_with("resource") && !self.in_contained {
            // The key of a Bundle without an id is made of it without its entries, as they were read one by one.
            if resource.id().is_some() || resource.resource_type() != "Bundle" || node.get("entry").is_none()
            {
                let key = resource.key(None);
                self.rows.text(self.places.derived(spot, Derived::Key, self.names), &key);
            }
            return Ok(());
        }
        // What calls itself a resource may be of any type that FHIR has.
        self.unsure = true;
        let place = self.places.in_place(spot, type_named(resource.resource_type()), self.names);
        self.object(place, node)
    }

    /// The key and the type of a reference's target, where it has one.
    pub(super) fn target(&mut self, place: PlaceId, written: Node<'a>) {
        let Some(text) = written.text() else { return };
        self.doubts.references += u64::from(!is_uri_reference(&text));
        match reference::parse(&text) {
            Reference::Resource { kind, id } => {
                self.target_key(place, kind, &[kind, "/", id]);
            }
            Reference::Contained("") => {
                let kind = self.key.split('/').next().unwrap_or_default();
                self.target_key(place, kind, &[self.key]);
            }
            Reference::Contained(id) => {
                if let Some((kind, key)) = self.contained_target(id) {
                    self.target_key(place, &kind, &[&key]);
                }
            }
            Reference::Urn(urn) => match self.links.resolve(urn) {
                Link::Key(key) => {
                    let kind = key.split('/').next().unwrap_or_default();
                    self.target_key(place, kind, &[&key]);
                }
                Link::Later => {
                    self.rows.pending(self.places.own(place, Derived::Key, self.names), urn);
                    if !self.typed {
                        self.rows.pending_type(self.places.own(place, Derived::Kind, self.names), urn);
                    }
                }
                Link::Nowhere => {}
            },
            Reference::Other => {}
        }
    }

    fn target_key(&mut self, place: PlaceId, kind: &str, key: &[&str]) {
        let column = self.places.own(place, Derived::Key, self.names);
        self.rows.text_with(column, |text| text.extend(key.iter().copied()));
        if !self.typed {
            self.rows.text(self.places.own(place, Derived::Kind, self.names), kind);
        }
    }
}

/// A member that is text, or `Err` if it is something else.
fn text_part<'a>(item: Node<'a>, name: &str) -> Result<Option<Node<'a>>, ()> {
    match item.get(name).map(|part| (part.kind(), part)) {
        Some((Kind::String, part)) => Ok(Some(part)),
        None | Some((Kind::Null, _)) => Ok(None),
        Some(_) => Err(()),
    }
}

/// `ContactPoint.rank`: 1 is the most preferred; one without a rank comes after all that have one.
fn rank(point: Node<'_>) -> u32 {
    point.get("rank").and_then(Node::number).and_then(|digits| digits.parse().ok()).unwrap_or(u32::MAX)
}
