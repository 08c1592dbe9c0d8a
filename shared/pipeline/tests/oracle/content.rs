//! Records at random: versions of a few resources, deletions, and what is broken.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// One record of a file.
#[derive(Debug, Clone)]
pub(crate) enum Record {
    /// A resource, and the `fullUrl` of its entry where it stands in a Bundle.
    Resource { json: String, full_url: Option<String>, modified: Option<&'static str> },
    /// A DELETE entry: the resource's key, when it was deleted, how the method is written, and whether the entry
    /// carries the resource as well.
    Deletion { key: String, moment: Option<&'static str>, method: &'static str, is_carried: bool },
    /// What is no record: text for a line, and for an element of an array or a Bundle.
    Broken { line: &'static str, element: &'static str },
}

/// Few moments, so that the rest of the order token decides often. Two of them are the same moment, one is within a day
/// of an object, and the last one lies in the future of all objects.
const MOMENTS: [&str; 8] = [
    "2024-02-29T23:59:59Z",
    "2025-01-01T00:00:00.000Z",
    "2025-01-01T01:00:00+01:00",
    "2025-06-30T12:00:00.123456789Z",
    "2025-06-30T12:00:00.5+02:00",
    "1969-12-31T23:59:59Z",
    "2025-07-01T09:59:59Z",
    "9999-12-31T23:59:59Z",
];

const BROKEN: [(&str, &str); 7] = [
    ("{\"resourceType\":\"Patient\",\"id\":", "7"),
    ("no JSON at all", "\"text\""),
    ("{\"resourceType\":\"Patient\",\"id\":\"p1\",\"id\":\"p2\"}", "{\"resource\":{\"resourceType\":\"7\"}}"),
    (
        "{\"resourceType\":\"Patient\",\"id\":\"no/id\"}",
        "{\"resource\":{\"resourceType\":\"Patient\",\"id\":\"no/id\"}}",
    ),
    (
        "{\"resourceType\":\"Patient\",\"birthDate\":01}",
        "{\"request\":{\"method\":\"DELETE\",\"url\":\"Patient?active=false\"}}",
    ),
    (
        "{\"resourceType\":\"Patient\",\"id\":\"\"}",
        "{\"resource\":{\"resourceType\":\"Binary\",\"id\":\"1\"},\"request\":{\"method\":\"patch\",\"url\":\"Patient/1\"}}",
    ),
    (
        "{\"resourceType\":[]}",
        "{\"resource\":{\"resourceType\":\"Patient\",\"id\":\"1\"},\"request\":{\"method\":\"REMOVE\",\"url\":\"Patient/1\"}}",
    ),
];

/// Returns a record. `mark` is in every value that could be mixed up with another version's.
pub(crate) fn record(random: &mut StdRng, mark: &str) -> Record {
    let id = *["1", "10", "2"].choose(random).unwrap();
    match random.random_range(0..20) {
        0..3 => Record::Deletion {
            key: format!("{}/{id}", ["Patient", "Observation", "MedicationRequest"].choose(random).unwrap()),
            moment: MOMENTS.choose(random).copied().filter(|_| random.random_bool(0.6)),
            method: ["DELETE", "delete", "Delete"].choose(random).unwrap(),
            is_carried: random.random_bool(0.3),
        },
        3 => {
            let (line, element) = *BROKEN.choose(random).unwrap();
            Record::Broken { line, element }
        }
        4..11 => {
            let (json, full_url) = (patient(random, id, mark), urn(random, 0.6));
            Record::Resource { json, full_url, modified: modified(random) }
        }
        11..16 => {
            let (json, full_url) = (observation(random, id, mark), urn(random, 0.2));
            Record::Resource { json, full_url, modified: modified(random) }
        }
        16..19 => {
            let json = medication_request(random, id, mark);
            Record::Resource { json, full_url: None, modified: modified(random) }
        }
        _ => {
            let head = head(random, "AuditEvent", "1");
            let json = format!("{head},\"outcomeDesc\":\"{mark}\"}}");
            Record::Resource { json, full_url: None, modified: modified(random) }
        }
    }
}

/// Returns the `response.lastModified` of an entry.
fn modified(random: &mut StdRng) -> Option<&'static str> {
    MOMENTS.choose(random).copied().filter(|_| random.random_bool(0.3))
}

/// Returns one of three names that entries of a Bundle have for each other.
fn urn(random: &mut StdRng, probability: f64) -> Option<String> {
    let number = random.random_range(1..4);
    random.random_bool(probability).then(|| format!("urn:uuid:00000000-0000-4000-8000-00000000000{number}"))
}

