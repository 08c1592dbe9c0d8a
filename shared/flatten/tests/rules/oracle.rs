//! Makes the automatic rows of a resource by the rules of `docs/flattening.md`, in their order and words.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::json::{is_scalar, many, number, says_something, text, text_of};
use crate::model::{Model, Type, Use, is_derived, is_like_digits};
use crate::resource;
use crate::values::{self, Scalar, date, moment, pair};

pub(crate) type Object = Map<String, Value>;

/// Choices that have a boolean under their own name.
const BOOLEANS: [&str; 5] = ["abatement", "asNeeded", "deceased", "multipleBirth", "reported"];

/// Datatypes whose arrays have no primary item.
const DEFINITIONS: [&str; 4] =
    ["ElementDefinition", "DataRequirement", "ParameterDefinition", "TriggerDefinition"];

const CONTACT_SYSTEMS: [&str; 7] = ["phone", "fax", "email", "pager", "url", "sms", "other"];

/// Where the walk is.
#[derive(Clone, Default)]
pub(crate) struct At<'m> {
    /// The type of the object; none where no release knows it.
    pub(crate) kind: Option<&'m Type>,
    /// What releases say of the element.
    pub(crate) uses: &'m [Use],
    /// What the names of columns begin with.
    pub(crate) prefix: String,
    /// The JSON Pointer.
    pub(crate) address: String,
    pub(crate) role: Role,
    /// One value that is read as an array of one.
    pub(crate) is_one: bool,
}

/// What an object is beside its type.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Role {
    #[default]
    Plain,
    /// The resource itself.
    Root,
    /// The value of an extension, whose id is not the extension's.
    Value,
    /// What stands on a primitive.
    OnPrimitive,
    /// What stands on an item of a primitive array.
    OnItem,
}

impl<'m> At<'m> {
    pub(crate) fn column(&self, name: &str) -> String {
        if self.prefix.is_empty() || name.is_empty() {
            format!("{}{name}", self.prefix)
        } else {
            format!("{}_{name}", self.prefix)
        }
    }

    pub(crate) fn step(&self, name: &str, kind: Option<&'m Type>) -> Self {
        let escaped = name.replace('~', "~0").replace('/', "~1");
        Self {
            kind,
            prefix: self.column(name),
            address: format!("{}/{escaped}", self.address),
            role: if self.role == Role::OnItem { Role::OnItem } else { Role::Plain },
            ..Self::default()
        }
    }

    /// Returns an item whose columns stand under the array's name.
    pub(crate) fn item(&self, number: usize) -> Self {
        let end = if self.is_one { String::new() } else { format!("/{number}") };
        Self { address: format!("{}{end}", self.address), is_one: false, ..self.clone() }
    }

    /// Returns an item that is a record of its own.
    pub(crate) fn record(&self, number: usize) -> Self {
        Self { prefix: String::new(), role: Role::Plain, ..self.item(number) }
    }
}

/// One walk over a resource.
pub(crate) struct Walk<'m> {
    pub(crate) model: &'m Model,
    pub(crate) key: &'m str,
    /// The key that `#` means, and the rows of the contained resources: their ids, keys and types.
    pub(crate) container: &'m str,
    pub(crate) contained: &'m [(String, String, String)],
    /// Unknown elements and forbidden extensions go to `_unknown` from 1 on, all extensions from 2 on.
    pub(crate) strictness: u8,
    pub(crate) unknown: Object,
    pub(crate) has_column_twice: bool,
    pub(crate) is_defect: bool,
}

impl<'m> Walk<'m> {
    pub(crate) fn put(&mut self, out: &mut Object, column: String, cell: Value) {
        self.has_column_twice |= out.insert(column, cell).is_some();
    }

    pub(crate) fn set_aside(&mut self, address: &str, value: &Value) {
        self.unknown.insert(address.to_owned(), value.clone());
    }

