//! The table against the specification's odd corners, its own laws, and, where they are at hand, HL7's tables.

mod extensions;
#[cfg(feature = "corpus")]
mod source;

use super::*;

fn element(type_name: &str, name: &str) -> Element {
    type_named(type_name).unwrap().element(name).unwrap()
}

/// Returns every type of every release.
pub(crate) fn every_type() -> impl Iterator<Item = TypeId> {
    (0..u16::MAX).map(TypeId).take_while(|id| !id.name().is_empty())
}

fn complex(name: &str) -> Datatype {
    Datatype::Complex(type_named(name).unwrap())
}

#[test]
fn types_and_elements_are_sorted_and_each_stands_once() {
    let names: Vec<&str> = every_type().map(TypeId::name).collect();
    assert!(names.len() > 1000, "{}", names.len());
    assert!(names.is_sorted_by(|one, other| one < other));
    for id in every_type() {
        assert_eq!(type_named(id.name()), Some(id));
        assert!(
            id.elements().map(|element| element.name).is_sorted_by(|one, other| one < other),
            "{}",
            id.name()
        );
        assert!(id.elements().all(|element| id.element(element.name) == Some(element)));
    }
}

#[test]
fn no_release_says_two_things_of_an_element() {
    for id in every_type() {
        for element in id.elements() {
            assert!(!element.uses.is_empty(), "{}.{}", id.name(), element.name);
            assert!(element.uses.is_sorted_by_key(|known| std::cmp::Reverse(known.releases.newest())));
            for &release in Release::ALL {
                let says = element.uses.iter().filter(|known| known.releases.contains(release)).count();
                assert!(says <= 1, "{}.{} {release:?}", id.name(), element.name);
            }
        }
    }
}

#[test]
fn no_element_name_has_an_underscore() {
    for id in every_type() {
        for element in id.elements() {
            assert!(
                element.name.bytes().all(|byte| byte.is_ascii_alphanumeric()),
                "{}.{}",
                id.name(),
                element.name
            );
        }
    }
}

#[test]
fn recursions_are_the_type_they_repeat() {
    for (type_name, name, repeated) in [
        ("Questionnaire.item", "item", "Questionnaire.item"),
        ("QuestionnaireResponse.item.answer", "item", "QuestionnaireResponse.item"),
        ("CodeSystem.concept", "concept", "CodeSystem.concept"),
        ("ValueSet.compose", "exclude", "ValueSet.compose.include"),
        ("ValueSet.codeSystem.concept", "concept", "ValueSet.codeSystem.concept"),
        ("ClaimResponse.addItem", "adjudication", "ClaimResponse.item.adjudication"),
        ("Bundle.entry", "link", "Bundle.link"),
        ("Observation.component", "referenceRange", "Observation.referenceRange"),
        ("TestScript.test", "metadata", "TestScript.metadata"),
    ] {
        assert_eq!(element(type_name, name).newest().datatype, complex(repeated), "{type_name}.{name}");
    }
    assert_eq!(element("Patient", "contact").newest().datatype, complex("Patient.contact"));
    assert!(type_named("Patient.contact").unwrap().is_backbone());
}

#[test]
fn releases_that_differ_stand_newest_first() {
    let balance: Vec<Datatype> =
        element("Account", "balance").uses.iter().map(|known| known.datatype).collect();
    assert_eq!(balance, [complex("Account.balance"), complex("Money"), complex("Quantity")]);
    let reason = element("Procedure", "reasonReference");
    assert_eq!(reason.choice, None);
    assert_eq!(reason.uses.iter().find(|known| !known.many).unwrap().choice, Some("reason"));
    assert!(reason.newest().many);
    let money = type_named("Money").unwrap();
    assert!(["value", "currency", "unit", "code"].into_iter().all(|name| money.element(name).is_some()));
}

