//! Elements: objects flattened in place, arrays with a primary item, arrays of items.

use crate::defect::{Defect, DefectCode};
use crate::json::{Kind, Node};
use crate::model::{TypeId, coding};
use crate::row::ColumnId;

use super::datatype::rank;
use super::name::Standing;
use crate::time::moment;

use super::place::{Derived, FieldFlags, Member, PlaceId, Special, SpotId, items_kind};
use super::walk::{NamingPolicy, Walk};

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
        let around = self.around.replace(node);
        for (key, value) in node.members() {
            self.member(place, key, value, &mut hint)?;
        }
        self.around = around;
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
        if self.policy != NamingPolicy::Usual && self.is_left_out(member, value) {
            self.modifier |= member == Member::ModifierExtensions && has_objects(value);
            self.unknown(value);
            return Ok(());
        }
        self.needs_duplicate_check |= !member.is_element();
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
                    let field_flags = self.places.field_flags(spot);
                    self.is_there(field_flags);
                    // It stands for a value that is absent.
                    if let Some(choice) = self.places.choice(spot).filter(|_| field_flags.is_choice())
                        && self.is_first(choice.kind)
                    {
                        self.rows.text(choice.kind, choice.datatype);
                    }
                }
                Ok(())
            }
            Member::Extensions => self.extensions(place, value, Standing::Plain),
            Member::ModifierExtensions => {
                self.modifier |= has_objects(value);
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
        let field_flags = self.places.field_flags(spot);
        match value.kind() {
            Kind::Null => return Ok(()),
            Kind::Array => self.array(spot, value)?,
            Kind::Object if field_flags.is_many() && !field_flags.is_resource() => {
                self.objects(spot, value)?
            }
            Kind::Object => self.single(spot, value)?,
            Kind::String if field_flags.is_text() => self.rows.text_of(field_flags.plain, value),
            _ if field_flags.is_many() && !field_flags.only_objects() => self.scalars(spot, value)?,
            Kind::String | Kind::Number | Kind::True | Kind::False => self.only_scalar(spot, value)?,
        }
        self.is_there(field_flags);
        if field_flags.is_choice() {
            self.choice(spot, value);
        }
        Ok(())
    }

    /// Notes that a member has a value, or something that stands for it.
    fn is_there(&mut self, field_flags: FieldFlags) {
        self.mandatory_seen |= field_flags.meets;
        self.needs_duplicate_check |= !field_flags.is_tabled();
    }

    /// What a choice says whichever member it has: which one, its moment, and whether it holds. Of two members of one
    /// choice, which FHIR does not have, the first says it.
    fn choice(&mut self, spot: SpotId, value: Node<'a>) {
        let Some(choice) = self.places.choice(spot) else { return };
        if choice.only_single && value.kind() == Kind::Array {
            return;
        }
        if self.is_first(choice.kind) {
            self.rows.text(choice.kind, choice.datatype);
        }
        let text = if value.kind() == Kind::Object { value.get_text("start") } else { value.text() };
        if let Some((at, moment)) = choice.at.zip(text.and_then(|text| moment(&text)))
            && self.is_first(at)
        {
            self.rows.instant(at, moment.milliseconds());
        }
        // A boolean of the wrong type, such as the text "false", says nothing.
        let holds = if choice.datatype == "boolean" { value.boolean() } else { Some(true) };
        let has_element = |base: &str| self.around.is_some_and(|object| object.get(base).is_some());
        if let Some((holds, of)) = holds.zip(choice.holds)
            && !(of.has_own && has_element(of.base))
            && self.is_first(of.column)
        {
            self.rows.boolean(of.column, holds);
        }
    }

    /// Whether a choice of the objects at hand has not filled a column yet.
    fn is_first(&mut self, column: ColumnId) -> bool {
        let is_first = !self.chosen.contains(&column);
        if is_first {
            self.chosen.push(column);
        }
        is_first
    }

    /// Whether a name with an underscore can only be a primitive's companion. Databases and programs have fields of
    /// their own: `_id`, `_class`.
    fn is_companion(&self, spot: SpotId, key: Node<'_>) -> bool {
        self.places.field_flags(spot).is_tabled() && !key.is("_id")
    }

    /// Returns whether the [`NamingPolicy`] gives a member no column.
    fn is_left_out(&self, member: Member, value: Node<'_>) -> bool {
        match member {
            Member::Sibling(spot) => {
                self.policy == NamingPolicy::Elements || !self.places.is_known(spot, false)
            }
            Member::Extensions | Member::ModifierExtensions => self.policy == NamingPolicy::Elements,
            Member::Contained | Member::Skipped | Member::Unknown => false,
            Member::Element(spot) | Member::Codings(spot) | Member::Target(spot) | Member::Labels(spot) => {
                !self.places.is_known(spot, value.kind() == Kind::Object)
            }
        }
    }

    fn only_scalar(&mut self, spot: SpotId, value: Node<'a>) -> Result<(), Defect> {
        let field_flags = self.places.field_flags(spot);
        if field_flags.only_objects() || field_flags.is_resource() {
            return Err(self.defect(DefectCode::ObjectExpected, value));
        }
        self.scalar(spot, value)
    }

    fn single(&mut self, spot: SpotId, value: Node<'a>) -> Result<(), Defect> {
        if self.places.field_flags(spot).is_resource() {
            return self.inner_resource(spot, value);
        }
        let carrier = self.places.shape(spot, Node::once(value));
        let place = self.places.in_place(spot, carrier, self.names);
        self.object(place, value)
    }

    fn array(&mut self, spot: SpotId, array: Node<'a>) -> Result<(), Defect> {
        match items_kind(array) {
            None => Ok(()),
            Some(Kind::Object) => self.objects(spot, array),
            Some(Kind::Array) => self.items(spot, None, array),
            Some(_) if self.places.field_flags(spot).only_objects() => {
                Err(self.defect(DefectCode::ObjectExpected, array))
            }
            Some(_) => self.scalars(spot, array),
        }
    }

    fn objects(&mut self, spot: SpotId, array: Node<'a>) -> Result<(), Defect> {
        let objects = array.as_items().filter(|item| item.kind() == Kind::Object);
        let carrier = self.places.shape(spot, objects);
        if !self.places.has_primary(spot, carrier) {
            let count = i32::try_from(array.as_items().count()).unwrap_or(i32::MAX);
            self.rows.integer(self.places.derived(spot, Derived::Count, self.names), count);
            return self.items(spot, carrier, array);
        }
        let place = self.places.in_place(spot, carrier, self.names);
        let special = self.places.special(place);
        // Where a list has the codes, values or keys of all items, one item needs no array of its own.
        let has_array = self.in_tables()
            || !special.is_listed()
            || array.as_items().filter(|item| !item.is_null()).nth(1).is_some();
        let (suppress_child_rows, findings) = (self.suppress_child_rows, self.findings);
        self.suppress_child_rows |= has_array;
        let outcome = self.primary(spot, place, carrier, array);
        self.suppress_child_rows = suppress_child_rows;
        outcome?;
        if !has_array {
            return Ok(());
        }
        // What is odd about the primary item is counted among all of them.
        self.findings = findings;
        self.items(spot, carrier, array)
    }

    /// The columns of the item that stands for all, and what is gathered from all of them.
    fn primary(
        &mut self,
        spot: SpotId,
        place: PlaceId,
        carrier: Option<TypeId>,
        array: Node<'a>,
    ) -> Result<(), Defect> {
        let special = self.places.special(place);
        let Some(primary) = primary_item(special, carrier, array) else { return Ok(()) };
        match special {
            Special::Concept => return self.concept(place, primary, array),
            _ => self.object(place, primary)?,
        }
        match special {
            Special::Coding => {
                let codings = self.places.own(place, Derived::Codings, self.names);
                self.pairs(codings, array.as_items(), "code");
            }
            Special::Identifier => {
                let values = self.places.derived(spot, Derived::Values, self.names);
                self.pairs(values, array.as_items(), "value");
            }
            Special::Reference => {
                let keys = self.places.derived(spot, Derived::Keys, self.names);
                self.keys(keys, array);
            }
            Special::ContactPoint => self.telecoms(spot, array),
            _ => {}
        }
        Ok(())
    }
}

