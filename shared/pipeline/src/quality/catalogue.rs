//! What each check is called, what it counts, and what to do about it.

use std::fmt;

macro_rules! checks {
    ($($check:ident $code:literal $title:literal $meaning:literal $remedy:literal)*) => {
        /// A check of the data that stands in tables, or of the ledger.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum QualityCheck {
            $(#[doc = $meaning] $check,)*
        }

        impl QualityCheck {
            /// All checks, in the order in which they are told.
            pub const ALL: &'static [Self] = &[$(Self::$check),*];

            /// Returns the check's code.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$check => $code),* }
            }

            /// Returns what the check means.
            #[must_use]
            pub const fn description(self) -> CheckDescription {
                match self {
                    $(Self::$check => CheckDescription {
                        code: $code, title: $title, meaning: $meaning, remedy: $remedy,
                    }),*
                }
            }
        }
    };
}

/// The words of a check, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckDescription {
    /// Its code, such as `code-without-system`.
    pub code: &'static str,
    /// A title of a few words.
    pub title: &'static str,
    /// What it counts.
    pub meaning: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

/// Returns the words of a check; `None` if there is no check with this code.
#[must_use]
pub fn describe(code: &str) -> Option<CheckDescription> {
    QualityCheck::ALL.iter().find(|check| check.code() == code).map(|check| check.description())
}

impl fmt::Display for QualityCheck {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.code())
    }
}

