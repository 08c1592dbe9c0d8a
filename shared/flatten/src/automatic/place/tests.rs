//! No two things share a column: over the elements of all releases and HL7's registry of extensions, by the names
//! that places and spots really give.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::model::tests::every_type;
use crate::model::{Datatype, Element, extensions};

/// Column → what stands in it: a path, and what is derived from the value there.
type Found = BTreeMap<String, BTreeSet<String>>;

impl Places {
    /// The place of an object of a type that stands nowhere.
    pub(in crate::automatic) fn test_place(&mut self, carrier: TypeId, names: &mut Names) -> PlaceId {
        let special = if carrier.is_resource() { Special::Resource } else { Special::of(Some(carrier)) };
        self.add_place("", Some(carrier), special, names)
    }
}

struct Visit {
    places: Places,
    names: Names,
    settings: Settings,
    found: Found,
    primitives: Vec<SpotId>,
}

impl Visit {
    fn new() -> Self {
        Self {
            places: Places::default(),
            names: Names::default(),
            settings: Settings { narrative: true, ..Settings::default() },
            found: Found::new(),
            primitives: Vec::new(),
        }
    }

    fn root(&mut self, carrier: TypeId) -> PlaceId {
        self.places.test_place(carrier, &mut self.names)
    }

    fn add(&mut self, column: ColumnId, path: &str, derived: &str) {
        let name = self.names.list().column(column).to_owned();
        let what = if derived.is_empty() { path.to_owned() } else { format!("{path} {derived}") };
        self.found.entry(name).or_default().insert(what);
    }

    fn add_derived(&mut self, spot: SpotId, derived: Derived, path: &str, name: &str) {
        let column = self.places.derived(spot, derived, &mut self.names);
        self.add(column, path, name);
    }

    fn add_own(&mut self, place: PlaceId, derived: Derived, path: &str, name: &str) {
        let column = self.places.own(place, derived, &mut self.names);
        self.add(column, path, name);
    }

    /// Every column below a place; a type that stands inside itself is entered once.
    fn place(&mut self, place: PlaceId, path: &str, above: &[TypeId]) {
        let Place { carrier, special, .. } = self.places.list[place.0 as usize];
        match special {
            Special::Concept | Special::Coding => self.add_own(place, Derived::Codings, path, "codings"),
            Special::Reference => {
                self.add_own(place, Derived::Key, path, "key");
                self.add_own(place, Derived::Identifier, &format!("{path}.identifier"), "");
                self.add_own(place, Derived::Kind, &format!("{path}.type"), "");
            }
            _ => {}
        }
        let Some(carrier) = carrier.filter(|carrier| !above.contains(carrier)) else { return };
        let above = [above, &[carrier]].concat();
        for element in carrier.elements() {
            let member =
                self.places.member_called(place, element.name, &mut 0, &self.settings, &mut self.names);
            if let Some(spot) = member.spot() {
                self.spot(place, spot, &element, member, path, &above);
            }
        }
    }

    fn spot(
        &mut self,
        place: PlaceId,
        spot: SpotId,
        element: &Element,
        member: Member,
        path: &str,
        above: &[TypeId],
    ) {
        // All values of an extension have its one column.
        let of_value = self.places.spots[spot.0 as usize].value_of.is_some();
        let here = format!("{path}.{}", if of_value { "value" } else { element.name });
        let scalars = self.places.field_flags(spot).scalars;
        self.add(self.places.plain(spot), &here, "");
        if !scalars.none() {
            self.add_derived(spot, Derived::Text, &here, "text");
            let sibling = self.places.sibling(spot, &mut self.names);
            let id = self.places.element(sibling, "id", &self.settings, &mut self.names).unwrap();
            self.add(self.places.plain(id), &format!("{here}.id"), "");
            self.primitives.push(spot);
        }
        if scalars.has(Scalars::MOMENT) {
            self.add_derived(spot, Derived::At, &here, "at");
        }
        if scalars.has(Scalars::BINARY) {
            self.add_derived(spot, Derived::Size, &here, "size");
            self.add_derived(spot, Derived::Sha256, &here, "sha256");
        }
        if let Some(choice) = self.places.choice(spot) {
            let base = element.uses.iter().find_map(|used| used.choice).unwrap();
            let path = format!("{path}.{base}");
            self.add(choice.kind, &path, "type");
            choice.at.into_iter().for_each(|at| self.add(at, &path, "at"));
            // An element of that name is the same, and one object has one of the two.
            choice.holds.into_iter().for_each(|holds| self.add(holds.column, &path, ""));
        }
        if self.places.field_flags(spot).is_resource() {
            self.add_derived(spot, Derived::Key, &here, "key");
        }
        if matches!(member, Member::Labels(_)) {
            let whole = self.places.labels(spot, &mut self.names);
            self.add(self.places.plain(whole), &format!("{here}.coding"), "");
        }
        for used in element.uses {
            let Datatype::Complex(carrier) = used.datatype else { continue };
            match carrier.name() {
                "Identifier" if used.many => self.add_derived(spot, Derived::Values, &here, "values"),
                "Reference" if used.many => self.add_derived(spot, Derived::Keys, &here, "keys"),
                "ContactPoint" if used.many => {
                    for (column, system) in
                        self.places.telecoms(spot, &mut self.names).into_iter().zip(TELECOM_SYSTEMS)
                    {
                        self.add(column, &here, system);
                    }
                }
                _ if carrier.is_backbone() => self.add_derived(spot, Derived::Count, &here, "count"),
                _ => {}
            }
            if matches!(member, Member::Codings(_)) {
                let elided = self.places.elided_coding(spot, place, &mut self.names);
                // A coding that stands alone in one release and in a concept in another is the same coding.
                self.place(elided, path, above);
            } else {
                let inside = self.places.in_place(spot, Some(carrier), &mut self.names);
                self.place(inside, &here, above);
            }
        }
    }