    pub(crate) fn object(&mut self, at: &At<'m>, object: &Object, out: &mut Object) {
        let mut choices = BTreeSet::new();
        for (name, value) in object {
            self.member(at, name, value, out);
            self.choice(at, object, (name, value), &mut choices, out);
        }
        match at.kind.map(|kind| kind.name) {
            Some("CodeableConcept") => self.concept(at, object, out),
            Some("Reference") => self.reference(at, object, out),
            _ => {}
        }
    }

    fn member(&mut self, at: &At<'m>, name: &str, value: &Value, out: &mut Object) {
        let here = at.step(name, None);
        let uses = at.kind.map_or(&[][..], |kind| kind.uses(name));
        match name {
            "resourceType" | "contained" if at.role == Role::Root => {}
            "extension" | "modifierExtension" if self.strictness > 1 => {
                self.set_aside(&here.address, value);
                if name == "modifierExtension" && many(value).iter().any(Value::is_object) {
                    out.insert("_modifier".to_owned(), true.into());
                }
            }
            "extension" => self.extensions(at, &here, value, &[value], out),
            "modifierExtension" => self.modifiers(at, &here, value, out),
            _ if !is_plain_name(name.strip_prefix('_').unwrap_or(name)) => {
                self.set_aside(&here.address, value)
            }
            "_div" if at.kind.is_some_and(|kind| kind.name == "Narrative") => {
                self.set_aside(&here.address, value)
            }
            _ if name.starts_with('_') => self.companion(at, name, value, out),
            _ if value.is_null()
                && (!uses.is_empty() || self.strictness == 0 && !is_mistakable(self.model, at, name)) => {}
            "id" if at.role == Role::Value => {
                self.put(out, at.column("valueId"), values::by_shape(value));
            }
            "div" if at.kind.is_some_and(|kind| kind.name == "Narrative") => {}
            "coding" if at.kind.is_some_and(|kind| kind.name == "CodeableConcept") => {}
            "tag" | "security" if at.kind.is_some_and(|kind| kind.name == "Meta") => {
                self.labels(&here, value, out);
            }
            "resource" if self.is_record_of_its_own(uses, value) => {
                let has_entries = value.get("entry").is_some_and(says_something);
                if let Some(key) = resource::key(value).filter(|_| !has_entries || value.get("id").is_some())
                {
                    self.put(out, here.column("key"), key.into());
                }
            }
            "id" if uses.is_empty() && self.strictness == 0 => self.by_shape(&here, value, out),
            _ if !uses.is_empty() => self.known(&here, uses, value, out),
            _ if self.strictness > 0 || is_mistakable(self.model, at, name) => {
                self.set_aside(&here.address, value);
            }
            _ => self.by_shape(&here, value, out),
        }
    }

    /// Whether it is a resource in an entry or a parameter.
    fn is_record_of_its_own(&self, uses: &[Use], value: &Value) -> bool {
        let is_resource = uses.iter().any(|used| used.datatype == "Resource");
        is_resource && self.key == self.container && value.is_object()
    }

    /// Writes the datatype of a choice, its moment, its boolean.
    fn choice(
        &mut self,
        at: &At<'m>,
        object: &Object,
        (name, value): (&str, &Value),
        seen: &mut BTreeSet<&'m str>,
        out: &mut Object,
    ) {
        let Some(kind) = at.kind else { return };
        let bare = name.strip_prefix('_').unwrap_or(name);
        let uses = kind.uses(bare);
        // What repeats in one release and is one of a choice in another is one of the choice where it is no array.
        let repeats = uses.iter().any(|used| used.many && used.choice.is_none());
        let used = uses.iter().find(|used| used.choice.is_some()).filter(|_| !(repeats && value.is_array()));
        let Some((used, base)) = used.and_then(|used| Some((used, used.choice?))) else { return };
        if value.is_null() || name != bare && !(used.is_primitive() && value.is_object()) {
            return;
        }
        if seen.insert(base) {
            let element_has_type = kind
                .uses(base)
                .iter()
                .any(|used| self.model.types.get(used.datatype).is_some_and(|known| known.has("type")));
            let column = at.column(&format!("{base}_{}", if element_has_type { "choice" } else { "type" }));
            self.put(out, column, used.datatype.into());
        }
        if name != bare {
            return;
        }
        let value = match value.as_array().map(Vec::as_slice) {
            Some([only]) if has_list(uses) == Some(false) => only,
            _ => value,
        };
        let said = if used.datatype == "Period" { value.get("start") } else { Some(value) };
        let time =
            said.and_then(text).and_then(moment).filter(|_| used.is_moment() || used.datatype == "Period");
        if let Some(time) = time.filter(|_| kind.choices(base).any(Use::is_moment)) {
            out.entry(at.column(&format!("{base}_at"))).or_insert(date(time));
        }
        let truth = if used.datatype == "boolean" { value.as_bool() } else { Some(true) };
        if let Some(truth) =
            truth.filter(|_| BOOLEANS.contains(&base) && !(kind.has(base) && object.contains_key(base)))
        {
            out.entry(at.column(base)).or_insert(truth.into());
        }
    }

