//! Gates: what an object as a whole must be before anything of it is written.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};

use crate::model::ResourceTypes;

/// The gates of a deployment: `{max_reject_ratio, min_resources, required_types}`, each only where it is wanted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Gates {
    max_reject_ratio: Option<f64>,
    min_resources: Option<u64>,
    required_types: BTreeSet<String>,
}

/// A gate, as the ledger names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// A larger part of the records than allowed would be rejected.
    MaxRejectRatio,
    /// There are fewer resources.
    MinResources,
    /// Of some type there is no resource.
    RequiredTypes,
}

/// What a first reading of an object has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// The number of resources, deletions and rejects.
    pub records: u64,
    /// The number of rejects.
    pub rejected: u64,
    /// Resources by type.
    pub types: BTreeMap<String, u64>,
}

impl Gate {
    /// Returns the code in the ledger.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MaxRejectRatio => "gate max_reject_ratio",
            Self::MinResources => "gate min_resources",
            Self::RequiredTypes => "gate required_types",
        }
    }
}

impl Gates {
    /// Reads gates. Every mistake is added to `mistakes`, in words.
    pub(crate) fn read(text: &str, types: &ResourceTypes, mistakes: &mut Vec<String>) -> Self {
        let Ok(Json::Object(object)) = serde_json::from_str(text) else {
            mistakes.push("gates are a JSON object".to_owned());
            return Self::default();
        };
        let gates = Self::of(&object, types, mistakes);
        let known = ["max_reject_ratio", "min_resources", "required_types"];
        let others = object.keys().filter(|name| !known.contains(&name.as_str()));
        mistakes.extend(others.map(|name| format!("gates: `{name}` means nothing here")));
        gates
    }

    fn of(object: &Map<String, Json>, known: &ResourceTypes, mistakes: &mut Vec<String>) -> Self {
        let mut gates = Self::default();
        if let Some(ratio) = object.get("max_reject_ratio") {
            gates.max_reject_ratio = ratio.as_f64().filter(|ratio| (0.0..=1.0).contains(ratio));
            if gates.max_reject_ratio.is_none() {
                mistakes.push("gates: `max_reject_ratio` is a number from 0 to 1".to_owned());
            }
        }
        if let Some(count) = object.get("min_resources") {
            gates.min_resources = count.as_u64();
            if gates.min_resources.is_none() {
                mistakes.push("gates: `min_resources` is a whole number".to_owned());
            }
        }
        if let Some(types) = object.get("required_types") {
            let names: Option<BTreeSet<String>> = serde_json::from_value(types.clone()).ok();
            match names.filter(|names| names.iter().all(|name| known.contains(name))) {
                Some(names) => gates.required_types = names,
                None => {
                    mistakes.push("gates: `required_types` is a list of resource types of FHIR".to_owned())
                }
            }
        }
        gates
    }

    /// Returns whether there is no gate, so that objects need not be read twice.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the gates that an object does not pass.
    #[must_use]
    pub fn violations(&self, survey: &Survey) -> Vec<Gate> {
        let has_too_many =
            self.max_reject_ratio.is_some_and(|most| ratio(survey.rejected, survey.records) > most);
        let has_too_few = self.min_resources.is_some_and(|least| survey.types.values().sum::<u64>() < least);
        let is_missing = |name: &String| !survey.types.contains_key(name);
        let gates = [
            (has_too_many, Gate::MaxRejectRatio),
            (has_too_few, Gate::MinResources),
            (self.required_types.iter().any(is_missing), Gate::RequiredTypes),
        ];
        gates.into_iter().filter_map(|(is_closed, gate)| is_closed.then_some(gate)).collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "a ratio of counts far below 2^52")]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::{Gate, Gates, ResourceTypes, Survey};

    fn closed(gates: &str, records: u64, rejected: u64, types: &[&str]) -> Vec<Gate> {
        let mut mistakes = Vec::new();
        let gates = Gates::read(gates, &ResourceTypes::default(), &mut mistakes);
        assert!(mistakes.is_empty(), "{mistakes:?}");
        let types = types.iter().map(|name| ((*name).to_owned(), 1)).collect();
        gates.violations(&Survey { records, rejected, types })
    }

    #[test]
    fn gates_close_behind_their_limits() {
        assert_eq!(closed("{}", 0, 0, &[]), []);
        let ratio = r#"{"max_reject_ratio":0.5}"#;
        assert_eq!(closed(ratio, 4, 2, &["Patient"]), []);
        assert_eq!(closed(ratio, 4, 3, &["Patient"]), [Gate::MaxRejectRatio]);
        assert_eq!(closed(ratio, 0, 0, &[]), []);
        assert_eq!(closed(r#"{"min_resources":2}"#, 2, 0, &["Patient"]), [Gate::MinResources]);
        assert_eq!(closed(r#"{"min_resources":2}"#, 2, 0, &["Patient", "Group"]), []);
        let types = r#"{"required_types":["Patient","Group"]}"#;
        assert_eq!(closed(types, 1, 0, &["Patient"]), [Gate::RequiredTypes]);
        assert_eq!(closed(types, 2, 0, &["Group", "Patient"]), []);
        let all = r#"{"max_reject_ratio":0,"min_resources":2,"required_types":["Group"]}"#;
        let every = [Gate::MaxRejectRatio, Gate::MinResources, Gate::RequiredTypes];
        assert_eq!(closed(all, 2, 1, &["Patient"]), every);
    }

    #[test]
    fn every_mistake_is_told() {
        let mut mistakes = Vec::new();
        let wrong = r#"{"max_reject_ratio":2,"min_resources":-1,"required_types":["patient"],"colour":1}"#;
        let types = ResourceTypes::default();
        Gates::read(wrong, &types, &mut mistakes);
        assert_eq!(mistakes.len(), 4, "{mistakes:?}");
        Gates::read("[]", &types, &mut mistakes);
        assert_eq!(mistakes.len(), 5);
    }
}
