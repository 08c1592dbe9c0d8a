//! Facts of FHIR that the element tables do not hold: which dates have passed, whom resources are about, the codes of
//! required value sets and the types that references allow, of all releases together.

/// Elements that say when something happened, by resource type. With statuses, only rows with one of them count: others
/// may be planned.
pub(super) const PAST_ELEMENTS: [(&str, &[&str], &[&str]); 29] = [
    ("AllergyIntolerance", &["onset", "recordedDate", "assertedDate", "lastOccurrence"], &[]),
    ("AuditEvent", &["recorded"], &[]),
    ("CarePlan", &["created"], &[]),
    ("Claim", &["created"], &[]),
    ("ClaimResponse", &["created"], &[]),
    ("ClinicalImpression", &["date"], &[]),
    ("Communication", &["sent", "received"], &[]),
    ("Composition", &["date"], &[]),
    ("Condition", &["onset", "recordedDate", "assertedDate", "dateRecorded"], &[]),
    ("Consent", &["dateTime"], &[]),
    ("DiagnosticReport", &["effective", "issued"], &[]),
    ("DocumentReference", &["date"], &[]),
    ("Encounter", &["period", "actualPeriod"], &["in-progress", "finished", "completed", "onleave"]),
    ("ExplanationOfBenefit", &["created"], &[]),
    ("FamilyMemberHistory", &["date"], &[]),
    ("ImagingStudy", &["started"], &[]),
    ("Immunization", &["occurrence", "recorded", "date"], &["completed"]),
    ("List", &["date"], &[]),
    ("MedicationAdministration", &["effective", "occurence"], &["completed"]),
    ("MedicationDispense", &["whenPrepared", "whenHandedOver"], &["completed"]),
    ("MedicationRequest", &["authoredOn"], &[]),
    ("MedicationStatement", &["dateAsserted"], &[]),
    ("Observation", &["effective", "issued"], &[]),
    ("Procedure", &["performed", "occurrence"], &["completed"]),
    ("Provenance", &["recorded"], &[]),
    ("QuestionnaireResponse", &["authored"], &[]),
    ("ServiceRequest", &["authoredOn"], &[]),
    ("Specimen", &["receivedTime"], &[]),
    ("Task", &["authoredOn"], &[]),
];

/// The element that says whom a resource is about, by its names in the releases.
pub(super) const SUBJECTS: [(&str, &[&str]); 21] = [
    ("AllergyIntolerance", &["patient"]),
    ("CarePlan", &["subject"]),
    ("CareTeam", &["subject"]),
    ("Claim", &["patient", "subject"]),
    ("ClinicalImpression", &["subject", "patient"]),
    ("Condition", &["subject", "patient"]),
    ("Coverage", &["beneficiary", "subscriber"]),
    ("DiagnosticReport", &["subject"]),
    ("DocumentReference", &["subject"]),
    ("Encounter", &["subject", "patient"]),
    ("ExplanationOfBenefit", &["patient", "subject"]),
    ("Goal", &["subject"]),
    ("ImagingStudy", &["subject", "patient"]),
    ("Immunization", &["patient"]),
    ("MedicationAdministration", &["subject", "patient"]),
    ("MedicationDispense", &["subject", "patient"]),
    ("MedicationRequest", &["subject"]),
    ("MedicationStatement", &["subject", "patient"]),
    ("Observation", &["subject"]),
    ("Procedure", &["subject"]),
    ("ServiceRequest", &["subject"]),
];

/// Types that a reference may be to, by resource type and element; `*` stands for every type.
pub(super) const TARGETS: [(&str, &str, &[&str]); 24] = [
    ("*", "beneficiary", &["Patient"]),
    ("AllergyIntolerance", "patient", &["Patient"]),
    ("CarePlan", "subject", &["Patient", "Group"]),
    ("CareTeam", "subject", &["Patient", "Group"]),
    ("Claim", "patient", &["Patient"]),
    ("Condition", "encounter", &["Encounter"]),
    ("Condition", "subject", &["Patient", "Group"]),
    ("Device", "patient", &["Patient"]),
    ("DiagnosticReport", "encounter", &["Encounter"]),
    ("Encounter", "partOf", &["Encounter"]),
    ("Encounter", "serviceProvider", &["Organization"]),
    ("Encounter", "subject", &["Patient", "Group"]),
    ("ExplanationOfBenefit", "patient", &["Patient"]),
    ("Immunization", "encounter", &["Encounter"]),
    ("Immunization", "patient", &["Patient"]),
    ("MedicationRequest", "encounter", &["Encounter"]),
    ("MedicationRequest", "subject", &["Patient", "Group"]),
    ("Observation", "encounter", &["Encounter"]),
    ("Organization", "partOf", &["Organization"]),
    ("Patient", "managingOrganization", &["Organization"]),
    ("Procedure", "encounter", &["Encounter"]),
    ("Location", "managingOrganization", &["Organization"]),
    ("RelatedPerson", "patient", &["Patient"]),
    ("ServiceRequest", "encounter", &["Encounter"]),
];