    pub(crate) fn known(&mut self, here: &At<'m>, uses: &'m [Use], value: &Value, out: &mut Object) {
        let has_list = has_list(uses).filter(|_| here.role != Role::Value);
        match (has_list, value) {
            (Some(false), Value::Array(items)) if !items.iter().all(Value::is_null) => match &items[..] {
                [only] if is_scalar(only) || only.is_object() && !uses.iter().all(Use::is_primitive) => {
                    return self.known(&here.item(0), uses, only, out);
                }
                _ => return self.set_aside(&here.address, value),
            },
            (Some(true), Value::Array(_) | Value::Object(_))
                if !many(value).iter().all(|item| values::fits(uses, item)) =>
            {
                return self.set_aside(&here.address, value);
            }
            (Some(true), Value::Array(_) | Value::Object(_)) => {}
            (Some(true), value) if !values::fits(uses, value) => return self.scalar(here, uses, value, out),
            _ => {}
        }
        let is_list = value.is_array() || has_list.unwrap_or_else(|| uses.iter().all(|used| used.many));
        let objects: Vec<&Object> = many(value).iter().filter_map(Value::as_object).collect();
        let kind = self.model.fitting(uses, &objects);
        if value.is_object() && self.strictness > 0 && kind.is_none() {
            self.set_aside(&here.address, value);
        } else if is_list {
            self.list(&At { kind, uses, is_one: !value.is_array(), ..here.clone() }, many(value), out);
        } else if let Some(object) = value.as_object() {
            self.object(&At { kind, uses, ..here.clone() }, object, out);
        } else if uses.iter().any(Use::is_primitive) {
            self.scalar(here, uses, value, out);
        } else {
            self.is_defect = true;
        }
    }

    /// Writes an array: its first item says what it is an array of.
    fn list(&mut self, here: &At<'m>, items: &[Value], out: &mut Object) {
        match items.iter().find(|item| !item.is_null()) {
            None => {}
            Some(Value::Object(_)) => self.objects(here, items, out),
            Some(_) => {
                let cells: Vec<Value> =
                    items.iter().enumerate().map(|(n, item)| self.cell(here, n, item)).collect();
                self.put(out, here.prefix.clone(), cells.into());
                self.moments(here, here.uses, items, out);
            }
        }
    }

    pub(crate) fn scalar(&mut self, here: &At<'m>, uses: &[Use], value: &Value, out: &mut Object) {
        let has_text =
            |used: &Use| self.model.types.get(used.datatype).is_some_and(|known| known.has("text"));
        let written =
            if uses.iter().any(|used| !used.is_primitive() && has_text(used)) { "written" } else { "text" };
        let is_moment = uses.iter().any(Use::is_moment);
        match values::scalar(uses, value) {
            Scalar::Cell(cell, beside) => {
                self.put(out, here.prefix.clone(), cell);
                if let Some(beside) = beside {
                    self.put(out, here.column(written), beside.into());
                }
            }
            Scalar::Wrong(as_written) => self.put(out, here.column(written), as_written.into()),
            Scalar::Large(size, digest) => {
                self.put(out, format!("{}Size", here.prefix), size);
                self.put(out, format!("{}Sha256", here.prefix), digest);
            }
            Scalar::OutOfRange => self.is_defect = true,
        }
        if let Some(time) = text(value).filter(|_| is_moment).and_then(moment) {
            self.put(out, here.column("at"), date(time));
        }
    }

