//! Elements of the resource: their members and extensions, their types, and what they mean as values.

use std::borrow::Cow;

use crate::json::{Items, JsonKind, Node};
use crate::model::{Datatype, Primitive};

use super::decimal::Decimal;
use super::item::{ElementRef, Item, ItemValue, NO_NODE, PathError};
use super::literal::Literal;
use super::machine::Machine;
use super::program::{Companions, MemberStep, Route, TypeTest};
use super::quantity::Quantity;
use super::temporal::{Temporal, TemporalKind};
use super::types::{ScalarForm, SetId};

impl<'m> Machine<'m> {
    /// Pushes the elements that a name leads to, with their companions if they are asked for.
    pub(super) fn push_member(&mut self, element: ElementRef, member: &MemberStep) {
        let mut routes = member.routes.iter();
        let route = if member.any { routes.next() } else { routes.find(|route| route.from == element.set) };
        let (Some(route), Some(object)) = (route, self.object(element)) else { return };
        if let [(name, to)] = route.keys.as_slice() {
            let companion =
                if member.companions == Companions::Ignored { None } else { companion(object, name) };
            return self.push_slots(object.get(name), companion, *to, member.companions);
        }
        for (key, value) in object.members() {
            let Some(name) = key.text() else { continue };
            if let Some(to) = target(route, &member.name, &name) {
                let companion =
                    if member.companions == Companions::Ignored { None } else { companion(object, &name) };
                self.push_slots(Some(value), companion, to, member.companions);
            } else if member.companions == Companions::Counted
                && let Some(bare) = name.strip_prefix('_')
                && let Some(to) = target(route, &member.name, bare)
                && object.get(bare).is_none()
            {
                self.push_slots(None, Some(value), to, member.companions);
            }
        }
    }

