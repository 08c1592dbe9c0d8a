//! Objects: members, arrays and extensions become the cells of the current row.

use crate::defect::{Defect, DefectCode};
use crate::json::{JsonKind, Node};
use crate::model::{TypeId, coding, type_named};
use crate::resource::Resource;
use crate::row::ITEM;
use crate::time::moment;

use super::child_rows::{ChildRows, PendingRows, only_objects};
use super::datatypes::{primary_coding, primary_item, write_pairs, write_telecoms};
use super::extensions::{
    ExtensionFields, extension_type, has_columns, is_usable, moment_value, same_url, scalar_value,
};
use super::naming::{ExtensionNaming, NamingPolicy};
use super::object_kind::ObjectKind;
use super::paths::{Derived, FieldFlags, FieldId, Member, ObjectPathId, ScalarKinds, items_kind};
use super::references::{ReferenceTargets, has_type, write_identifier};
use super::row_state::RowState;
use super::scalar::CellWriter;
use super::settings::Arrays;

/// A row or resource of more bytes would not fit into a `MongoDB` document (16 MiB) with its overhead.
pub(super) const MAX_ROW_BYTES: usize = 12 << 20;

/// Up to this many extensions of an element are compared with each other.
const FEW_EXTENSIONS: usize = 8;

/// Writes the objects of one resource into the current row.
pub(super) struct ObjectWriter<'w, 'a> {
    pub(super) policy: NamingPolicy,
    pub(super) cells: CellWriter<'w, 'a>,
    pub(super) references: ReferenceTargets<'w, 'a>,
    pub(super) row: RowState<'a>,
    pub(super) child_rows: ChildRows<'a>,
}

impl<'w, 'a> ObjectWriter<'w, 'a> {
    /// Writes an object into the row or item.
    pub(super) fn object(&mut self, path: ObjectPathId, object: Node<'a>) -> Result<(), Defect> {
        match self.cells.paths.kind(path) {
            ObjectKind::Concept => self.concept(path, object, object),
            ObjectKind::Reference => self.reference(path, object),
            _ => self.members(path, object),
        }
    }

    /// Writes whether the row or item has a modifier extension, and restores the state of the one around it.
    pub(super) fn end_modifier(&mut self, outer: bool) {
        if self.row.has_modifier {
            let column = self.cells.paths.column_named("_modifier");
            self.cells.rows.boolean(column, true);
        }
        self.row.has_modifier = outer;
    }

    /// Fails if the row is too large already, before all of it is written.
    pub(super) fn check_size(&self) -> Result<(), Defect> {
        if self.cells.rows.bytes() - self.row.start > MAX_ROW_BYTES {
            return Err(Defect::whole(DefectCode::TooLarge));
        }
        Ok(())
    }

    fn members(&mut self, path: ObjectPathId, object: Node<'a>) -> Result<(), Defect> {
        let (mut expected_index, filled_choices) = (0, self.row.filled_choices.len());
        let outer = self.row.object.replace(object);
        for (key, value) in object.members() {
            let member = self.cells.paths.member(path, key, &mut expected_index);
            self.cells.check_names(value)?;
            if self.policy != NamingPolicy::Full && self.is_left_out(member, value) {
                self.row.has_modifier |= member == Member::ModifierExtensions && has_objects(value);
                self.row.unknown.push(value);
                continue;
            }
            self.row.needs_duplicate_check |= !member.is_element();
            self.member(path, member, key, value)?;
        }
        self.row.object = outer;
        self.row.filled_choices.truncate(filled_choices);
        Ok(())
    }