    pub(crate) fn moments(&mut self, here: &At<'m>, uses: &[Use], items: &[Value], out: &mut Object) {
        let first = items.iter().find(|item| !item.is_null());
        if uses.iter().any(Use::is_moment) && first.is_some_and(|first| text(first).is_some()) {
            let times: Vec<_> = items.iter().map(|item| text(item).and_then(moment).map(date)).collect();
            self.put(out, here.column("at"), json!(times));
        }
    }

    /// Returns an item of a list.
    pub(crate) fn cell(&mut self, here: &At<'m>, n: usize, item: &Value) -> Value {
        match item {
            Value::Null => Value::Null,
            Value::Object(object) => {
                let mut record = Object::new();
                self.object(&here.record(n), object, &mut record);
                record.into()
            }
            Value::Array(items) => {
                let inner = here.record(n);
                items.iter().enumerate().map(|(n, item)| self.cell(&inner, n, item)).collect()
            }
            _ if here.uses.is_empty() => values::by_shape(item),
            _ => {
                let cell = values::in_list(values::scalar(here.uses, item), item);
                self.is_defect |= cell.is_none() || !here.uses.iter().any(Use::is_primitive);
                cell.unwrap_or_default()
            }
        }
    }

    /// Writes an element that no release knows.
    pub(crate) fn by_shape(&mut self, here: &At<'m>, value: &Value, out: &mut Object) {
        match value {
            Value::Object(object) => self.object(here, object, out),
            Value::Array(items) => self.list(here, items, out),
            _ => match number(value).map(values::decimal) {
                None => self.put(out, here.prefix.clone(), value.clone()),
                Some(Scalar::Cell(cell, beside)) => {
                    self.put(out, here.prefix.clone(), cell);
                    if let Some(beside) = beside {
                        self.put(out, here.column("text"), beside.into());
                    }
                }
                Some(_) => self.put(out, here.column("text"), number(value).unwrap_or_default().into()),
            },
        }
    }

    /// Writes an array of objects: rules 3 and 4.
    fn objects(&mut self, here: &At<'m>, items: &[Value], out: &mut Object) {
        let kind = here.kind.map_or("", |kind| kind.name);
        let is_backbone = here.kind.is_none_or(|kind| kind.kind == "backbone") || DEFINITIONS.contains(&kind);
        let records = self.records(here, items);
        if is_backbone {
            let has_count = here.kind.is_some_and(|kind| kind.has("count"));
            let column = here.column(if has_count { "items" } else { "count" });
            self.put(out, column, items.len().into());
            self.put(out, here.prefix.clone(), records);
            return;
        }
        let objects: Vec<(usize, &Object)> =
            items.iter().enumerate().filter_map(|(n, item)| Some((n, item.as_object()?))).collect();
        let (n, primary) = objects[here.kind.map_or(0, |kind| primary(kind, &objects))];
        self.object(&here.item(n), primary, out);
        let all: Vec<&Object> = objects.into_iter().map(|(_, item)| item).collect();
        let count = items.iter().filter(|item| !item.is_null()).count();
        self.all_items(here, &all, out);
        let has_field = ["CodeableConcept", "Coding", "Identifier", "Reference"].contains(&kind);
        if !has_field || count > 1 {
            self.put(out, here.prefix.clone(), records);
        }
    }

    fn records(&mut self, here: &At<'m>, items: &[Value]) -> Value {
        items.iter().enumerate().map(|(n, item)| self.cell(here, n, item)).collect()
    }