    /// Returns the object whose members an item has: its own, or its companion's.
    fn object(&self, element: ElementRef) -> Option<Node<'m>> {
        let own = (element.node != NO_NODE).then(|| self.node(element));
        own.filter(|node| node.kind() == JsonKind::Object).or_else(|| self.companion(element))
    }

    /// Pushes a value and its companion, or the slots of two arrays side by side.
    fn push_slots(
        &mut self,
        value: Option<Node<'m>>,
        companion: Option<Node<'m>>,
        to: SetId,
        companions: Companions,
    ) {
        let mut values = slots(value);
        let mut beside = slots(companion);
        loop {
            let value = values.as_mut().and_then(Iterator::next);
            let companion = beside.as_mut().and_then(Iterator::next);
            if value.is_none() && companion.is_none() {
                return;
            }
            let value = value.filter(|node| !matches!(node.kind(), JsonKind::Null | JsonKind::Array));
            let companion = companion.filter(|node| node.kind() == JsonKind::Object);
            if value.is_some() || (companion.is_some() && companions == Companions::Counted) {
                let place = |node: Option<Node<'_>>| node.map_or(NO_NODE, Node::index);
                self.push(Item::Element(ElementRef {
                    node: place(value),
                    companion: place(companion),
                    set: to,
                }));
            }
        }
    }

    pub(super) fn push_extensions(&mut self, element: ElementRef, url: &str) {
        let Some(extensions) = self.object(element).and_then(|object| object.get("extension")) else {
            return;
        };
        let set = self.pool().extension();
        for node in slots(Some(extensions)).into_iter().flatten() {
            if node.get("url").is_some_and(|own| own.is(url)) {
                self.push(Item::Element(ElementRef { node: node.index(), companion: NO_NODE, set }));
            }
        }
    }

    /// Returns whether an element is of a type. Where releases differ, the shape of the JSON decides; where nothing is
    /// known, only `resourceType` does.
    pub(super) fn element_is(&self, element: ElementRef, test: &TypeTest) -> bool {
        let types = self.pool().datatypes(element.set);
        let node = self.node(element);
        if types.is_unknown() {
            return node.get("resourceType").is_some_and(|name| name.is(test.datatype.name()));
        }
        let is_object = node.kind() == JsonKind::Object;
        let shape = match test.datatype {
            Datatype::Primitive(_) => !is_object,
            Datatype::Complex(_) | Datatype::Resource => is_object,
        };
        shape && test.admits(types)
    }

    /// Returns whether a value that is not an element is of a type.
    pub(super) fn computed_value_is(&self, item: Item, test: &TypeTest) -> bool {
        let own = match item {
            Item::Literal(index) => {
                return self
                    .pool()
                    .literal(index)
                    .is_some_and(|(_, set)| test.admits(self.pool().datatypes(*set)));
            }
            Item::Boolean(_) => Primitive::Boolean,
            Item::Whole(_) => Primitive::Integer,
            Item::Number(number) if self.number(number).is_written_whole() => Primitive::Integer,
            Item::Number(_) => Primitive::Decimal,
            Item::Text(_) | Item::Key | Item::Pending(_) | Item::Nothing | Item::Element(_) => {
                Primitive::String
            }
            Item::Temporal(_, TemporalKind::Date) => Primitive::Date,
            Item::Temporal(_, TemporalKind::DateTime) => Primitive::DateTime,
            Item::Temporal(_, TemporalKind::Time) => Primitive::Time,
        };
        test.datatype == Datatype::Primitive(own)
            || (test.system && test.datatype == Datatype::Primitive(own.system()))
    }

    /// Returns the value of an item.
    pub(crate) fn value(&self, item: Item) -> Result<ItemValue<'m>, PathError> {
        Ok(match item {
            Item::Element(element) => return self.element_value(element),
            Item::Boolean(value) => ItemValue::Boolean(value),
            Item::Whole(number) => ItemValue::Number(Decimal::integer(number.into())),
            Item::Number(number) => ItemValue::Number(self.number(number)),
            Item::Text(span) => ItemValue::Text(Cow::Owned(self.scratch_text(span).to_owned())),
            Item::Temporal(span, kind) => {
                let text = self.scratch_text(span).to_owned();
                let temporal = Temporal::parse(&text, kind).ok_or(PathError::OPERAND)?;
                ItemValue::Temporal(Cow::Owned(text), temporal)
            }
            Item::Key => ItemValue::Text(Cow::Borrowed(self.context().key)),
            Item::Pending(_) => return Err(PathError::KEY_COMES_LATER),
            Item::Nothing => return Err(PathError::OPERAND),
            Item::Literal(index) => match self.pool().literal(index).map(|(literal, _)| literal) {
                Some(Literal::Boolean(value)) => ItemValue::Boolean(*value),
                Some(Literal::Number { value, .. }) => ItemValue::Number(*value),
                Some(Literal::Text { text, .. }) => ItemValue::Text(Cow::Borrowed(text)),
                Some(Literal::Temporal { text, temporal, .. }) => {
                    ItemValue::Temporal(Cow::Borrowed(text), *temporal)
                }
                Some(Literal::Quantity { value, unit }) => {
                    ItemValue::Quantity(Quantity { value: *value, unit: Cow::Borrowed(unit) })
                }
                None => return Err(PathError::OPERAND),
            },
        })
    }

    fn element_value(&self, element: ElementRef) -> Result<ItemValue<'m>, PathError> {
        let node = self.node(element);
        let fault = PathError { offset: Some(node.span().start), ..PathError::OPERAND };
        Ok(match node.kind() {
            JsonKind::True => ItemValue::Boolean(true),
            JsonKind::False => ItemValue::Boolean(false),
            JsonKind::Number => ItemValue::Number(Decimal::parse(node.raw()).ok_or(fault)?),
            JsonKind::String => text_value(node.text().unwrap_or_default(), self.pool().form(element.set)),
            JsonKind::Object => quantity(node).map_or(ItemValue::Object(node), ItemValue::Quantity),
            JsonKind::Array | JsonKind::Null => return Err(fault),
        })
    }

    /// Returns whether an item is the resource itself.
    pub(crate) fn is_resource(&self, item: Item) -> bool {
        matches!(item, Item::Element(element) if element.node == self.root().index())
    }

    /// Returns whether an element lies inside another one.
    pub(crate) fn lies_inside(&self, item: Item, outer: Item) -> bool {
        let (Item::Element(item), Item::Element(outer)) = (item, outer) else { return false };
        let (item, outer) = (self.node(item).span(), self.node(outer).span());
        item.start > outer.start && item.end <= outer.end
    }

    /// Returns an item as text; numbers as they are written.
    pub(crate) fn text_of(&self, item: Item) -> Result<Cow<'m, str>, PathError> {
        let fault = PathError { offset: self.offset(item), ..PathError::OPERAND };
        match item {
            Item::Element(element) => {
                let node = self.node(element);
                match node.kind() {
                    JsonKind::String => node.text().ok_or(fault),
                    JsonKind::Number | JsonKind::True | JsonKind::False => Ok(Cow::Borrowed(node.raw())),
                    JsonKind::Object | JsonKind::Array | JsonKind::Null => Err(fault),
                }
            }
            item => match self.value(item)? {
                ItemValue::Text(text) | ItemValue::Temporal(text, _) => Ok(text),
                ItemValue::Boolean(value) => Ok(Cow::Borrowed(if value { "true" } else { "false" })),
                ItemValue::Number(number) => Ok(Cow::Owned(number.to_string())),
                ItemValue::Quantity(_) | ItemValue::Object(_) => Err(fault),
            },
        }
    }

    /// Returns where an element stands in the bytes of the resource.
    pub(crate) fn offset(&self, item: Item) -> Option<usize> {
        match item {
            Item::Element(element) if element.node != NO_NODE => Some(self.node(element).span().start),
            _ => None,
        }
    }
}

