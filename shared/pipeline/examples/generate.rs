//! Makes FHIR data of any size to measure with: the same seed gives the same bytes. Nobody in it exists.
//!
//! ```text
//! cargo run --release -p flatfire-pipeline --example generate -- bundle 1000 > bundle.json
//! ```
//!
//! `ndjson` gives one resource a line with relative references; `bundle` gives one transaction Bundle on a single
//! line, whose entries refer to each other by `urn:uuid`, some of them to entries that come later. The size is in
//! megabytes of 1,000,000 bytes; the last resource may pass it. A third argument is the seed.

use std::io::{self, BufWriter, Error, ErrorKind, Write};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (shape, megabytes, seed) = read(&arguments).ok_or_else(|| {
        Error::new(ErrorKind::InvalidInput, "usage: generate ndjson|bundle MEGABYTES [SEED]")
    })?;
    let output = Counted { output: BufWriter::new(io::stdout().lock()), bytes: 0 };
    let generator = Generator { shape, output, random: StdRng::seed_from_u64(seed), entries: 0 };
    match generator.run(megabytes * 1_000_000) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}

fn read(arguments: &[String]) -> Option<(Shape, u64, u64)> {
    let shape = match arguments.first()?.as_str() {
        "ndjson" => Shape::Ndjson,
        "bundle" => Shape::Bundle,
        _ => return None,
    };
    let seed = arguments.get(2).map_or(Some(1), |seed| seed.parse().ok())?;
    Some((shape, arguments.get(1)?.parse().ok()?, seed))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Ndjson,
    Bundle,
}

struct Counted<W> {
    output: W,
    bytes: u64,
}

struct Generator<W> {
    shape: Shape,
    output: Counted<W>,
    random: StdRng,
    entries: u64,
}

const FAMILIES: [&str; 8] =
    ["Okafor", "Lindqvist", "Marchetti", "Yamada", "Novák", "da Silva", "O'Brien", "Müller"];
const GIVEN: [&str; 8] = ["Ada", "Björn", "Chiara", "Daichi", "Eliška", "Fernanda", "Gráinne", "Hans"];
/// LOINC code, display, unit, and the range of values in hundredths.
const LABORATORY: [(&str, &str, &str, u32, u32); 6] = [
    ("718-7", "Hemoglobin [Mass/volume] in Blood", "g/dL", 900, 1800),
    ("2345-7", "Glucose [Mass/volume] in Serum or Plasma", "mg/dL", 6000, 21000),
    ("2823-3", "Potassium [Moles/volume] in Serum or Plasma", "mmol/L", 300, 600),
    ("8867-4", "Heart rate", "/min", 4500, 15000),
    ("29463-7", "Body weight", "kg", 300, 14000),
    ("8310-5", "Body temperature", "Cel", 3500, 4150),
];
/// SNOMED CT code and display.
const CONDITIONS: [(&str, &str); 4] = [
    ("38341003", "Hypertensive disorder, systemic arterial (disorder)"),
    ("44054006", "Diabetes mellitus type 2 (disorder)"),
    ("195967001", "Asthma (disorder)"),
    ("271737000", "Anemia (disorder)"),
];