/// Codes of required value sets, by resource type and element: those of every release from DSTU2 on. What
/// `flatten::check::required_codes` has is not repeated.
pub(super) const STATUSES: [(&str, &str, &[&str]); 23] = [
    (
        "Appointment",
        "status",
        &[
            "proposed",
            "pending",
            "booked",
            "arrived",
            "fulfilled",
            "cancelled",
            "noshow",
            "entered-in-error",
            "checked-in",
            "waitlist",
        ],
    ),
    (
        "CarePlan",
        "status",
        &[
            "draft",
            "active",
            "on-hold",
            "suspended",
            "revoked",
            "completed",
            "entered-in-error",
            "unknown",
            "proposed",
            "cancelled",
        ],
    ),
    ("CareTeam", "status", &["proposed", "active", "suspended", "inactive", "entered-in-error"]),
    ("Claim", "status", &["active", "cancelled", "draft", "entered-in-error"]),
    (
        "Composition",
        "status",
        &[
            "preliminary",
            "final",
            "amended",
            "entered-in-error",
            "registered",
            "partial",
            "corrected",
            "appended",
            "cancelled",
            "deprecated",
            "unknown",
        ],
    ),
    ("Coverage", "status", &["active", "cancelled", "draft", "entered-in-error"]),
    (
        "Device",
        "status",
        &["active", "inactive", "entered-in-error", "unknown", "available", "not-available"],
    ),
    (
        "DiagnosticReport",
        "status",
        &[
            "registered",
            "partial",
            "preliminary",
            "modified",
            "final",
            "amended",
            "corrected",
            "appended",
            "cancelled",
            "entered-in-error",
            "unknown",
        ],
    ),
    ("DocumentReference", "status", &["current", "superseded", "entered-in-error"]),
    (
        "Encounter",
        "status",
        &[
            "planned",
            "arrived",
            "triaged",
            "in-progress",
            "onleave",
            "finished",
            "cancelled",
            "entered-in-error",
            "unknown",
            "on-hold",
            "discharged",
            "completed",
            "discontinued",
        ],
    ),
    (
        "EpisodeOfCare",
        "status",
        &["planned", "waitlist", "active", "onhold", "finished", "cancelled", "entered-in-error"],
    ),
    ("ExplanationOfBenefit", "status", &["active", "cancelled", "draft", "entered-in-error"]),
    (
        "Goal",
        "lifecycleStatus",
        &[
            "proposed",
            "planned",
            "accepted",
            "active",
            "on-hold",
            "completed",
            "cancelled",
            "entered-in-error",
            "rejected",
        ],
    ),
    (
        "ImagingStudy",
        "status",
        &["registered", "available", "cancelled", "entered-in-error", "unknown", "inactive"],
    ),
    (
        "Immunization",
        "status",
        &["completed", "entered-in-error", "not-done", "in-progress", "on-hold", "stopped"],
    ),
    (
        "MedicationAdministration",
        "status",
        &[
            "in-progress",
            "not-done",
            "on-hold",
            "completed",
            "entered-in-error",
            "stopped",
            "unknown",
            "cancelled",
        ],
    ),
    (
        "MedicationDispense",
        "status",
        &[
            "preparation",
            "in-progress",
            "cancelled",
            "on-hold",
            "completed",
            "entered-in-error",
            "stopped",
            "declined",
            "unknown",
        ],
    ),
    (
        "MedicationRequest",
        "status",
        &[
            "active",
            "on-hold",
            "cancelled",
            "completed",
            "entered-in-error",
            "stopped",
            "draft",
            "unknown",
            "ended",
        ],
    ),
    (
        "MedicationStatement",
        "status",
        &[
            "active",
            "completed",
            "entered-in-error",
            "intended",
            "stopped",
            "on-hold",
            "unknown",
            "not-taken",
            "recorded",
            "draft",
        ],
    ),
    (
        "Procedure",
        "status",
        &[
            "preparation",
            "in-progress",
            "not-done",
            "on-hold",
            "stopped",
            "completed",
            "entered-in-error",
            "unknown",
            "suspended",
            "aborted",
        ],
    ),
    (
        "QuestionnaireResponse",
        "status",
        &["in-progress", "completed", "amended", "entered-in-error", "stopped"],
    ),
    (
        "ServiceRequest",
        "status",
        &["draft", "active", "on-hold", "revoked", "completed", "entered-in-error", "unknown", "ended"],
    ),
    (
        "Task",
        "status",
        &[
            "draft",
            "requested",
            "received",
            "accepted",
            "rejected",
            "ready",
            "cancelled",
            "in-progress",
            "on-hold",
            "failed",
            "completed",
            "entered-in-error",
        ],
    ),
];

