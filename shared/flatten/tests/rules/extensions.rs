//! Extensions, modifier extensions and what stands beside primitives.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::json::{is_scalar, many, says_something, text, text_of};
use crate::model::{Type, Use, tail, with_digits, without_version};
use crate::oracle::{At, Object, Role, Walk, has_list, is_mistakable};
use crate::values::{self, date, moment};

/// An extension with where it stands in its array.
type Item<'v> = (String, &'v Object);

impl<'m> Walk<'m> {
    /// Writes the extensions `value` at `here` of the element at `at`. `all` are those that share its columns.
    pub(crate) fn extensions(
        &mut self,
        at: &At<'m>,
        here: &At<'m>,
        value: &Value,
        all: &[&Value],
        out: &mut Object,
    ) {
        let mut groups: Vec<(String, Vec<Item<'_>>)> = Vec::new();
        for (n, item) in many(value).iter().enumerate().filter(|(_, item)| !item.is_null()) {
            let address = At { is_one: !value.is_array(), ..here.clone() }.item(n).address;
            let Some(extension) = item.as_object() else {
                self.is_defect = true;
                return;
            };
            let url = text_of(extension, "url").unwrap_or_default();
            let is_aside = self.strictness > 0 && is_forbidden(extension);
            if tail(url).is_empty() || is_aside {
                self.set_aside(&address, item);
                continue;
            }
            let name = self.name(at, url, all);
            match groups.iter_mut().find(|(known, _)| *known == name) {
                Some((_, items)) => items.push((address, extension)),
                None => groups.push((name, vec![(address, extension)])),
            }
        }
        for (name, items) in groups {
            self.one_name(&at.step(&name, None), &items, out);
        }
    }

    fn name(&self, at: &At<'m>, url: &str, all: &[&Value]) -> String {
        let bare = without_version(url);
        let is_on_primitive = matches!(at.role, Role::OnPrimitive | Role::OnItem);
        if is_on_primitive && bare == "http://hl7.org/fhir/StructureDefinition/data-absent-reason" {
            return "absent".to_owned();
        }
        let (name, is_free) = self.model.extension_name(at.kind, at.uses, url);
        let mut others =
            all.iter().flat_map(|value| many(value)).filter_map(|other| other.get("url").and_then(text));
        let is_shared = |other: &str| without_version(other) != bare && tail(other) == name;
        if is_free && others.any(is_shared) { with_digits(&name, url) } else { name }
    }

    /// Writes all extensions of one name at one element.
    fn one_name(&mut self, here: &At<'m>, items: &[Item<'_>], out: &mut Object) {
        let at = |address: &String| At { address: address.clone(), role: Role::Plain, ..here.clone() };
        if let ([(address, only)], false) = (items, here.role == Role::OnItem) {
            return self.extension(&at(address), only, out);
        }
        let mut cells = Vec::new();
        let plain: Vec<_> = items.iter().map_while(|(_, item)| plain_value(self.kind(), item)).collect();
        for (address, item) in items {
            cells.push(self.extension_cell(&at(address), item));
        }
        let is_plain = plain.len() == items.len();
        if here.role == Role::OnItem {
            let cell = if items.len() == 1 { cells.remove(0) } else { cells.into() };
            return self.put(out, here.prefix.clone(), cell);
        }
        self.put(out, here.prefix.clone(), cells.into());
        if has_columns(items[0].1) {
            self.extension(&at(&items[0].0), items[0].1, out);
        } else if is_plain && plain.iter().all(|(used, _)| used.is_moment()) {
            let moments = plain.iter().map(|(_, value)| text(value).and_then(moment).map(date));
            let moments: Vec<_> = moments.collect();
            self.put(out, here.column("at"), json!(moments));
        }
    }

    /// Returns an extension in a list: its plain value or a record.
    fn extension_cell(&mut self, at: &At<'m>, extension: &Object) -> Value {
        if let Some((used, value)) = plain_value(self.kind(), extension) {
            return self.cell(&At { uses: std::slice::from_ref(used), ..at.clone() }, 0, value);
        }
        let mut record = Object::new();
        self.extension(&At { prefix: String::new(), ..at.clone() }, extension, &mut record);
        record.into()
    }

