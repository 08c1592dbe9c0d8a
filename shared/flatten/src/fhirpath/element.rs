//! Elements of the resource: their members and extensions, their types, and what they mean as values.

use std::borrow::Cow;

use crate::json::{Items, Kind, Node};
use crate::model::{Datatype, Primitive};

use super::decimal::Decimal;
use super::item::{Element, Fault, Item, NOWHERE, Value};
use super::literal::Literal;
use super::machine::Machine;
use super::program::{Companions, Member, Route, TypeTest};
use super::quantity::Quantity;
use super::temporal::{Temporal, TemporalKind};
use super::types::{Reading, SetId};

impl<'m> Machine<'m> {
    /// Pushes the elements that a name leads to, with their companions if they are asked for.
    pub(super) fn push_member(&mut self, element: Element, member: &Member) {
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

    /// The object whose members an item has: its own, or its companion's.
    fn object(&self, element: Element) -> Option<Node<'m>> {
        let own = (element.node != NOWHERE).then(|| self.node(element));
        own.filter(|node| node.kind() == Kind::Object).or_else(|| self.companion(element))
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
            let value = value.filter(|node| !matches!(node.kind(), Kind::Null | Kind::Array));
            let companion = companion.filter(|node| node.kind() == Kind::Object);
            if value.is_some() || (companion.is_some() && companions == Companions::Counted) {
                let place = |node: Option<Node<'_>>| node.map_or(NOWHERE, Node::index);
                self.push(Item::Element(Element {
                    node: place(value),
                    companion: place(companion),
                    set: to,
                }));
            }
        }
    }

    pub(super) fn push_extensions(&mut self, element: Element, url: &str) {
        let Some(extensions) = self.object(element).and_then(|object| object.get("extension")) else {
            return;
        };
        let set = self.pool().extension();
        for node in slots(Some(extensions)).into_iter().flatten() {
            if node.get("url").is_some_and(|own| own.is(url)) {
                self.push(Item::Element(Element { node: node.index(), companion: NOWHERE, set }));
            }
        }
    }

    /// Whether an element is of a type. Where releases differ, the shape of the JSON decides; where nothing is
    /// known, only `resourceType` does.
    pub(super) fn element_is(&self, element: Element, test: &TypeTest) -> bool {
        let types = self.pool().datatypes(element.set);
        let node = self.node(element);
        if types.is_unknown() {
            return node.get("resourceType").is_some_and(|kind| kind.is(test.datatype.name()));
        }
        let is_object = node.kind() == Kind::Object;
        let shape = match test.datatype {
            Datatype::Primitive(_) => !is_object,
            Datatype::Complex(_) | Datatype::Resource => is_object,
        };
        shape && test.admits(types)
    }

    /// Whether a value that is no element is of a type.
    pub(super) fn made_is(&self, item: Item, test: &TypeTest) -> bool {
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

    /// What an item means.
    pub(crate) fn value(&self, item: Item) -> Result<Value<'m>, Fault> {
        Ok(match item {
            Item::Element(element) => return self.element_value(element),
            Item::Boolean(value) => Value::Boolean(value),
            Item::Whole(number) => Value::Number(Decimal::integer(number.into())),
            Item::Number(number) => Value::Number(self.number(number)),
            Item::Text(span) => Value::Text(Cow::Owned(self.kept(span).to_owned())),
            Item::Temporal(span, kind) => {
                let text = self.kept(span).to_owned();
                let temporal = Temporal::parse(&text, kind).ok_or(Fault::OPERAND)?;
                Value::Temporal(Cow::Owned(text), temporal)
            }
            Item::Key => Value::Text(Cow::Borrowed(self.context().key)),
            Item::Pending(_) => return Err(Fault::KEY_COMES_LATER),
            Item::Nothing => return Err(Fault::OPERAND),
            Item::Literal(index) => match self.pool().literal(index).map(|(literal, _)| literal) {
                Some(Literal::Boolean(value)) => Value::Boolean(*value),
                Some(Literal::Number { value, .. }) => Value::Number(*value),
                Some(Literal::Text { text, .. }) => Value::Text(Cow::Borrowed(text)),
                Some(Literal::Temporal { text, temporal, .. }) => {
                    Value::Temporal(Cow::Borrowed(text), *temporal)
                }
                Some(Literal::Quantity { value, unit }) => {
                    Value::Quantity(Quantity { value: *value, unit: Cow::Borrowed(unit) })
                }
                None => return Err(Fault::OPERAND),
            },
        })
    }

    fn element_value(&self, element: Element) -> Result<Value<'m>, Fault> {
        let node = self.node(element);
        let fault = Fault { offset: Some(node.span().start), ..Fault::OPERAND };
        Ok(match node.kind() {
            Kind::True => Value::Boolean(true),
            Kind::False => Value::Boolean(false),
            Kind::Number => Value::Number(Decimal::parse(node.raw()).ok_or(fault)?),
            Kind::String => text_value(node.text().unwrap_or_default(), self.pool().reading(element.set)),
            Kind::Object => quantity(node).map_or(Value::Object(node), Value::Quantity),
            Kind::Array | Kind::Null => return Err(fault),
        })
    }

    /// Whether an item is the resource itself.
    pub(crate) fn is_resource(&self, item: Item) -> bool {
        matches!(item, Item::Element(element) if element.node == self.root().index())
    }

    /// Whether an element lies inside another one.
    pub(crate) fn lies_inside(&self, item: Item, outer: Item) -> bool {
        let (Item::Element(item), Item::Element(outer)) = (item, outer) else { return false };
        let (item, outer) = (self.node(item).span(), self.node(outer).span());
        item.start > outer.start && item.end <= outer.end
    }

    /// An item as text; numbers as they are written.
    pub(crate) fn text_of(&self, item: Item) -> Result<Cow<'m, str>, Fault> {
        let fault = Fault { offset: self.offset(item), ..Fault::OPERAND };
        match item {
            Item::Element(element) => {
                let node = self.node(element);
                match node.kind() {
                    Kind::String => node.text().ok_or(fault),
                    Kind::Number | Kind::True | Kind::False => Ok(Cow::Borrowed(node.raw())),
                    Kind::Object | Kind::Array | Kind::Null => Err(fault),
                }
            }
            item => match self.value(item)? {
                Value::Text(text) | Value::Temporal(text, _) => Ok(text),
                Value::Boolean(value) => Ok(Cow::Borrowed(if value { "true" } else { "false" })),
                Value::Number(number) => Ok(Cow::Owned(number.to_string())),
                Value::Quantity(_) | Value::Object(_) => Err(fault),
            },
        }
    }

    /// Where an element stands in the bytes of the resource.
    pub(crate) fn offset(&self, item: Item) -> Option<usize> {
        match item {
            Item::Element(element) if element.node != NOWHERE => Some(self.node(element).span().start),
            _ => None,
        }
    }
}

