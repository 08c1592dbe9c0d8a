//! Checks that look at one row at a time: each is a condition, made for the elements that a table has.

use flatten::check::{mandatory_elements, required_codes};
use flatten::model::Primitive;

use crate::store::quality::{DATE_LENGTH, MOMENT_SUFFIX, RowCondition, TextTest};

use super::catalogue::QualityCheck;
use super::elements::{CheckedTable, ComplexElement, ElementFields, ScalarElement, any, without};
use super::facts::{PAST_ELEMENTS, PLACEHOLDERS, STATUSES, SUBJECTS, TARGETS, WRONGLY_DECODED};

const DAY: i64 = 86_400_000;

/// 1900-01-01.
const EARLIEST_BIRTH: i64 = -25_567 * DAY;

/// An encounter is open for too long after so many milliseconds.
const LONGEST_ENCOUNTER: i64 = 365 * DAY;

const UCUM: &str = "http://unitsofmeasure.org";

/// A condition whose rows a check counts.
#[derive(Debug)]
pub(super) struct RowCheck {
    pub(super) check: QualityCheck,
    pub(super) column: String,
    pub(super) condition: RowCondition,
}

/// Collects the checks of a table.
pub(super) struct RowChecks<'t> {
    table: &'t CheckedTable,
    /// The moment from which on a date is in the future, and the one that is now.
    future: i64,
    now: i64,
    checks: Vec<RowCheck>,
}

impl<'t> RowChecks<'t> {
    /// Returns the checks of a table's rows. Everything later than the day after `today` is in the future: no time zone
    /// excuses it.
    pub(super) fn of_table(table: &'t CheckedTable, today: i64) -> Vec<RowCheck> {
        let future = today - today.rem_euclid(DAY) + 2 * DAY - 1;
        let mut checks = Self { table, future, now: today, checks: Vec::new() };
        for element in table.complex_elements() {
            checks.add_complex(&element);
        }
        for element in table.scalar_elements() {
            checks.add_scalar(&element);
        }
        if table.is_of_resources() {
            checks.add_resource();
        }
        checks.checks
    }

    fn add(&mut self, check: QualityCheck, column: &str, condition: Option<RowCondition>) {
        if let Some(condition) = condition {
            self.checks.push(RowCheck { check, column: column.to_owned(), condition });
        }
    }

    fn add_complex(&mut self, element: &ComplexElement) {
        match element.datatype {
            "Coding" | "CodeableConcept" => self.add_coding(element),
            "Quantity" | "Age" | "Duration" | "Distance" | "Count" => self.add_quantity(element),
            "Identifier" => self.add_identifier(element),
            "Reference" => self.add_reference(element),
            "Period" => self.add_period(element),
            "HumanName" => self.add_name(element),
            "ContactPoint" => self.add_contact(element),
            "Address" => self.add_address(element),
            _ => {}
        }
    }

    fn add_coding(&mut self, element: &ComplexElement) {
        let all = [
            (QualityCheck::CodeWithoutSystem, &["code"][..], &["system"][..]),
            (QualityCheck::SystemWithoutCode, &["system"], &["code"]),
            (QualityCheck::DisplayWithoutCode, &["display"], &["code", "system"]),
        ];
        for (check, one, others) in all {
            self.add(check, &element.name, element.condition(|fields| fields.one_without(one, others)));
        }
    }

    fn add_quantity(&mut self, element: &ComplexElement) {
        let name = &element.name;
        let without_value = |fields: &ElementFields<'_>| fields.one_without(&["unit", "code"], &["value"]);
        self.add(QualityCheck::UnitWithoutValue, name, element.condition(without_value));
        if needs_unit(&element.path) {
            let condition = element.condition(|fields| fields.one_without(&["value"], &["unit", "code"]));
            self.add(QualityCheck::ValueWithoutUnit, name, condition);
        }
        let condition = element.condition(|fields| fields.one_without(&["code"], &["system"]));
        self.add(QualityCheck::UnitCodeWithoutSystem, name, condition);
        self.add(QualityCheck::InvalidUcumCode, name, element.condition(invalid_ucum_code));
        if element.datatype != "Quantity" {
            let negative = |fields: &ElementFields<'_>| Some(RowCondition::Below(fields.column("value")?, 0));
            self.add(QualityCheck::NegativeQuantity, name, element.condition(negative));
        }
        if element.path.starts_with("Observation.") {
            self.add(QualityCheck::PercentAbove100, name, element.condition(percent_above_100));
        }
    }

    fn add_identifier(&mut self, element: &ComplexElement) {
        let pairs = [
            (QualityCheck::IdentifierWithoutSystem, "value", "system"),
            (QualityCheck::IdentifierWithoutValue, "system", "value"),
        ];
        // An identifier in a reference is the concern of who refers.
        if element.path.ends_with(".identifier.identifier") {
            return;
        }
        for (check, one, other) in pairs {
            let condition = element.condition(|fields| fields.one_without(&[one], &[other]));
            self.add(check, &element.name, condition);
        }
    }