    fn kind(&self) -> &'m Type {
        &self.model.types["Extension"]
    }

    /// Writes the columns of one extension under its name, or those of a record.
    fn extension(&mut self, at: &At<'m>, extension: &Object, out: &mut Object) {
        let at = &At { kind: Some(self.kind()), ..at.clone() };
        let is_record = at.prefix.is_empty();
        for (name, value) in extension {
            let here = at.step(name, None);
            let bare = name.strip_prefix('_').unwrap_or(name);
            let uses = self.kind().uses(bare);
            let is_value = uses.iter().any(|used| used.choice == Some("value"));
            let under = At { prefix: at.prefix.clone(), ..here.clone() };
            match &**name {
                "url" => {}
                "extension" => self.extensions(at, &here, value, &[value], out),
                "modifierExtension" => self.modifiers(at, &here, value, out),
                _ if is_value && *name == bare && !value.is_null() => {
                    let is_plain = uses[0].is_primitive() || is_scalar(value);
                    let prefix = if is_record && is_plain { "value".to_owned() } else { at.prefix.clone() };
                    self.known(&At { prefix, role: Role::Value, ..under }, uses, value, out);
                }
                _ if is_value && uses[0].is_primitive() && !value.is_null() => {
                    let id = &at.column("valueId");
                    let prefix = if is_record { "value".to_owned() } else { at.prefix.clone() };
                    let under = At { prefix, ..under };
                    match value.as_array() {
                        Some(items) => self.on_items(&under, items, id, out),
                        None => self.on_primitive(&under, value, id, out),
                    }
                }
                "id" if is_scalar(value) => self.put(out, here.prefix, values::by_shape(value)),
                _ if value.is_null()
                    && (self.kind().has(name) || is_value && *name != bare && uses[0].is_primitive()) => {}
                _ => self.set_aside(&here.address, value),
            }
        }
        if !is_record && extension.keys().all(|name| name == "url") {
            self.put(out, at.prefix.clone(), Value::Null);
        }
    }

    pub(crate) fn modifiers(&mut self, at: &At<'m>, here: &At<'m>, value: &Value, out: &mut Object) {
        let under = At { prefix: here.prefix.clone(), ..at.clone() };
        self.extensions(&under, here, value, &[value], out);
        if many(value).iter().any(Value::is_object) {
            out.insert("_modifier".to_owned(), true.into());
        }
    }

    /// Writes a member whose name begins with `_`.
    pub(crate) fn companion(&mut self, at: &At<'m>, name: &str, value: &Value, out: &mut Object) {
        let name = name.trim_start_matches('_');
        let here = at.step(&format!("_{name}"), None);
        let uses = at.kind.map_or(&[][..], |kind| kind.uses(name));
        let is_known = uses.iter().any(Use::is_primitive);
        let has_scalar = many(value).iter().any(is_scalar);
        let is_unknown = ["contained", "extension", "modifierExtension"].contains(&name)
            || !is_known
                && (!uses.is_empty()
                    || has_scalar
                    || self.strictness > 0
                    || is_mistakable(self.model, at, name));
        if is_unknown || has_scalar && name == "id" || self.strictness > 1 {
            return self.set_aside(&here.address, value);
        }
        let under = At { prefix: at.column(name), ..here };
        let every_release = !uses.is_empty() && uses.iter().all(|used| used.many);
        let is_list = value.is_array() || has_list(uses).unwrap_or(every_release);
        if has_scalar || many(value).iter().any(Value::is_array) {
            self.is_defect = true;
        } else if is_list {
            let id = under.column("id");
            self.on_items(&At { is_one: !value.is_array(), ..under }, many(value), &id, out);
        } else if !value.is_null() {
            self.on_primitive(&under, value, &under.column("id"), out);
        }
    }

    /// Writes the id and the extensions of a primitive under its column.
    fn on_primitive(&mut self, under: &At<'m>, value: &Value, id: &str, out: &mut Object) {
        let at = At { role: Role::OnPrimitive, ..under.clone() };
        for (name, value) in value.as_object().into_iter().flatten() {
            let here = at.step(name, None);
            match &**name {
                "extension" => self.extensions(&at, &here, value, &[value], out),
                "modifierExtension" => self.modifiers(&at, &here, value, out),
                "id" if value.is_null() => {}
                "id" => self.by_shape(&At { prefix: id.to_owned(), ..here }, value, out),
                _ => self.set_aside(&here.address, value),
            }
        }
    }

    /// Writes the companions of the items of a primitive array: lists with `null` in the other places.
    fn on_items(&mut self, under: &At<'m>, items: &[Value], id: &str, out: &mut Object) {
        let all: Vec<&Value> = items.iter().filter_map(|item| item.get("extension")).collect();
        let mut records = vec![Object::new(); items.len()];
        for ((n, item), record) in items.iter().enumerate().zip(&mut records) {
            let at = At { role: Role::OnItem, ..under.record(n) };
            for (name, value) in item.as_object().into_iter().flatten() {
                let here = at.step(name, None);
                match &**name {
                    "extension" => self.extensions(&at, &here, value, &all, record),
                    "id" => drop(record.insert("id".to_owned(), self.cell(&here, 0, value))),
                    _ => self.set_aside(&here.address, value),
                }
                if name == "modifierExtension" && many(value).iter().any(Value::is_object) {
                    out.insert("_modifier".to_owned(), true.into());
                }
            }
        }
        let names: BTreeSet<String> = records.iter().flat_map(|record| record.keys().cloned()).collect();
        for name in names {
            let cells = records.iter().map(|record| record.get(&name).cloned().unwrap_or_default());
            let cells: Vec<Value> = cells.collect();
            let column = if name == "id" { id.to_owned() } else { under.column(&name) };
            self.put(out, column, cells.into());
        }
    }
}

/// Returns whether the first of several extensions can stand in front of the list: a plain value would have its name.
fn has_columns(extension: &Object) -> bool {
    let mut values = extension.iter().filter(|(name, value)| name.starts_with("value") && !value.is_null());
    let has_columns =
        values.clone().next().is_some() || extension.get("extension").is_some_and(says_something);
    has_columns && values.all(|(_, value)| value.is_object())
}

/// Returns whether an extension has two values, or a value and extensions.
fn is_forbidden(extension: &Object) -> bool {
    let says = |name: &String| !extension[name].is_null();
    let mut values: Vec<&str> = extension
        .keys()
        .filter(|name| says(name))
        .map(|name| name.strip_prefix('_').unwrap_or(name))
        .filter(|name| name.starts_with("value"))
        .collect();
    values.sort_unstable();
    values.dedup();
    values.len() + usize::from(extension.get("extension").is_some_and(|inner| !inner.is_null())) > 1
}

/// Returns the value of an extension that has nothing but a `url` and a plain value.
fn plain_value<'v, 'm>(kind: &'m Type, extension: &'v Object) -> Option<(&'m Use, &'v Value)> {
    let mut others = extension.iter().filter(|(name, _)| *name != "url");
    let (name, value) = others.next()?;
    let used = kind.uses(name).first().filter(|used| used.choice.is_some() && used.is_primitive())?;
    (is_scalar(value) && others.next().is_none()).then_some((used, value))
}
