//! Extensions: columns from the ends of URLs, at the element that carries them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::defect::{Defect, DefectCode};
use crate::json::{Kind, Node};
use crate::model::extensions::without_version;
use crate::row::{ColumnId, ITEM};
use crate::time::moment;

use super::element::has_objects;
use super::name::Standing;
use super::place::{Derived, MOST_NAMES, PlaceId, SpotId};
use super::walk::{NamingPolicy, Walk};

/// So many extensions of an element are compared with each other.
const FEW: usize = 8;

impl<'a> Walk<'_, 'a> {
    /// The extensions of an element, those of one URL together, in the order in which the URLs come.
    pub(super) fn extensions(
        &mut self,
        place: PlaceId,
        array: Node<'a>,
        standing: Standing,
    ) -> Result<(), Defect> {
        match array.kind() {
            Kind::Array | Kind::Object => {}
            Kind::Null => return Ok(()),
            _ => return Err(self.defect(DefectCode::ObjectExpected, array)),
        }
        let all = array.one_or_more();
        if all.clone().nth(FEW).is_some() {
            for (spot, group) in self.groups(place, all, standing)? {
                self.group(spot, &group.iter().copied())?;
            }
            return Ok(());
        }
        let every = usable(all.clone(), self.policy);
        for (index, extension) in all.clone().enumerate() {
            let Some(url) = self.url_of(place, extension)? else { continue };
            if usable(all.clone().take(index), self.policy).any(|earlier| same_url(earlier, extension)) {
                continue;
            }
            let spot = self.extension_spot(place, every.clone(), extension, &url, standing);
            self.check_names(extension)?;
            self.group(spot, &every.clone().filter(|other| same_url(*other, extension)))?;
        }
        Ok(())
    }

    /// The id and the extensions that stand on a primitive, from the member with an underscore.
    pub(super) fn sibling(&mut self, spot: SpotId, value: Node<'a>) -> Result<(), Defect> {
        let place = self.places.sibling(spot, self.names);
        match value.kind() {
            // One where every release has an array is read as an array of one.
            Kind::Object if self.places.field_flags(spot).is_many() => self.siblings(place, value),
            Kind::Object => self.members(place, value),
            Kind::Array => self.siblings(place, value),
            Kind::Null => Ok(()),
            _ => Err(self.defect(DefectCode::ObjectExpected, value)),
        }
    }

    /// What stands on the items of a primitive array: a list for each column, every item in its place.
    fn siblings(&mut self, place: PlaceId, array: Node<'a>) -> Result<(), Defect> {
        if let Some(wrong) = array.as_items().find(|item| !matches!(item.kind(), Kind::Object | Kind::Null)) {
            return Err(self.defect(DefectCode::ObjectExpected, wrong));
        }
        // What is no list of extensions is a defect here as on a single primitive.
        let no_list = |list: &Node<'_>| !matches!(list.kind(), Kind::Array | Kind::Object | Kind::Null);
        if let Some(wrong) = array.as_items().filter_map(|item| item.get("extension")).find(no_list) {
            return Err(self.defect(DefectCode::ObjectExpected, wrong));
        }
        self.sibling_ids(place, array)?;
        let of_items = array.as_items().filter_map(|item| item.get("extension")).flat_map(Node::one_or_more);
        for (spot, group) in self.groups(place, of_items, Standing::Plain)? {
            self.check_size()?;
            let list = self.rows.open_list(self.places.plain(spot));
            let mut rest = group.as_slice();
            for item in array.as_items() {
                // Both are in the order of the file.
                let here =
                    rest.iter().take_while(|extension| extension.span().start < item.span().end).count();
                let (here, later) = rest.split_at_checked(here).unwrap_or((rest, &[]));
                rest = later;
                match here {
                    [] => self.rows.null(ITEM),
                    [only] => self.extension_item(spot, *only)?,
                    _ => {
                        let several = self.rows.open_list(ITEM);
                        for one in here {
                            self.extension_item(spot, *one)?;
                        }
                        self.rows.close(several);
                    }
                }
            }
            self.rows.close(list);
        }
        self.sibling_rest(array);
        Ok(())
    }

    /// The extensions by URL, each with its spot. This is for arrays of any length: what looks through all of them for
    /// each of them is for few.
    fn groups(
        &mut self,
        place: PlaceId,
        all: impl Iterator<Item = Node<'a>>,
        standing: Standing,
    ) -> Result<Vec<(SpotId, Vec<Node<'a>>)>, Defect> {
        let mut by_url: BTreeMap<String, usize> = BTreeMap::new();
        let mut urls: Vec<(Cow<'a, str>, Vec<Node<'a>>)> = Vec::new();
        for extension in all {
            let Some(url) = self.url_of(place, extension)? else { continue };
            let at = *by_url.entry(without_version(&url).to_owned()).or_insert(urls.len());
            if let Some((_, group)) = urls.get_mut(at) {
                group.push(extension);
            } else if urls.len() >= MOST_NAMES {
                return Err(self.defect(DefectCode::TooManyNames, extension));
            } else {
                urls.push((url, vec![extension]));
            }
        }
        let mut sharing: BTreeMap<ColumnId, usize> = BTreeMap::new();
        for (url, group) in &urls {
            let spot = self.places.extension(place, url, standing, self.settings, self.names);
            group.first().map_or(Ok(()), |first| self.check_names(*first))?;
            *sharing.entry(self.places.plain(spot)).or_default() += 1;
        }
        let groups = urls.into_iter().map(|(url, group)| {
            let spot = self.places.extension(place, &url, standing, self.settings, self.names);
            let is_clash = sharing.get(&self.places.plain(spot)).is_some_and(|count| *count > 1);
            let standing = if is_clash { standing.clashing() } else { standing };
            (self.places.extension(place, &url, standing, self.settings, self.names), group)
        });
        Ok(groups.collect())
    }

    fn sibling_ids(&mut self, place: PlaceId, array: Node<'a>) -> Result<(), Defect> {
        if !array.as_items().any(|item| item.get("id").is_some()) {
            return Ok(());
        }
        let Some(spot) = self.places.element(place, "id", self.settings, self.names) else { return Ok(()) };
        let list = self.rows.open_list(self.places.plain(spot));
        for item in array.as_items() {
            match item.get("id") {
                Some(id) => self.list_item(spot, id)?,
                None => self.rows.null(ITEM),
            }
        }
        self.rows.close(list);
        Ok(())
    }

    /// Members of an item that are neither an id nor an extension.
    fn sibling_rest(&mut self, array: Node<'a>) {
        for item in array.as_items() {
            for (key, value) in item.members().filter(|(key, _)| !key.is("id") && !key.is("extension")) {
                self.modifier |= key.is("modifierExtension") && has_objects(value);
                self.unknown(value);
            }
        }
    }

    /// One extension that is alone with its URL.
    fn extension(&mut self, spot: SpotId, extension: Node<'a>) -> Result<(), Defect> {
        let place = self.places.in_place(spot, extension_type(), self.names);
        if extension.members().all(|(key, _)| key.is("url")) {
            self.rows.null(self.places.plain(spot));
            return Ok(());
        }
        self.members(place, extension)
    }

    /// The extensions of one URL.
    fn group(
        &mut self,
        spot: SpotId,
        group: &(impl Iterator<Item = Node<'a>> + Clone),
    ) -> Result<(), Defect> {
        let mut extensions = group.clone();
        match (extensions.next(), extensions.next()) {
            (Some(only), None) => self.extension(spot, only),
            (Some(first), Some(_)) => self.repeated(spot, group, first),
            (None, _) => Ok(()),
        }
    }

    /// Several extensions with one URL: values as a list; anything else as a primary item and a list of items, or
    /// rows of a child table.
    fn repeated(
        &mut self,
        spot: SpotId,
        group: &(impl Iterator<Item = Node<'a>> + Clone),
        first: Node<'a>,
    ) -> Result<(), Defect> {
        if has_columns(first) {
            let (suppress_child_rows, findings) =
                (std::mem::replace(&mut self.suppress_child_rows, true), self.findings);
            let outcome = self.extension(spot, first);
            // What is odd about it is counted among all of them.
            (self.suppress_child_rows, self.findings) = (suppress_child_rows, findings);
            outcome?;
        }
        if self.in_tables()
            && !group.clone().all(|extension| scalar_value(extension).is_some())
            && self.later_rows(spot, extension_type(), group.clone())
        {
            return Ok(());
        }
        let list = self.rows.open_list(self.places.plain(spot));
        for extension in group.clone() {
            self.extension_item(spot, extension)?;
        }
        self.rows.close(list);
        self.moments(spot, group.clone());
        Ok(())
    }

    /// The moments of extensions whose values are dates, in the order of these.
    fn moments(&mut self, spot: SpotId, group: impl Iterator<Item = Node<'a>> + Clone) {
        let is_moment =
            |key: Node<'_>| ["valueDate", "valueDateTime", "valueInstant"].iter().any(|name| key.is(name));
        let date = |extension| scalar_value(extension).filter(|(key, _)| is_moment(*key));
        if !group.clone().all(|extension| date(extension).is_some()) {
            return;
        }
        let list = self.rows.open_list(self.places.derived(spot, Derived::At, self.names));
        for (_, value) in group.filter_map(date) {
            match value.text().and_then(|text| moment(&text)) {
                Some(moment) => self.rows.instant(ITEM, moment.milliseconds()),
                None => self.rows.null(ITEM),
            }
        }
        self.rows.close(list);
    }

    /// One extension as an item of a list: its scalar value, or a record.
    fn extension_item(&mut self, spot: SpotId, extension: Node<'a>) -> Result<(), Defect> {
        let place = self.places.item(spot, extension_type(), self.names);
        if let Some((key, value)) = scalar_value(extension)
            && let Some(name) = key.text()
            && let Some(value_spot) = self.places.element(place, &name, self.settings, self.names)
        {
            self.doubt_date(value_spot, value);
            return self.list_item(value_spot, value);
        }
        self.record(place, extension)
    }

    /// The URL of an extension; an extension without one is kept among the unknown, and so is one whose name would be too
    /// long, or that says two things in a row that would be ambiguous.
    fn url_of(&mut self, place: PlaceId, extension: Node<'a>) -> Result<Option<Cow<'a, str>>, Defect> {
        match extension.kind() {
            Kind::Object => {}
            Kind::Null => return Ok(None),
            _ => return Err(self.defect(DefectCode::ObjectExpected, extension)),
        }
        let has_column = self.places.has_extensions(place) && !is_unusable(extension, self.policy);
        let url = url_of(extension).filter(|_| has_column);
        if url.is_none() {
            self.unknown(extension);
        }
        Ok(url)
    }

    /// The spot of an extension. Where another URL of the array has the same column, both get one of their own.
    fn extension_spot(
        &mut self,
        place: PlaceId,
        all: impl Iterator<Item = Node<'a>>,
        extension: Node<'a>,
        url: &str,
        standing: Standing,
    ) -> SpotId {
        let mine = self.places.extension(place, url, standing, self.settings, self.names);
        let column = self.places.plain(mine);
        let others = all.filter(|other| !same_url(*other, extension)).filter_map(url_of);
        for other in others {
            let spot = self.places.extension(place, &other, standing, self.settings, self.names);
            if self.places.plain(spot) == column {
                return self.places.extension(place, url, standing.clashing(), self.settings, self.names);
            }
        }
        mine
    }
}

/// The extensions that have columns.
fn usable<'a>(
    all: impl Iterator<Item = Node<'a>> + Clone,
    policy: NamingPolicy,
) -> impl Iterator<Item = Node<'a>> + Clone {
    all.filter(move |extension| !is_unusable(*extension, policy))
}