#[test]
fn r6_adds_and_decides_nothing() {
    assert!(is_resource_type("DeviceAlert") && type_named("RelativeTime").is_some());
    let mut differing = 0;
    for id in every_type() {
        for element in id.elements() {
            let (draft, published): (Vec<Use>, Vec<Use>) =
                element.uses.iter().copied().partition(|known| known.releases.newest() == Some(Release::R6));
            assert!(draft.len() <= 1 && (published.is_empty() || element.newest() == published[0]));
            assert!(draft.is_empty() || element.uses.last() == draft.first());
            differing += usize::from(!draft.is_empty() && !published.is_empty());
        }
    }
    assert!(differing > 100, "{differing}");
}

#[test]
fn an_element_finds_members_in_older_releases_too() {
    let coding = element("Account", "currency");
    assert_eq!(coding.newest().datatype, complex("CodeableConcept"));
    assert_eq!(coding.member("text").unwrap().name, "text");
    assert_eq!(coding.member("display").unwrap().name, "display");
    assert_eq!(coding.member("nothing"), None);
}

#[test]
fn choices_are_spelled_out_over_all_releases() {
    let value: Vec<&str> =
        type_named("Extension").unwrap().choices("value").map(|member| member.name).collect();
    for name in [
        "valueInteger64",
        "valueCodeableReference",
        "valueReference",
        "valueBase64Binary",
        "valueOid",
        "valueMoney",
    ] {
        assert!(value.contains(&name), "{name}");
    }
    assert_eq!(element("Observation", "valueQuantity").choice, Some("value"));
    assert_eq!(type_named("Observation").unwrap().choices("status").count(), 0);
    // A choice is spelled as its base and its datatype, so that no member belongs to two.
    for id in every_type() {
        for member in id.elements() {
            for (known, base) in member.uses.iter().filter_map(|known| Some((known, known.choice?))) {
                let rest = member.name.strip_prefix(base).unwrap();
                assert!(
                    !base.is_empty() && rest.eq_ignore_ascii_case(known.datatype.name()),
                    "{}",
                    member.name
                );
            }
        }
    }
}

#[test]
fn kinds() {
    for (name, kind) in [
        ("Patient", TypeKind::Resource),
        ("Conformance", TypeKind::Resource),
        ("Binary", TypeKind::Resource),
        ("Parameters", TypeKind::Resource),
        ("Bundle", TypeKind::Resource),
        ("ActorDefinition", TypeKind::Resource),
        ("HumanName", TypeKind::Datatype),
        ("Extension", TypeKind::Datatype),
        ("Age", TypeKind::Datatype),
        ("Timing.repeat", TypeKind::Backbone),
        ("boolean", TypeKind::Primitive),
        ("Element", TypeKind::Abstract),
        ("DomainResource", TypeKind::Abstract),
        ("Resource", TypeKind::Abstract),
    ] {
        assert_eq!(type_named(name).map(TypeId::kind), Some(kind), "{name}");
        assert_eq!(is_resource_type(name), kind == TypeKind::Resource, "{name}");
    }
    assert_eq!(type_named("Nothing"), None);
    assert_eq!(type_named("SimpleQuantity"), type_named("Quantity"));
    let resources = every_type().filter(|id| id.is_resource()).count();
    assert!((190..220).contains(&resources), "{resources}");
}

#[test]
fn datatypes_are_found_by_name() {
    assert_eq!(Datatype::named("canonical"), Some(Datatype::Primitive(Primitive::Canonical)));
    assert_eq!(Datatype::named("Resource"), Some(Datatype::Resource));
    assert_eq!(Datatype::named("Quantity"), Some(complex("Quantity")));
    assert_eq!(Datatype::named("Nothing"), None);
    assert_eq!(element("Patient", "contained").newest().datatype, Datatype::Resource);
    assert_eq!(element("Narrative", "div").newest().datatype, Datatype::Primitive(Primitive::Xhtml));
    for &primitive in Primitive::ALL {
        assert_eq!(Primitive::named(primitive.name()), Some(primitive));
    }
}

#[test]
fn known_names_are_names_of_any_type() {
    for name in ["birthDate", "_birthDate", "resourceType", "fhir_comments", "valueQuantity"] {
        assert!(is_known_element_name(name), "{name}");
    }
    for name in ["Chalmers", "_", "", "_fhir_comments", "birthdate"] {
        assert!(!is_known_element_name(name), "{name}");
    }
}
