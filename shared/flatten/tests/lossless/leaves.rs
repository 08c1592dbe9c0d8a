//! Where the leaves of a resource must stand in its rows.

use std::collections::BTreeMap;

use flatten::automatic::Automatic;
use flatten::defect::Defect;
use flatten::fhirpath::Context;
use flatten::json::{JsonKind, Limits, Node, Tape};
use flatten::model::{UNKNOWN_TYPE, extensions};
use flatten::resource::Resource;
use flatten::row::{Cells, NameList, Names, Rows, Value};

/// The cells of a resource by name and text, with the number of those that no leaf has claimed yet.
type Found = BTreeMap<String, BTreeMap<String, usize>>;

fn cells(names: &NameList, prefix: &str, row: Cells<'_>, found: &mut Found) {
    for (column, value) in row {
        let name = match (prefix, names.column(column)) {
            (prefix, "") => prefix.to_owned(),
            ("", name) => name.to_owned(),
            (prefix, name) => format!("{prefix}_{name}"),
        };
        let text = match value {
            Value::Null => continue,
            Value::Boolean(truth) => truth.to_string(),
            Value::Integer(number) => number.to_string(),
            Value::Long(number) => number.to_string(),
            Value::Double(number) => number.to_string(),
            Value::Decimal(text) | Value::Text(text) | Value::Pending(text) | Value::PendingOrNull(text) => {
                text.to_owned()
            }
            Value::Instant(milliseconds) => format!("@{milliseconds}"),
            Value::List(inner) | Value::Record(inner) => {
                cells(names, &name, inner, found);
                continue;
            }
        };
        *found.entry(name).or_default().entry(text).or_default() += 1;
    }
}

/// Returns the names a leaf's cell may have: one, or two where a coding stands both at its concept and in a list.
fn extend(paths: &[String], step: &str) -> Vec<String> {
    let mut longer: Vec<String> = paths
        .iter()
        .map(|path| if path.is_empty() { step.to_owned() } else { format!("{path}_{step}") })
        .collect();
    if step == "coding" {
        longer.extend(paths.iter().cloned());
    }
    longer
}

struct Leaves {
    found: Found,
    lost: Vec<String>,
    count: usize,
}

impl Leaves {
    fn of(found: Found) -> Self {
        Self { found, lost: Vec::new(), count: 0 }
    }

