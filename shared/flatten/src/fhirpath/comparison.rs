//! Equality, FHIRPath section 6.1, and what is distinct: work that grows like n log n with what is compared.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::json::{JsonKind, Node};

use super::decimal::Decimal;
use super::item::{ItemValue, PathError};
use super::quantity::Quantity;
use super::temporal::{Temporal, TemporalKind};

/// Returns whether two values are equal; `None` where their precisions or units leave it open. Values of different
/// types are not equal.
pub(super) fn equal(left: &ItemValue<'_>, right: &ItemValue<'_>) -> Option<bool> {
    match (left, right) {
        (ItemValue::Boolean(left), ItemValue::Boolean(right)) => Some(left == right),
        (ItemValue::Object(left), ItemValue::Object(right)) => Some(equal_nodes(*left, *right)),
        (ItemValue::Temporal(_, left), ItemValue::Temporal(_, right))
            if (left.kind == TemporalKind::Time) != (right.kind == TemporalKind::Time) =>
        {
            Some(false)
        }
        (ItemValue::Boolean(_), _) | (_, ItemValue::Boolean(_)) => Some(false),
        _ => compare(left, right).map_or(Some(false), |order| order.map(Ordering::is_eq)),
    }
}

/// Returns the order of two values; fails for values that have no order.
pub(super) fn compare(left: &ItemValue<'_>, right: &ItemValue<'_>) -> Result<Option<Ordering>, PathError> {
    match (left, right) {
        (ItemValue::Number(left), ItemValue::Number(right)) => Ok(Some(left.cmp(right))),
        (ItemValue::Text(left), ItemValue::Text(right)) => Ok(Some(left.cmp(right))),
        (ItemValue::Temporal(_, left), ItemValue::Temporal(_, right)) => Ok(left.compare(*right)),
        (ItemValue::Temporal(_, left), ItemValue::Text(right)) => {
            same_kind(right, left.kind).map(|right| left.compare(right)).ok_or(PathError::OPERAND)
        }
        (ItemValue::Text(left), ItemValue::Temporal(_, right)) => {
            same_kind(left, right.kind).map(|left| left.compare(*right)).ok_or(PathError::OPERAND)
        }
        (ItemValue::Quantity(left), ItemValue::Quantity(right)) => Ok(left.compare(right)),
        (ItemValue::Quantity(left), ItemValue::Number(right)) => Ok(left.compare(&pure(*right))),
        (ItemValue::Number(left), ItemValue::Quantity(right)) => Ok(pure(*left).compare(right)),
        // A quantity with a comparator means a range: its order is unknown.
        (ItemValue::Object(node), ItemValue::Quantity(_) | ItemValue::Number(_))
        | (ItemValue::Quantity(_) | ItemValue::Number(_), ItemValue::Object(node))
            if node.get("comparator").is_some() =>
        {
            Ok(None)
        }
        _ => Err(PathError::OPERAND),
    }
}

/// Reads a text beside a date or a time as one: FHIR's JSON has no other way to write them.
fn same_kind(text: &str, kind: TemporalKind) -> Option<Temporal> {
    match kind {
        TemporalKind::Time => Temporal::parse(text, TemporalKind::Time),
        TemporalKind::Date | TemporalKind::DateTime => Temporal::parse(text, TemporalKind::DateTime),
    }
}

fn pure(value: Decimal) -> Quantity<'static> {
    Quantity { value, unit: "1".into() }
}

/// Returns whether two JSON values say the same: numbers by value, members in any order.
fn equal_nodes(left: Node<'_>, right: Node<'_>) -> bool {
    match (left.kind(), right.kind()) {
        (JsonKind::Object, JsonKind::Object) => equal_objects(left, right),
        (JsonKind::Array, JsonKind::Array) => {
            left.items().count() == right.items().count()
                && left.items().zip(right.items()).all(|(left, right)| equal_nodes(left, right))
        }
        (JsonKind::Number, JsonKind::Number) => {
            left.raw() == right.raw()
                || Decimal::parse(left.raw()).zip(Decimal::parse(right.raw())).is_some_and(|(a, b)| a == b)
        }
        (JsonKind::String, JsonKind::String) => left.text() == right.text(),
        (left, right) => left == right,
    }
}

/// Compares member by member while the names stand in one order, and sorts what is left. No name stands twice in an
/// object: the parser refuses it.
fn equal_objects(left: Node<'_>, right: Node<'_>) -> bool {
    if left.members().count() != right.members().count() {
        return false;
    }
    let (mut one, mut other) = (left.members().peekable(), right.members().peekable());
    while let (Some((name, value)), Some((same, as_value))) = (one.peek(), other.peek()) {
        if name.text() != same.text() {
            break;
        }
        if !equal_nodes(*value, *as_value) {
            return false;
        }
        one.next();
        other.next();
    }
    let rest: BTreeMap<Option<Cow<'_, str>>, Node<'_>> =
        other.map(|(name, value)| (name.text(), value)).collect();
    one.all(|(name, value)| rest.get(&name.text()).is_some_and(|other| equal_nodes(value, *other)))
}