    fn member(
        &mut self,
        path: ObjectPathId,
        member: Member,
        key: Node<'a>,
        value: Node<'a>,
    ) -> Result<(), Defect> {
        match member {
            Member::Element(field) => self.element(field, value),
            Member::Codings(field) => self.codings(path, field, value),
            Member::Labels(field) => self.labels(field, value),
            Member::Target(field) => {
                self.element(field, value)?;
                self.references.write_target(&mut self.cells, path, value);
                Ok(())
            }
            Member::Companion(field) if has_scalars(value) && !self.is_companion(field, key) => {
                self.row.unknown.push(value);
                Ok(())
            }
            Member::Companion(field) => self.companion(field, value),
            Member::Extensions => self.extensions(path, value, ExtensionNaming::Plain),
            Member::ModifierExtensions => {
                self.row.has_modifier |= has_objects(value);
                self.extensions(path, value, ExtensionNaming::Modifier)
            }
            Member::Contained => self.contained(value),
            Member::Skipped => Ok(()),
            Member::Unknown => {
                self.row.unknown.push(value);
                Ok(())
            }
        }
    }

    /// Returns whether a name with an underscore can only be a primitive's companion. Databases and programs have
    /// fields of their own: `_id`, `_class`.
    fn is_companion(&self, field: FieldId, key: Node<'_>) -> bool {
        self.cells.paths.flags(field).is_modelled() && !key.is("_id")
    }

    /// Returns whether the [`NamingPolicy`] gives a member no column.
    fn is_left_out(&self, member: Member, value: Node<'_>) -> bool {
        match member {
            Member::Companion(field) => {
                self.policy == NamingPolicy::ElementsOnly || !self.cells.paths.is_known(field, false)
            }
            Member::Extensions | Member::ModifierExtensions => self.policy == NamingPolicy::ElementsOnly,
            Member::Contained | Member::Skipped | Member::Unknown => false,
            Member::Element(field)
            | Member::Codings(field)
            | Member::Target(field)
            | Member::Labels(field) => !self.cells.paths.is_known(field, value.kind() == JsonKind::Object),
        }
    }

    /// Keeps contained resources until the row is complete.
    fn contained(&mut self, value: Node<'a>) -> Result<(), Defect> {
        match value.kind() {
            JsonKind::Array | JsonKind::Object => {
                self.child_rows.pending.extend(value.one_or_more().map(PendingRows::Contained));
                Ok(())
            }
            JsonKind::Null => Ok(()),
            _ => Err(self.cells.defect(DefectCode::ObjectExpected, value)),
        }
    }

    /// Writes the value of an element, and which choice it is.
    fn element(&mut self, field: FieldId, value: Node<'a>) -> Result<(), Defect> {
        let flags = self.cells.paths.flags(field);
        let value = if flags.is_one_scalar() { only_item(flags, value) } else { value };
        match value.kind() {
            JsonKind::Null => return Ok(()),
            JsonKind::Array | JsonKind::Object if does_not_fit(flags, value) => {
                self.cells.findings.values += count_of_others(flags, value);
                self.row.unknown.push(value);
            }
            JsonKind::Array => self.array(field, value)?,
            JsonKind::Object if flags.is_array() && !flags.is_resource() => self.objects(field, value)?,
            JsonKind::Object => self.single_object(field, value)?,
            JsonKind::String if flags.is_text() => self.cells.rows.text_of(flags.column, value),
            JsonKind::String | JsonKind::Number | JsonKind::True | JsonKind::False => {
                self.lone_scalar(field, value)?
            }
        }
        self.note_value(flags);
        if flags.is_choice() {
            self.choice(field, value);
        }
        Ok(())
    }

    /// Writes a scalar that stands alone: as the only item of a list whose items are like it, else as a single value.
    fn lone_scalar(&mut self, field: FieldId, value: Node<'a>) -> Result<(), Defect> {
        let flags = self.cells.paths.flags(field);
        let is_of_another_type = flags.is_scalar_list() && !flags.scalars.accepts_item(value);
        if is_of_another_type {
            self.cells.scalar(field, value)
        } else if flags.is_array() && !flags.only_objects() {
            self.scalars(field, value)
        } else if flags.only_objects() || flags.is_resource() {
            Err(self.cells.defect(DefectCode::ObjectExpected, value))
        } else {
            self.cells.scalar(field, value)
        }
    }

    /// Notes that a member has a value, or a companion in place of it.
    fn note_value(&mut self, flags: FieldFlags) {
        self.row.mandatory_seen |= flags.mandatory_bits;
        self.row.needs_duplicate_check |= !flags.is_modelled();
    }

