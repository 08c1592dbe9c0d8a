//! A patient's compartment: which resources belong to one patient, and which of them to this patient alone.
//!
//! The table is HL7's `CompartmentDefinition/patient` of FHIR R4 and R5, with search parameters written as the elements
//! that they look at, and the names that these elements had in DSTU2 and STU3.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;
use flatten::model::is_resource_type;
use pipeline::store::references::ReferenceElement;
use pipeline::store::{Store, StoreError};
use serde_json::Value;

/// Fails if `--types` names a type that neither FHIR nor the database has: a typing error would leave the resources of
/// the intended type out.
pub(crate) async fn check_types(store: &dyn Store, types: &[String]) -> anyhow::Result<()> {
    let unknown: Vec<&String> = types.iter().filter(|name| !is_resource_type(name)).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let tables = store.noted_tables().await?;
    let is_missing = |name: &&&String| !tables.iter().any(|table| table.resource_type == ***name);
    if let Some(wrong) = unknown.iter().find(is_missing) {
        bail!("--types: FHIR has no resource type `{wrong}`, and no table of the database holds one");
    }
    Ok(())
}

/// The reference elements that put a resource into a patient's compartment, by type.
const COMPARTMENT: [(&str, &[&str]); 81] = [
    ("Account", &["subject"]),
    ("AdverseEvent", &["subject"]),
    ("AllergyIntolerance", &["patient", "recorder", "asserter", "participant.actor"]),
    ("Appointment", &["participant.actor", "subject"]),
    ("AppointmentResponse", &["actor"]),
    ("AuditEvent", &["agent.who", "entity.what", "agent.reference", "entity.reference", "patient"]),
    ("Basic", &["subject", "author"]),
    ("BiologicallyDerivedProductDispense", &["patient"]),
    ("BodySite", &["patient"]),
    ("BodyStructure", &["patient"]),
    ("CarePlan", &["subject", "activity.detail.performer"]),
    ("CareTeam", &["subject", "participant.member"]),
    ("ChargeItem", &["subject"]),
    ("Claim", &["patient", "payee.party"]),
    ("ClaimResponse", &["patient"]),
    ("ClinicalImpression", &["subject", "patient"]),
    ("Communication", &["subject", "sender", "recipient"]),
    ("CommunicationRequest", &["subject", "sender", "recipient", "requester", "informationProvider"]),
    ("Composition", &["subject", "author", "attester.party"]),
    ("Condition", &["subject", "patient", "asserter", "participant.actor"]),
    ("Consent", &["patient", "subject"]),
    ("Contract", &["subject"]),
    ("Coverage", &["policyHolder", "subscriber", "beneficiary", "payor", "paymentBy.party"]),
    ("CoverageEligibilityRequest", &["patient"]),
    ("CoverageEligibilityResponse", &["patient"]),
    ("DetectedIssue", &["patient", "subject"]),
    ("DeviceAssociation", &["subject", "operation.operator"]),
    ("DeviceRequest", &["subject", "performer", "performer.reference"]),
    ("DeviceUsage", &["patient"]),
    ("DeviceUseRequest", &["subject"]),
    ("DeviceUseStatement", &["subject"]),
    ("DiagnosticOrder", &["subject"]),
    ("DiagnosticReport", &["subject"]),
    ("DocumentManifest", &["subject", "author", "recipient"]),
    ("DocumentReference", &["subject", "author"]),
    ("Encounter", &["subject", "patient"]),
    ("EncounterHistory", &["subject"]),
    ("EnrollmentRequest", &["subject", "candidate"]),
    ("EpisodeOfCare", &["patient"]),
    ("ExplanationOfBenefit", &["patient", "payee.party"]),
    ("FamilyMemberHistory", &["patient"]),
    ("Flag", &["subject"]),
    ("GenomicStudy", &["subject"]),
    ("Goal", &["subject"]),
    ("Group", &["member.entity", "member"]),
    ("ImagingSelection", &["subject"]),
    ("ImagingStudy", &["subject", "patient"]),
    ("Immunization", &["patient"]),
    ("ImmunizationEvaluation", &["patient"]),
    ("ImmunizationRecommendation", &["patient"]),
    ("Invoice", &["subject", "recipient"]),
    ("List", &["subject", "source"]),
    ("MeasureReport", &["subject", "patient"]),
    ("Media", &["subject"]),
    ("MedicationAdministration", &["subject", "patient", "performer.actor", "performer.actor.reference"]),
    ("MedicationDispense", &["subject", "patient", "receiver"]),
    ("MedicationOrder", &["patient"]),
    ("MedicationRequest", &["subject"]),
    ("MedicationStatement", &["subject", "patient", "informationSource"]),
    ("MolecularSequence", &["patient", "subject"]),
    ("NutritionIntake", &["subject", "reportedReference"]),
    ("NutritionOrder", &["patient", "subject"]),
    ("Observation", &["subject", "performer"]),
    ("Patient", &["link.other"]),
    ("Person", &["link.target"]),
    ("Procedure", &["subject", "performer.actor"]),
    ("ProcedureRequest", &["subject", "performer"]),
    ("Provenance", &["target", "patient"]),
    ("QuestionnaireResponse", &["subject", "author"]),
    ("ReferralRequest", &["subject", "patient", "requester"]),
    ("RelatedPerson", &["patient"]),
    ("RequestGroup", &["subject", "action.participant"]),
    ("RequestOrchestration", &["subject", "action.participant.actor"]),
    ("ResearchSubject", &["individual", "subject"]),
    ("RiskAssessment", &["subject"]),
    ("Schedule", &["actor"]),
    ("ServiceRequest", &["subject", "performer"]),
    ("Specimen", &["subject"]),
    ("SupplyDelivery", &["patient"]),
    ("SupplyRequest", &["deliverTo", "deliverFor", "patient"]),
    ("VisionPrescription", &["patient"]),
];

