//! No two things share a column: over the elements of all releases and HL7's registry of extensions, by the names
//! that object paths and fields really give.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::automatic::naming::{ExtensionCarrier, ExtensionNaming, extension_name, joined};
use crate::automatic::object_kind::ObjectKind;
use crate::automatic::settings::Settings;
use crate::model::tests::every_type;
use crate::model::{Datatype, Element, TypeId, extensions};
use crate::row::{ColumnId, Names};

/// Column → what stands in it: a path, and what is derived from the value there.
type PathsByColumn = BTreeMap<String, BTreeSet<String>>;

/// Finds every column below a type.
struct Visit {
    cache: PathCache,
    names: Names,
    settings: Settings,
    found: PathsByColumn,
    primitives: Vec<FieldId>,
}

/// An element with the field that it has at a path.
#[derive(Clone, Copy)]
struct Visited<'v> {
    path: ObjectPathId,
    field: FieldId,
    member: Member,
    element: &'v Element,
}

impl Visit {
    fn new() -> Self {
        Self {
            cache: PathCache::default(),
            names: Names::default(),
            settings: Settings { narrative: true, ..Settings::default() },
            found: PathsByColumn::new(),
            primitives: Vec::new(),
        }
    }

    fn paths(&mut self) -> Paths<'_> {
        Paths::new(&mut self.cache, &self.settings, &mut self.names)
    }

    fn root(&mut self, type_id: TypeId) -> ObjectPathId {
        self.paths().test_root(type_id)
    }

    fn add(&mut self, column: ColumnId, path: &str, derived: &str) {
        let name = self.names.list().column(column).to_owned();
        let what = if derived.is_empty() { path.to_owned() } else { format!("{path} {derived}") };
        self.found.entry(name).or_default().insert(what);
    }

    fn add_derived(&mut self, field: FieldId, derived: Derived, path: &str, name: &str) {
        let column = self.paths().derived_column(field, derived);
        self.add(column, path, name);
    }

    fn add_of_object(&mut self, path: ObjectPathId, derived: Derived, fhir_path: &str, name: &str) {
        let column = self.paths().object_column(path, derived);
        self.add(column, fhir_path, name);
    }

    /// Adds every column below an object path; a type that stands inside itself is entered once.
    fn object(&mut self, path: ObjectPathId, fhir_path: &str, above: &[TypeId]) {
        let (type_id, kind) = (self.cache.object(path).type_id, self.cache.object(path).kind);
        match kind {
            ObjectKind::Concept | ObjectKind::Coding => {
                self.add_of_object(path, Derived::Codings, fhir_path, "codings");
            }
            ObjectKind::Reference => {
                self.add_of_object(path, Derived::Key, fhir_path, "key");
                self.add_of_object(path, Derived::Identifier, &format!("{fhir_path}.identifier"), "");
                self.add_of_object(path, Derived::Type, &format!("{fhir_path}.type"), "");
            }
            _ => {}
        }
        let Some(type_id) = type_id.filter(|type_id| !above.contains(type_id)) else { return };
        let above = [above, &[type_id]].concat();
        for element in type_id.elements() {
            let member = self.paths().test_member(path, element.name);
            if let Some(field) = member.field() {
                self.field(Visited { path, field, member, element: &element }, fhir_path, &above);
            }
        }
    }

    fn field(&mut self, visited: Visited<'_>, fhir_path: &str, above: &[TypeId]) {
        let Visited { field, member, element, .. } = visited;
        // All values of an extension have its one column.
        let of_value = self.cache.field(field).value_of_extension.is_some();
        let here = format!("{fhir_path}.{}", if of_value { "value" } else { element.name });
        let column = self.paths().column(field);
        self.add(column, &here, "");
        self.scalars(field, &here);
        if let Some(choice) = self.paths().choice(field) {
            let base = element.uses.iter().find_map(|used| used.choice).unwrap();
            let path = format!("{fhir_path}.{base}");
            self.add(choice.type_column, &path, "type");
            choice.at.into_iter().for_each(|at| self.add(at, &path, "at"));
            // An element of that name is the same, and one object has one of the two.
            choice.yes_or_no.into_iter().for_each(|yes_or_no| self.add(yes_or_no.column, &path, ""));
        }
        if self.paths().flags(field).is_resource() {
            self.add_derived(field, Derived::Key, &here, "key");
        }
        if matches!(member, Member::Labels(_)) {
            let whole = self.paths().whole_labels(field);
            let column = self.paths().column(whole);
            self.add(column, &format!("{here}.coding"), "");
        }
        self.objects(visited, (fhir_path, &here), above);
    }

    fn scalars(&mut self, field: FieldId, here: &str) {
        let scalars = self.paths().flags(field).scalars;
        if !scalars.none() {
            self.add_derived(field, Derived::Text, here, "text");
            let companion = self.paths().companion(field);
            let id = self.paths().element(companion, "id").unwrap();
            let column = self.paths().column(id);
            self.add(column, &format!("{here}.id"), "");
            self.primitives.push(field);
        }
        if scalars.has(ScalarKinds::MOMENT) {
            self.add_derived(field, Derived::At, here, "at");
        }
        if scalars.has(ScalarKinds::BINARY) {
            self.add_derived(field, Derived::Size, here, "size");
            self.add_derived(field, Derived::Sha256, here, "sha256");
        }
    }

    /// Adds the columns of the objects that an element can hold.
    fn objects(&mut self, visited: Visited<'_>, (outer, here): (&str, &str), above: &[TypeId]) {
        let Visited { path, field, member, element } = visited;
        for used in element.uses {
            let Datatype::Complex(type_id) = used.datatype else { continue };
            match type_id.name() {
                "Identifier" if used.many => self.add_derived(field, Derived::Values, here, "values"),
                "Reference" if used.many => self.add_derived(field, Derived::Keys, here, "keys"),
                "ContactPoint" if used.many => {
                    let columns = self.paths().telecom_columns(field);
                    for (column, system) in columns.into_iter().zip(TELECOM_SYSTEMS) {
                        self.add(column, here, system);
                    }
                }
                _ if type_id.is_backbone() => self.add_derived(field, Derived::Count, here, "count"),
                _ => {}
            }
            if matches!(member, Member::Codings(_)) {
                let elided = self.paths().elided_coding(field, path);
                // A coding that stands alone in one release and in a concept in another is the same coding.
                self.object(elided, outer, above);
            } else {
                let inside = self.paths().in_place(field, Some(type_id));
                self.object(inside, here, above);
            }
        }
    }

    fn shared(&self) -> Vec<String> {
        let shared = self.found.iter().filter(|(_, whats)| whats.len() > 1);
        shared.map(|(column, whats)| format!("{column}: {whats:?}")).collect()
    }

    /// Returns the registered extensions at an element whose columns are called by something else already.
    fn extensions(&self, carrier: ExtensionCarrier<'_>, prefix: &str) -> Vec<String> {
        let mut names = BTreeSet::from([joined(prefix, "modifierExtension")]);
        let is_shared = |url: &&str| {
            let tail = extension_name(carrier, url, ExtensionNaming::Plain, &self.settings);
            let name = joined(prefix, &tail);
            self.is_begun(&name) || !names.insert(name)
        };
        extensions::ranked().into_iter().filter(is_shared).map(|url| format!("{prefix} {url}")).collect()
    }

    /// Returns whether a column is called so or stands below it.
    fn is_begun(&self, name: &str) -> bool {
        let below = format!("{name}_");
        self.found.contains_key(name)
            || self.found.range(below.clone()..).next().is_some_and(|(column, _)| column.starts_with(&below))
    }
}