/// Whether an array, or one value in its place, has an object.
pub(super) fn has_objects(value: Node<'_>) -> bool {
    value.as_items().any(|item| item.kind() == Kind::Object)
}

/// Whether a value is a scalar, or has one among its items.
fn is_scalar(value: Node<'_>) -> bool {
    let is_one = |kind| !matches!(kind, Kind::Object | Kind::Array | Kind::Null);
    is_one(value.kind()) || value.items().any(|item| is_one(item.kind()))
}

/// The item that stands for an array: the one that a user or the sender prefers, else the first that is current, else
/// the first. Items that say nothing come behind those that do.
fn primary_item(special: Special, carrier: Option<TypeId>, array: Node<'_>) -> Option<Node<'_>> {
    let uses: (&[&str], &[&str]) = match special {
        Special::HumanName => (&["official", "usual"], &["old", "maiden", "nickname"]),
        Special::Address => (&["home"], &["old"]),
        Special::Identifier => (&["official", "usual"], &["old"]),
        _ => (&[], &["old"]),
    };
    let (preferred, last) = uses;
    let is_of_use = |item: Node<'_>, wanted: &str| item.get("use").is_some_and(|r#use| r#use.is(wanted));
    let order = |item: Node<'_>| {
        let place = preferred.iter().position(|wanted| is_of_use(item, wanted)).unwrap_or(preferred.len());
        let is_last = last.iter().any(|unwanted| is_of_use(item, unwanted));
        match special {
            Special::ContactPoint => (u32::from(is_last), rank(item)),
            Special::Coding => (u32::from(!is_selected(item)), 0),
            Special::HumanName | Special::Address | Special::Identifier => {
                (u32::from(is_last), u32::try_from(place).unwrap_or(u32::MAX))
            }
            _ => (0, 0),
        }
    };
    let mut objects = array.as_items().filter(|item| item.kind() == Kind::Object);
    let first = objects.next()?;
    // Most arrays have one item, which need not be compared.
    let Some(second) = objects.next() else { return Some(first) };
    let objects = [first, second].into_iter().chain(objects);
    objects.min_by_key(|item| (!says_something(carrier, *item), order(*item)))
}

/// Whether an object has an element of its type besides an id and extensions.
fn says_something(carrier: Option<TypeId>, object: Node<'_>) -> bool {
    let Some(carrier) = carrier else { return true };
    object.members().any(|(key, value)| {
        let name = key.text().unwrap_or_default();
        let is_about_itself = matches!(&*name, "id" | "extension" | "modifierExtension");
        !value.is_null() && !is_about_itself && carrier.element(&name).is_some()
    })
}

/// The coding that a user selected, else the first.
pub(super) fn preferred_coding(codings: Node<'_>) -> Option<Node<'_>> {
    primary_item(Special::Coding, coding(), codings)
}

fn is_selected(coding: Node<'_>) -> bool {
    coding.get("userSelected").and_then(Node::boolean) == Some(true)
}