impl<W: Write> Generator<W> {
    fn run(mut self, bytes: u64) -> io::Result<()> {
        if self.shape == Shape::Bundle {
            write!(self.output, r#"{{"resourceType":"Bundle","type":"transaction","entry":["#)?;
        }
        while self.output.bytes < bytes {
            self.patient_with_history()?;
        }
        if self.shape == Shape::Bundle {
            write!(self.output, "]}}")?;
        }
        self.output.flush()
    }

    fn patient_with_history(&mut self) -> io::Result<()> {
        let [patient, practice] = [self.uuid(), self.uuid()];
        let text = self.patient(&patient, &practice);
        self.entry("Patient", &patient, &text)?;
        for _ in 0..self.random.random_range(1..5) {
            let encounter = self.uuid();
            for _ in 0..self.random.random_range(2..9) {
                let (id, text) = self.observation(&patient, &encounter);
                self.entry("Observation", &id, &text)?;
            }
            let (id, text) = self.condition(&patient, &encounter);
            self.entry("Condition", &id, &text)?;
            // After what refers to it.
            let text = self.encounter(&encounter, &patient);
            self.entry("Encounter", &encounter, &text)?;
        }
        let name = self.pick(&FAMILIES);
        let text = format!(r#""resourceType":"Organization","id":"{practice}","name":"Practice {name}""#);
        self.entry("Organization", &practice, &text)
    }

    fn patient(&mut self, id: &str, practice: &str) -> String {
        let (family, first, second) = (self.pick(&FAMILIES), self.pick(&GIVEN), self.pick(&GIVEN));
        let (birth, number) = (self.date(), self.random.random_range(100_000..999_999));
        let practice = self.reference("Organization", practice);
        format!(
            r#""resourceType":"Patient","id":"{id}","meta":{{"profile":["http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"]}},"extension":[{{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex","valueCode":"UNK"}}],"identifier":[{{"use":"official","system":"https://clinic.example/mrn","value":"{number}"}},{{"system":"https://insurer.example/member","value":"M-{number}"}}],"active":true,"name":[{{"use":"official","family":"{family}","given":["{first}","{second}"]}}],"telecom":[{{"system":"phone","value":"+1-555-{number}","use":"home"}}],"birthDate":"{birth}","address":[{{"line":["{number} Elm Street"],"city":"Springfield","country":"US"}}],"managingOrganization":{practice}"#
        )
    }

    fn observation(&mut self, patient: &str, encounter: &str) -> (String, String) {
        let (code, display, unit, low, high) = self.pick(&LABORATORY);
        let (id, day, hundredths) = (self.uuid(), self.date(), self.random.random_range(low..high));
        let (hour, minute) = (self.random.random_range(0..24), self.random.random_range(0..60));
        let (patient, encounter) =
            (self.reference("Patient", patient), self.reference("Encounter", encounter));
        let (whole, part) = (hundredths / 100, hundredths % 100);
        let text = format!(
            r#""resourceType":"Observation","id":"{id}","status":"final","category":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory","display":"Laboratory"}}]}}],"code":{{"coding":[{{"system":"http://loinc.org","code":"{code}","display":"{display}"}}],"text":"{display}"}},"subject":{patient},"encounter":{encounter},"effectiveDateTime":"{day}T{hour:02}:{minute:02}:00Z","issued":"{day}T{hour:02}:{minute:02}:30.500Z","valueQuantity":{{"value":{whole}.{part:02},"unit":"{unit}","system":"http://unitsofmeasure.org","code":"{unit}"}}"#
        );
        (id, text)
    }

    fn condition(&mut self, patient: &str, encounter: &str) -> (String, String) {
        let (code, display) = self.pick(&CONDITIONS);
        let (id, onset) = (self.uuid(), self.date());
        let (patient, encounter) =
            (self.reference("Patient", patient), self.reference("Encounter", encounter));
        let text = format!(
            r#""resourceType":"Condition","id":"{id}","clinicalStatus":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"active"}}]}},"code":{{"coding":[{{"system":"http://snomed.info/sct","code":"{code}","display":"{display}"}}],"text":"{display}"}},"subject":{patient},"encounter":{encounter},"onsetDateTime":"{onset}""#
        );
        (id, text)
    }

    fn encounter(&mut self, id: &str, patient: &str) -> String {
        let (day, patient) = (self.date(), self.reference("Patient", patient));
        format!(
            r#""resourceType":"Encounter","id":"{id}","status":"finished","class":{{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"AMB"}},"subject":{patient},"period":{{"start":"{day}T08:00:00Z","end":"{day}T08:30:00Z"}}"#
        )
    }

    /// Writes one resource, as a line or as an entry. `members` is the inside of its braces.
    fn entry(&mut self, kind: &str, id: &str, members: &str) -> io::Result<()> {
        let output = &mut self.output;
        match self.shape {
            Shape::Ndjson => writeln!(output, "{{{members}}}")?,
            Shape::Bundle => {
                let comma = if self.entries == 0 { "" } else { "," };
                write!(
                    output,
                    r#"{comma}{{"fullUrl":"urn:uuid:{id}","resource":{{{members}}},"request":{{"method":"PUT","url":"{kind}/{id}"}}}}"#
                )?;
            }
        }
        self.entries += 1;
        Ok(())
    }

    fn reference(&self, kind: &str, id: &str) -> String {
        match self.shape {
            Shape::Ndjson => format!(r#"{{"reference":"{kind}/{id}"}}"#),
            Shape::Bundle => format!(r#"{{"reference":"urn:uuid:{id}"}}"#),
        }
    }

    fn uuid(&mut self) -> String {
        let hex = format!("{:032x}", self.random.random::<u128>());
        let part = |range| hex.get(range).unwrap_or_default();
        format!("{}-{}-4{}-8{}-{}", part(0..8), part(8..12), part(13..16), part(17..20), part(20..32))
    }

    fn date(&mut self) -> String {
        let (year, month) = (self.random.random_range(1930..2026), self.random.random_range(1..13));
        format!("{year}-{month:02}-{:02}", self.random.random_range(1..29))
    }

    fn pick<T: Copy + Default>(&mut self, choices: &[T]) -> T {
        choices.choose(&mut self.random).copied().unwrap_or_default()
    }
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.output.write(bytes)?;
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}