    fn add_reference(&mut self, element: &ComplexElement) {
        let table = self.table;
        let condition = element.condition(|fields| {
            let display = fields.any_of(&["display"])?;
            let identifier = fields.inside(table, "identifier");
            let others = fields.any_of(&["reference"]).into_iter().chain(identifier).collect();
            Some(without(display, any(others)))
        });
        // Who assigned an identifier is told to people.
        if !element.path.ends_with(".assigner") {
            self.add(QualityCheck::ReferenceWithoutTarget, &element.name, condition);
        }
        let Some(targets) = targets(&element.path) else { return };
        let condition = element.condition(|fields| {
            let type_column = fields.column("type")?;
            let allowed = targets.iter().map(|&target| target.to_owned()).collect();
            let is_allowed = RowCondition::Text(type_column.clone(), TextTest::OneOf(allowed));
            Some(without(RowCondition::Present(type_column), Some(is_allowed)))
        });
        self.add(QualityCheck::WrongReferenceType, &element.name, condition);
    }

    fn add_period(&mut self, element: &ComplexElement) {
        let reversed = element.condition(|fields| {
            Some(RowCondition::Earlier { date: fields.column("end")?, than: fields.column("start")? })
        });
        self.add(QualityCheck::PeriodReversed, &element.name, reversed);
    }

    fn add_name(&mut self, element: &ComplexElement) {
        let parts = ["family", "given", "text"];
        let others = ["use", "prefix", "suffix", "period_start", "period_end"];
        let without_parts = element.condition(|fields| fields.one_without(&others, &parts));
        self.add(QualityCheck::NameWithoutParts, &element.name, without_parts);
        let placeholder = element.condition(|fields| {
            let test = || TextTest::OneOfAnyCase(PLACEHOLDERS);
            let one = ["family", "text"].into_iter().filter_map(|part| fields.column(part));
            let one = one.map(|column| RowCondition::Text(column, test()));
            let given = fields.column("given").map(|column| RowCondition::AnyText(column, test()));
            any(one.chain(given).collect())
        });
        self.add(QualityCheck::PlaceholderName, &element.name, placeholder);
    }