    /// Writes what all members of a choice say: which one there is, its moment, and whether it holds. Of two members of
    /// one choice, which FHIR does not have, the first is written.
    fn choice(&mut self, field: FieldId, value: Node<'a>) {
        let Some(choice) = self.cells.paths.choice(field) else { return };
        if choice.only_single && value.kind() == JsonKind::Array {
            return;
        }
        if self.row.fill_choice(choice.type_column) {
            self.cells.rows.text(choice.type_column, choice.datatype);
        }
        let text = if value.kind() == JsonKind::Object { value.get_text("start") } else { value.text() };
        if let Some((at, moment)) = choice.at.zip(text.and_then(|text| moment(&text)))
            && self.row.fill_choice(at)
        {
            self.cells.rows.instant(at, moment.milliseconds());
        }
        // A boolean of the wrong type, such as the text "false", says nothing.
        let holds = if choice.datatype == "boolean" { value.boolean() } else { Some(true) };
        let has_element = |base: &str| self.row.object.is_some_and(|object| object.get(base).is_some());
        if let Some((holds, yes_or_no)) = holds.zip(choice.yes_or_no)
            && !(yes_or_no.is_base_an_element && has_element(yes_or_no.base))
            && self.row.fill_choice(yes_or_no.column)
        {
            self.cells.rows.boolean(yes_or_no.column, holds);
        }
    }

    fn single_object(&mut self, field: FieldId, object: Node<'a>) -> Result<(), Defect> {
        if self.cells.paths.flags(field).is_resource() {
            return self.inner_resource(field, object);
        }
        let type_id = self.cells.paths.type_of(field, Node::once(object));
        let path = self.cells.paths.in_place(field, type_id);
        self.object(path, object)
    }

    /// Writes a resource inside another that is not `contained`. An entry's or a parameter's is a record of its own, so
    /// that only its key is written; the outcome of a response, and whatever a contained Bundle holds, is flattened in
    /// place.
    fn inner_resource(&mut self, field: FieldId, object: Node<'a>) -> Result<(), Defect> {
        let resource = Resource::read(object).map_err(|defect| self.cells.defect(defect.code, object))?;
        if self.cells.paths.name(field).ends_with("resource") && !self.row.is_contained {
            // The key of a Bundle without an id is made of it without its entries, as they were read one by one.
            if resource.id().is_some()
                || resource.resource_type() != "Bundle"
                || object.get("entry").is_none()
            {
                let key = resource.key(None, None);
                self.cells.rows.text(self.cells.paths.derived_column(field, Derived::Key), &key);
            }
            return Ok(());
        }
        // What calls itself a resource may be of any type that FHIR has.
        self.row.needs_duplicate_check = true;
        let path = self.cells.paths.in_place(field, type_named(resource.resource_type()));
        self.object(path, object)
    }

    /// Writes a `CodeableConcept`: the columns of its primary coding, and the codings of `all` concepts to search by.
    fn concept(&mut self, path: ObjectPathId, concept: Node<'a>, all: Node<'a>) -> Result<(), Defect> {
        self.members(path, concept)?;
        let every = all.as_items().filter_map(|concept| concept.get("coding")).flat_map(Node::as_items);
        let column = self.cells.paths.object_column(path, Derived::Codings);
        write_pairs(self.cells.rows, column, every, "code");
        let codings = concept.get("coding").filter(|codings| self.has_coding_array(*codings));
        let Some(codings) = codings else { return Ok(()) };
        match self.cells.paths.element(path, "coding") {
            Some(field) => self.items(field, coding(), codings),
            None => Ok(()),
        }
    }

    /// Writes the codings of a concept: the primary one gives its columns to the concept.
    fn codings(&mut self, concept: ObjectPathId, field: FieldId, codings: Node<'a>) -> Result<(), Defect> {
        let Some(primary) = primary_coding(codings) else {
            return match codings.as_items().find(|item| !item.is_null()) {
                Some(scalar) => Err(self.cells.defect(DefectCode::ObjectExpected, scalar)),
                None => Ok(()),
            };
        };
        let path = self.cells.paths.elided_coding(field, concept);
        let (has_more, findings) = (self.has_coding_array(codings), self.cells.findings);
        let suppress = self.has_child_tables();
        self.suppressing_child_rows(suppress, |writer| writer.members(path, primary))?;
        if has_more {
            // Findings are counted once, in the list of all items.
            self.cells.findings = findings;
        }
        Ok(())
    }

