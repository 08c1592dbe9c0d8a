//! A made-up clinic without any defect: the same seed gives the same resources.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

/// The day on which the data are looked at: 2026-06-17, a Wednesday, at noon.
pub(super) const TODAY: i64 = 1_781_697_600_000;

pub(super) const LOINC: &str = "http://loinc.org";
pub(super) const UCUM: &str = "http://unitsofmeasure.org";
const SNOMED: &str = "http://snomed.info/sct";
const ACT_CODES: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";

/// Patients that other resources refer to; the others are there for defects of their own.
pub(super) const BUSY_PATIENTS: usize = 300;
pub(super) const DECEASED_PATIENTS: usize = 20;
const OTHER_PATIENTS: usize = 400;

const FAMILIES: [&str; 6] = ["Okafor", "Lindqvist", "Marchetti", "Yamada", "Novák", "Müller"];
const GIVEN: [&str; 6] = ["Ada", "Björn", "Chiara", "Daichi", "Eliška", "Fernanda"];
/// LOINC code, unit, UCUM code and the range of values.
const LABORATORY: [(&str, &str, &str, u32, u32); 4] = [
    ("718-7", "g/dL", "g/dL", 11, 18),
    ("2823-3", "mmol/L", "mmol/L", 3, 6),
    ("29463-7", "kg", "kg", 40, 140),
    ("59408-5", "%", "%", 90, 100),
];

/// Makes the resources of the clinic.
pub(super) struct Clinic {
    random: StdRng,
    /// The resources, each kind together.
    pub(super) resources: Vec<Value>,
}

impl Clinic {
    /// Makes all resources.
    pub(super) fn new(seed: u64) -> Self {
        let mut clinic = Self { random: StdRng::seed_from_u64(seed), resources: Vec::new() };
        for number in 0..20 {
            clinic.add(json!({"resourceType": "Organization", "id": format!("org{number}"), "name": "Ward"}));
            let name = json!([{"family": "Holm", "given": ["Karin"]}]);
            clinic.add(json!({"resourceType": "Practitioner", "id": format!("doc{number}"), "name": name}));
        }
        for number in 0..BUSY_PATIENTS + DECEASED_PATIENTS + OTHER_PATIENTS {
            clinic.add_patient(number);
        }
        for number in 0..600 {
            clinic.add_encounter(number);
        }
        for number in 0..1_500 {
            clinic.add_observation(number);
        }
        for number in 0..300 {
            clinic.add_condition(number);
            clinic.add_procedure(number);
            clinic.add_immunization(number);
            clinic.add_order(number);
            clinic.add_report(number);
        }
        clinic
    }

    fn add(&mut self, resource: Value) {
        self.resources.push(resource);
    }

    fn one_of(&mut self, kind: &str, count: usize) -> Value {
        json!({"reference": format!("{kind}{}", self.random.random_range(0..count))})
    }

    fn patient(&mut self) -> Value {
        self.one_of("Patient/pat", BUSY_PATIENTS)
    }

    /// Returns a day of a year, and a time on it.
    fn day(&mut self, year: u32) -> String {
        format!("{year}-{:02}-{:02}", self.random.random_range(1..=12), self.random.random_range(1..=28))
    }

    fn time(&mut self, year: u32) -> String {
        format!(
            "{}T{:02}:{:02}:07Z",
            self.day(year),
            self.random.random_range(8..20),
            self.random.random_range(0..60)
        )
    }

    fn add_patient(&mut self, number: usize) {
        let family = FAMILIES.choose(&mut self.random).unwrap();
        let given = GIVEN.choose(&mut self.random).unwrap();
        let year = self.random.random_range(1930..2010);
        let gender = ["male", "female", "other", "unknown"][number % 4];
        let mut patient = json!({
            "resourceType": "Patient", "id": format!("pat{number}"),
            "meta": {"lastUpdated": self.time(2025)},
            "identifier": [{"use": "official", "system": "urn:example:mrn", "value": format!("M{number}")},
                           {"use": "old", "system": "urn:example:old", "value": format!("O{number}")}],
            "name": [{"use": "official", "family": family, "given": [given, "Maria"]}, {"use": "nickname", "text": given}],
            "telecom": [{"system": "phone", "value": format!("+46 {number}")},
                        {"system": "email", "value": format!("p{number}@example.org")}],
            "gender": gender, "birthDate": self.day(year),
            "address": [{"use": "home", "line": ["Storgatan 1"], "city": "Umeå", "postalCode": "903 26",
                         "country": "SE", "period": {"start": "2019", "end": "2025"}}],
            "managingOrganization": self.one_of("Organization/org", 20),
        });
        if (BUSY_PATIENTS..BUSY_PATIENTS + DECEASED_PATIENTS).contains(&number) {
            patient["deceasedDateTime"] = "2020-05-05T10:00:00Z".into();
        }
        self.add(patient);
    }