    fn add_contact(&mut self, element: &ComplexElement) {
        let name = &element.name;
        let without_system = element.condition(|fields| fields.one_without(&["value"], &["system"]));
        self.add(QualityCheck::TelecomWithoutSystem, name, without_system);
        let malformed = |systems: &'static [&'static str], test: TextTest| {
            element.condition(|fields| {
                let systems = systems.iter().map(|&system| system.to_owned()).collect();
                let value = fields.column("value")?;
                let is_of_system = RowCondition::Text(fields.column("system")?, TextTest::OneOf(systems));
                let has = RowCondition::All(vec![RowCondition::Present(value.clone()), is_of_system]);
                Some(without(has, Some(RowCondition::Text(value, test.clone()))))
            })
        };
        let (email, phone) = (
            malformed(&["email"], TextTest::Contains(&["@"])),
            malformed(&["phone", "fax", "sms"], TextTest::HasDigit),
        );
        self.add(QualityCheck::MalformedEmail, name, email);
        self.add(QualityCheck::MalformedPhone, name, phone);
    }

    fn add_address(&mut self, element: &ComplexElement) {
        let all = [
            (QualityCheck::AddressWithoutCountry, &["city", "line", "postalCode"][..], "country"),
            (QualityCheck::AddressWithoutPostalCode, &["city", "line"], "postalCode"),
        ];
        for (check, parts, missing) in all {
            self.add(check, &element.name, element.condition(|fields| fields.one_without(parts, &[missing])));
        }
    }

    fn add_scalar(&mut self, element: &ScalarElement) {
        let path = &*element.path;
        match element.datatype {
            Primitive::String | Primitive::Markdown => {
                self.add_text(element, QualityCheck::BlankText, &TextTest::Blank);
                let replaced = TextTest::Contains(&["\u{fffd}"]);
                self.add_text(element, QualityCheck::ReplacementCharacter, &replaced);
                self.add_text(element, QualityCheck::WrongEncoding, &TextTest::Contains(WRONGLY_DECODED));
            }
            Primitive::Code if path.ends_with(".gender") => {
                let genders = required_codes("Patient", "gender").unwrap_or_default();
                self.add_outside(element, QualityCheck::GenderOutsideValueSet, genders);
            }
            Primitive::Date | Primitive::DateTime | Primitive::Instant => self.add_date(element),
            _ => {}
        }
    }

    fn add_text(&mut self, element: &ScalarElement, check: QualityCheck, test: &TextTest) {
        let condition = element.condition(|column, is_list| {
            let test = test.clone();
            if is_list { RowCondition::AnyText(column, test) } else { RowCondition::Text(column, test) }
        });
        self.add(check, &element.name, condition);
    }

    fn add_outside(&mut self, element: &ScalarElement, check: QualityCheck, codes: &[&str]) {
        let codes: Vec<String> = codes.iter().map(|&code| code.to_owned()).collect();
        let condition = element.condition(|column, _| {
            let is_known = RowCondition::Text(column.clone(), TextTest::OneOf(codes.clone()));
            without(RowCondition::Present(column), Some(is_known))
        });
        self.add(check, &element.name, condition);
    }

    fn add_date(&mut self, element: &ScalarElement) {
        let Some(column) = element.date_column(self.table) else { return };
        let at = format!("{column}{MOMENT_SUFFIX}");
        let is_future = RowCondition::After(at.clone(), self.future);
        let path = &*element.path;
        if path.ends_with(".birthDate") {
            self.add(QualityCheck::BirthDateInFuture, column, Some(is_future));
            let too_early = RowCondition::Before(at, EARLIEST_BIRTH);
            self.add(QualityCheck::BirthDateTooEarly, column, Some(too_early));
            return;
        }
        if path == format!("{}.meta.lastUpdated", self.table.resource_type) {
            self.add(QualityCheck::LastUpdatedInFuture, column, Some(is_future));
            return;
        }
        if let Some(has_passed) = has_passed(self.table, path) {
            let condition = RowCondition::All(vec![is_future, has_passed]);
            self.add(QualityCheck::DateInFuture, column, Some(condition));
        }
    }

    /// Adds what concerns a resource as a whole.
    fn add_resource(&mut self) {
        let resource_type = &*self.table.resource_type;
        let statuses = STATUSES.into_iter().filter(|(known, ..)| *known == resource_type);
        let statuses = statuses.map(|(_, element, codes)| (element, codes));
        let of_checks = required_codes(resource_type, "status").map(|codes| ("status", codes));
        for (element, codes) in statuses.chain(of_checks) {
            if self.table.has(element) {
                let codes = codes.iter().map(|&code| code.to_owned()).collect();
                let is_known = RowCondition::Text(element.to_owned(), TextTest::OneOf(codes));
                let condition = without(RowCondition::Present(element.to_owned()), Some(is_known));
                self.add(QualityCheck::StatusOutsideValueSet, element, Some(condition));
            }
        }
        let subjects =
            SUBJECTS.iter().find(|(known, _)| *known == resource_type).map_or(&[][..], |(_, names)| names);
        if let Some(first) = subjects.first() {
            self.add(QualityCheck::MissingSubject, first, Some(self.lacks(subjects)));
        }
        for names in mandatory_elements(resource_type) {
            let names: Vec<&str> = names.split('|').collect();
            if let Some(first) = names.first().filter(|_| !names.iter().any(|name| subjects.contains(name))) {
                self.add(QualityCheck::MissingMandatory, first, Some(self.lacks(&names)));
            }
        }
        match resource_type {
            "Patient" => self.add_patient(),
            "Encounter" => self.add_encounter(),
            "Observation" => self.add_observation(),
            "DiagnosticReport" => self.add_issued(),
            "MedicationRequest" => self.add_medication(),
            _ => {}
        }
    }

    /// Returns the condition that a row has none of some elements.
    fn lacks(&self, elements: &[&str]) -> RowCondition {
        let has = elements.iter().filter_map(|element| self.table.has_element(element));
        RowCondition::Not(Box::new(RowCondition::Any(has.collect())))
    }

    fn present(&self, column: &str) -> Option<RowCondition> {
        self.table.has(column).then(|| RowCondition::Present(column.to_owned()))
    }

    fn has_status(&self, codes: &[&str]) -> Option<RowCondition> {
        let codes = codes.iter().map(|&code| code.to_owned()).collect();
        self.table.has("status").then(|| RowCondition::Text("status".to_owned(), TextTest::OneOf(codes)))
    }

    fn add_patient(&mut self) {
        if ["deceasedDateTime", "birthDate"].iter().all(|column| self.table.has(column)) {
            let death = "deceasedDateTime".to_owned();
            let condition = RowCondition::Earlier { date: death, than: "birthDate".to_owned() };
            self.add(QualityCheck::DeathBeforeBirth, "deceasedDateTime", Some(condition));
        }
    }

    fn add_encounter(&mut self) {
        for period in ["period", "actualPeriod"] {
            let (start, end) = (format!("{period}_start"), format!("{period}_end"));
            let started = self.present(&start).zip(self.has_status(&["finished", "completed"]));
            let finished = started.map(|(started, status)| RowCondition::All(vec![status, started]));
            let condition = finished.map(|finished| without(finished, self.present(&end)));
            self.add(QualityCheck::FinishedWithoutEnd, &end, condition);
            let at = format!("{start}{MOMENT_SUFFIX}");
            let open = self.has_status(&["in-progress"]).filter(|_| self.table.has(&at));
            let bound = RowCondition::Before(at, self.now.saturating_sub(LONGEST_ENCOUNTER));
            let condition = open.map(|open| RowCondition::All(vec![open, bound]));
            self.add(QualityCheck::OpenTooLong, &start, condition);
        }
    }

    fn add_observation(&mut self) {
        let cancelled = self.has_status(&["cancelled"]).zip(self.present("value_type"));
        let condition = cancelled.map(|(status, value)| RowCondition::All(vec![status, value]));
        self.add(QualityCheck::CancelledWithResult, "status", condition);
        self.add_issued();
    }

    fn add_issued(&mut self) {
        for effective in ["effectiveDateTime", "effectivePeriod_start", "effectiveInstant"] {
            if self.table.has("issued") && self.table.has(effective) {
                let (date, than) = ("issued".to_owned(), effective.to_owned());
                let condition = Some(RowCondition::Earlier { date, than });
                self.add(QualityCheck::IssuedBeforeEffective, effective, condition);
            }
        }
    }

    fn add_medication(&mut self) {
        let Some(active) = self.has_status(&["active"]) else { return };
        let dosage = self.table.has_element("dosageInstruction");
        self.add(QualityCheck::MedicationWithoutDose, "dosageInstruction", Some(without(active, dosage)));
    }
}