/// Values no two of which are equal.
#[derive(Debug, Default)]
pub(super) struct Distinct<'v> {
    /// Those that are equal only to values of one fingerprint.
    exact: BTreeMap<u64, Vec<ItemValue<'v>>>,
    /// The others: dates of several precisions, quantities of several units.
    others: Vec<ItemValue<'v>>,
}

impl<'v> Distinct<'v> {
    /// Adds a value, and returns whether it is equal to none of those before it.
    pub(super) fn insert(&mut self, value: ItemValue<'v>) -> bool {
        let is_equal = |other: &ItemValue<'v>| equal(other, &value) == Some(true);
        if self.others.iter().any(is_equal) {
            return false;
        }
        if let Some(print) = fingerprint(&value) {
            let alike = self.exact.entry(print).or_default();
            if alike.iter().any(is_equal) {
                return false;
            }
            alike.push(value);
        } else {
            if self.exact.values().flatten().any(is_equal) {
                return false;
            }
            self.others.push(value);
        }
        true
    }
}

/// Returns a number that equal values share, where only values of this kind are equal to each other.
fn fingerprint(value: &ItemValue<'_>) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    match value {
        ItemValue::Boolean(boolean) => boolean.hash(&mut hasher),
        ItemValue::Number(number) => number.normalized().hash(&mut hasher),
        ItemValue::Text(text) => text.hash(&mut hasher),
        ItemValue::Object(node) => return Some(fingerprint_of_node(*node)),
        ItemValue::Temporal(..) | ItemValue::Quantity(_) => return None,
    }
    Some(hasher.finish())
}