    /// Claims a cell of that name and text, and says whether there was one: two equal leaves need two cells.
    fn claim(&mut self, name: &str, text: &str) -> bool {
        match self.found.get_mut(name).and_then(|cells| cells.get_mut(text)) {
            Some(left @ 1..) => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }

    /// Claims a value inside a column of unknown elements, by blanking it.
    fn claim_unknown(&mut self, quoted: &str) -> bool {
        let unknown = self.found.iter_mut().filter(|(name, _)| name.ends_with("_unknown"));
        for (_, texts) in unknown {
            let hit = texts.keys().find_map(|text| Some((text.clone(), place_of_value(text, quoted)?)));
            if let Some((text, at)) = hit {
                let count = texts.remove(&text).unwrap_or_default();
                let rest =
                    format!("{}{}{}", &text[..at], " ".repeat(quoted.len()), &text[at + quoted.len()..]);
                *texts.entry(rest).or_default() += 1;
                if count > 1 {
                    texts.insert(text, count - 1);
                }
                return true;
            }
        }
        false
    }

    fn object(&mut self, paths: &[String], node: Node<'_>) {
        for (key, value) in node.members() {
            let name = key.text().unwrap();
            match &*name {
                "resourceType" | "div" => {}
                "extension" => many(value).for_each(|item| self.extension(paths, item, false)),
                "modifierExtension" => {
                    let paths = extend(paths, "modifierExtension");
                    many(value).for_each(|item| self.extension(&paths, item, false));
                }
                "contained" if paths == [String::new()] => {}
                _ => match name.strip_prefix('_') {
                    Some(primitive) => self.on_primitive(&extend(paths, primitive), value),
                    None => self.any(&extend(paths, &name), value),
                },
            }
        }
    }

    fn any(&mut self, paths: &[String], node: Node<'_>) {
        let is_label = paths.iter().any(|path| path == "meta_tag" || path == "meta_security");
        match node.kind() {
            JsonKind::Object if is_label => self.label(paths, node),
            JsonKind::Object => self.object(paths, node),
            JsonKind::Array => node.items().for_each(|item| self.any(paths, item)),
            JsonKind::Null => {}
            _ => self.leaf(paths, node),
        }
    }

    /// Expects a label's system and code together, and the rest in the list beside them.
    fn label(&mut self, paths: &[String], label: Node<'_>) {
        let is_in_pair = |key: Node<'_>| key.is("system") || key.is("code");
        let is_text = |value: Node<'_>| matches!(value.kind(), JsonKind::String | JsonKind::Null);
        if !label.members().all(|(key, value)| value.is_null() || is_in_pair(key) && is_text(value)) {
            self.object(&extend(paths, "coding"), label);
        }
        if !label.members().all(|(key, value)| !is_in_pair(key) || is_text(value)) {
            return;
        }
        let part = |name: &str| label.get_text(name).unwrap_or_default().into_owned();
        let pair = format!("{}|{}", part("system"), part("code"));
        self.count += 1;
        if pair != "|" && !paths.iter().any(|path| self.claim(path, &pair)) {
            self.lost.push(paths[0].clone());
        }
    }

    fn on_primitive(&mut self, paths: &[String], node: Node<'_>) {
        match node.kind() {
            JsonKind::Array => node.items().for_each(|item| self.on_primitive(paths, item)),
            JsonKind::Object => node.members().for_each(|(key, value)| match &*key.text().unwrap() {
                "extension" => many(value).for_each(|item| self.extension(paths, item, true)),
                "modifierExtension" => {
                    let paths = extend(paths, "modifierExtension");
                    many(value).for_each(|item| self.extension(&paths, item, true));
                }
                name => self.any(&extend(paths, name), value),
            }),
            _ => {}
        }
    }

    fn extension(&mut self, paths: &[String], node: Node<'_>, on_primitive: bool) {
        let Some(url) = node.get_text("url").filter(|url| !url.is_empty()) else { return };
        let tail = extensions::tail(&url).into_owned();
        let mut steps = vec![tail.clone(), extensions::with_digest(&tail, &url)];
        if on_primitive && url.ends_with("data-absent-reason") {
            steps.push("absent".to_owned());
        }
        let paths: Vec<String> = steps.iter().flat_map(|step| extend(paths, step)).collect();
        for (key, value) in node.members() {
            match &*key.text().unwrap() {
                "url" => {}
                "extension" => many(value).for_each(|item| self.extension(&paths, item, false)),
                "modifierExtension" => {
                    let paths = extend(&paths, "modifierExtension");
                    many(value).for_each(|item| self.extension(&paths, item, false));
                }
                name => {
                    let (name, on_value) = name.strip_prefix('_').map_or((name, false), |name| (name, true));
                    let mut homes =
                        if name.starts_with("value") { paths.clone() } else { extend(&paths, name) };
                    if name.starts_with("value") {
                        homes.extend(extend(&paths, "value"));
                        homes.extend(extend(&paths, name));
                    }
                    if on_value { self.on_primitive(&homes, value) } else { self.any(&homes, value) }
                }
            }
        }
    }

    fn leaf(&mut self, paths: &[String], node: Node<'_>) {
        self.count += 1;
        let text = node.text().map_or_else(|| node.raw().to_owned(), std::borrow::Cow::into_owned);
        let is_there = paths.iter().any(|path| {
            self.claim(path, &text)
                || self.claim(&format!("{path}_text"), &text)
                || self.claim(&format!("{path}_written"), &text)
                || path
                    .strip_suffix("_id")
                    .is_some_and(|value| self.claim(&format!("{value}_valueId"), &text))
                || (text.len() > 256 << 10 && self.claim(&format!("{path}Size"), &text.len().to_string()))
        });
        if !is_there && !self.claim_unknown(node.quoted()) {
            self.lost.push(paths[0].clone());
        }
    }
}

/// Returns where a value stands in a JSON text as a whole, not as a part of another.
fn place_of_value(text: &str, quoted: &str) -> Option<usize> {
    let is_edge = |letter: Option<char>| letter.is_none_or(|letter| " :,[]{}\n".contains(letter));
    let mut places = text.match_indices(quoted).map(|(at, _)| at);
    places.find(|&at| {
        is_edge(text[..at].chars().next_back()) && is_edge(text[at + quoted.len()..].chars().next())
    })
}

/// Returns the items of an array, or one value in its place.
fn many(node: Node<'_>) -> impl Iterator<Item = Node<'_>> {
    node.items().chain((node.kind() == JsonKind::Object).then_some(node))
}

/// Returns the rows of a resource.
fn rows(node: Node<'_>, automatic: &mut Automatic, names: &mut Names) -> Result<Rows, Defect> {
    let mut rows = Rows::default();
    let resource = Resource::read(node)?;
    automatic.flatten(&resource, &Context::of(&resource.key(None, None)), names, &mut rows)?;
    Ok(rows)
}

/// How many leaves were looked for, and the paths of those that were not found.
pub(crate) type Looked = (usize, Vec<String>);

/// Looks for every leaf of a resource, and of what it contains, in its rows.
pub(crate) fn look_for_leaves(
    node: Node<'_>,
    automatic: &mut Automatic,
    names: &mut Names,
) -> Result<Looked, Defect> {
    let rows = rows(node, automatic, names)?;
    let list = names.list();
    let mut by_row = rows.iter().map(|row| {
        let mut found = Found::new();
        cells(&list, "", row.cells(), &mut found);
        found
    });
    let root = vec![String::new()];
    let whole = by_row.next().unwrap();
    let mut leaves = Leaves::of(whole);
    leaves.object(&root, node);
    let (mut count, mut missing) = (leaves.count, leaves.lost);
    let contained = node.get("contained").into_iter().flat_map(many);
    for (found, inner) in by_row.zip(contained) {
        let mut leaves = Leaves::of(found);
        leaves.object(&root, inner);
        count += leaves.count;
        missing.extend(leaves.lost);
    }
    Ok((count, missing))
}

/// Looks for every leaf of a resource in its row and in those of its child tables together.
pub(crate) fn look_in_tables(
    node: Node<'_>,
    automatic: &mut Automatic,
    names: &mut Names,
) -> Result<Looked, Defect> {
    let rows = rows(node, automatic, names)?;
    let (list, resource_type) = (names.list(), node.get_text("resourceType").unwrap_or_default());
    let mut found = Found::new();
    for row in rows.iter() {
        let table = list.table(row.table());
        let path = table.strip_prefix(&*resource_type).or_else(|| table.strip_prefix(UNKNOWN_TYPE));
        let path = path.unwrap_or("_contained");
        if path == "_contained" || path.starts_with("_contained_") {
            continue;
        }
        // An element that stands inside itself shares a table with itself; its address has the whole path.
        let address = row.key().split_once("#/").map_or("", |(_, address)| address);
        let steps = address.split('/').filter(|step| step.parse::<usize>().is_err() && !step.is_empty());
        let steps: Vec<&str> = steps.map(|step| step.trim_start_matches('_')).collect();
        let is_extension = |step: &&&str| step.to_lowercase().ends_with("extension");
        let prefix = match steps.iter().position(|step| is_extension(&step)) {
            None => steps.join("_"),
            // The address says the way to the extension, and the table what its URL ends with.
            Some(at) => {
                let above = steps[..at].join("_");
                // What stands inside itself shares the table of its first level.
                let name = steps[..at].iter().rev().find_map(|step| path.rsplit_once(&format!("_{step}_")));
                match name {
                    Some((_, name)) => format!("{above}_{name}"),
                    None => path.trim_start_matches('_').to_owned(),
                }
            }
        };
        cells(&list, &prefix, row.cells(), &mut found);
    }
    let mut leaves = Leaves::of(found);
    leaves.object(&[String::new()], node);
    Ok((leaves.count, leaves.lost))
}

/// Returns the names of the leaves of a resource that the cells lack.
fn lost(resource: &str, cells: &[(&str, &str)]) -> Vec<String> {
    let mut found = Found::new();
    for (name, text) in cells {
        *found.entry((*name).to_owned()).or_default().entry((*text).to_owned()).or_default() += 1;
    }
    let mut tape = Tape::default();
    let document = tape.parse(resource.as_bytes(), Limits::default()).unwrap();
    let mut leaves = Leaves::of(found);
    leaves.object(&[String::new()], document.root());
    leaves.lost
}

#[test]
fn equal_leaves_need_a_cell_each() {
    let resource = r#"{"given":["Ann","Ann"]}"#;
    assert_eq!(lost(resource, &[("given", "Ann"), ("given", "Ann")]), Vec::<String>::new());
    assert_eq!(lost(resource, &[("given", "Ann")]), ["given"]);
    assert_eq!(lost(resource, &[("given", "Ann"), ("family", "Ann")]), ["given"], "elsewhere is not there");
}

#[test]
fn unknown_values_are_whole_and_stand_for_one_leaf() {
    let resource = r#"{"x":1,"y":1}"#;
    assert_eq!(lost(resource, &[("_unknown", r#"{"/x":1,"/y":1}"#)]), Vec::<String>::new());
    assert_eq!(lost(resource, &[("_unknown", r#"{"/x":1,"/y":12}"#)]), ["y"]);
}