/// Returns `{"resourceType":…,"id":…,"meta":…`, without the closing brace.
fn head(random: &mut StdRng, resource_type: &str, id: &str) -> String {
    let updated = MOMENTS.choose(random).filter(|_| random.random_bool(0.85));
    let meta =
        updated.map(|moment| format!(",\"meta\":{{\"lastUpdated\":\"{moment}\"}}")).unwrap_or_default();
    format!("{{\"resourceType\":\"{resource_type}\",\"id\":\"{id}\"{meta}")
}

/// Returns a Patient. Rows whose `_id` has a suffix come from names (a view, child tables) and contained resources;
/// inactive ones go to the archive; two families are too many for a view, and an unknown gender for a check.
fn patient(random: &mut StdRng, id: &str, mark: &str) -> String {
    let mut json = head(random, "Patient", id);
    if random.random_bool(0.05) {
        // Without an id the key comes from the entry's URN, or from the bytes.
        json = format!("{{\"resourceType\":\"Patient\",\"implicitRules\":\"{mark}\"");
    }
    json += &format!(",\"active\":{}", random.random_bool(0.8));
    let gender = *["male", "female", "refused"].choose(random).unwrap();
    json += &format!(",\"gender\":\"{gender}\",\"identifier\":[{{\"value\":\"{mark}\"}}]");
    let names: Vec<String> = (0..random.random_range(0..4))
        .map(|number| format!("{{\"family\":\"{mark}-{number}\",\"given\":[\"a\",\"b\"]}}"))
        .collect();
    if !names.is_empty() {
        json += &format!(",\"name\":[{}]", names.join(","));
    }
    if random.random_bool(0.3) {
        json += &format!(
            ",\"contained\":[{{\"resourceType\":\"Organization\",\"id\":\"o\",\"name\":\"{mark}\"}}]"
        );
    }
    if random.random_bool(0.2) {
        json += &format!(
            ",\"extension\":[{{\"url\":\"http://example.org/tier\",\"valueDecimal\":1.50}}],\"shoe\":\"{mark}\""
        );
    }
    json + "}"
}

/// References that point forward, backward, elsewhere and nowhere; in the row, and in items of a list. A contained
/// Patient has the id of one that stands for itself.
fn observation(random: &mut StdRng, id: &str, mark: &str) -> String {
    let mut reference = |always| {
        let urn = urn(random, 0.8).unwrap_or_else(|| "Patient/10".to_owned());
        let there = always || random.random_bool(0.5);
        if there { format!("{{\"reference\":\"{urn}\"}}") } else { String::new() }
    };
    let (subject, focus, performer) = (reference(true), reference(false), reference(false));
    let mut json = head(random, "Observation", id);
    json += &format!(",\"status\":\"{}\"", ["final", "cancelled", "amended"].choose(random).unwrap());
    json += &format!(",\"subject\":{subject},\"note\":[{{\"text\":\"{mark}\"}}]");
    let list = [focus, performer].into_iter().filter(|reference| !reference.is_empty()).collect::<Vec<_>>();
    if !list.is_empty() {
        json += &format!(",\"focus\":[{}]", list.join(","));
    }
    if random.random_bool(0.2) {
        let id = *["1", "10"].choose(random).unwrap();
        json += &format!(
            ",\"contained\":[{{\"resourceType\":\"Patient\",\"id\":\"{id}\",\"language\":\"{mark}\"}}]"
        );
    }
    let components: Vec<String> = (0..random.random_range(0..3))
        .map(|number| {
            format!("{{\"code\":{{\"text\":\"{mark}\"}},\"valueQuantity\":{{\"value\":{number}.50}}}}")
        })
        .collect();
    if !components.is_empty() {
        json += &format!(",\"component\":[{}]", components.join(","));
    }
    json + "}"
}

/// Returns a `MedicationRequest` with contained resources of two types, so that a newer version may leave tables that it
/// does not name itself.
fn medication_request(random: &mut StdRng, id: &str, mark: &str) -> String {
    let mut json = head(random, "MedicationRequest", id);
    json += &format!(",\"status\":\"active\",\"groupIdentifier\":{{\"value\":\"{mark}\"}}");
    let contained: Vec<String> = ["Medication", "Organization"]
        .iter()
        .filter(|_| random.random_bool(0.5))
        .map(|kind| format!("{{\"resourceType\":\"{kind}\",\"id\":\"{kind}\",\"language\":\"{mark}\"}}"))
        .collect();
    if !contained.is_empty() {
        json += &format!(",\"contained\":[{}]", contained.join(","));
    }
    json + "}"
}
