//! Datatypes: what concepts, references, metadata and telecoms have beyond their members.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::check::is_uri_reference;
use crate::defect::{Defect, DefectCode};
use crate::json::{Kind, Node};
use crate::links::Link;
use crate::model::{coding, type_named};
use crate::reference::{self, Reference};
use crate::row::{ColumnId, ITEM};

use super::element::preferred_coding;
use super::place::{Derived, PlaceId, SpotId, TELECOM_SYSTEMS, items_kind};
use super::walk::Walk;

impl<'a> Walk<'_, 'a> {
    /// A `CodeableConcept`: the columns of its primary coding, and the codings of `all` concepts to search by.
    pub(super) fn concept(&mut self, place: PlaceId, node: Node<'a>, all: Node<'a>) -> Result<(), Defect> {
        self.members(place, node)?;
        let every = all.as_items().filter_map(|concept| concept.get("coding")).flat_map(Node::as_items);
        let column = self.places.own(place, Derived::Codings, self.names);
        self.pairs(column, every, "code");
        let codings = node.get("coding").filter(|codings| self.has_coding_array(*codings));
        let Some(codings) = codings else { return Ok(()) };
        match self.places.element(place, "coding", self.settings, self.names) {
            Some(spot) => self.items(spot, coding(), codings),
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
        let Some(primary) = preferred_coding(codings) else {
            return match codings.as_items().find(|item| !item.is_null()) {
                Some(scalar) => Err(self.defect(DefectCode::ObjectExpected, scalar)),
                None => Ok(()),
            };
        };
        let place = self.places.elided_coding(spot, concept, self.names);
        let (has_more, suppress_child_rows, findings) =
            (self.has_coding_array(codings), self.suppress_child_rows, self.findings);
        self.suppress_child_rows |= self.in_tables();
        let outcome = self.members(place, primary);
        self.suppress_child_rows = suppress_child_rows;
        if has_more {
            // What is odd about it is counted in the list of all.
            self.findings = findings;
        }
        outcome
    }

    /// Whether the codings of a concept stand whole beside its columns: several in an array, and all in child tables.
    fn has_coding_array(&self, codings: Node<'_>) -> bool {
        let mut all = codings.as_items().filter(|item| !item.is_null());
        all.nth(usize::from(!self.in_tables())).is_some()
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
        outcome?;
        self.identifier(place, node);
        Ok(())
    }

    /// The identifier that a conditional or logical reference names its target by, as `system|value`: it is among the
    /// target's `identifier_values`.
    fn identifier(&mut self, place: PlaceId, reference: Node<'a>) {
        let logical = reference.get("identifier").filter(|identifier| !identifier.is_null());
        let text = reference.get_text("reference");
        let searched =
            text.as_deref().and_then(reference::conditional).and_then(|(_, identifier)| identifier);
        let named = match (searched, logical) {
            // Its array stands in the column.
            (_, Some(identifier)) if identifier.kind() != Kind::Object => None,
            (Some(searched), _) => Some(searched),
            (None, Some(identifier)) => {
                match (text_part(identifier, "system"), text_part(identifier, "value")) {
                    (Ok(system), Ok(Some(value))) => {
                        let [system, value] = [system, Some(value)].map(|part| part.and_then(Node::text));
                        Some(
                            [
                                system.as_deref().unwrap_or_default(),
                                "|",
                                value.as_deref().unwrap_or_default(),
                            ]
                            .concat(),
                        )
                    }
                    _ => None,
                }
            }
            (None, None) => None,
        };
        if let Some(named) = named {
            let column = self.places.own(place, Derived::Identifier, self.names);
            self.rows.text(column, &named);
        }
    }

    /// The keys of all targets of an array of references that have one, each once. Those that are not known yet come
    /// last.
    pub(super) fn keys(&mut self, column: ColumnId, references: Node<'a>) {
        let (mut seen, mut known, mut later) = (BTreeSet::new(), Vec::new(), Vec::new());
        for text in references.as_items().filter_map(|reference| reference.get_text("reference")) {
            let (key, keys) = match self.target_of(&text) {
                Target::Resource { kind, id } => ([kind, "/", id].concat(), &mut known),
                Target::Key(key) | Target::Contained { key, .. } => (key, &mut known),
                Target::Later(urn) => (urn.into_owned(), &mut later),
                Target::Conditional(_) | Target::Nowhere => continue,
            };
            if seen.insert(key.clone()) {
                keys.push(key);
            }
        }
        if seen.is_empty() {
            return;
        }
        let list = self.rows.open_list(column);
        for key in &known {
            self.rows.text(ITEM, key);
        }
        for urn in &later {
            self.rows.pending(ITEM, urn);
        }
        self.rows.close(list);
    }

    /// Tags or security labels as `system|code`, and whole where they say more.
    pub(super) fn labels(&mut self, spot: SpotId, labels: Node<'a>) -> Result<(), Defect> {
        if let Some(wrong) =
            labels.as_items().find(|label| !matches!(label.kind(), Kind::Object | Kind::Null))
        {
            return Err(self.defect(DefectCode::ObjectExpected, wrong));
        }
        self.pairs(self.places.plain(spot), labels.as_items(), "code");
        let is_in_pair = |name: Node<'_>, value: Node<'_>| {
            value.is_null() || value.kind() == Kind::String && (name.is("system") || name.is("code"))
        };
        let says_more = |label: Node<'_>| !label.members().all(|(name, value)| is_in_pair(name, value));
        if !self.in_tables() && !labels.as_items().any(says_more) {
            return Ok(());
        }
        let whole = self.places.labels(spot, self.names);
        self.items(whole, coding(), labels)
    }

    /// The best-ranked current value of each system, else the best-ranked old one.
    pub(super) fn telecoms(&mut self, spot: SpotId, array: Node<'a>) {
        let columns = self.places.telecoms(spot, self.names);
        for (system, column) in TELECOM_SYSTEMS.into_iter().zip(columns) {
            let of_system =
                array.as_items().filter(|point| point.get("system").is_some_and(|code| code.is(system)));
            let best = of_system
                .filter_map(|point| Some(((is_old(point), rank(point)), point.get("value")?)))
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
                let key = resource.key(None, None);
                self.rows.text(self.places.derived(spot, Derived::Key, self.names), &key);
            }
            return Ok(());
        }
        // What calls itself a resource may be of any type that FHIR has.
        self.needs_duplicate_check = true;
        let place = self.places.in_place(spot, type_named(resource.resource_type()), self.names);
        self.object(place, node)
    }

    /// The key and the type of a reference's target, where it has one.
    pub(super) fn target(&mut self, place: PlaceId, written: Node<'a>) {
        let Some(text) = written.text() else { return };
        self.findings.references += u64::from(!is_uri_reference(&text));
        match self.target_of(&text) {
            Target::Resource { kind, id } => {
                let column = self.places.own(place, Derived::Key, self.names);
                self.rows.text_with(column, |out| out.extend([kind, "/", id]));
                self.target_type(place, kind);
            }
            Target::Key(key) => {
                let column = self.places.own(place, Derived::Key, self.names);
                self.rows.text(column, &key);
                self.target_type(place, key.split('/').next().unwrap_or_default());
            }
            Target::Contained { kind, key } => {
                let column = self.places.own(place, Derived::Key, self.names);
                self.rows.text(column, &key);
                self.target_type(place, &kind);
            }
            Target::Later(urn) => {
                self.rows.pending(self.places.own(place, Derived::Key, self.names), &urn);
                if !self.typed {
                    self.rows.pending_type(self.places.own(place, Derived::Kind, self.names), &urn);
                }
            }
            Target::Conditional(kind) => self.target_type(place, kind),
            Target::Nowhere => {}
        }
    }

    fn target_type(&mut self, place: PlaceId, kind: &str) {
        if !self.typed {
            self.rows.text(self.places.own(place, Derived::Kind, self.names), kind);
        }
    }

    /// What a literal reference leads to.
    fn target_of<'t>(&mut self, text: &'t str) -> Target<'t> {
        let link = match reference::parse(text) {
            Reference::Resource { kind, id } => match self.links.look_up_url(text) {
                Some((url, Link::Later)) => return Target::Later(url),
                Some((_, link)) => link,
                None => return Target::Resource { kind, id },
            },
            Reference::Contained("") => Link::Key(self.key.to_owned()),
            Reference::Contained(id) => {
                let target = self.contained_target(id);
                let contained =
                    |(kind, key): (Cow<'_, str>, _)| Target::Contained { kind: kind.into_owned(), key };
                return target.map_or(Target::Nowhere, contained);
            }
            Reference::Urn(urn) => match self.links.resolve(urn) {
                Link::Later => return Target::Later(Cow::Borrowed(urn)),
                link => link,
            },
            Reference::Other => {
                let searched = reference::conditional(text);
                return searched.map_or(Target::Nowhere, |(kind, _)| Target::Conditional(kind));
            }
        };
        match link {
            Link::Key(key) => Target::Key(key),
            Link::Later | Link::Nowhere => Target::Nowhere,
        }
    }
}

