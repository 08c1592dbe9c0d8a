//! Elements: objects flattened in place, arrays with a primary item, arrays of items.

use crate::defect::{Defect, DefectCode};
use crate::json::{Kind, Node};
use crate::model::TypeId;

use super::name::{is_plain, is_reserved};
use super::place::{PlaceId, Special, SpotId, has_primary, items_kind};
use super::walk::Walk;

impl<'a> Walk<'_, 'a> {
    /// Flattens the members of an object into the row or item at hand.
    pub(super) fn object(&mut self, place: PlaceId, node: Node<'a>) -> Result<(), Defect> {
        match self.places.special(place) {
            Special::Concept => self.concept(place, node, node),
            Special::Reference => self.reference(place, node),
            Special::Meta => self.meta(place, node),
            Special::Plain
            | Special::Resource
            | Special::ElidedCoding
            | Special::Narrative
            | Special::Extension
            | Special::ExtensionItem
            | Special::OnPrimitive => self.members(place, node),
        }
    }

    /// Flattens every member of an object.
    pub(super) fn members(&mut self, place: PlaceId, node: Node<'a>) -> Result<(), Defect> {
        let (mut hint, chosen) = (0, self.chosen.len());
        for (key, value) in node.members() {
            self.member(place, key, value, &mut hint)?;
        }
        self.chosen.truncate(chosen);
        Ok(())
    }

    /// Flattens one member of an object.
    pub(super) fn member(
        &mut self,
        place: PlaceId,
        key: Node<'a>,
        value: Node<'a>,
        hint: &mut usize,
    ) -> Result<(), Defect> {
        let special = self.places.special(place);
        match (key.raw(), special) {
            ("extension", _) => self.extensions(place, value),
            ("modifierExtension", _) => {
                self.modifier = true;
                self.extensions(place, value)
            }
            ("resourceType", Special::Resource) | ("url", Special::Extension | Special::ExtensionItem) => {
                Ok(())
            }
            ("div", Special::Narrative) if !self.settings.narrative => Ok(()),
            ("contained", Special::Resource) => self.contained(value),
            (name, _) => match name.strip_prefix('_') {
                Some(element) if is_plain(element) => {
                    let spot = self.places.member(place, element, hint, self.names);
                    self.sibling(spot, value)
                }
                None if self.is_column(place, name) => {
                    let spot = self.places.member(place, name, hint, self.names);
                    self.element(spot, value)
                }
                _ => {
                    self.unknown(value);
                    Ok(())
                }
            },
        }
    }

    /// Flattens the value of a member, and says which choice it is.
    pub(super) fn element(&mut self, spot: SpotId, value: Node<'a>) -> Result<(), Defect> {
        match value.kind() {
            Kind::Null => return Ok(()),
            Kind::Object => self.single(spot, value)?,
            Kind::Array => self.array(spot, value)?,
            Kind::String | Kind::Number | Kind::True | Kind::False => self.only_scalar(spot, value)?,
        }
        if let Some((column, kind)) = self.places.choice(spot)
            && !self.chosen.contains(&column)
        {
            // Of two members of one choice, which FHIR does not have, the first says what it is.
            self.chosen.push(column);
            self.rows.text(column, kind);
        }
        Ok(())
    }

    fn only_scalar(&mut self, spot: SpotId, value: Node<'a>) -> Result<(), Defect> {
        if self.places.only_objects(spot) || self.places.is_resource(spot) {
            return Err(self.defect(DefectCode::ObjectExpected, value));
        }
        self.scalar(spot, value)
    }

    /// Whether a member can have columns of its own: an element of a known type, or a name that cannot be taken
    /// for another column.
    fn is_column(&self, place: PlaceId, key: &str) -> bool {
        let known = self.places.carrier(place).is_some_and(|carrier| carrier.element(key).is_some());
        known || (is_plain(key) && !is_reserved(key))
    }

    fn single(&mut self, spot: SpotId, value: Node<'a>) -> Result<(), Defect> {
        if self.places.is_resource(spot) {
            return self.inner_resource(spot, value);
        }
        let carrier = self.places.shape(spot, value);
        let place = self.places.in_place(spot, carrier);
        self.object(place, value)
    }

    fn array(&mut self, spot: SpotId, array: Node<'a>) -> Result<(), Defect> {
        match items_kind(array) {
            None => Ok(()),
            Some(Kind::Object) => self.objects(spot, array),
            Some(Kind::Array) => self.items(spot, None, array),
            Some(_) if self.places.only_objects(spot) => Err(self.defect(DefectCode::ObjectExpected, array)),
            Some(_) => self.scalars(spot, array),
        }
    }

    fn objects(&mut self, spot: SpotId, array: Node<'a>) -> Result<(), Defect> {
        let Some(first) = array.items().find(|item| item.kind() == Kind::Object) else { return Ok(()) };
        let carrier = self.places.shape(spot, first);
        if !has_primary(carrier) {
            let count = i32::try_from(array.items().count()).unwrap_or(i32::MAX);
            self.rows.integer(self.places.columns(spot).count, count);
            return self.items(spot, carrier, array);
        }
        self.primary(spot, carrier, array, first)?;
        if array.items().count() > 1 { self.items(spot, carrier, array) } else { Ok(()) }
    }

    /// The columns of the item that stands for all, and what is gathered from all of them.
    fn primary(
        &mut self,
        spot: SpotId,
        carrier: Option<TypeId>,
        array: Node<'a>,
        first: Node<'a>,
    ) -> Result<(), Defect> {
        let place = self.places.in_place(spot, carrier);
        match carrier.map(TypeId::name) {
            Some("CodeableConcept") => self.concept(place, first, array),
            Some("HumanName") => self.object(place, preferred_name(array).unwrap_or(first)),
            Some("Address") => self.object(place, preferred_address(array).unwrap_or(first)),
            Some("Coding") => self.object(place, preferred_coding(array).unwrap_or(first)),
            Some("Identifier") => {
                self.object(place, preferred_identifier(array).unwrap_or(first))?;
                self.pairs(self.places.columns(spot).values, array.items(), "value");
                Ok(())
            }
            Some("ContactPoint") => {
                self.object(place, first)?;
                self.telecoms(spot, array);
                Ok(())
            }
            _ => self.object(place, first),
        }
    }
}

