//! Elements: objects flattened in place, arrays with a primary item, arrays of items.

use crate::defect::{Defect, DefectCode};
use crate::json::{Kind, Node};
use crate::model::TypeId;

use super::name::Standing;
use super::place::{Derived, Essence, Member, PlaceId, Special, SpotId, items_kind};
use super::walk::{Care, Walk};

impl<'a> Walk<'_, 'a> {
    /// Flattens an object into the row or item at hand.
    pub(super) fn object(&mut self, place: PlaceId, node: Node<'a>) -> Result<(), Defect> {
        match self.places.special(place) {
            Special::Concept => self.concept(place, node, node),
            Special::Reference => self.reference(place, node),
            _ => self.members(place, node),
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
        let member = self.places.member(place, key, hint, self.settings, self.names);
        self.check_names(value)?;
        if self.care != Care::Usual && self.is_left_out(member, value) {
            self.modifier |= member == Member::ModifierExtensions && value.one_or_more().next().is_some();
            self.unknown(value);
            return Ok(());
        }
        self.unsure |= !member.is_element();
        match member {
            Member::Element(spot) => self.element(spot, value),
            Member::Codings(spot) => self.codings(place, spot, value),
            Member::Labels(spot) => self.labels(spot, value),
            Member::Target(spot) => {
                self.element(spot, value)?;
                self.target(place, value);
                Ok(())
            }
            Member::Sibling(spot) if is_scalar(value) && !self.is_companion(spot, key) => {
                self.unknown(value);
                Ok(())
            }
            Member::Sibling(spot) => {
                self.sibling(spot, value)?;
                if value.kind() == Kind::Object {
                    self.is_there(spot, self.places.essence(spot));
                }
                Ok(())
            }
            Member::Extensions => self.extensions(place, value, Standing::Plain),
            Member::ModifierExtensions => {
                self.modifier |= value.one_or_more().next().is_some();
                self.extensions(place, value, Standing::Modifier)
            }
            Member::Contained => self.contained(value),
            Member::Skipped => Ok(()),
            Member::Unknown => {
                self.unknown(value);
                Ok(())
            }
        }
    }

    /// Flattens the value of a member, and says which choice it is.
    pub(super) fn element(&mut self, spot: SpotId, value: Node<'a>) -> Result<(), Defect> {
        let essence = self.places.essence(spot);
        match value.kind() {
            Kind::Null => return Ok(()),
            Kind::Object => self.single(spot, value)?,
            Kind::Array => self.array(spot, value)?,
            Kind::String if essence.is_text() => self.rows.text_of(essence.plain, value),
            Kind::String | Kind::Number | Kind::True | Kind::False => self.only_scalar(spot, value)?,
        }
        self.is_there(spot, essence);
        Ok(())
    }

    /// Notes that a member has a value, or something that stands for it, and says which choice it is.
    fn is_there(&mut self, spot: SpotId, essence: Essence) {
        self.met |= essence.meets;
        self.unsure |= !essence.is_tabled();
        if essence.is_choice()
            && let Some((column, kind)) = self.places.choice(spot)
            && !self.chosen.contains(&column)
        {
            // Of two members of one choice, which FHIR does not have, the first says what it is.
            self.chosen.push(column);
            self.rows.text(column, kind);
        }
    }

    /// Whether a name with an underscore can only be a primitive's companion. Databases and programs have fields of
    /// their own: `_id`, `_class`.
    fn is_companion(&self, spot: SpotId, key: Node<'_>) -> bool {
        self.places.essence(spot).is_tabled() && !key.is("_id")
    }

    /// Whether a member has no column in a row that was flattened with more [`Care`] than usual.
    fn is_left_out(&self, member: Member, value: Node<'_>) -> bool {
        match member {
            Member::Sibling(spot) => self.care == Care::Elements || !self.places.is_known(spot, false),
            Member::Extensions | Member::ModifierExtensions => self.care == Care::Elements,
            Member::Contained | Member::Skipped | Member::Unknown => false,
            Member::Element(spot) | Member::Codings(spot) | Member::Target(spot) | Member::Labels(spot) => {
                !self.places.is_known(spot, value.kind() == Kind::Object)
            }
        }
    }

    fn only_scalar(&mut self, spot: SpotId, value: Node<'a>) -> Result<(), Defect> {
        let essence = self.places.essence(spot);
        if essence.only_objects() || essence.is_resource() {
            return Err(self.defect(DefectCode::ObjectExpected, value));
        }
        self.scalar(spot, value)
    }

    fn single(&mut self, spot: SpotId, value: Node<'a>) -> Result<(), Defect> {
        if self.places.essence(spot).is_resource() {
            return self.inner_resource(spot, value);
        }
        let carrier = self.places.shape(spot, value);
        let place = self.places.in_place(spot, carrier, self.names);
        self.object(place, value)
    }

    fn array(&mut self, spot: SpotId, array: Node<'a>) -> Result<(), Defect> {
        match items_kind(array) {
            None => Ok(()),
            Some(Kind::Object) => self.objects(spot, array),
            Some(Kind::Array) => self.items(spot, None, array),
            Some(_) if self.places.essence(spot).only_objects() => {
                Err(self.defect(DefectCode::ObjectExpected, array))
            }
            Some(_) => self.scalars(spot, array),
        }
    }

    fn objects(&mut self, spot: SpotId, array: Node<'a>) -> Result<(), Defect> {
        let Some(first) = array.items().find(|item| item.kind() == Kind::Object) else { return Ok(()) };
        let carrier = self.places.shape(spot, first);
        if !self.places.has_primary(spot, carrier) {
            let count = i32::try_from(array.items().count()).unwrap_or(i32::MAX);
            self.rows.integer(self.places.derived(spot, Derived::Count, self.names), count);
            return self.items(spot, carrier, array);
        }
        let is_one_of_several = array.items().nth(1).is_some();
        let (echo, doubts) = (self.echo, self.doubts);
        self.echo |= is_one_of_several;
        let outcome = self.primary(spot, carrier, array, first);
        self.echo = echo;
        outcome?;
        if !is_one_of_several {
            return Ok(());
        }
        // What is odd about the item in front is counted among all of them.
        self.doubts = doubts;
        self.items(spot, carrier, array)
    }

    /// The columns of the item that stands for all, and what is gathered from all of them.
    fn primary(
        &mut self,
        spot: SpotId,
        carrier: Option<TypeId>,
        array: Node<'a>,
        first: Node<'a>,
    ) -> Result<(), Defect> {
        let place = self.places.in_place(spot, carrier, self.names);
        match self.places.special(place) {
            Special::Concept => self.concept(place, first, array),
            Special::HumanName => self.object(place, preferred_name(array).unwrap_or(first)),
            Special::Address => self.object(place, preferred_address(array).unwrap_or(first)),
            Special::Coding => self.object(place, preferred_coding(array).unwrap_or(first)),
            Special::Identifier => {
                self.object(place, preferred_identifier(array).unwrap_or(first))?;
                let values = self.places.derived(spot, Derived::Values, self.names);
                self.pairs(values, array.items(), "value");
                Ok(())
            }
            Special::ContactPoint => {
                self.object(place, first)?;
                self.telecoms(spot, array);
                Ok(())
            }
            _ => self.object(place, first),
        }
    }
}

/// Whether a value is a scalar, or has one among its items.
fn is_scalar(value: Node<'_>) -> bool {
    let is_one = |kind| !matches!(kind, Kind::Object | Kind::Array | Kind::Null);
    is_one(value.kind()) || value.items().any(|item| is_one(item.kind()))
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
