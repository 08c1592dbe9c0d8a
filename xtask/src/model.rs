//! Makes the tables that `flatten::model` carries from a folder of HL7's element tables.
//!
//! The folder holds `elements-<release>.tsv` (type, element, datatype, max, choice) and `hl7-extensions.tsv` (url,
//! releases). Both results are text, sorted, and the same for the same folder, so that a change shows in a diff.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::workspace;

/// The releases, each with the sign that stands for it in the tables: the published ones, oldest first, behind R6,
/// which is not published yet and yields to all of them.
const RELEASES: [(&str, char); 6] =
    [("R6", '6'), ("DSTU2", '2'), ("STU3", '3'), ("R4", '4'), ("R4B", 'b'), ("R5", '5')];

/// Index of R4 in [`RELEASES`]: the newest release whose choices are read off structure definitions.
const R4: usize = 3;

/// Types that only their specialisations appear as; no JSON object is one of them.
const ABSTRACT_TYPES: [&str; 7] =
    ["BackboneElement", "BackboneType", "DataType", "DomainResource", "Element", "PrimitiveType", "Resource"];

/// Properties of R5 that read like a choice in the JSON schema and are two elements in the specification.
const SEPARATE_ELEMENTS: [(&str, &str); 3] = [
    ("GenomicStudy", "instantiates"),
    ("GenomicStudy.analysis", "instantiates"),
    ("Transport", "instantiates"),
];

/// Returns where the element tables stand beside a checkout.
#[must_use]
pub fn default_folder() -> PathBuf {
    workspace::root().join("../shared/fhir/model")
}

/// Writes `elements.txt` and `extensions.txt` into the crate that carries them.
pub fn run(folder: &Path) -> Result<()> {
    let carried = workspace::root().join("shared/flatten/src/model");
    for (name, text) in [("elements.txt", elements(folder)?), ("extensions.txt", extensions(folder)?)] {
        let path = carried.join(name);
        std::fs::write(&path, &text).with_context(|| format!("cannot write {}", path.display()))?;
        println!("{} {} lines, {} bytes", path.display(), text.lines().count(), text.len());
    }
    Ok(())
}

/// Returns the text of `elements.txt`: the union of the releases.
pub fn elements(folder: &Path) -> Result<String> {
    let mut model = Model::default();
    for (release, (name, _)) in RELEASES.iter().enumerate() {
        model.read(release, &read(folder, &format!("elements-{name}.tsv"))?)?;
    }
    model.drop_guessed_choices();
    Ok(model.render())
}

/// Returns the text of `extensions.txt`: a URL a line with the releases that have it.
pub fn extensions(folder: &Path) -> Result<String> {
    let mut rows = BTreeMap::new();
    for line in read(folder, "hl7-extensions.tsv")?.lines().skip(1) {
        let (url, releases) = line.split_once('\t').with_context(|| format!("no releases: {line}"))?;
        let known = RELEASES.iter().filter(|(name, _)| releases.split(',').any(|release| release == *name));
        rows.insert(url.to_owned(), known.map(|(_, sign)| *sign).collect::<String>());
    }
    Ok(rows
        .into_iter()
        .fold(EXTENSIONS_HEAD.to_owned(), |text, (url, releases)| text + &url + " " + &releases + "\n"))
}

const ELEMENTS_HEAD: &str = "\
# The elements of FHIR DSTU2 (2), STU3 (3), R4 (4), R4B (b), R5 (5) and R6 (6). Made by `cargo xtask model`; not edited.
# After an equals sign, a type: its name and kind. Under it its elements by JSON name, each with its uses, newest
# first and R6 last: datatype, `*` for an array, `?` for one of a choice, `:` and the releases where they are not all six.
";

const EXTENSIONS_HEAD: &str = "\
# The extensions that HL7 published with a release of FHIR. Made by `cargo xtask model`; not edited.
";

fn read(folder: &Path, name: &str) -> Result<String> {
    let path = folder.join(name);
    std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// What one release says of one element.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Fact {
    datatype: String,
    many: bool,
    choice: String,
}

