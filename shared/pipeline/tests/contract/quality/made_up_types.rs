//! References to types that nobody has: a sender can name any number of them.

use flatten::automatic::Settings;
use serde_json::{Value, json};

use super::find_in_both;

/// More than a query of the database can have stages, and more than a store asks for one by one.
const TYPES: usize = 1_500;

#[tokio::test]
async fn references_to_made_up_types_count_together() {
    let observation = |number: usize| {
        json!({"resourceType": "Observation", "id": number.to_string(), "status": "final",
            "code": {"text": "x"},
            "subject": {"reference": format!("Alien{number}/1")},
            "performer": [{"reference": "Practitioner/gone"}, {"reference": format!("Alien{number}/2")}]})
    };
    let observations: Vec<Value> = (0..TYPES).map(observation).collect();
    let found = find_in_both(&observations, &Settings::default()).await;
    let dangling = found.iter().filter(|finding| finding.check == "dangling-reference");
    let dangling: Vec<_> =
        dangling.map(|finding| (&*finding.column, finding.count, finding.detail.as_deref())).collect();
    let expected = [
        ("performer_keys", 3_000, Some("Practitioner 1500, another type 1500")),
        ("subject_key", 1_500, Some("another type 1500")),
    ];
    assert_eq!(dangling, expected);
}