    /// Returns whether the codings of a concept are written whole beside its columns: several in an array, and all in
    /// child tables.
    fn has_coding_array(&self, codings: Node<'_>) -> bool {
        let mut all = codings.as_items().filter(|item| !item.is_null());
        all.nth(usize::from(!self.has_child_tables())).is_some()
    }

    /// Writes a `Reference`: its members, and the key and type of its target.
    fn reference(&mut self, path: ObjectPathId, reference: Node<'a>) -> Result<(), Defect> {
        let outer = std::mem::replace(&mut self.references.has_type, has_type(reference));
        let outcome = self.members(path, reference);
        self.references.has_type = outer;
        outcome?;
        write_identifier(&mut self.cells, path, reference);
        Ok(())
    }

    /// Writes tags or security labels as `system|code`, and whole where they have other members.
    fn labels(&mut self, field: FieldId, labels: Node<'a>) -> Result<(), Defect> {
        let is_object = |label: &Node<'_>| matches!(label.kind(), JsonKind::Object | JsonKind::Null);
        if let Some(wrong) = labels.as_items().find(|label| !is_object(label)) {
            return Err(self.cells.defect(DefectCode::ObjectExpected, wrong));
        }
        write_pairs(self.cells.rows, self.cells.paths.column(field), labels.as_items(), "code");
        let is_in_pair = |name: Node<'_>, value: Node<'_>| {
            value.is_null() || value.kind() == JsonKind::String && (name.is("system") || name.is("code"))
        };
        let has_more = |label: Node<'_>| !label.members().all(|(name, value)| is_in_pair(name, value));
        if !self.has_child_tables() && !labels.as_items().any(has_more) {
            return Ok(());
        }
        let whole = self.cells.paths.whole_labels(field);
        self.items(whole, coding(), labels)
    }

    fn array(&mut self, field: FieldId, array: Node<'a>) -> Result<(), Defect> {
        match items_kind(array) {
            None => Ok(()),
            Some(JsonKind::Object) => self.objects(field, array),
            Some(JsonKind::Array) => self.items(field, None, array),
            Some(_) if self.cells.paths.flags(field).only_objects() => {
                Err(self.cells.defect(DefectCode::ObjectExpected, array))
            }
            Some(_) => self.scalars(field, array),
        }
    }

    /// Writes an array of scalars: a list, and the list of their moments.
    fn scalars(&mut self, field: FieldId, array: Node<'a>) -> Result<(), Defect> {
        let FieldFlags { column, scalars, .. } = self.cells.paths.flags(field);
        let list = self.cells.rows.open_list(column);
        for item in array.as_items() {
            self.list_item(field, item)?;
        }
        self.cells.rows.close(list);
        if scalars.has(ScalarKinds::MOMENT) && items_kind(array) == Some(JsonKind::String) {
            self.cells.moments(field, array);
        }
        Ok(())
    }

    fn objects(&mut self, field: FieldId, array: Node<'a>) -> Result<(), Defect> {
        let objects = array.as_items().filter(|item| item.kind() == JsonKind::Object);
        let type_id = self.cells.paths.type_of(field, objects);
        if !self.cells.paths.has_primary(field, type_id) {
            let count = i32::try_from(array.as_items().count()).unwrap_or(i32::MAX);
            self.cells.rows.integer(self.cells.paths.derived_column(field, Derived::Count), count);
            return self.items(field, type_id, array);
        }
        let path = self.cells.paths.in_place(field, type_id);
        // Where a list has the codes, values or keys of all items, one item needs no array of its own.
        let has_array = self.has_child_tables()
            || !self.cells.paths.kind(path).is_listed()
            || array.as_items().filter(|item| !item.is_null()).nth(1).is_some();
        let findings = self.cells.findings;
        self.suppressing_child_rows(has_array, |writer| writer.primary(field, path, type_id, array))?;
        if !has_array {
            return Ok(());
        }
        // Findings of the primary item are counted in the list of all items.
        self.cells.findings = findings;
        self.items(field, type_id, array)
    }