/// Returns, for a date that says when something happened, the condition that it has happened and is not planned; `None`:
/// another date.
pub(super) fn has_passed(table: &CheckedTable, path: &str) -> Option<RowCondition> {
    let rest = path.strip_prefix(&*table.resource_type)?.strip_prefix('.')?;
    let known = |(resource_type, elements, statuses): (&'static str, &[&str], &'static [&'static str])| {
        let is_known =
            resource_type == table.resource_type && elements.iter().any(|element| is_date_of(rest, element));
        is_known.then_some(statuses)
    };
    let statuses = PAST_ELEMENTS.into_iter().find_map(known)?;
    if statuses.is_empty() {
        return Some(RowCondition::All(Vec::new()));
    }
    let codes = statuses.iter().map(|&status| status.to_owned()).collect();
    table.has("status").then(|| RowCondition::Text("status".to_owned(), TextTest::OneOf(codes)))
}

/// Returns whether a path is that of an element's date, or of the start of its period.
fn is_date_of(path: &str, element: &str) -> bool {
    let Some(rest) = path.strip_prefix(element) else { return false };
    matches!(
        rest,
        "" | ".start" | ".ofType(dateTime)" | ".ofType(instant)" | ".ofType(date)" | ".ofType(Period).start"
    )
}

fn targets(path: &str) -> Option<&'static [&'static str]> {
    let (resource_type, element) = path.split_once('.')?;
    let known = TARGETS.iter().find(|(of, name, _)| *name == element && (*of == resource_type || *of == "*"));
    known.map(|(_, _, targets)| *targets)
}

/// Returns whether a quantity says nothing without a unit: a result or a dose.
fn needs_unit(path: &str) -> bool {
    let is_result = path.starts_with("Observation.") && path.ends_with("value.ofType(Quantity)");
    is_result || path.ends_with("dose.ofType(Quantity)") || path.ends_with("dosage.dose")
}

fn is_ucum(fields: &ElementFields<'_>) -> Option<RowCondition> {
    Some(RowCondition::Text(fields.column("system")?, TextTest::OneOf(vec![UCUM.to_owned()])))
}

fn invalid_ucum_code(fields: &ElementFields<'_>) -> Option<RowCondition> {
    let code = RowCondition::Text(fields.column("code")?, TextTest::HasOtherThanPrintableAscii);
    Some(RowCondition::All(vec![is_ucum(fields)?, code]))
}

fn percent_above_100(fields: &ElementFields<'_>) -> Option<RowCondition> {
    let percent = RowCondition::Text(fields.column("code")?, TextTest::OneOf(vec!["%".to_owned()]));
    Some(RowCondition::All(vec![percent, RowCondition::Above(fields.column("value")?, 100)]))
}

/// Returns the conditions that a date of the row has a time, and that this is midnight.
pub(super) fn midnight(column: &str) -> [RowCondition; 2] {
    let present = RowCondition::Present(format!("{column}{MOMENT_SUFFIX}"));
    let tests = [TextTest::IsLongerThan(DATE_LENGTH), TextTest::At(DATE_LENGTH, "T00:00:00")];
    tests.map(|test| RowCondition::All(vec![present.clone(), RowCondition::Text(column.to_owned(), test)]))
}
