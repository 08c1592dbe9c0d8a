//! The elements that a resource must have in every release of FHIR that knows its type.
//!
//! `a|b` is what one release calls `a` and another `b`. A choice is called by its base. Elements that some release
//! makes optional are not here, because files do not tell their release.

/// The most elements of a type: they fit into the bits of a [`u8`].
#[cfg(test)]
const MOST: usize = 8;

/// By resource type, sorted.
const MANDATORY: [(&str, &[&str]); 77] = [
    ("ActivityDefinition", &["status"]),
    ("AllergyIntolerance", &["patient"]),
    ("Appointment", &["status", "participant"]),
    ("AuditEvent", &["type|code|event", "recorded|event", "agent|participant", "source"]),
    ("Basic", &["code"]),
    ("Binary", &["contentType"]),
    ("BodySite", &["patient"]),
    ("BodyStructure", &["patient"]),
    ("Bundle", &["type"]),
    ("CapabilityStatement", &["status", "date", "kind", "fhirVersion", "format"]),
    ("CarePlan", &["status"]),
    ("ClinicalImpression", &["status", "subject|patient"]),
    ("CodeSystem", &["status", "content"]),
    ("CompartmentDefinition", &["url", "name", "status", "code", "search"]),
    ("Composition", &["status", "type", "date", "author", "title"]),
    ("ConceptMap", &["status"]),
    ("Condition", &["subject|patient"]),
    ("Conformance", &["status", "date", "kind", "fhirVersion", "format"]),
    ("Consent", &["status"]),
    ("DataElement", &["status", "element"]),
    ("DeviceMetric", &["type", "category"]),
    ("DeviceRequest", &["intent", "code|product", "subject"]),
    ("DeviceUseStatement", &["subject", "device"]),
    ("DiagnosticReport", &["status", "code"]),
    ("DocumentManifest", &["status", "content"]),
    ("DocumentReference", &["status", "content"]),
    ("Encounter", &["status"]),
    ("Endpoint", &["status", "connectionType", "address"]),
    ("EpisodeOfCare", &["status", "patient|subject"]),
    ("EventDefinition", &["status"]),
    ("Evidence", &["status"]),
    ("EvidenceVariable", &["status"]),
    ("ExampleScenario", &["status"]),
    ("FamilyMemberHistory", &["status", "patient", "relationship"]),
    ("Flag", &["status", "code", "subject"]),
    ("Goal", &["lifecycleStatus|status", "description"]),
    ("GraphDefinition", &["status"]),
    ("GuidanceResponse", &["status"]),
    ("ImagingStudy", &["subject|patient"]),
    ("Immunization", &["status", "vaccineCode", "patient"]),
    ("ImplementationGuide", &["url", "name", "status"]),
    ("Library", &["status", "type"]),
    ("Linkage", &["item"]),
    ("List", &["status", "mode"]),
    ("Measure", &["status"]),
    ("MeasureReport", &["status", "type", "period"]),
    ("Media", &["content"]),
    ("MedicationAdministration", &["status", "medication", "subject|patient"]),
    ("MedicationOrder", &["medication"]),
    ("MedicationRequest", &["intent", "medication", "subject"]),
    ("MedicationStatement", &["status", "medication", "subject|patient"]),
    ("MessageHeader", &["event", "source"]),
    ("NamingSystem", &["name", "status", "kind", "date", "uniqueId"]),
    ("NutritionOrder", &["subject|patient", "dateTime"]),
    ("Observation", &["status", "code"]),
    ("OperationDefinition", &["name", "status", "kind", "code", "system", "instance"]),
    ("OperationOutcome", &["issue"]),
    ("PlanDefinition", &["status"]),
    ("Procedure", &["status", "subject"]),
    ("ProcedureRequest", &["code", "subject"]),
    ("Provenance", &["target", "agent"]),
    ("Questionnaire", &["status"]),
    ("QuestionnaireResponse", &["status"]),
    ("ReferralRequest", &["status"]),
    ("RelatedPerson", &["patient"]),
    ("RequestGroup", &["status", "intent"]),
    ("ResearchStudy", &["status"]),
    ("ResearchSubject", &["status", "study", "subject|individual"]),
    ("Schedule", &["actor"]),
    ("SearchParameter", &["url", "name", "code"]),
    ("ServiceRequest", &["status", "intent", "subject"]),
    ("Slot", &["schedule", "status|freeBusyType", "start", "end"]),
    ("StructureDefinition", &["url", "name", "status", "kind", "abstract"]),
    ("StructureMap", &["url", "name", "status", "group"]),
    ("Substance", &["code"]),
    ("Task", &["status", "intent"]),
    ("ValueSet", &["status"]),
];

/// Returns a bit for each element that a resource of the type must have.
pub(crate) fn required(resource_type: &str) -> u8 {
    let count = of_type(resource_type).len();
    u8::MAX.checked_shr(u8::BITS.saturating_sub(u32::try_from(count).unwrap_or_default())).unwrap_or_default()
}

/// Returns the bits of what an element, or a member of a choice, is one of.
pub(crate) fn met_by(resource_type: &str, element: &str, choice: Option<&str>) -> u8 {
    let is_met = |names: &str| names.split('|').any(|name| name == element || Some(name) == choice);
    let bits = of_type(resource_type).iter().enumerate().filter(|(_, names)| is_met(names));
    bits.fold(0, |bits, (index, _)| bits | 1 << index)
}

/// Returns the elements that a resource of the type must have in every release: `a|b` is what one release calls `a` and
/// another `b`.
#[must_use]
pub fn mandatory_elements(resource_type: &str) -> &'static [&'static str] {
    of_type(resource_type)
}

fn of_type(resource_type: &str) -> &'static [&'static str] {
    let at = MANDATORY.binary_search_by(|(known, _)| (*known).cmp(resource_type));
    at.ok().and_then(|at| MANDATORY.get(at)).map_or(&[], |(_, names)| names)
}

#[cfg(test)]
mod tests {
    use super::{MANDATORY, MOST, met_by, required};
    use crate::model::{Release, type_named};

    #[test]
    fn every_release_that_has_the_type_has_one_of_the_names() {
        assert!(MANDATORY.is_sorted_by(|(one, _), (other, _)| one < other));
        for (resource_type, requirements) in MANDATORY {
            assert!(requirements.len() <= MOST, "{resource_type}");
            let carrier = type_named(resource_type).unwrap();
            let has = |name: &str, release| {
                let named = carrier.element(name).into_iter().chain(carrier.choices(name));
                named.flat_map(|element| element.uses).any(|used| used.releases.contains(release))
            };
            for release in Release::ALL.iter().copied().filter(|release| has("id", *release)) {
                for names in requirements {
                    assert!(
                        names.split('|').any(|name| has(name, release)),
                        "{resource_type}.{names} {release:?}"
                    );
                }
            }
            for name in requirements.iter().flat_map(|names| names.split('|')) {
                assert!(
                    Release::ALL.iter().copied().any(|release| has(name, release)),
                    "{resource_type}.{name}"
                );
            }
        }
    }

    #[test]
    fn requirements_are_bits() {
        assert_eq!(required("Observation"), 0b11);
        assert_eq!(required("Patient"), 0);
        assert_eq!(met_by("Observation", "code", None), 0b10);
        assert_eq!(met_by("Condition", "patient", None), 0b1);
        assert_eq!(met_by("MedicationRequest", "medicationReference", Some("medication")), 0b10);
        assert_eq!(met_by("AuditEvent", "event", None), 0b11);
        assert_eq!(met_by("Observation", "subject", None), 0);
    }
}
