//! Extensions' columns: by example, and over every type and every registered URL.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::every_type;
use crate::model::{extensions, type_named};

#[test]
fn tails() {
    for (url, expected) in [
        ("http://hl7.org/fhir/us/core/StructureDefinition/us-core-race", "usCoreRace"),
        ("http://hl7.org/fhir/StructureDefinition/patient-birthTime", "patientBirthTime"),
        ("http://hl7.org/fhir/StructureDefinition/patient-birthTime|4.0.1", "patientBirthTime"),
        ("http://hl7.org/fhir/StructureDefinition/geolocation/", "geolocation"),
        ("ombCategory", "ombCategory"),
        ("http://example.org/profiles#Extension.favourite_colour", "ExtensionFavouriteColour"),
        ("http://example.org/favourite/1.0", "favourite"),
        ("http://example.org/favourite/v2/", "favourite"),
        ("http://example.org/favourite/4.0.1", "favourite"),
        ("http://example.org/favourite/v2beta", "v2beta"),
        ("urn:example:favourite", "favourite"),
        ("urn:example:favourite:1.0", "favourite"),
        ("urn:oid:2.16.840", "x216840"),
        ("URN:uuid:53fefa32-fcbb-4ff8", "x53fefa32Fcbb4ff8"),
        ("http://hl7.org/fhir/StructureDefinition/11179-objectClass", "x11179ObjectClass"),
        ("1.0", "x10"),
        ("http://example.org/", "exampleOrg"),
        ("http://example.org/größe", "grE"),
        ("", "extension"),
        ("|1", "extension"),
        ("%%%", "extension"),
    ] {
        assert_eq!(extensions::tail(url), expected, "{url}");
    }
}

#[test]
fn columns() {
    let race = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race";
    let core = "http://hl7.org/fhir/StructureDefinition/";
    for (carrying, url, expected) in [
        ("Patient", race.to_owned(), "usCoreRace"),
        // The withdrawn URL yields to its successor.
        ("Patient", format!("{core}us-core-race"), "usCoreRace_"),
        ("Extension", "text".to_owned(), "text"),
        ("Extension", "value".to_owned(), "value"),
        ("Extension", "id".to_owned(), "id_"),
        ("Extension", "modifier".to_owned(), "modifier_"),
        ("Address", format!("{core}geolocation"), "geolocation"),
        ("Patient", "http://example.org/gender".to_owned(), "gender_"),
        // A choice, one of its members, an element of another release.
        ("Patient", "http://example.org/deceased".to_owned(), "deceased_"),
        ("Patient", "http://example.org/deceasedBoolean".to_owned(), "deceasedBoolean_"),
        ("Patient", "http://example.org/animal".to_owned(), "animal_"),
        ("Patient", "http://example.org/smoker".to_owned(), "smoker"),
        // A coding's columns stand at its concept, and the other way round.
        ("CodeableConcept", "http://example.org/userSelected".to_owned(), "userSelected_"),
        ("Coding", "http://example.org/text".to_owned(), "text_"),
        // HL7's URL keeps the name; of two of HL7's the newer.
        ("Patient", "http://example.org/patient-birthTime".to_owned(), "patientBirthTime_"),
        ("Device", format!("{core}device-implantStatus"), "deviceImplantStatus"),
        ("Device", format!("{core}device-implant-status"), "deviceImplantStatus_"),
    ] {
        let column = extensions::column_tail(type_named(carrying), &url);
        match expected.strip_suffix('_') {
            Some(tail) => assert_eq!(column, extensions::with_digest(tail, &url), "{carrying} {url}"),
            None => assert_eq!(column, expected, "{carrying} {url}"),
        }
    }
    assert_eq!(
        extensions::column_tail(None, "http://example.org/at"),
        extensions::with_digest("at", "http://example.org/at")
    );
}

#[test]
fn the_digest_is_of_the_url_without_its_version() {
    // printf 'http://example.org/text' | sha256sum
    let expected = "text_913604";
    assert_eq!(extensions::with_digest("text", "http://example.org/text"), expected);
    assert_eq!(extensions::with_digest("text", "http://example.org/text/|2.0"), expected);
}

#[test]
fn no_two_registered_urls_share_a_column_nor_take_an_element() {
    for id in every_type() {
        let mut urls: BTreeMap<String, &str> = BTreeMap::new();
        for url in extensions::ranked() {
            let column = extensions::column_tail(Some(id), url).into_owned();
            assert!(id.element(&column).is_none(), "{} {url}", id.name());
            assert_eq!(id.choices(&column).count(), 0, "{} {url}", id.name());
            assert_eq!(urls.insert(column, url), None, "{} {url}", id.name());
        }
    }
}

#[test]
fn long_tails_are_cut_and_told_apart_by_digits() {
    let url = |length: usize, end: &str| format!("http://a.example/{}{end}", "x".repeat(length));
    assert_eq!(extensions::column_tail(None, &url(128, "")).len(), 128);
    let [one, other] = ["a", "b"].map(|end| extensions::column_tail(None, &url(30_000, end)).into_owned());
    assert_eq!((one.len(), other.len()), (128 + 7, 128 + 7));
    assert_ne!(one, other);
    assert!(extensions::ranked().iter().all(|url| extensions::tail(url).len() <= 128));
}

#[test]
fn reserved_names_are_sorted_to_be_found() {
    assert!(extensions::RESERVED.is_sorted_by(|(one, _), (other, _)| one < other));
}

#[test]
fn the_registry_knows_its_own() {
    assert!(extensions::is_registered("http://hl7.org/fhir/StructureDefinition/patient-birthTime|4.0.1"));
    assert!(!extensions::is_registered("http://example.org/patient-birthTime"));
    assert!(extensions::ranked().len() > 600);
}

/// Returns whether a text is `[A-Za-z][A-Za-z0-9]*`, perhaps with `_` and six hex digits.
fn is_column(name: &str) -> bool {
    let (tail, digest) = name.split_once('_').unwrap_or((name, "abcdef"));
    tail.starts_with(|first: char| first.is_ascii_alphabetic())
        && tail.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && digest.len() == 6
        && digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

proptest! {
    #[test]
    fn any_text_makes_a_column(url in any::<String>(), at in 0_usize..1000) {
        let carrying = every_type().nth(at);
        let column = extensions::column_tail(carrying, &url);
        prop_assert!(is_column(&column), "{column}");
        prop_assert!(carrying.is_none_or(|id| id.element(&column).is_none()));
        let versioned = format!("{url}/|1.0");
        prop_assert_eq!(&column, &extensions::column_tail(carrying, &versioned));
    }

    #[test]
    fn any_path_makes_a_column(url in "(http:/|urn:|)([/:#.|-]?[a-zA-Z0-9é]{0,4}){0,6}") {
        for carrying in [None, type_named("Patient"), type_named("Extension")] {
            prop_assert!(is_column(&extensions::column_tail(carrying, &url)));
        }
    }
}