/// Columns of an extension that values of several datatypes share: it has one value, and its columns are those of all
/// datatypes. Mostly one datatype has an element of that name, and another a value that only its text can keep.
const OF_ANY_VALUE: [&str; 7] =
    ["address_type", "code_text", "dataSha256", "dataSize", "name_text", "text", "type_text"];

#[test]
fn no_two_paths_and_urls_share_a_column() {
    let (mut columns, mut primitives, mut shared) = (0, 0, Vec::new());
    for type_id in every_type() {
        let mut visit = Visit::new();
        let root = visit.root(type_id);
        visit.object(root, type_id.name(), &[]);
        columns += visit.found.len();
        if type_id.name() == "Extension" {
            // It has a value or extensions, never both (constraint ext-1).
            let shared = visit.found.iter().filter(|(_, whats)| whats.len() > 1);
            assert_eq!(shared.map(|(name, _)| name).collect::<Vec<_>>(), OF_ANY_VALUE);
            continue;
        }
        shared.extend(visit.shared());
        let kind = visit.cache.object(root).kind;
        let carrier = ExtensionCarrier { kind, type_id: Some(type_id), types_in_other_releases: &[] };
        shared.extend(visit.extensions(carrier, ""));
        assert!(!visit.is_begun("modifierExtension"), "{}", type_id.name());
        let is_common = matches!(type_id.name(), "Patient" | "Observation" | "HumanName");
        for field in std::mem::take(&mut visit.primitives) {
            let other_types: Vec<TypeId> = visit.cache.field(field).types.modelled().collect();
            // Where an element is a primitive in all releases, names are the same anywhere.
            if is_common || !other_types.is_empty() {
                let name = visit.paths().name(field).to_owned();
                let kind = ObjectKind::PrimitiveCompanion;
                let carrier = ExtensionCarrier { kind, type_id: None, types_in_other_releases: &other_types };
                shared.extend(visit.extensions(carrier, &name));
                primitives += 1;
            }
        }
    }
    assert!(shared.is_empty(), "{}", shared.join("\n"));
    assert!(columns > 100_000 && primitives > 200, "{columns} {primitives}");
}