    /// Writes the item that represents an array, and what is gathered from all items.
    fn primary(
        &mut self,
        field: FieldId,
        path: ObjectPathId,
        type_id: Option<TypeId>,
        array: Node<'a>,
    ) -> Result<(), Defect> {
        let kind = self.cells.paths.kind(path);
        let Some(primary) = primary_item(kind, type_id, array) else { return Ok(()) };
        if kind == ObjectKind::Concept {
            return self.concept(path, primary, array);
        }
        self.object(path, primary)?;
        let CellWriter { paths, rows, .. } = &mut self.cells;
        match kind {
            ObjectKind::Coding => {
                let codings = paths.object_column(path, Derived::Codings);
                write_pairs(rows, codings, array.as_items(), "code");
            }
            ObjectKind::Identifier => {
                let values = paths.derived_column(field, Derived::Values);
                write_pairs(rows, values, array.as_items(), "value");
            }
            ObjectKind::Reference => {
                let keys = paths.derived_column(field, Derived::Keys);
                self.references.write_keys(&mut self.cells, keys, array);
            }
            ObjectKind::ContactPoint => write_telecoms(rows, paths.telecom_columns(field), array),
            _ => {}
        }
        Ok(())
    }

    /// Runs `write` for an object that represents an array whose items may become rows of their own.
    fn suppressing_child_rows(
        &mut self,
        suppress: bool,
        write: impl FnOnce(&mut Self) -> Result<(), Defect>,
    ) -> Result<(), Defect> {
        let outer = self.child_rows.is_suppressed;
        self.child_rows.is_suppressed |= suppress;
        let outcome = write(self);
        self.child_rows.is_suppressed = outer;
        outcome
    }

    /// Writes the items of an array into a list of the row, or keeps them for a child table.
    fn items(&mut self, field: FieldId, type_id: Option<TypeId>, array: Node<'a>) -> Result<(), Defect> {
        if self.has_child_tables()
            && only_objects(array)
            && self.add_child_rows(field, type_id, array.as_items())
        {
            return Ok(());
        }
        let list = self.cells.rows.open_list(self.cells.paths.column(field));
        for item in array.as_items() {
            self.item(field, type_id, item)?;
        }
        self.cells.rows.close(list);
        Ok(())
    }

    fn item(&mut self, field: FieldId, type_id: Option<TypeId>, item: Node<'a>) -> Result<(), Defect> {
        match item.kind() {
            JsonKind::Object => {
                let type_id = type_id.or_else(|| self.cells.paths.type_of(field, Node::once(item)));
                let path = self.cells.paths.item(field, type_id);
                self.record(path, item)
            }
            JsonKind::Null => {
                self.cells.rows.null(ITEM);
                Ok(())
            }
            JsonKind::Array => {
                let list = self.cells.rows.open_list(ITEM);
                for inner in item.items() {
                    self.item(field, None, inner)?;
                }
                self.cells.rows.close(list);
                Ok(())
            }
            _ if self.cells.paths.flags(field).only_objects() => {
                Err(self.cells.defect(DefectCode::ObjectExpected, item))
            }
            _ => self.list_item(field, item),
        }
    }

    /// Returns whether items become rows of child tables here. An item of a list has its lists inside.
    const fn has_child_tables(&self) -> bool {
        matches!(self.cells.settings.arrays, Arrays::Tables) && self.row.list_depth == 0
    }

    fn add_child_rows(
        &mut self,
        field: FieldId,
        type_id: Option<TypeId>,
        objects: impl Iterator<Item = Node<'a>>,
    ) -> bool {
        let contained = &mut self.references.contained;
        self.child_rows.add_items((field, type_id), objects, &self.cells.paths, contained)
    }