fn slots(node: Option<Node<'_>>) -> Option<Items<'_>> {
    node.map(|node| if node.kind() == Kind::Array { node.items() } else { Node::once(node) })
}

fn companion<'n>(object: Node<'n>, name: &str) -> Option<Node<'n>> {
    let is_companion = |key: &Node<'_>| key.text().is_some_and(|key| key.strip_prefix('_') == Some(name));
    object.members().find(|(key, _)| is_companion(key)).map(|(_, value)| value)
}

/// Where one of a choice's many names leads.
fn target(route: &Route, base: &str, name: &str) -> Option<SetId> {
    if !name.starts_with(base) {
        return None;
    }
    let index = route.keys.binary_search_by(|(key, _)| (**key).cmp(name)).ok()?;
    route.keys.get(index).map(|(_, to)| *to)
}

fn text_value(text: Cow<'_, str>, reading: Reading) -> Value<'_> {
    let temporal = match reading {
        Reading::Plain => None,
        Reading::Long => {
            return Decimal::parse(&text).map_or(Value::Text(text), Value::Number);
        }
        Reading::Temporal(kind) => Temporal::parse(&text, kind),
    };
    match temporal {
        Some(temporal) => Value::Temporal(text, temporal),
        None => Value::Text(text),
    }
}

/// An object with a number in `value` and a unit is a quantity. One with a comparator is not: it means a range.
fn quantity(node: Node<'_>) -> Option<Quantity<'_>> {
    let value = node.get("value")?.number().and_then(Decimal::parse)?;
    if node.get("comparator").is_some() || node.get("extension").is_some() {
        return None;
    }
    let unit = node.get_text("code").or_else(|| node.get_text("unit")).unwrap_or(Cow::Borrowed("1"));
    Some(Quantity { value, unit })
}