/// Choices whose base has an element with a `type` of its own.
const CHOICES: [&str; 15] = [
    "AdverseEvent.suspectEntity.instance_choice",
    "AuditEvent.agent.network_choice",
    "Contract.topic_choice",
    "Contract.term.topic_choice",
    "DeviceDefinition.manufacturer_choice",
    "GuidanceResponse.module_choice",
    "Medication.package.content.item_choice",
    "ObservationDefinition.device_choice",
    "PlanDefinition.action.definition_choice",
    "Provenance.agent.onBehalfOf_choice",
    "Provenance.agent.who_choice",
    "Provenance.entity.what_choice",
    "Signature.onBehalfOf_choice",
    "Signature.who_choice",
    "Substance.ingredient.substance_choice",
];

/// Backbone elements with a `count` of their own.
const COUNTS: [&str; 8] = [
    "DeviceDefinition.chargeItem",
    "DeviceDefinition.hasPart",
    "DeviceDefinition.packaging",
    "DeviceDefinition.packaging.packaging",
    "DosageInstruction.step",
    "MeasureReport.group.population",
    "MeasureReport.group.stratifier.stratum.population",
    "Timing.repeat",
];

/// Primitives that are objects with a `text` in another release.
const TEXTS: [&str; 53] = [
    "AdverseEvent.category",
    "AllergyIntolerance.category",
    "AllergyIntolerance.clinicalStatus",
    "AllergyIntolerance.type",
    "AllergyIntolerance.verificationStatus",
    "Appointment.priority",
    "AuditEvent.entity.detail.type",
    "BiologicallyDerivedProduct.productCategory",
    "CarePlan.activity.detail.statusReason",
    "ChargeItem.overrideReason",
    "Claim.type",
    "ClaimResponse.outcome",
    "ClaimResponse.processNote.type",
    "CommunicationRequest.priority",
    "Composition.attester.mode",
    "Condition.clinicalStatus",
    "Condition.verificationStatus",
    "Consent.policyRule",
    "DetectedIssue.severity",
    "Device.name.type",
    "DeviceAssociation.status",
    "DeviceDefinition.productionIdentifierInUDI",
    "DeviceDefinition.deviceName.type",
    "DeviceDefinition.regulatoryIdentifier.type",
    "DeviceMetric.category",
    "DeviceMetric.color",
    "DeviceMetric.calibration.state",
    "DeviceMetric.calibration.type",
    "DeviceRequest.intent",
    "DocumentReference.docStatus",
    "DocumentReference.relatesTo.code",
    "EligibilityResponse.outcome",
    "Encounter.class",
    "EnrollmentResponse.outcome",
    "Evidence.statistic.modelCharacteristic.variable.handling",
    "Evidence.variableDefinition.variableRole",
    "EvidenceVariable.handling",
    "ExplanationOfBenefit.outcome",
    "ExplanationOfBenefit.processNote.type",
    "Goal.description",
    "Goal.statusReason",
    "Immunization.protocolApplied.doseNumber",
    "Immunization.protocolApplied.seriesDoses",
    "List.note",
    "Measure.improvementNotation",
    "MeasureReport.group.stratifier.stratum.value",
    "Media.type",
    "MedicationAdministration.note",
    "MedicationDispense.note",
    "MedicationStatement.note",
    "PaymentReconciliation.outcome",
    "PaymentReconciliation.processNote.type",
    "ReferralRequest.priority",
];

/// Derived columns that yield, because some release has an object with a member of the usual name there.
#[test]
fn derived_columns_yield_to_elements_of_other_releases() {
    let (mut choices, mut texts, mut counts) = (Vec::new(), Vec::new(), Vec::new());
    for type_id in every_type() {
        let mut visit = Visit::new();
        let root = visit.root(type_id);
        for element in type_id.elements() {
            let Some(field) = visit.paths().test_member(root, element.name).field() else { continue };
            let [text, count] =
                [Derived::Text, Derived::Count].map(|derived| visit.paths().derived_column(field, derived));
            let names = visit.names.list();
            let path = format!("{}.{}", type_id.name(), element.name);
            let column =
                visit.paths().choice(field).map(|choice| names.column(choice.type_column).to_owned());
            if let Some(column) = column.filter(|column| column.ends_with("_choice")) {
                choices.push(format!("{}.{column}", type_id.name()));
            }
            if names.column(text).ends_with("_written") {
                texts.push(path.clone());
            }
            if names.column(count).ends_with("_items") {
                counts.push(path);
            }
        }
    }
    choices.dedup();
    assert_eq!(
        (&choices[..], &counts[..], &texts[..]),
        (&CHOICES.map(String::from)[..], &COUNTS.map(String::from)[..], &TEXTS.map(String::from)[..])
    );
}