/// What two resources have in common that say the same, by resource type: the column that findings name comes first;
/// the column of a number may follow.
pub(super) const REPETITIONS: [(&str, &[&str], Option<&str>); 4] = [
    ("Immunization", &["vaccineCode_code", "vaccineCode_system", "patient_key", "occurrenceDateTime"], None),
    (
        "Observation",
        &["code_code", "code_system", "subject_key", "effectiveDateTime"],
        Some("valueQuantity_value"),
    ),
    ("Procedure", &["code_code", "code_system", "subject_key", "performedDateTime"], None),
    ("Procedure", &["code_code", "code_system", "subject_key", "performedPeriod_start"], None),
];

/// Words in place of a name that is unknown or invented.
pub(super) const PLACEHOLDERS: &[&str] = &[
    "test",
    "testpatient",
    "test patient",
    "test-patient",
    "dummy",
    "unknown",
    "unbekannt",
    "inconnu",
    "n/a",
    "xxx",
    "xxxx",
    "???",
    "-",
    "--",
    ".",
    "?",
    "tbd",
    "anonymous",
    "no name",
    "nomen nescio",
];

/// What UTF-8 becomes that is read as Latin-1 or Windows-1252: of the letters of western European languages, of quotes
/// and of dashes.
pub(super) const WRONGLY_DECODED: &[&str] = &[
    "Ã¤", "Ã¶", "Ã¼", "Ã„", "Ã–", "Ãœ", "ÃŸ", "Ã©", "Ã¨", "Ãª", "Ã«", "Ã¡", "Ã¢", "Ã£", "Ã¥", "Ã¦", "Ã§",
    "Ã±", "Ã³", "Ã²", "Ã´", "Ãµ", "Ã¸", "Ãº", "Ã¹", "Ã»", "Ã\u{ad}", "Ã®", "Ã¯", "Ã‰", "Ã…", "Ã˜", "Ã\u{84}",
    "Ã\u{96}", "Ã\u{9c}", "Ã\u{9f}", "â€™", "â€œ", "â€“", "â€”", "â€¦", "Â°", "Âµ", "Â²",
];

/// Systems of codes that say nothing about one patient.
pub(super) const TERMINOLOGIES: [&str; 10] = [
    "http://loinc.org",
    "http://snomed.info/sct",
    "http://unitsofmeasure.org",
    "http://www.nlm.nih.gov/research/umls/rxnorm",
    "http://hl7.org/fhir/sid/icd-10",
    "http://hl7.org/fhir/sid/icd-10-cm",
    "http://fhir.de/CodeSystem/bfarm/icd-10-gm",
    "http://hl7.org/fhir/sid/cvx",
    "http://www.whocc.no/atc",
    "http://www.ama-assn.org/go/cpt",
];

#[cfg(test)]
mod tests {
    use flatten::model::{is_resource_type, type_named};

    use super::{PAST_ELEMENTS, STATUSES, SUBJECTS, TARGETS};

    #[test]
    fn every_fact_is_about_an_element_of_some_release() {
        let has = |resource_type: &str, element: &str| {
            let carrier = type_named(resource_type).unwrap();
            assert!(
                carrier.element(element).is_some() || carrier.choices(element).next().is_some(),
                "{resource_type}.{element}"
            );
        };
        for (resource_type, elements, _) in PAST_ELEMENTS {
            for element in elements {
                has(resource_type, element);
            }
        }
        for (resource_type, elements) in SUBJECTS {
            for element in elements {
                has(resource_type, element);
            }
        }
        for (resource_type, element, _) in STATUSES {
            has(resource_type, element);
        }
        for (resource_type, element, targets) in TARGETS {
            if resource_type != "*" {
                has(resource_type, element);
            }
            assert!(targets.iter().all(|target| is_resource_type(target)));
        }
    }
}