/// What a literal reference leads to.
enum Target<'t> {
    /// What the reference says itself.
    Resource {
        kind: &'t str,
        id: &'t str,
    },
    /// What the reference stands for.
    Key(String),
    /// A contained resource, whose key begins with its container's.
    Contained {
        kind: String,
        key: String,
    },
    /// An entry of the Bundle that has not been read.
    Later(Cow<'t, str>),
    /// Whatever of this type a search finds.
    Conditional(&'t str),
    Nowhere,
}

/// A member that is text, or `Err` if it is something else.
fn text_part<'a>(item: Node<'a>, name: &str) -> Result<Option<Node<'a>>, ()> {
    match item.get(name).map(|part| (part.kind(), part)) {
        Some((Kind::String, part)) => Ok(Some(part)),
        None | Some((Kind::Null, _)) => Ok(None),
        Some(_) => Err(()),
    }
}

fn is_old(point: Node<'_>) -> bool {
    point.get("use").is_some_and(|r#use| r#use.is("old"))
}

/// `ContactPoint.rank`: 1 is the most preferred; one without a rank comes after all that have one.
pub(super) fn rank(point: Node<'_>) -> u32 {
    point.get("rank").and_then(Node::number).and_then(|digits| digits.parse().ok()).unwrap_or(u32::MAX)
}
