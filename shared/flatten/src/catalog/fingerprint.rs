//! The fingerprint of a deployment's choices: the same for the same choices, whichever compiler and program made it.

use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

use crate::automatic::{Arrays, Settings};
use crate::decimals::Decimals;

use super::choices::{Choices, Tables};

/// What a fingerprint is made of. Another number makes every deployment's rows those of another catalog.
const FORM: &str = "flatfire catalog 1";

/// Returns sixteen hex digits of a SHA-256 over everything that was chosen: what a choice is called and its value, each
/// behind its length. Lists whose order means nothing are sorted. What files are called means nothing either.
pub(super) fn fingerprint(choices: &Choices) -> String {
    let Choices { tables, automatic, views, inactive, checks, gates } = choices;
    let Settings { arrays, decimals, narrative, extension_names, inline_binary_bytes, resource_types } =
        automatic;
    let mut text = Text::default();
    text.add("form", [FORM]);
    text.add("tables", [name_of_tables(*tables)]);
    text.add("arrays", [name_of_arrays(*arrays)]);
    // Exact decimals add nothing: the fingerprint is that of programs that knew no other kind.
    if *decimals == Decimals::Double {
        text.add("decimals", ["double"]);
    }
    text.add("narrative", [if *narrative { "true" } else { "false" }]);
    text.add("extension names", extension_names.iter().flat_map(|(url, name)| [url.as_str(), name.as_str()]));
    text.add("inline binary bytes", [inline_binary_bytes.to_string().as_str()]);
    text.add("resource types", resource_types.added());
    text.add("views", sorted(views.iter().map(|(_, view)| canonical(view))).iter().map(String::as_str));
    text.add("inactive", sorted(inactive.clone()).iter().map(String::as_str));
    text.add("checks", sorted(checks.iter().map(|(_, check)| canonical(check))).iter().map(String::as_str));
    text.add("gates", gates.as_deref().map(canonical).iter().map(String::as_str));
    let digest = Sha256::digest(text.0.as_bytes());
    format!("{:016x}", digest.first_chunk().map_or(0, |first| u64::from_be_bytes(*first)))
}

/// Names and values, each behind its length, so that no two choices give one text.
#[derive(Default)]
struct Text(String);

impl Text {
    fn add<'a>(&mut self, name: &str, values: impl IntoIterator<Item = &'a str>) {
        let values: Vec<&str> = values.into_iter().collect();
        for part in [name, &values.len().to_string()].into_iter().chain(values) {
            self.0.extend([&part.len().to_string(), ":", part, "\n"]);
        }
    }
}

/// Returns the members of objects in order and without white space; a text that is not JSON as it is.
fn canonical(text: &str) -> String {
    let json: Option<Json> = serde_json::from_str(text).ok();
    json.map_or_else(|| text.to_owned(), |json| ordered(&json))
}

/// Writes JSON whose members stand in the order of their names, however the parser keeps them.
fn ordered(json: &Json) -> String {
    match json {
        Json::Object(members) => {
            let members = members
                .iter()
                .map(|(name, value)| format!("{}:{}", Json::from(name.as_str()), ordered(value)));
            format!("{{{}}}", sorted(members).join(","))
        }
        Json::Array(items) => format!("[{}]", items.iter().map(ordered).collect::<Vec<_>>().join(",")),
        _ => json.to_string(),
    }
}

fn sorted(texts: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut texts: Vec<String> = texts.into_iter().collect();
    texts.sort();
    texts
}

const fn name_of_tables(tables: Tables) -> &'static str {
    match tables {
        Tables::Automatic => "automatic",
        Tables::Views => "views",
        Tables::Both => "both",
    }
}

const fn name_of_arrays(arrays: Arrays) -> &'static str {
    match arrays {
        Arrays::Embedded => "embedded",
        Arrays::Tables => "tables",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Arrays, Choices, Decimals, Settings, Tables, fingerprint};
    use crate::model::ResourceTypes;

    fn named(text: &str) -> Vec<(String, String)> {
        vec![("a.json".to_owned(), text.to_owned())]
    }

    #[test]
    fn each_choice_changes_it() {
        let automatic = |automatic| Choices { automatic, ..Choices::default() };
        let settings = Settings::default;
        let choices = [
            Choices::default(),
            Choices { tables: Tables::Automatic, ..Choices::default() },
            Choices { tables: Tables::Views, ..Choices::default() },
            automatic(Settings { arrays: Arrays::Tables, ..settings() }),
            automatic(Settings { decimals: Decimals::Double, ..settings() }),
            automatic(Settings { narrative: true, ..settings() }),
            automatic(Settings { extension_names: [("u".into(), "a".into())].into(), ..settings() }),
            automatic(Settings { extension_names: [("u".into(), "b".into())].into(), ..settings() }),
            automatic(Settings { inline_binary_bytes: 1, ..settings() }),
            automatic(Settings { resource_types: ResourceTypes::read("Rocket"), ..settings() }),
            Choices { views: named("{}"), ..Choices::default() },
            Choices { checks: named("{}"), ..Choices::default() },
            Choices { inactive: vec!["{}".to_owned()], ..Choices::default() },
            Choices { inactive: vec!["{}".to_owned(), "{}".to_owned()], ..Choices::default() },
            Choices { gates: Some("{}".to_owned()), ..Choices::default() },
        ];
        let fingerprints: BTreeSet<String> = choices.iter().map(fingerprint).collect();
        assert_eq!(fingerprints.len(), choices.len(), "{fingerprints:?}");
    }

    #[test]
    fn what_means_nothing_does_not_change_it() {
        let both = |first: (&str, &str), second: (&str, &str)| {
            let view = |(file, text): (&str, &str)| (file.to_owned(), text.to_owned());
            fingerprint(&Choices { views: vec![view(first), view(second)], ..Choices::default() })
        };
        let (a, b) = (r#"{"name":"a","resource":"Patient"}"#, r#"{"name":"b"}"#);
        let expected = both(("a.json", a), ("b.json", b));
        assert_eq!(both(("b.json", b), ("a.json", a)), expected);
        let spaced = "{ \"resource\": \"Patient\",\n \"name\": \"a\" }";
        assert_eq!(both(("/somewhere/else.json", spaced), ("b.json", b)), expected);
        assert_ne!(both(("a.json", a), ("b.json", a)), expected);
    }

    /// Rows of databases that exist are told apart by it.
    #[test]
    fn it_stays_what_it_was() {
        assert_eq!(fingerprint(&Choices::default()), "e903ce77a94c5ff6");
    }
}