fn fingerprint_of_node(node: Node<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    match node.kind() {
        JsonKind::Object => {
            // The order of members is not part of an object's value.
            let members = node.members().map(|(name, value)| {
                let mut hasher = DefaultHasher::new();
                (name.text(), fingerprint_of_node(value)).hash(&mut hasher);
                hasher.finish()
            });
            members.fold(0, u64::wrapping_add).hash(&mut hasher);
        }
        JsonKind::Array => node.items().for_each(|item| fingerprint_of_node(item).hash(&mut hasher)),
        JsonKind::Number => match Decimal::parse(node.raw()) {
            Some(number) => number.normalized().hash(&mut hasher),
            None => node.raw().hash(&mut hasher),
        },
        JsonKind::String => node.text().hash(&mut hasher),
        JsonKind::True => 1_u8.hash(&mut hasher),
        JsonKind::False => 2_u8.hash(&mut hasher),
        JsonKind::Null => 3_u8.hash(&mut hasher),
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;
    use serde_json::{Map, Value as Json, json};

    use super::*;
    use crate::fhirpath::{Context, Predicate, Scratch};
    use crate::json::{Limits, Tape};

    /// Calls `judge` with the two texts parsed.
    fn with_nodes<T>(left: &str, right: &str, judge: impl FnOnce(Node<'_>, Node<'_>) -> T) -> T {
        let (mut one, mut other) = (Tape::default(), Tape::default());
        let left = one.parse(left.as_bytes(), Limits::default()).unwrap();
        let right = other.parse(right.as_bytes(), Limits::default()).unwrap();
        judge(left.root(), right.root())
    }

    fn holds(path: &str, patient: &str) -> Option<bool> {
        let mut tape = Tape::default();
        let document = tape.parse(patient.as_bytes(), Limits::default()).unwrap();
        let predicate = Predicate::compile("Patient", path).unwrap();
        predicate.holds(document.root(), &Context::of("Patient/1"), &mut Scratch::default()).unwrap()
    }

    /// Returns the shortest of three times: other work on the machine only ever adds to one.
    fn time(mut work: impl FnMut()) -> Duration {
        let measure = |_| {
            let begun = Instant::now();
            work();
            begun.elapsed()
        };
        (0..3).map(measure).min().unwrap()
    }

    #[test]
    fn objects_are_equal_in_any_order_of_their_members_and_numbers_by_value() {
        let equal = [
            (r#"{"a":1,"b":[{"c":true,"d":null}]}"#, r#"{"b":[{"d":null,"c":true}],"a":1.00}"#),
            (r#"{"a":"\u0041"}"#, r#"{"\u0061":"A"}"#),
            ("{}", "{}"),
            (r#"{"n":1e9999}"#, r#"{"n":1e9999}"#),
        ];
        for (left, right) in equal {
            assert!(with_nodes(left, right, equal_nodes), "{left} {right}");
            assert!(with_nodes(left, right, |a, b| fingerprint_of_node(a) == fingerprint_of_node(b)));
        }
        let different = [
            (r#"{"a":1}"#, r#"{"a":1,"b":1}"#),
            (r#"{"a":1,"b":2}"#, r#"{"a":2,"b":1}"#),
            (r#"{"a":1,"b":1}"#, r#"{"a":1,"c":1}"#),
            (r#"{"a":[1,2]}"#, r#"{"a":[2,1]}"#),
            (r#"{"a":1}"#, r#"{"a":"1"}"#),
        ];
        for (left, right) in different {
            assert!(!with_nodes(left, right, equal_nodes), "{left} {right}");
        }
    }

    /// A member more costs what it costs to read it, a few times, also where no member stands at its place.
    #[test]
    fn equality_grows_like_the_objects() {
        let members: Vec<String> = (0..200_000).map(|number| format!(r#""m{number}":{number}"#)).collect();
        let forwards = format!("{{{}}}", members.join(","));
        let backwards = format!("{{{}}}", members.into_iter().rev().collect::<Vec<_>>().join(","));
        let reading = time(|| {
            let mut tape = Tape::default();
            assert!(tape.parse(forwards.as_bytes(), Limits::default()).is_ok());
        });
        let equality =
            with_nodes(&forwards, &backwards, |left, right| time(|| assert!(equal_nodes(left, right))));
        assert!(equality < 100 * reading, "{equality:?} to compare, {reading:?} to read");
    }

    #[test]
    fn what_is_distinct_is_found_without_comparing_all_with_all() {
        let names: Vec<String> =
            (0..5_000).map(|number| format!(r#"{{"family":"f{number}","given":["g"]}}"#)).collect();
        let patient = format!(r#"{{"resourceType":"Patient","name":[{}]}}"#, names.join(","));
        let counting = time(|| assert_eq!(holds("name.family.count() = 5000", &patient), Some(true)));
        for path in ["name.distinct().count() = 5000", "(name.family | name.family).count() = 5000"] {
            let distinct = time(|| assert_eq!(holds(path, &patient), Some(true)));
            assert!(distinct < 50 * counting, "{path}: {distinct:?}, and {counting:?} to count");
        }
    }

    #[test]
    fn of_equal_values_of_any_kind_the_first_stays() {
        let cases = [
            ("(1 | 1.0 | 2).count() = 2", Some(true)),
            ("('a' | 'b' | 'a').count() = 2", Some(true)),
            ("(true | false | true).count() = 2", Some(true)),
            ("(@2020-01-01 | @2020-01-01 | @2020).count() = 2", Some(true)),
            ("(1 'kg' | 1.0 'kg' | 1 'g').count() = 2", Some(true)),
            ("(birthDate | '2020-01-01').count() = 1", Some(true)),
            ("('2020-01-01' | birthDate).count() = 1", Some(true)),
            ("(contact.name | contact.name).count() = 1", Some(true)),
        ];
        let name = r#"{"name":{"family":"a","given":["b"]}}"#;
        let other = r#"{"name":{"given":["b"],"family":"a"}}"#;
        let patient =
            format!(r#"{{"resourceType":"Patient","birthDate":"2020-01-01","contact":[{name},{other}]}}"#);
        for (path, answer) in cases {
            assert_eq!(holds(path, &patient), answer, "{path}");
        }
    }

    fn json_values() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            (0..3).prop_map(Json::from),
            "[ab]{0,1}".prop_map(Json::from),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            let members = proptest::collection::vec(("[abc]", inner.clone()), 0..4);
            prop_oneof![
                proptest::collection::vec(inner, 0..3).prop_map(Json::from),
                members.prop_map(|members| Json::Object(members.into_iter().collect())),
            ]
        })
    }

    /// Returns the same value with the members of all objects the other way round.
    fn turned(value: &Json) -> Json {
        match value {
            Json::Object(members) => {
                let turned = members.iter().rev().map(|(name, value)| (name.clone(), turned(value)));
                Json::Object(turned.collect::<Map<_, _>>())
            }
            Json::Array(items) => items.iter().map(turned).collect(),
            leaf => json!(leaf),
        }
    }

    proptest! {
        #[test]
        fn agrees_with_another_implementation(left in json_values(), right in json_values()) {
            let (text, other) = (left.to_string(), right.to_string());
            let (equal, alike) = with_nodes(&text, &other, |left, right| {
                (equal_nodes(left, right), fingerprint_of_node(left) == fingerprint_of_node(right))
            });
            prop_assert_eq!(equal, left == right);
            prop_assert_eq!(alike, equal, "equal values have one fingerprint, and so few values differ in it");
            let turned = turned(&left).to_string();
            prop_assert!(with_nodes(&text, &turned, equal_nodes));
        }
    }
}