    /// Writes a sub-document in a list. Its choices and modifier extensions are its own.
    fn record(&mut self, path: ObjectPathId, object: Node<'a>) -> Result<(), Defect> {
        let record = self.cells.rows.open_record(ITEM);
        let has_modifier = std::mem::take(&mut self.row.has_modifier);
        let filled_choices = std::mem::take(&mut self.row.filled_choices);
        self.row.list_depth += 1;
        self.object(path, object)?;
        self.row.list_depth -= 1;
        self.row.filled_choices = filled_choices;
        self.end_modifier(has_modifier);
        self.cells.rows.close(record);
        Ok(())
    }

    /// Writes a value as an item of a list of scalars.
    fn list_item(&mut self, field: FieldId, value: Node<'a>) -> Result<(), Defect> {
        match value.kind() {
            JsonKind::Array => {
                let list = self.cells.rows.open_list(ITEM);
                for item in value.items() {
                    self.list_item(field, item)?;
                }
                self.cells.rows.close(list);
                Ok(())
            }
            JsonKind::Object => {
                let type_id = self.cells.paths.type_of(field, Node::once(value));
                let path = self.cells.paths.item(field, type_id);
                self.record(path, value)
            }
            _ => self.cells.list_item(field, value),
        }
    }

    /// Writes the companion of a primitive (`_birthDate`): its id and extensions.
    fn companion(&mut self, field: FieldId, value: Node<'a>) -> Result<(), Defect> {
        let path = self.cells.paths.companion(field);
        let flags = self.cells.paths.flags(field);
        match value.kind() {
            // One where every release has an array is read as an array of one.
            JsonKind::Object if flags.is_array() => self.companions(path, value)?,
            JsonKind::Object => self.members(path, value)?,
            JsonKind::Array => return self.companions(path, value),
            JsonKind::Null => return Ok(()),
            _ => return Err(self.cells.defect(DefectCode::ObjectExpected, value)),
        }
        self.note_value(flags);
        // The companion takes the place of an absent value.
        if let Some(choice) = self.cells.paths.choice(field).filter(|_| flags.is_choice())
            && self.row.fill_choice(choice.type_column)
        {
            self.cells.rows.text(choice.type_column, choice.datatype);
        }
        Ok(())
    }

    /// Writes the companions of an array of primitives: a list for each column, with a place for every item.
    fn companions(&mut self, path: ObjectPathId, array: Node<'a>) -> Result<(), Defect> {
        self.check_companions(array)?;
        self.companion_ids(path, array)?;
        let all = array.as_items().filter_map(|item| item.get("extension")).flat_map(Node::one_or_more);
        for (field, group) in self.extension_fields(path, ExtensionNaming::Plain).groups(all)? {
            self.check_size()?;
            let list = self.cells.rows.open_list(self.cells.paths.column(field));
            let mut remaining = group.as_slice();
            for item in array.as_items() {
                // Both are in the order of the file.
                let is_here = |extension: &&Node<'_>| extension.span().start < item.span().end;
                let count = remaining.iter().take_while(is_here).count();
                let (here, later) = remaining.split_at_checked(count).unwrap_or((remaining, &[]));
                remaining = later;
                self.companion_extensions(field, here)?;
            }
            self.cells.rows.close(list);
        }
        self.other_companion_members(array);
        Ok(())
    }

    fn check_companions(&self, array: Node<'a>) -> Result<(), Defect> {
        let is_wrong_item = |item: &Node<'_>| !matches!(item.kind(), JsonKind::Object | JsonKind::Null);
        // An `extension` that is not a list of objects is a defect here as on a single primitive.
        let is_wrong_list =
            |list: &Node<'_>| !matches!(list.kind(), JsonKind::Array | JsonKind::Object | JsonKind::Null);
        let wrong = array.as_items().find(is_wrong_item);
        let mut lists = array.as_items().filter_map(|item| item.get("extension"));
        match wrong.or_else(|| lists.find(is_wrong_list)) {
            Some(wrong) => Err(self.cells.defect(DefectCode::ObjectExpected, wrong)),
            None => Ok(()),
        }
    }