/// Official, else usual, else the first that is neither old nor a maiden name nor a nickname.
fn preferred_name(names: Node<'_>) -> Option<Node<'_>> {
    by_use(names, "official")
        .or_else(|| by_use(names, "usual"))
        .or_else(|| first_without(names, &["old", "maiden", "nickname"]))
}

/// The home address, else the first that is not old.
fn preferred_address(addresses: Node<'_>) -> Option<Node<'_>> {
    by_use(addresses, "home").or_else(|| first_without(addresses, &["old"]))
}

/// Official, else usual.
fn preferred_identifier(identifiers: Node<'_>) -> Option<Node<'_>> {
    by_use(identifiers, "official").or_else(|| by_use(identifiers, "usual"))
}

/// The coding that a user selected, else the first.
pub(super) fn preferred_coding<'a>(codings: Node<'a>) -> Option<Node<'a>> {
    let selected = |coding: &Node<'a>| coding.get("userSelected").and_then(Node::boolean) == Some(true);
    let mut objects = codings.items().filter(|item| item.kind() == Kind::Object);
    let first = objects.clone().next();
    objects.find(selected).or(first)
}

fn by_use<'a>(array: Node<'a>, wanted: &str) -> Option<Node<'a>> {
    array.items().find(|item| item.get("use").is_some_and(|r#use| r#use.is(wanted)))
}

fn first_without<'a>(array: Node<'a>, unwanted: &[&str]) -> Option<Node<'a>> {
    let is_unwanted =
        |item: &Node<'a>| item.get("use").is_some_and(|r#use| unwanted.iter().any(|name| r#use.is(name)));
    array.items().find(|item| item.kind() == Kind::Object && !is_unwanted(item))
}
