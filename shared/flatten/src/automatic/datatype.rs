//! Datatypes: what concepts, references, metadata and telecoms have beyond their members.

use crate::defect::{Defect, DefectCode};
use crate::json::{Kind, Node};
use crate::links::Link;
use crate::reference::{self, Reference};
use crate::row::{ColumnId, ITEM};

use super::element::preferred_coding;
use super::name::joined;
use super::place::{PlaceId, SpotId};
use super::walk::Walk;

/// The systems of a `ContactPoint` (R5 value set contact-point-system), each a column of its best-ranked value.
const TELECOM_SYSTEMS: [&str; 7] = ["phone", "fax", "email", "pager", "url", "sms", "other"];

impl<'a> Walk<'_, 'a> {
    /// A `CodeableConcept`: the columns of its primary coding, and the codings of `all` concepts to search by.
    pub(super) fn concept(&mut self, place: PlaceId, node: Node<'a>, all: Node<'a>) -> Result<(), Defect> {
        let mut hint = 0;
        let mut codings = None;
        for (key, value) in node.members() {
            if key.is("coding") && value.kind() == Kind::Array {
                let spot = self.places.member(place, "coding", &mut hint, self.names);
                codings = Some((spot, value));
                self.primary_coding(place, spot, value)?;
            } else {
                self.member(place, key, value, &mut hint)?;
            }
        }
        let column = self.places.own_columns(place, self.names).codings;
        let concepts = if all.kind() == Kind::Array { all.items() } else { Node::once(all) };
        let every = concepts.filter_map(|concept| concept.get("coding")).flat_map(Node::items);
        self.pairs(column, every, "code");
        match codings {
            Some((spot, codings)) if codings.items().count() > 1 => {
                let carrier = crate::model::type_named("Coding");
                self.items(spot, carrier, codings)
            }
            _ => Ok(()),
        }
    }

    /// A `Reference`: as written, and the key and type of its target.
    pub(super) fn reference(&mut self, place: PlaceId, node: Node<'a>) -> Result<(), Defect> {
        let mut hint = 0;
        for (key, value) in node.members() {
            self.member(place, key, value, &mut hint)?;
            if key.is("reference") {
                let columns = self.places.own_columns(place, self.names);
                let kind = node.get("type").is_none().then_some(columns.kind);
                self.target(value, columns.key, kind);
            }
        }
        Ok(())
    }

    /// `Meta`: tags and security labels as `system|code`.
    pub(super) fn meta(&mut self, place: PlaceId, node: Node<'a>) -> Result<(), Defect> {
        let mut hint = 0;
        for (key, value) in node.members() {
            if !(key.is("tag") || key.is("security")) || value.kind() != Kind::Array {
                self.member(place, key, value, &mut hint)?;
                continue;
            }
            let spot = self.places.member(place, key.raw(), &mut hint, self.names);
            self.pairs(self.places.columns(spot).plain, value.items(), "code");
            if value
                .items()
                .any(|coding| coding.members().any(|(name, _)| !name.is("system") && !name.is("code")))
            {
                self.label_items(spot, value)?;
            }
        }
        Ok(())
    }

    /// The best-ranked value of each system, beside the columns of the first.
    pub(super) fn telecoms(&mut self, spot: SpotId, array: Node<'a>) {
        for system in TELECOM_SYSTEMS {
            let of_system =
                array.items().filter(|point| point.get("system").is_some_and(|code| code.is(system)));
            let best = of_system
                .filter_map(|point| Some((rank(point), point.get("value")?)))
                .min_by_key(|(rank, _)| *rank);
            if let Some((_, value)) = best.filter(|(_, value)| value.kind() == Kind::String) {
                let column = self.places.beside(spot, system, self.names);
                self.rows.text_of(column, value);
            }
        }
    }

    /// A list of `system|code` or `system|value`, as FHIR searches write them; no list where there is nothing.
    pub(super) fn pairs(&mut self, column: ColumnId, items: impl Iterator<Item = Node<'a>>, second: &str) {
        let mut list = None;
        for item in items {
            let (system, code) = (item.get("system"), item.get(second));
            if system.is_none() && code.is_none() {
                continue;
            }
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
    /// only its key stands here; the outcome of a response is flattened in place.
    pub(super) fn inner_resource(&mut self, spot: SpotId, node: Node<'a>) -> Result<(), Defect> {
        let resource =
            crate::resource::Resource::read(node).map_err(|defect| self.defect(defect.code, node))?;
        if self.places.name(spot).ends_with("resource") {
            let key = resource.key(None);
            self.rows.text(self.places.columns(spot).key, &key);
            return Ok(());
        }
        let carrier = crate::model::type_named(resource.resource_type());
        let column = self.places.columns(spot).kind;
        self.rows.text(column, resource.resource_type());
        let place = self.places.in_place(spot, carrier);
        self.members_but(place, node, "resourceType")
    }

    fn members_but(&mut self, place: PlaceId, node: Node<'a>, left_out: &str) -> Result<(), Defect> {
        let mut hint = 0;
        for (key, value) in node.members().filter(|(key, _)| !key.is(left_out)) {
            self.member(place, key, value, &mut hint)?;
        }
        Ok(())
    }

    fn primary_coding(&mut self, concept: PlaceId, spot: SpotId, codings: Node<'a>) -> Result<(), Defect> {
        let Some(primary) = preferred_coding(codings) else {
            return match codings.items().find(|item| !item.is_null()) {
                Some(scalar) => Err(self.defect(DefectCode::ObjectExpected, scalar)),
                None => Ok(()),
            };
        };
        let place = self.places.elided_coding(spot, concept);
        self.object(place, primary)
    }

    /// Labels that say more than system and code, whole.
    fn label_items(&mut self, spot: SpotId, labels: Node<'a>) -> Result<(), Defect> {
        let name = joined(self.places.name(spot), "coding");
        let spot = self.places.labels(spot, &name, self.names);
        self.items(spot, crate::model::type_named("Coding"), labels)
    }

    fn target(&mut self, written: Node<'a>, key_column: ColumnId, kind_column: Option<ColumnId>) {
        let Some(text) = written.text() else { return };
        let (key, kind) = match reference::parse(&text) {
            Reference::Resource { kind, id } => (format!("{kind}/{id}"), Some(kind.to_owned())),
            Reference::Contained("") => {
                (self.key.to_owned(), self.key.split_once('/').map(|(kind, _)| kind.to_owned()))
            }
            Reference::Contained(id) => (format!("{}#{id}", self.key), self.contained_type(id)),
            Reference::Urn(urn) => match self.links.resolve(urn) {
                Link::Key(key) => {
                    let kind = key.split_once('/').map(|(kind, _)| kind.to_owned());
                    (key, kind)
                }
                Link::Later => {
                    self.rows.pending(key_column, urn);
                    if let Some(column) = kind_column {
                        self.rows.pending(column, urn);
                    }
                    return;
                }
                Link::Nowhere => return,
            },
            Reference::Other => return,
        };
        self.rows.text(key_column, &key);
        if let (Some(column), Some(kind)) = (kind_column, kind) {
            self.rows.text(column, &kind);
        }
    }

    fn contained_type(&self, id: &str) -> Option<String> {
        let mut contained = self.resource.get("contained")?.items();
        let target = contained.find(|resource| resource.get("id").is_some_and(|name| name.is(id)))?;
        Some(target.get_text("resourceType")?.into_owned())
    }
}

/// `ContactPoint.rank`: 1 is the most preferred; one without a rank comes after all that have one.
fn rank(point: Node<'_>) -> u32 {
    point.get("rank").and_then(Node::number).and_then(|digits| digits.parse().ok()).unwrap_or(u32::MAX)
}