    fn shared(&self) -> Vec<String> {
        let shared = self.found.iter().filter(|(_, whats)| whats.len() > 1);
        shared.map(|(column, whats)| format!("{column}: {whats:?}")).collect()
    }

    /// The registered extensions at an element whose columns are called by something else already.
    fn extensions(
        &self,
        special: Special,
        carrier: Option<TypeId>,
        types_in_other_releases: &[TypeId],
        prefix: &str,
    ) -> Vec<String> {
        let mut names = BTreeSet::from([joined(prefix, "modifierExtension")]);
        let is_shared = |url: &&str| {
            let tail =
                name::tail(special, carrier, types_in_other_releases, url, Standing::Plain, &self.settings);
            let name = joined(prefix, &tail);
            self.is_begun(&name) || !names.insert(name)
        };
        extensions::ranked().into_iter().filter(is_shared).map(|url| format!("{prefix} {url}")).collect()
    }

    /// Whether some column is called so or stands below it.
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
    for carrier in every_type() {
        let mut visit = Visit::new();
        let root = visit.root(carrier);
        visit.place(root, carrier.name(), &[]);
        columns += visit.found.len();
        if carrier.name() == "Extension" {
            // It has a value or extensions, never both (constraint ext-1).
            let shared = visit.found.iter().filter(|(_, whats)| whats.len() > 1);
            assert_eq!(shared.map(|(name, _)| name).collect::<Vec<_>>(), OF_ANY_VALUE);
            continue;
        }
        shared.extend(visit.shared());
        let special = visit.places.special(root);
        shared.extend(visit.extensions(special, Some(carrier), &[], ""));
        assert!(!visit.is_begun("modifierExtension"), "{}", carrier.name());
        let is_common = matches!(carrier.name(), "Patient" | "Observation" | "HumanName");
        for spot in std::mem::take(&mut visit.primitives) {
            let types_in_other_releases: Vec<TypeId> =
                visit.places.spots[spot.0 as usize].carriers().collect();
            // Where an element is a primitive in all releases, names are the same anywhere.
            if is_common || !types_in_other_releases.is_empty() {
                let name = visit.places.name(spot).to_owned();
                shared.extend(visit.extensions(Special::OnPrimitive, None, &types_in_other_releases, &name));
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
fn what_is_derived_yields_to_elements_of_other_releases() {
    let (mut choices, mut texts, mut counts) = (Vec::new(), Vec::new(), Vec::new());
    for carrier in every_type() {
        let mut visit = Visit::new();
        let root = visit.root(carrier);
        for element in carrier.elements() {
            let member =
                visit.places.member_called(root, element.name, &mut 0, &visit.settings, &mut visit.names);
            let Some(spot) = member.spot() else { continue };
            let [text, count] = [Derived::Text, Derived::Count]
                .map(|derived| visit.places.derived(spot, derived, &mut visit.names));
            let names = visit.names.list();
            let path = format!("{}.{}", carrier.name(), element.name);
            let kind = visit.places.choice(spot).map(|choice| names.column(choice.kind));
            if let Some(kind) = kind.filter(|kind| kind.ends_with("_choice")) {
                choices.push(format!("{}.{kind}", carrier.name()));
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