    fn companion_ids(&mut self, path: ObjectPathId, array: Node<'a>) -> Result<(), Defect> {
        if !array.as_items().any(|item| item.get("id").is_some()) {
            return Ok(());
        }
        let Some(field) = self.cells.paths.element(path, "id") else { return Ok(()) };
        let list = self.cells.rows.open_list(self.cells.paths.column(field));
        for item in array.as_items() {
            match item.get("id") {
                Some(id) => self.list_item(field, id)?,
                None => self.cells.rows.null(ITEM),
            }
        }
        self.cells.rows.close(list);
        Ok(())
    }

    /// Writes the extensions of one URL at one primitive of an array.
    fn companion_extensions(&mut self, field: FieldId, extensions: &[Node<'a>]) -> Result<(), Defect> {
        match extensions {
            [] => self.cells.rows.null(ITEM),
            [only] => self.extension_item(field, *only)?,
            several => {
                let list = self.cells.rows.open_list(ITEM);
                for extension in several {
                    self.extension_item(field, *extension)?;
                }
                self.cells.rows.close(list);
            }
        }
        Ok(())
    }

    /// Keeps the members of companions that are neither an id nor an extension.
    fn other_companion_members(&mut self, array: Node<'a>) {
        for item in array.as_items() {
            for (key, value) in item.members().filter(|(key, _)| !key.is("id") && !key.is("extension")) {
                self.row.has_modifier |= key.is("modifierExtension") && has_objects(value);
                self.row.unknown.push(value);
            }
        }
    }

    /// Writes the extensions of an element, those of one URL together, in the order in which the URLs come.
    fn extensions(
        &mut self,
        path: ObjectPathId,
        array: Node<'a>,
        naming: ExtensionNaming,
    ) -> Result<(), Defect> {
        match array.kind() {
            JsonKind::Array | JsonKind::Object => {}
            JsonKind::Null => return Ok(()),
            _ => return Err(self.cells.defect(DefectCode::ObjectExpected, array)),
        }
        let all = array.one_or_more();
        let mut fields = self.extension_fields(path, naming);
        if all.clone().nth(FEW_EXTENSIONS).is_some() {
            for (field, group) in fields.groups(all)? {
                self.extensions_of_url(field, &group.iter().copied())?;
            }
            return Ok(());
        }
        let policy = self.policy;
        let usable = all.clone().filter(move |extension| is_usable(*extension, policy));
        for (index, extension) in all.clone().enumerate() {
            let mut fields = self.extension_fields(path, naming);
            let Some(url) = fields.url(extension)? else { continue };
            let mut earlier = all.clone().take(index).filter(|extension| is_usable(*extension, policy));
            if earlier.any(|earlier| same_url(earlier, extension)) {
                continue;
            }
            let others = usable.clone().filter(|other| !same_url(*other, extension));
            let field = fields.field(&url, others);
            self.cells.check_names(extension)?;
            self.extensions_of_url(field, &usable.clone().filter(|other| same_url(*other, extension)))?;
        }
        Ok(())
    }

    /// Returns what finds the fields of the extensions of an object.
    const fn extension_fields(
        &mut self,
        path: ObjectPathId,
        naming: ExtensionNaming,
    ) -> ExtensionFields<'_, 'w, 'a> {
        let (cells, unknown) = (&mut self.cells, &mut self.row.unknown);
        ExtensionFields { cells, unknown, policy: self.policy, path, naming }
    }

