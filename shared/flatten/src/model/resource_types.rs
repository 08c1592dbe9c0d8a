//! The types that resources may have: those of FHIR's releases, and those that a deployment adds.

use std::collections::BTreeSet;

use crate::reference::is_type;

use super::{is_resource_type, table, type_named};

/// The name of all unknown resource types, in the archive and in the names of tables.
pub const UNKNOWN_TYPE: &str = "Unknown";

/// The resource types that have tables of their own.
///
/// ```
/// use flatten::model::ResourceTypes;
///
/// let types = ResourceTypes::read("SpaceSuit, Rocket");
/// assert!(types.mistakes().is_empty());
/// assert_eq!(types.table_of("Patient"), "Patient");
/// assert_eq!(types.table_of("Rocket"), "Rocket");
/// assert_eq!(types.table_of("Submarine"), "Unknown");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResourceTypes {
    added: BTreeSet<String>,
}

impl ResourceTypes {
    /// Reads the names of types that no release of FHIR has, separated by commas or white space.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let names = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|name| !name.is_empty());
        Self { added: names.map(str::to_owned).collect() }
    }

    /// Returns whether a release of FHIR or the deployment has a resource type of that name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        is_resource_type(name) || self.added.contains(name)
    }

    /// Returns whether one of these types has that name in some case of letters: many databases do not tell them apart.
    #[must_use]
    pub fn contains_in_any_case(&self, name: &str) -> bool {
        let mut known = table::type_names().filter(|known| is_resource_type(known));
        known.any(|known| known.eq_ignore_ascii_case(name))
            || self.added.iter().any(|added| added.eq_ignore_ascii_case(name))
    }

    /// Returns the name that a type's tables begin with: its own, or [`UNKNOWN_TYPE`].
    #[must_use]
    pub fn table_of<'n>(&self, name: &'n str) -> &'n str {
        if self.contains(name) { name } else { UNKNOWN_TYPE }
    }

    /// Returns the names that the deployment adds, in the order of the alphabet.
    pub fn added(&self) -> impl Iterator<Item = &str> {
        self.added.iter().map(String::as_str)
    }

    /// Says what is wrong with the names, one text for each that cannot be a resource type.
    #[must_use]
    pub fn mistakes(&self) -> Vec<String> {
        let mistake = |name: &str| {
            let reason = if !is_type(name) {
                "a type begins with an upper-case letter and has letters and digits, 64 at most"
            } else if name == UNKNOWN_TYPE {
                "this name stands for the types that nobody knows"
            } else if type_named(name).is_some_and(|known| !known.is_resource()) {
                "FHIR has a datatype of that name"
            } else {
                return None;
            };
            Some(format!("resource type `{name}`: {reason}"))
        };
        self.added().filter_map(mistake).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::ResourceTypes;

    #[test]
    fn names_are_separated_by_commas_and_white_space() {
        let types = ResourceTypes::read(" Rocket,SpaceSuit\n Patient ,, Rocket\t");
        assert_eq!(types.added().collect::<Vec<_>>(), ["Patient", "Rocket", "SpaceSuit"]);
        assert!(types.mistakes().is_empty());
        assert!(types.contains("Observation") && types.contains("Rocket"));
        assert!(!types.contains("rocket") && !types.contains("Unknown"));
        assert_eq!(ResourceTypes::read("").added().count(), 0);
    }

    #[test]
    fn every_name_that_cannot_be_a_type_is_told() {
        let long = "A".repeat(65);
        let names = ["rocket", "Space-Suit", "Unknown", "HumanName", "Resource", &long, "Rocket"];
        let mistakes = ResourceTypes::read(&names.join(" ")).mistakes();
        assert_eq!(mistakes.len(), names.len() - 1, "{mistakes:?}");
        assert!(names[..6].iter().all(|name| mistakes.iter().any(|told| told.contains(name))));
    }
}