fn is_unusable(extension: Node<'_>, policy: NamingPolicy) -> bool {
    policy != NamingPolicy::Usual && says_two_things(extension)
}

fn url_of(extension: Node<'_>) -> Option<Cow<'_, str>> {
    extension.get_text("url").filter(|url| !without_version(url).is_empty())
}

fn extension_type() -> Option<crate::model::TypeId> {
    crate::model::type_named("Extension")
}

/// Whether two extensions are of one URL; its version and a trailing slash tell nothing apart.
fn same_url(a: Node<'_>, b: Node<'_>) -> bool {
    let (Some(a), Some(b)) = (a.get_text("url"), b.get_text("url")) else { return false };
    a == b || without_version(&a) == without_version(&b)
}

/// Whether an extension has columns of its own in the row, beside the list of all that have its URL.
fn has_columns(extension: Node<'_>) -> bool {
    extension.members().any(|(key, value)| match value.kind() {
        Kind::Object => is_value(key) || key.is("extension"),
        Kind::Array => key.is("extension"),
        _ => false,
    }) && !extension.members().any(|(key, value)| is_value(key) && value.kind() != Kind::Object)
}

/// Whether an extension has several values, or a value and extensions, which the constraint ext-1 rules out.
fn says_two_things(extension: Node<'_>) -> bool {
    let says = |key: Node<'_>| key.is("extension") || is_value(key);
    extension.members().filter(|(key, value)| !value.is_null() && says(*key)).nth(1).is_some()
}

fn is_value(key: Node<'_>) -> bool {
    key.text().is_some_and(|name| name.starts_with("value"))
}

/// The value of an extension that has nothing but a URL and a scalar.
fn scalar_value(extension: Node<'_>) -> Option<(Node<'_>, Node<'_>)> {
    let mut rest = extension.members().filter(|(key, _)| !key.is("url"));
    let (key, value) = rest.next()?;
    let is_scalar = !matches!(value.kind(), Kind::Object | Kind::Array | Kind::Null);
    (rest.next().is_none() && is_scalar && is_value(key)).then_some((key, value))
}