    fn extensions_of_url(
        &mut self,
        field: FieldId,
        group: &(impl Iterator<Item = Node<'a>> + Clone),
    ) -> Result<(), Defect> {
        let mut extensions = group.clone();
        match (extensions.next(), extensions.next()) {
            (Some(only), None) => self.single_extension(field, only),
            (Some(first), Some(_)) => self.repeated_extension(field, group, first),
            (None, _) => Ok(()),
        }
    }

    fn single_extension(&mut self, field: FieldId, extension: Node<'a>) -> Result<(), Defect> {
        let path = self.cells.paths.in_place(field, extension_type());
        if extension.members().all(|(key, _)| key.is("url")) {
            self.cells.rows.null(self.cells.paths.column(field));
            return Ok(());
        }
        self.members(path, extension)
    }

    /// Writes several extensions with one URL: scalars as a list; anything else as a primary item and a list of items,
    /// or rows of a child table.
    fn repeated_extension(
        &mut self,
        field: FieldId,
        group: &(impl Iterator<Item = Node<'a>> + Clone),
        first: Node<'a>,
    ) -> Result<(), Defect> {
        if has_columns(first) {
            let findings = self.cells.findings;
            let outcome = self.suppressing_child_rows(true, |writer| writer.single_extension(field, first));
            // Findings are counted once, among all items.
            self.cells.findings = findings;
            outcome?;
        }
        if self.has_child_tables()
            && !group.clone().all(|extension| scalar_value(extension).is_some())
            && self.add_child_rows(field, extension_type(), group.clone())
        {
            return Ok(());
        }
        let list = self.cells.rows.open_list(self.cells.paths.column(field));
        for extension in group.clone() {
            self.extension_item(field, extension)?;
        }
        self.cells.rows.close(list);
        self.extension_moments(field, group.clone());
        Ok(())
    }

    /// Writes the moments of extensions whose values are dates.
    fn extension_moments(&mut self, field: FieldId, group: impl Iterator<Item = Node<'a>> + Clone) {
        if !group.clone().all(|extension| moment_value(extension).is_some()) {
            return;
        }
        let list = self.cells.rows.open_list(self.cells.paths.derived_column(field, Derived::At));
        for value in group.filter_map(moment_value) {
            match value.text().and_then(|text| moment(&text)) {
                Some(moment) => self.cells.rows.instant(ITEM, moment.milliseconds()),
                None => self.cells.rows.null(ITEM),
            }
        }
        self.cells.rows.close(list);
    }

    /// Writes an extension as an item of a list: its scalar value, or a record.
    fn extension_item(&mut self, field: FieldId, extension: Node<'a>) -> Result<(), Defect> {
        let path = self.cells.paths.item(field, extension_type());
        if let Some((key, value)) = scalar_value(extension)
            && let Some(name) = key.text()
            && let Some(value_field) = self.cells.paths.element(path, &name)
        {
            self.cells.check_date(value_field, value);
            return self.list_item(value_field, value);
        }
        self.record(path, extension)
    }
}

/// Returns the item of an array of one, where the column has one value.
fn only_item(flags: FieldFlags, value: Node<'_>) -> Node<'_> {
    if value.kind() != JsonKind::Array {
        return value;
    }
    let mut items = value.as_items();
    match (items.next(), items.next()) {
        (Some(only), None) => match only.kind() {
            JsonKind::Null | JsonKind::Array => value,
            JsonKind::Object if !flags.has_objects() => value,
            _ => only,
        },
        _ => value,
    }
}

/// Returns whether an array or object cannot stand in the column of an element's scalars. An object beside one scalar
/// has columns of its own.
fn does_not_fit(flags: FieldFlags, value: Node<'_>) -> bool {
    let has_values = items_kind(value).is_some();
    let is_list_of_others =
        flags.is_scalar_list() && !value.as_items().all(|item| flags.scalars.accepts_item(item));
    has_values && (flags.is_one_scalar() && value.kind() == JsonKind::Array || is_list_of_others)
}

/// Returns how many of a list's items are of another type; an array where one value belongs counts once.
fn count_of_others(flags: FieldFlags, value: Node<'_>) -> u64 {
    if flags.is_one_scalar() {
        return 1;
    }
    value.one_or_more().map(|item| u64::from(!flags.scalars.accepts_item(item))).sum()
}

/// Returns whether an array, or a single value, has an object.
fn has_objects(value: Node<'_>) -> bool {
    value.as_items().any(|item| item.kind() == JsonKind::Object)
}

/// Returns whether a value is a scalar, or has one among its items.
fn has_scalars(value: Node<'_>) -> bool {
    let is_scalar = |kind| !matches!(kind, JsonKind::Object | JsonKind::Array | JsonKind::Null);
    is_scalar(value.kind()) || value.items().any(|item| is_scalar(item.kind()))
}