    fn add_encounter(&mut self, number: usize) {
        let day = self.day(2025);
        let encounter = json!({
            "resourceType": "Encounter", "id": format!("enc{number}"), "status": "finished",
            "class": {"system": ACT_CODES, "code": "AMB", "display": "ambulatory"},
            "subject": self.patient(),
            "participant": [{"individual": self.one_of("Practitioner/doc", 20)}],
            "period": {"start": format!("{day}T08:10:00Z"), "end": format!("{day}T09:20:00Z")},
            "serviceProvider": self.one_of("Organization/org", 20),
        });
        self.add(encounter);
    }

    fn add_observation(&mut self, number: usize) {
        let (code, unit, ucum, low, high) = LABORATORY[number % LABORATORY.len()];
        let time = self.time(2025);
        let mut observation = json!({
            "resourceType": "Observation", "id": format!("obs{number}"), "status": "final",
            "category": [{"coding": [{"system": "urn:example:category", "code": "laboratory"}]}],
            "code": {"coding": [{"system": LOINC, "code": code, "display": "Something measured"}], "text": "Something"},
            "subject": self.patient(), "encounter": self.one_of("Encounter/enc", 600),
            "effectiveDateTime": time, "issued": time.replace(":07Z", ":08Z"),
            "performer": [self.one_of("Practitioner/doc", 20), self.one_of("Organization/org", 20)],
        });
        let value = self.random.random_range(low..high);
        let digits = self.random.random_range(0..10);
        let quantity: Value = serde_json::from_str(&format!(
            r#"{{"value":{value}.{digits},"unit":"{unit}","system":"{UCUM}","code":"{ucum}"}}"#
        ))
        .unwrap();
        if number.is_multiple_of(5) {
            observation["component"] = json!([
                {"code": {"coding": [{"system": LOINC, "code": "8480-6"}]}, "valueQuantity": quantity},
                {"code": {"coding": [{"system": LOINC, "code": "8462-4"}]}, "valueString": "low"},
            ]);
        } else {
            observation["valueQuantity"] = quantity;
        }
        self.add(observation);
    }

    fn add_condition(&mut self, number: usize) {
        let mut condition = json!({
            "resourceType": "Condition", "id": format!("con{number}"),
            "code": {"coding": [{"system": SNOMED, "code": "38341003"}], "text": "Hypertension"},
            "subject": self.patient(), "encounter": self.one_of("Encounter/enc", 600),
            "recordedDate": self.day(2025),
        });
        if number.is_multiple_of(2) {
            condition["onsetAge"] = json!({"value": 17, "unit": "years", "system": UCUM, "code": "a"});
        } else {
            condition["onsetDateTime"] = "2019".into();
        }
        self.add(condition);
    }

    fn add_procedure(&mut self, number: usize) {
        let procedure = json!({
            "resourceType": "Procedure", "id": format!("pro{number}"), "status": "completed",
            "code": {"coding": [{"system": SNOMED, "code": format!("4697{number}")}]},
            "subject": self.patient(), "performedDateTime": self.time(2024),
        });
        self.add(procedure);
    }

    fn add_immunization(&mut self, number: usize) {
        let immunization = json!({
            "resourceType": "Immunization", "id": format!("imm{number}"), "status": "completed",
            "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": format!("{number}")}]},
            "patient": self.patient(), "occurrenceDateTime": self.day(2024),
        });
        self.add(immunization);
    }

    fn add_order(&mut self, number: usize) {
        let order = json!({
            "resourceType": "MedicationRequest", "id": format!("med{number}"), "status": "active", "intent": "order",
            "medicationCodeableConcept": {"text": "Ramipril"}, "subject": self.patient(),
            "authoredOn": self.day(2025),
            "dosageInstruction": [{"text": "one in the morning", "doseAndRate": [{"doseQuantity":
                {"value": 2.5, "unit": "mg", "system": UCUM, "code": "mg"}}]}],
        });
        self.add(order);
    }

    fn add_report(&mut self, number: usize) {
        let report = json!({
            "resourceType": "DiagnosticReport", "id": format!("rep{number}"), "status": "final",
            "code": {"text": "Panel"}, "subject": self.patient(), "effectiveDateTime": self.day(2024),
            "issued": self.time(2025),
            "result": [self.one_of("Observation/obs", 1_500), self.one_of("Observation/obs", 1_500)],
        });
        self.add(report);
    }
}