    /// Writes the one field with all items, and a contact point of each system.
    fn all_items(&mut self, here: &At<'m>, items: &[&Object], out: &mut Object) {
        let mut field = |name: &str, all: Vec<Value>| {
            out.remove(&here.column(name));
            if !all.is_empty() {
                out.insert(here.column(name), all.into());
            }
        };
        match here.kind.map_or("", |kind| kind.name) {
            "CodeableConcept" => {
                let codings = items.iter().filter_map(|item| item.get("coding")).flat_map(many);
                field("codings", pairs(codings.filter_map(Value::as_object), "code"));
            }
            "Coding" => field("codings", pairs(items.iter().copied(), "code")),
            "Identifier" => field("values", pairs(items.iter().copied(), "value")),
            "Reference" => {
                let mut keys: Vec<Value> = Vec::new();
                for key in items.iter().filter_map(|item| self.target(item).key).map(Value::from) {
                    if !keys.contains(&key) {
                        keys.push(key);
                    }
                }
                field("keys", keys);
            }
            "ContactPoint" => {
                for system in CONTACT_SYSTEMS {
                    let of_system = items.iter().filter(|item| text_of(item, "system") == Some(system));
                    let with_value = of_system.filter(|item| text_of(item, "value").is_some());
                    let best =
                        with_value.min_by_key(|item| (text_of(item, "use") == Some("old"), rank(item)));
                    if let Some(value) = best.and_then(|best| best.get("value")) {
                        self.put(out, here.column(system), value.clone());
                    }
                }
            }
            _ => {}
        }
    }

    fn concept(&mut self, at: &At<'m>, object: &Object, out: &mut Object) {
        let codings = object.get("coding").map_or(&[][..], many);
        if codings.iter().any(|coding| is_scalar(coding) || coding.is_array()) {
            self.is_defect = true;
        }
        let mut here = At {
            uses: at.kind.map_or(&[], |kind| kind.uses("coding")),
            ..at.step("coding", self.model.types.get("Coding"))
        };
        let objects: Vec<(usize, &Object)> =
            codings.iter().enumerate().filter_map(|(n, item)| Some((n, item.as_object()?))).collect();
        if objects.is_empty() {
            return;
        }
        here.is_one = !object.get("coding").is_some_and(Value::is_array);
        if objects.len() > 1 {
            let records = self.records(&here, codings);
            self.put(out, here.prefix.clone(), records);
        }
        let (n, first) = objects[primary(&self.model.types["Coding"], &objects)];
        let here = here.item(n);
        for (name, value) in first {
            let bare = name.strip_prefix('_').unwrap_or(name);
            let is_concepts = ["system", "version", "code", "display", "userSelected"].contains(&bare);
            let prefix = if is_concepts { at.prefix.clone() } else { here.prefix.clone() };
            if name == "text" {
                self.set_aside(&here.step(name, None).address, value);
            } else {
                self.member(&At { prefix, ..here.clone() }, name, value, out);
            }
        }
        let all = pairs(objects.iter().map(|(_, coding)| *coding), "code");
        if !all.is_empty() {
            self.put(out, at.column("codings"), all.into());
        }
    }

    /// Writes a reference's key, type and identifier.
    fn reference(&mut self, at: &At<'m>, object: &Object, out: &mut Object) {
        let target = self.target(object);
        if let Some(key) = target.key {
            self.put(out, at.column("key"), key.into());
        }
        if let Some(kind) = target.kind {
            out.entry(at.column("type")).or_insert(kind.into());
        }
        let given = object.get("identifier").and_then(Value::as_object);
        let given =
            given.filter(|given| text_of(given, "value").is_some()).and_then(|given| pair(given, "value"));
        let is_one = !object.get("identifier").is_some_and(Value::is_array);
        if let Some(identifier) = target.identifier.or(given).filter(|_| is_one) {
            self.put(out, at.column("identifier"), identifier.into());
        }
    }