/// What the releases say of one element, by index in [`RELEASES`].
type Facts = [Option<Fact>; RELEASES.len()];

/// Type → element → facts.
#[derive(Default)]
struct Model {
    types: BTreeMap<String, BTreeMap<String, Facts>>,
}

impl Model {
    /// Adds one release's table. DSTU2 refers to a backbone element by a short name (`@concept`): the path takes
    /// its place.
    fn read(&mut self, release: usize, table: &str) -> Result<()> {
        let paths: BTreeSet<&str> = table
            .lines()
            .filter_map(|line| line.split('\t').next())
            .filter(|name| name.contains('.'))
            .collect();
        for line in table.lines().skip(1) {
            let fields: Vec<&str> = line.split('\t').collect();
            let [type_name, element, datatype, max, choice] = fields.as_slice() else {
                bail!("not five fields: {line}")
            };
            let datatype = match datatype.strip_prefix('@') {
                Some(name) => backbone_path(&paths, type_name, name)?,
                None => (*datatype).to_owned(),
            };
            let fact = Fact { datatype, many: *max == "*", choice: (*choice).to_owned() };
            let facts = self
                .types
                .entry((*type_name).to_owned())
                .or_default()
                .entry((*element).to_owned())
                .or_default();
            let fact_of_release = facts.get_mut(release).context("no such release")?;
            if fact_of_release.replace(fact).is_some() {
                bail!("twice in one release: {type_name}.{element}");
            }
        }
        Ok(())
    }

    /// Drops wrong guesses: the choices of R4B and R5 are guessed from the property names of the JSON schema. A guess
    /// goes where R4 has the same element on its own, where it would be a choice among one, and where the specification
    /// is known to say otherwise.
    fn drop_guessed_choices(&mut self) {
        for (type_name, elements) in &mut self.types {
            for release in R4 + 1..RELEASES.len() {
                let mut members: BTreeMap<String, usize> = BTreeMap::new();
                for fact in elements.values().filter_map(|facts| facts.get(release)?.as_ref()) {
                    *members.entry(fact.choice.clone()).or_default() += 1;
                }
                for facts in elements.values_mut() {
                    drop_guess(type_name, facts, release, &members);
                }
            }
        }
    }

    fn render(&self) -> String {
        let mut text = ELEMENTS_HEAD.to_owned();
        for (name, elements) in &self.types {
            let _ = writeln!(text, "={name} {}", self.kind_of_type(name));
            for (element, facts) in elements {
                let _ = writeln!(text, "{element}{}", uses(facts));
            }
        }
        text
    }

    fn kind_of_type(&self, name: &str) -> &'static str {
        let has = |element: &str| self.types.get(name).is_some_and(|elements| elements.contains_key(element));
        match name {
            _ if ABSTRACT_TYPES.contains(&name) => "abstract",
            _ if name.contains('.') => "backbone",
            _ if name.starts_with(|first: char| first.is_ascii_lowercase()) => "primitive",
            _ if has("implicitRules") => "resource",
            _ => "datatype",
        }
    }
}

/// Returns the path that `@name` means in a type: itself a path, or the backbone element of that name that the type
/// lies in, or the only one of the resource.
fn backbone_path(paths: &BTreeSet<&str>, type_name: &str, name: &str) -> Result<String> {
    let root = type_name.split('.').next().unwrap_or(type_name);
    let named = |path: &&&str| path.split('.').next() == Some(root) && path.rsplit('.').next() == Some(name);
    let candidates: Vec<&str> = paths.iter().filter(named).copied().collect();
    let around = candidates.iter().filter(|path| format!("{type_name}.").starts_with(&format!("{path}.")));
    match (candidates.as_slice(), around.max_by_key(|path| path.len())) {
        _ if paths.contains(name) => Ok(name.to_owned()),
        (_, Some(path)) | ([path], None) => Ok((*path).to_owned()),
        _ => bail!("@{name} in {type_name} is none or several of {candidates:?}"),
    }
}