/// Types that are spared unless they are named: lists that speak of others too, and the trail of who did what.
const SPARED: [&str; 5] = ["AuditEvent", "CareTeam", "Group", "List", "Provenance"];

/// A patient's compartment, as it stands in a database.
#[derive(Debug, Default)]
pub(crate) struct Compartment {
    /// The patient, and what belongs to the patient alone or is of a type that was named.
    pub(crate) members: BTreeSet<String>,
    /// What refers to any of these and stays, each with the reason.
    pub(crate) spared: BTreeMap<String, String>,
}

/// What is known of a resource that refers to the patient.
#[derive(Debug, Default)]
struct Referring {
    elements: BTreeSet<ReferenceElement>,
    others: BTreeSet<String>,
}

/// Finds a patient's compartment. All rows are read twice.
pub(crate) async fn of(
    store: &dyn Store,
    patient: &str,
    types: &BTreeSet<String>,
) -> Result<Compartment, StoreError> {
    let mut referring: BTreeMap<String, Referring> = BTreeMap::new();
    let mut find_referring = |owner: &str, element: ReferenceElement, target: &str| {
        if target == patient && owner != patient {
            referring.entry(owner.to_owned()).or_default().elements.insert(element);
        }
    };
    store.visit_references(&mut find_referring).await?;
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut find_others = |owner: &str, _: ReferenceElement, target: &str| {
        if target.starts_with("Patient/")
            && target != patient
            && let Some(referring) = referring.get_mut(owner)
        {
            referring.others.insert(target.to_owned());
        }
        if referring.contains_key(target) {
            edges.entry(owner.to_owned()).or_default().insert(target.to_owned());
        }
    };
    store.visit_references(&mut find_others).await?;
    let mut compartment = decided(patient, &referring, &edges, types);
    let is_asked = |key: &String| *key != patient && !types.contains(type_of_key(key));
    let asked = compartment.members.iter().filter(|key| is_asked(key)).cloned().collect();
    for key in with_contained_patients(store, &asked).await? {
        compartment.members.remove(&key);
        compartment.spared.insert(key, "contains a patient of its own".to_owned());
    }
    Ok(compartment)
}

/// Returns those of some resources that contain a patient, who has no key and can be anybody.
async fn with_contained_patients(
    store: &dyn Store,
    keys: &BTreeSet<String>,
) -> Result<BTreeSet<String>, StoreError> {
    let mut found = BTreeSet::new();
    for (key, standing) in store.standing(keys).await? {
        let is_archived = standing.places.keys().any(|place| place.starts_with("archive "));
        let archived = if is_archived { store.find_archived(&key).await? } else { None };
        let text = archived.and_then(|archived| archived.text).unwrap_or_default();
        if standing.tables.contains("Patient_contained") || contains_patient(&text) {
            found.insert(key);
        }
    }
    Ok(found)
}

/// Returns whether a resource contains a patient, by its text.
fn contains_patient(text: &[u8]) -> bool {
    let resource: Value = serde_json::from_slice(text).unwrap_or_default();
    let contained = resource.get("contained").and_then(Value::as_array);
    let is_patient = |one: &Value| one.get("resourceType").and_then(Value::as_str) == Some("Patient");
    contained.is_some_and(|contained| contained.iter().any(is_patient))
}

