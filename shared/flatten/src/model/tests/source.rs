//! Every row of HL7's element tables is found again. The tables stand beside the repository.

use std::path::PathBuf;

use super::super::{Datatype, Release, type_named};

/// Choices that the JSON schemas of R4B and R5 suggest and the specification does not have.
fn is_guessed(release: Release, type_name: &str, name: &str, choice: &str) -> bool {
    if release < Release::R4b && release != Release::R6 {
        return false;
    }
    let separate = [
        ("GenomicStudy", "instantiates"),
        ("GenomicStudy.analysis", "instantiates"),
        ("Transport", "instantiates"),
    ];
    let guessed = [
        ("Citation.citedArtifact.publicationForm", "pageString"),
        ("ClinicalImpression.finding", "itemCodeableConcept"),
        ("ClinicalImpression.finding", "itemReference"),
        ("Contract", "instantiatesUri"),
        ("ImagingStudy", "procedureReference"),
        ("MolecularSequence.referenceSeq", "referenceSeqString"),
        ("PaymentReconciliation", "paymentDate"),
        ("PaymentReconciliation", "paymentIdentifier"),
        ("Task", "instantiatesCanonical"),
        ("Task", "instantiatesUri"),
        ("Task", "reasonReference"),
    ];
    separate.contains(&(type_name, choice)) || guessed.contains(&(type_name, name))
}

fn table(release: Release) -> String {
    let name = match release {
        Release::R6 => "R6",
        Release::Dstu2 => "DSTU2",
        Release::Stu3 => "STU3",
        Release::R4 => "R4",
        Release::R4b => "R4B",
        Release::R5 => "R5",
    };
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fhir/model");
    let path = folder.join(format!("elements-{name}.tsv"));
    std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("the feature `corpus` needs {}: {error}", path.display()))
}

fn is_datatype(found: Datatype, type_name: &str, named: &str) -> bool {
    match named.strip_prefix('@') {
        None => found.name() == named,
        Some(path) if path.contains('.') => found.name() == path,
        // DSTU2's short names: a backbone element of that name in the same resource.
        Some(name) => {
            let root = type_name.split('.').next().unwrap();
            found.name().starts_with(&format!("{root}.")) && found.name().ends_with(&format!(".{name}"))
        }
    }
}

#[test]
fn every_row_is_found_again() {
    for &release in Release::ALL {
        let text = table(release);
        for row in text.lines().skip(1) {
            let [type_name, name, datatype, max, choice] = row.split('\t').collect::<Vec<_>>()[..] else {
                panic!("{row}")
            };
            let element = type_named(type_name).and_then(|id| id.element(name)).unwrap();
            let says = element.uses.iter().find(|known| known.releases.contains(release)).unwrap();
            assert!(is_datatype(says.datatype, type_name, datatype), "{release:?} {row}");
            assert_eq!(says.many, max == "*", "{release:?} {row}");
            let expected =
                Some(choice).filter(|base| !base.is_empty() && !is_guessed(release, type_name, name, choice));
            assert_eq!(says.choice, expected, "{release:?} {row}");
        }
        let rows = text.lines().count() - 1;
        let said =
            super::every_type().flat_map(super::TypeId::elements).flat_map(|element| element.uses.iter());
        assert_eq!(said.filter(|known| known.releases.contains(release)).count(), rows, "{release:?}");
    }
}