fn slots(node: Option<Node<'_>>) -> Option<Items<'_>> {
    node.map(|node| if node.kind() == JsonKind::Array { node.items() } else { Node::once(node) })
}

fn companion<'n>(object: Node<'n>, name: &str) -> Option<Node<'n>> {
    let is_companion = |key: &Node<'_>| key.text().is_some_and(|key| key.strip_prefix('_') == Some(name));
    object.members().find(|(key, _)| is_companion(key)).map(|(_, value)| value)
}

/// Returns where one of a choice's many names leads.
fn target(route: &Route, base: &str, name: &str) -> Option<SetId> {
    if !name.starts_with(base) {
        return None;
    }
    let index = route.keys.binary_search_by(|(key, _)| (**key).cmp(name)).ok()?;
    route.keys.get(index).map(|(_, to)| *to)
}

fn text_value(text: Cow<'_, str>, reading: ScalarForm) -> ItemValue<'_> {
    let temporal = match reading {
        ScalarForm::Plain => None,
        ScalarForm::Long => {
            return Decimal::parse(&text).map_or(ItemValue::Text(text), ItemValue::Number);
        }
        ScalarForm::Temporal(kind) => Temporal::parse(&text, kind),
    };
    match temporal {
        Some(temporal) => ItemValue::Temporal(text, temporal),
        None => ItemValue::Text(text),
    }
}

/// Returns an object with a number in `value` as a quantity. An object with a comparator is not a quantity: it means a
/// range.
fn quantity(node: Node<'_>) -> Option<Quantity<'_>> {
    let value = node.get("value")?.number().and_then(Decimal::parse)?;
    if node.get("comparator").is_some() || node.get("extension").is_some() {
        return None;
    }
    let unit = node.get_text("code").or_else(|| node.get_text("unit")).unwrap_or(Cow::Borrowed("1"));
    Some(Quantity { value, unit })
}
