//! Profiles that are read, and the one of the documentation.

use std::collections::BTreeSet;
use std::path::Path;

use clap::{Args as _, Command};

use super::{IDS, ProfileUri, SettingsProfile, parse};
use crate::settings::{Destination, LoadSettings};

#[test]
fn a_mistake_is_told_with_its_key_and_line_and_without_a_value() {
    for (text, line, key) in [
        ("arrays = \"tables\"\nurii = \"mongodb://u:canary@h\"\n", "2: ", "`urii`"),
        ("\n\ndecimals = \"single\"", "3: ", "`exact`"),
        ("uri = \"mongodb://u:canary@h\nviews = 1", "1: ", ""),
        ("[profile.dev]\nqueue-url = \"q\"", "2: ", "`queue-url`"),
        ("uri = \"a\"\nuri-env = \"b\"", "", "uri-env"),
        ("[profile.dev.profile.x]\n", "", "[profile.dev]"),
    ] {
        let mistake = parse(text).unwrap_err();
        assert!(mistake.starts_with(line) && mistake.contains(key), "{text}\n{mistake}");
        assert!(!mistake.contains("canary"), "{mistake}");
    }
}

#[test]
fn the_documented_profile_has_every_setting() {
    let page = include_str!("../../../../docs/local-folder.md");
    let (_, page) = page.split_once("```toml\n").unwrap();
    let (text, _) = page.split_once("```").unwrap();
    let mut written = parse(text).unwrap();
    let named = written.profile.remove("test").unwrap();
    assert!(matches!(named.uri(), Some(ProfileUri::Itself(_))));
    assert!(matches!(written.uri(), Some(ProfileUri::Variable(_))));
    let load = Destination::augment_args(LoadSettings::augment_args(Command::new("load")));
    let program = Command::new("flatfire").subcommand(load);
    let values = written.values(Path::new("folder"));
    let ids: BTreeSet<_> = values.keys().copied().collect();
    assert_eq!(ids, IDS.into_iter().collect());
    let load = super::fill(program, &values).try_get_matches_from(["flatfire", "load", "--to", "m"]);
    let load = load.unwrap();
    let (_, load) = load.subcommand().unwrap();
    for id in ids.iter().filter(|id| **id != "queue_url") {
        let values: Vec<_> = load.get_raw(id).unwrap().collect();
        assert!(!values.is_empty(), "{id}");
    }
}

#[test]
fn a_named_profile_comes_before_the_rest_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.toml");
    let text = "uri = \"a\"\nviews = \"v\"\ndecimals = \"double\"\n\
                [profile.prod]\nuri-env = \"U\"\ndecimals = \"exact\"\n";
    std::fs::write(&path, text).unwrap();
    let of = |profile: &SettingsProfile, id| profile.values[id].clone();
    let all = SettingsProfile::read(&path, None).unwrap();
    assert!(matches!(&all.uri, Some(ProfileUri::Itself(uri)) if uri == "a"));
    assert_eq!(of(&all, "decimals"), ["double"]);
    assert_eq!(of(&all, "views"), [folder.path().join("v")]);
    let prod = SettingsProfile::read(&path, Some("prod")).unwrap();
    assert!(matches!(&prod.uri, Some(ProfileUri::Variable(name)) if name == "U"));
    assert_eq!((of(&prod, "decimals"), of(&prod, "views")), (vec!["exact".into()], of(&all, "views")));
    let error = SettingsProfile::read(&path, Some("dev")).unwrap_err().to_string();
    assert!(error.contains("no [profile.dev]; it has: prod"), "{error}");
    assert!(
        SettingsProfile::read(Path::new("no/such.toml"), None).unwrap_err().to_string().contains("no/such")
    );
}