fn drop_guess(type_name: &str, facts: &mut Facts, release: usize, members: &BTreeMap<String, usize>) {
    let plain_in_r4 = facts.get(R4).cloned().flatten().filter(|fact| fact.choice.is_empty());
    let Some(Some(fact)) = facts.get_mut(release) else { return };
    let same = plain_in_r4.is_some_and(|plain| plain.datatype == fact.datatype && plain.many == fact.many);
    let alone = members.get(&fact.choice).is_none_or(|&count| count < 2);
    if same || alone || SEPARATE_ELEMENTS.contains(&(type_name, fact.choice.as_str())) {
        fact.choice.clear();
    }
}

/// Returns the uses of an element, newest first and R6 last.
fn uses(facts: &Facts) -> String {
    let mut releases: Vec<(&Fact, String)> = Vec::new();
    for (fact, (_, sign)) in facts.iter().zip(RELEASES).rev() {
        let Some(fact) = fact else { continue };
        match releases.iter_mut().find(|(known, _)| *known == fact) {
            Some((_, signs)) => signs.insert(0, sign),
            None => releases.push((fact, sign.to_string())),
        }
    }
    releases.into_iter().fold(String::new(), |text, (fact, signs)| {
        let many = if fact.many { "*" } else { "" };
        let choice = if fact.choice.is_empty() { "" } else { "?" };
        let signs = if signs.len() == RELEASES.len() { String::new() } else { format!(":{signs}") };
        text + " " + &fact.datatype + many + choice + &signs
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "corpus")]
    #[test]
    fn the_committed_tables_are_what_the_folder_gives() {
        let folder = default_folder();
        let carried = workspace::root().join("shared/flatten/src/model");
        let committed = |name: &str| std::fs::read_to_string(carried.join(name)).unwrap();
        assert!(elements(&folder).unwrap() == committed("elements.txt"), "elements.txt is not up to date");
        assert!(
            extensions(&folder).unwrap() == committed("extensions.txt"),
            "extensions.txt is not up to date"
        );
    }

    #[test]
    fn a_short_name_is_the_backbone_element_around_it_or_the_only_one() {
        let paths = ["V.a.concept", "V.b.concept", "V.b.x", "W.concept"].into();
        assert_eq!(backbone_path(&paths, "V.a.concept", "concept").unwrap(), "V.a.concept");
        assert_eq!(backbone_path(&paths, "V", "x").unwrap(), "V.b.x");
        assert_eq!(backbone_path(&paths, "V", "V.b.x").unwrap(), "V.b.x");
        assert!(backbone_path(&paths, "V", "concept").is_err());
    }

    #[test]
    fn equal_facts_share_a_use_and_the_newest_published_stands_first() {
        let fact = |datatype: &str, choice: &str| {
            Some(Fact { datatype: datatype.to_owned(), many: false, choice: choice.to_owned() })
        };
        let published =
            [fact("date", ""), fact("date", ""), fact("dateTime", "when"), None, fact("date", "")];
        let with = |draft: Option<Fact>| {
            let mut facts = Facts::default();
            facts
                .iter_mut()
                .zip([draft].into_iter().chain(published.clone()))
                .for_each(|(to, fact)| *to = fact);
            uses(&facts)
        };
        assert_eq!(with(None), " date:235 dateTime?:4");
        assert_eq!(with(fact("date", "")), " date:6235 dateTime?:4");
        assert_eq!(with(fact("instant", "")), " date:235 dateTime?:4 instant:6");
    }

    #[test]
    fn a_choice_among_one_is_none() {
        let head = "type\telement\tdatatype\tmax\tchoice\n";
        let mut model = Model::default();
        model.read(5, &format!("{head}A\tpageString\tstring\t1\tpage\nA\tvalueCode\tcode\t1\tvalue\nA\tvalueId\tid\t1\tvalue\n")).unwrap();
        model.drop_guessed_choices();
        assert!(
            model.render().ends_with("=A datatype\npageString string:5\nvalueCode code?:5\nvalueId id?:5\n")
        );
    }
}