    fn target<'t>(&self, object: &'t Object) -> values::Target<'t>
    where
        'm: 't,
    {
        let Some(reference) = text_of(object, "reference") else { return values::Target::default() };
        let Some(id) = reference.strip_prefix('#') else { return values::target(self.model, reference) };
        if id.is_empty() {
            let kind = self.container.split('/').next();
            return values::Target { kind, key: Some(self.container.to_owned()), identifier: None };
        }
        let found = self.contained.iter().find(|(known, ..)| known.strip_prefix('#').unwrap_or(known) == id);
        found.map_or_else(values::Target::default, |(_, key, kind)| values::Target {
            kind: Some(kind),
            key: Some(key.clone()),
            identifier: None,
        })
    }

    /// Writes `meta.tag` and `meta.security`.
    fn labels(&mut self, here: &At<'m>, value: &Value, out: &mut Object) {
        let kind = self.model.types.get("Coding");
        let here = At { kind, is_one: !value.is_array(), ..here.clone() };
        if many(value).iter().any(is_scalar) {
            self.is_defect = true;
        }
        let labels: Vec<&Object> = many(value).iter().filter_map(Value::as_object).collect();
        let all = pairs(labels.iter().copied(), "code");
        if !all.is_empty() {
            self.put(out, here.prefix.clone(), all.into());
        }
        let is_more = |(name, value): (&String, &Value)| {
            !value.is_null() && (text(value).is_none() || name != "system" && name != "code")
        };
        if labels.iter().any(|label| label.iter().any(is_more)) {
            let records = self.records(&here, many(value));
            self.put(out, here.column("coding"), records);
        }
    }
}

fn pairs<'v>(objects: impl Iterator<Item = &'v Object>, second: &str) -> Vec<Value> {
    objects.filter_map(|object| pair(object, second)).map(Value::from).collect()
}

fn is_plain_name(name: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphabetic();
    name.starts_with(is_letter) && name.len() <= 128 && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Returns whether the column of an element's scalars has a list: the newest release with a scalar says so. Nothing
/// where some release has an array of objects.
pub(crate) fn has_list(uses: &[Use]) -> Option<bool> {
    let newest = uses.iter().find(|used| used.is_primitive())?;
    let has_array_of_objects = uses.iter().any(|used| used.many && !used.is_primitive());
    (!has_array_of_objects).then_some(newest.many)
}

/// Returns whether an unknown element could be mistaken for something else.
pub(crate) fn is_mistakable(model: &Model, at: &At<'_>, name: &str) -> bool {
    let is_codings =
        at.kind.is_some_and(|kind| kind.name == "CodeableConcept") && model.types["Coding"].has(name);
    let is_choice = at.kind.is_some_and(|kind| kind.choices(name).next().is_some());
    is_codings || is_choice || is_like_digits(name) || is_derived(name)
}

/// Returns the rank of a contact point. One without a rank stands behind all others.
fn rank(contact: &Object) -> u32 {
    contact.get("rank").and_then(number).and_then(|rank| rank.parse().ok()).unwrap_or(u32::MAX)
}

/// Returns the number of the primary item.
fn primary(known: &Type, items: &[(usize, &Object)]) -> usize {
    let is_silent = |item: &Object| {
        !item.iter().any(|(name, value)| {
            !["id", "extension", "modifierExtension"].contains(&&**name)
                && known.has(name)
                && !value.is_null()
        })
    };
    let speaks = |at: &usize| !is_silent(items[*at].1);
    let all: Vec<usize> = (0..items.len()).filter(speaks).collect();
    let with_use = |name: &str| all.iter().copied().find(|at| text_of(items[*at].1, "use") == Some(name));
    let without = |names: &[&str]| {
        all.iter().copied().find(|at| text_of(items[*at].1, "use").is_none_or(|used| !names.contains(&used)))
    };
    let found = match known.name {
        "HumanName" => with_use("official")
            .or_else(|| with_use("usual"))
            .or_else(|| without(&["old", "maiden", "nickname"])),
        "Address" => with_use("home").or_else(|| without(&["old"])),
        "Identifier" => with_use("official").or_else(|| with_use("usual")).or_else(|| without(&["old"])),
        "ContactPoint" => all
            .iter()
            .copied()
            .min_by_key(|at| (text_of(items[*at].1, "use") == Some("old"), rank(items[*at].1))),
        "Coding" => {
            all.iter().copied().find(|at| items[*at].1.get("userSelected") == Some(&Value::Bool(true)))
        }
        _ => None,
    };
    found.or(all.first().copied()).unwrap_or(0)
}