fn decided(
    patient: &str,
    referring: &BTreeMap<String, Referring>,
    edges: &BTreeMap<String, BTreeSet<String>>,
    types: &BTreeSet<String>,
) -> Compartment {
    let mut compartment = Compartment { members: [patient.to_owned()].into(), spared: BTreeMap::new() };
    for (owner, known) in referring {
        match why_spared(owner, known).filter(|_| !types.contains(type_of_key(owner))) {
            None => drop(compartment.members.insert(owner.clone())),
            Some(reason) => drop(compartment.spared.insert(owner.clone(), reason)),
        }
    }
    for (owner, targets) in edges {
        let member = targets.iter().find(|target| compartment.members.contains(*target));
        if let Some(target) = member.filter(|_| !compartment.members.contains(owner)) {
            if types.contains(type_of_key(owner)) {
                compartment.spared.remove(owner);
                compartment.members.insert(owner.clone());
            } else {
                let reason = format!("refers to {target}");
                compartment.spared.entry(owner.clone()).or_insert(reason);
            }
        }
    }
    compartment
}

/// Returns why a resource that refers to the patient stays; `None`: it belongs to this patient alone.
fn why_spared(owner: &str, known: &Referring) -> Option<String> {
    let resource_type = type_of_key(owner);
    if resource_type == "Patient" {
        return Some("is another patient".to_owned());
    }
    if SPARED.contains(&resource_type) {
        return Some(format!("resources of type {resource_type} may speak of others"));
    }
    if let Some(other) = known.others.first() {
        return Some(format!("also names {other}"));
    }
    let elements = COMPARTMENT.iter().find(|(of, _)| *of == resource_type).map(|(_, elements)| *elements);
    let Some(elements) = elements else {
        return Some(format!("type {resource_type} is in no patient's compartment"));
    };
    let is_in = known
        .elements
        .iter()
        .any(|element| matches!(element, ReferenceElement::Path(path) if elements.contains(&path.as_str())));
    let views_alone = known.elements.iter().all(|element| *element == ReferenceElement::View);
    (!is_in && !views_alone).then(|| "names the patient elsewhere than as its own".to_owned())
}

fn type_of_key(key: &str) -> &str {
    key.split('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use flatten::reference::is_type;

    use super::{COMPARTMENT, ReferenceElement, Referring, SPARED, decided};

    fn referring(cases: &[(&str, &[&str], &[&str])]) -> BTreeMap<String, Referring> {
        let path = |path: &&str| match *path {
            "view" => ReferenceElement::View,
            "contained" => ReferenceElement::Contained,
            path => ReferenceElement::Path(path.to_owned()),
        };
        let of = |elements: &[&str], others: &[&str]| Referring {
            elements: elements.iter().map(path).collect(),
            others: others.iter().map(|&other| other.to_owned()).collect(),
        };
        cases.iter().map(|(owner, elements, others)| ((*owner).to_owned(), of(elements, others))).collect()
    }

    #[test]
    fn the_table_is_of_types_each_once() {
        let types: Vec<_> = COMPARTMENT.iter().map(|(resource_type, _)| *resource_type).collect();
        assert!(types.is_sorted_by(|a, b| a < b) && types.iter().all(|resource_type| is_type(resource_type)));
        assert!(SPARED.iter().all(|spared| types.contains(spared)));
    }

    #[test]
    fn what_belongs_to_the_patient_alone_is_a_member() {
        let referring = referring(&[
            ("Observation/a", &["subject"], &[]),
            ("Observation/b", &["performer"], &["Patient/2"]),
            ("Observation/c", &["focus"], &[]),
            ("Observation/d", &["view"], &[]),
            ("Observation/e", &["contained", "view"], &[]),
            ("Appointment/a", &["participant.actor"], &["Patient/2"]),
            ("Group/a", &["member.entity"], &[]),
            ("Patient/2", &["link.other"], &[]),
            ("Provenance/a", &["target"], &[]),
            ("Device/a", &["patient"], &[]),
        ]);
        let edge = |owner: &str, target: &str| (owner.to_owned(), BTreeSet::from([target.to_owned()]));
        let edges = [edge("Provenance/b", "Observation/a"), edge("DiagnosticReport/x", "Observation/b")];
        let edges = BTreeMap::from(edges);
        let all = decided("Patient/1", &referring, &edges, &BTreeSet::new());
        assert_eq!(all.members.iter().collect::<Vec<_>>(), ["Observation/a", "Observation/d", "Patient/1"]);
        let spared: Vec<_> = all.spared.keys().collect();
        let expected = [
            "Appointment/a",
            "Device/a",
            "Group/a",
            "Observation/b",
            "Observation/c",
            "Observation/e",
            "Patient/2",
            "Provenance/a",
            "Provenance/b",
        ];
        assert_eq!(spared, expected);
        assert_eq!(all.spared["Provenance/b"], "refers to Observation/a");
        let named = ["Provenance".to_owned(), "Appointment".to_owned()].into();
        let named = decided("Patient/1", &referring, &edges, &named);
        assert_eq!(named.members.len(), 6);
        assert!(!named.spared.contains_key("Provenance/b") && named.spared.contains_key("Group/a"));
    }
}