checks! {
    CodeWithoutSystem "code-without-system" "Code without a system"
        "Rows whose coding has a code and no system."
        "Ask the sender for the code system; without it nobody knows what the code means."
    SystemWithoutCode "system-without-code" "System without a code"
        "Rows whose coding has a system and no code."
        "Ask the sender why the code is missing."
    DisplayWithoutCode "display-without-code" "Display without a code"
        "Rows whose coding has a display and neither code nor system."
        "Ask the sender to send the code; text cannot be counted reliably."
    UnitWithoutValue "unit-without-value" "Unit without a value"
        "Rows whose quantity has a unit, or the code of a unit, and no value."
        "Look at the original record: the number was lost, or is text."
    ValueWithoutUnit "value-without-unit" "Value without a unit"
        "Rows whose result or dose is a quantity with a value and neither unit nor code of a unit."
        "Ask the sender for the unit; scores may have none."
    UnitCodeWithoutSystem "unit-code-without-system" "Unit code without a system"
        "Rows whose quantity has the code of a unit and no system."
        "Ask the sender for the system, usually http://unitsofmeasure.org."
    InvalidUcumCode "invalid-ucum-code" "Not a UCUM code"
        "Rows whose quantity has the system UCUM and a code with a space or a character beyond ASCII, which UCUM never has."
        "Ask the sender to put the readable unit into `unit` and UCUM's code into `code`."
    NegativeQuantity "negative-quantity" "Negative quantity"
        "Rows with an age, a duration, a distance or a count below zero."
        "Look at the original record."
    PercentAbove100 "percent-above-100" "Percentage above 100"
        "Rows of observations whose value has the unit code % and is above 100."
        "Look whether the value was multiplied by 100; a percentage of a predicted value may be right."
    MixedUnits "mixed-units" "Several units for one code"
        "Observations whose code has values in several units, without those in its most frequent unit."
        "Convert before you compare or average; ask the sender whether the code is right."
    ValueOutlier "value-outlier" "Value far from the others"
        "Observations whose value is three powers of ten or more from the median of its code and unit (12 and 99 have the same power), where these have 10 values above zero or more."
        "Look at the unit: a value in another unit is the usual cause."
    BirthDateInFuture "birth-date-in-future" "Birth date in the future"
        "Rows with a birth date later than tomorrow."
        "Correct the birth date at the source."
    BirthDateTooEarly "birth-date-too-early" "Birth date before 1900"
        "Rows with a birth date before 1900."
        "Look whether it stands for an unknown date; then it should be absent."
    DeathBeforeBirth "death-before-birth" "Death before birth"
        "Patients whose death is certainly before their birth."
        "Correct the dates at the source."
    PeriodReversed "period-reversed" "End before start"
        "Rows with a period whose end is certainly before its start."
        "Correct the dates at the source."
    DateInFuture "date-in-future" "Date in the future"
        "Rows in which something that has happened, such as a result, a diagnosis or a signature, is later than tomorrow."
        "Look whether it was only planned, or whether day and month were exchanged."
    LastUpdatedInFuture "last-updated-in-future" "Last change in the future"
        "Rows whose meta.lastUpdated is later than tomorrow."
        "Correct the sender's clock: such a version is replaced by none that is made before."
    BeforeBirth "before-birth" "Before the patient's birth"
        "Rows about a patient that are certainly before the birth."
        "Look whether the birth date, the date or the patient is wrong."
    IssuedBeforeEffective "issued-before-effective" "Issued before it was measured"
        "Observations and reports that were issued certainly before the time that they are about."
        "Look at the sender's clocks and time zones."
    AfterDeath "after-death" "Encounter after death"
        "Encounters that began more than a day after the patient's death."
        "Look whether the date of death or the patient is wrong."
    MidnightTimes "midnight-times" "Midnight in place of a time"
        "Rows whose time is exactly midnight as written, where these are more than half of 100 or more times in the column."
        "Ask the sender for dates without a time where the time is not known."
    FinishedWithoutEnd "finished-without-end" "Finished encounter without an end"
        "Encounters that are finished, have a start and no end."
        "Lengths of stay leave them out; ask the sender for the end."
    OpenTooLong "open-too-long" "Encounter open for more than a year"
        "Encounters that are in progress and began more than 365 days ago."
        "Ask the sender to close them."
    CancelledWithResult "cancelled-with-result" "Cancelled with a result"
        "Observations that are cancelled and have a value."
        "Leave them out of results; ask the sender which of both is right."
    MedicationWithoutDose "medication-without-dose" "Medication without a dose"
        "Active orders of medication without any dosage."
        "Ask the sender for the dosage."
    IdentifierWithoutSystem "identifier-without-system" "Identifier without a system"
        "Rows whose identifier has a value and no system."
        "Ask the sender for the system; equal values of two systems are different things."
    IdentifierWithoutValue "identifier-without-value" "Identifier without a value"
        "Rows whose identifier has a system and no value."
        "Ask the sender to leave such identifiers out."
    DuplicateIdentifier "duplicate-identifier" "Identifier of several resources"
        "Identifiers, system and value, that several rows of a table have: counted once for each row."
        "Look whether they are one thing under several ids, or whether the identifier was given twice."
    DuplicatePatient "duplicate-patient" "The same patient twice"
        "Patients without an identifier who share family name, given names, full birth date and gender with another one without an identifier."
        "Ask the sender to merge them; counts of patients are too high."
    RepeatedResource "repeated-resource" "The same content twice"
        "Rows that are alike in patient, code, time and value, and not in their id."
        "Look whether the sender makes new ids at each export; counts and averages are wrong then."
    DanglingReference "dangling-reference" "Reference to nothing"
        "References to a resource that is in no table. Types that the archive holds are left out."
        "Load the missing files, or ask the sender for them: joins lose these rows."
    WrongReferenceType "wrong-reference-type" "Reference to a wrong type"
        "Rows that refer to a resource of a type that FHIR does not allow there."
        "Look at the original record."
    ReferenceWithoutTarget "reference-without-target" "Reference with a display only"
        "Rows whose reference has a display and neither reference nor identifier."
        "Ask the sender for the reference: these rows cannot be joined."
    MissingSubject "missing-subject" "Without a patient"
        "Rows of a type about patients without a reference to one."
        "Ask the sender whom they are about."
    MissingMandatory "missing-mandatory" "Mandatory element missing"
        "Rows without an element that FHIR requires in every release, such as a status."
        "Ask the sender for valid resources. The check `required` keeps such files out."
    StatusOutsideValueSet "status-outside-value-set" "Unknown status"
        "Rows with a status that no release of FHIR has for the type."
        "Queries by status miss these rows; ask the sender to map it."
    GenderOutsideValueSet "gender-outside-value-set" "Unknown gender"
        "Rows with a gender other than male, female, other and unknown."
        "Ask the sender to map it."
    TelecomWithoutSystem "telecom-without-system" "Contact without its kind"
        "Rows with a contact value that does not say whether it is a phone, an email …"
        "Ask the sender for the system."
    MalformedEmail "malformed-email" "Not an email address"
        "Rows with a contact of the system email whose value has no @."
        "Correct it at the source."
    MalformedPhone "malformed-phone" "Not a phone number"
        "Rows with a contact of the system phone, fax or sms whose value has no digit."
        "Correct it at the source."
    AddressWithoutCountry "address-without-country" "Address without a country"
        "Rows with an address that has a city, a line or a postal code and no country."
        "Ask the sender, if addresses of several countries come together."
    AddressWithoutPostalCode "address-without-postal-code" "Address without a postal code"
        "Rows with an address that has a city or a line and no postal code."
        "Ask the sender, if areas are counted by postal code."
    NameWithoutParts "name-without-parts" "Name without any part"
        "Rows with a person's name that has neither family name, given names nor text."
        "Look at the original record."
    BlankText "blank-text" "Empty text"
        "Rows with a text that is empty or only white space, which FHIR forbids."
        "Ask the sender to leave such elements out."
    ReplacementCharacter "replacement-character" "Broken characters"
        "Rows with U+FFFD in a text: a program before read bytes in a wrong encoding and lost them."
        "Ask the sender to send the text again in UTF-8."
    WrongEncoding "wrong-encoding" "Text in a wrong encoding"
        "Rows with a text such as `Ã¼` for `ü`: UTF-8 that was read as Latin-1 or Windows-1252."
        "Ask the sender to convert once only."
    PlaceholderName "placeholder-name" "Placeholder for a name"
        "Rows with a person's name that is a word such as test, unknown or n/a."
        "Look whether test patients came with the real ones."
    VolumeDrop "volume-drop" "Fewer resources than usual"
        "Days of the last seven on which less than a tenth of the usual resources of a type were loaded: of the median of the same weekday in the four weeks before, if that is 20 or more."
        "Look whether files are missing (`flatfire audit`) or the sender's export was cut."
    SilentFeed "silent-feed" "A folder fell silent"
        "Days since the last file of a folder, if these are more than three times its longest pause before and at least three; folders with files on ten days or more."
        "Ask the sender; look for failed deliveries and for events that do not arrive."
    MissingDay "missing-day" "A day without files"
        "Days of the last seven on which a folder had no file, although it had files on that weekday in each of the four weeks before."
        "Look whether the files of that day are in the bucket (`flatfire audit`)."
    HighRejectShare "high-reject-share" "Many rejects"
        "Rejected records of a folder in the last seven days, if they are more than one in a hundred."
        "Look at the codes of the rejects with `flatfire status`, and explain them with `flatfire explain`."
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{QualityCheck, describe};

    #[test]
    fn every_check_has_a_code_of_its_own_and_words() {
        let codes: BTreeSet<&str> = QualityCheck::ALL.iter().map(|check| check.code()).collect();
        assert_eq!(codes.len(), QualityCheck::ALL.len());
        for check in QualityCheck::ALL {
            assert_eq!(describe(check.code()), Some(check.description()));
        }
        assert_eq!(describe("code"), None);
    }

    #[test]
    fn the_page_has_every_check_in_the_same_order() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/quality.md");
        let page = std::fs::read_to_string(page).unwrap();
        let rows = page.split_once("\n## Checks\n").unwrap().1.lines().filter(|line| line.starts_with("| "));
        let listed: Vec<&str> = rows.flat_map(|row| row.split('`').skip(1).step_by(2)).collect();
        assert_eq!(listed, QualityCheck::ALL.iter().map(|check| check.code()).collect::<Vec<_>>());
    }
}
