//! Values that the rules look at in place of some made-up ones.

use serde_json::Value;

use crate::json;

const MOMENTS: [&str; 12] = [
    "2026",
    "2026-02",
    "2024-02-29",
    "1969-12-31T23:59:59.9999Z",
    "2016-12-31T23:59:60Z",
    "2026-01-05T10:00:00.1234+02:00",
    "2026-01-05T10:00:00",
    "2026-01-05T10:00Z",
    "2026-01-05T24:00:00Z",
    "2026-13",
    "2025-02-29",
    "yesterday",
];
const REFERENCES: [&str; 16] = [
    "Patient/1",
    "https://a.example/fhir/Patient/1/_history/2",
    "Patient/1#part",
    "#",
    "#inner",
    "#org",
    "urn:uuid:0b2f0000-0000-4000-8000-000000000006",
    "Practitioner?identifier=urn:s|v",
    "Practitioner?identifier=v",
    "Practitioner?name=v",
    "https://a.example/fhir/R4/page.html",
    "https://a.example/Patient",
    "Rocket/1",
    "Patient/a b",
    "resource:0",
    "free text",
];
const USES: [&str; 8] = ["official", "usual", "old", "maiden", "nickname", "home", "work", "temp"];
const SYSTEMS: [&str; 9] = ["phone", "email", "fax", "pager", "url", "sms", "other", "urn:s", "urn:t"];
const NUMBERS: [&str; 12] = [
    "0",
    "-0",
    "1.50",
    "1E3",
    "0.0010",
    "-2147483648",
    "2147483647",
    "2147483648",
    "1234567890123456789012345678901234",
    "12345678901234567890123456789012345.0",
    "1e9999",
    "7",
];
const URLS: [&str; 8] = [
    "http://hl7.org/fhir/StructureDefinition/data-absent-reason|4.0.1",
    "http://hl7.org/fhir/StructureDefinition/patient-birthPlace",
    "https://a.example/patient-birthPlace",
    "https://a.example/gender",
    "https://a.example/2nd-name/1.0",
    "https://a.example/profile#a.b_c/",
    "urn:oid:1.2.3",
    "https://a.example/count",
];

/// Numbers from a seed, which need not be good.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn pick(&mut self, all: &[&str]) -> Value {
        all[self.below(all.len())].into()
    }
}

pub(crate) fn vary(value: &mut Value, name: &str, dice: &mut Dice) {
    match value {
        Value::Object(members) => members.iter_mut().for_each(|(name, value)| vary(value, name, dice)),
        Value::Array(items) => items.iter_mut().for_each(|item| vary(item, name, dice)),
        Value::String(text) => {
            let is_number = json::number(&text.as_str().into()).is_some();
            let is_moment = text.starts_with("20");
            let changed = match name {
                "resourceType" | "id" => return,
                "use" => dice.pick(&USES),
                "system" => dice.pick(&SYSTEMS),
                "reference" => dice.pick(&REFERENCES),
                "url" if dice.below(3) == 0 => dice.pick(&URLS),
                _ if is_number && dice.below(2) == 0 => {
                    let digits = dice.pick(&NUMBERS);
                    format!("\u{1}{}", digits.as_str().unwrap()).into()
                }
                _ if is_moment || dice.below(8) == 0 => dice.pick(&MOMENTS),
                _ => return,
            };
            *value = changed;
        }
        _ => {}
    }
}
