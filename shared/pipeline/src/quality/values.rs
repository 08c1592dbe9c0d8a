//! Checks of the values of observations: units that differ within a code, and values far from the others.

use std::collections::BTreeMap;

use crate::store::quality::{GroupQuestion, RowGroup};

use super::catalogue::QualityCheck;
use super::elements::CheckedTable;
use super::facts::TERMINOLOGIES;
use super::finding::QualityFinding;

const COLUMNS: [&str; 4] = ["code_system", "code_code", "valueQuantity_code", "valueQuantity_unit"];
const VALUE: &str = "valueQuantity_value";
const ELEMENT: &str = "valueQuantity";

/// Fewer values have no median to speak of.
const LEAST_VALUES: u64 = 10;

/// So many powers of ten lie between a value and the median that it is far from.
const FAR: i32 = 3;

/// A unit or a code that fewer rows have is not told: it may be text about a patient.
const LEAST_ROWS_TO_TELL: u64 = 10;

/// The longest code that is told, in bytes.
const LONGEST_CODE: usize = 20;

/// So many codes are told.
const CODES_TO_TELL: usize = 5;

/// A code, with its system.
type SystemAndCode = (Option<String>, String);

/// How many rows a code has in each unit.
type Units = BTreeMap<SystemAndCode, BTreeMap<String, u64>>;

/// Returns what is asked of a table; `None` if it has no observations with quantities.
pub(super) fn question(table: &CheckedTable) -> Option<GroupQuestion> {
    let is_asked = table.name == "Observation" && table.has("code_code") && table.has(VALUE);
    let columns = COLUMNS.into_iter().map(str::to_owned).collect();
    is_asked.then(|| GroupQuestion { columns, power_of: VALUE.to_owned() })
}

/// Returns what an answer finds.
pub(super) fn findings(table: &CheckedTable, groups: &[RowGroup]) -> Vec<QualityFinding> {
    let mut powers: BTreeMap<(SystemAndCode, String), BTreeMap<i32, u64>> = BTreeMap::new();
    for group in groups {
        if let Some((code, unit)) = code_and_unit(&group.key) {
            *powers.entry((code, unit)).or_default().entry(group.power).or_default() += group.rows;
        }
    }
    let mut units = Units::new();
    for ((code, unit), powers) in &powers {
        *units.entry(code.clone()).or_default().entry(unit.clone()).or_default() +=
            powers.values().sum::<u64>();
    }
    let of = groups.iter().map(|group| group.rows).sum();
    let finding = |check: QualityCheck, count, detail| QualityFinding {
        check: check.code(),
        table: table.name.clone(),
        column: ELEMENT.to_owned(),
        count,
        of,
        detail,
    };
    let mixed = units.values().map(in_other_units).sum();
    let far = powers.values().map(far_from_median).sum();
    let found = [
        finding(QualityCheck::MixedUnits, mixed, told(&units)),
        finding(QualityCheck::ValueOutlier, far, None),
    ];
    found.into_iter().filter(|finding| finding.count > 0).collect()
}

/// Returns the code and the unit of a group: the code of the unit, or else its text. A value without a unit is another
/// check's.
fn code_and_unit(key: &[Option<String>]) -> Option<(SystemAndCode, String)> {
    let [system, code, unit_code, unit] = key else { return None };
    Some(((system.clone(), code.clone()?), unit_code.clone().or_else(|| unit.clone())?))
}

/// Counts the rows that are not in the most frequent unit.
fn in_other_units(units: &BTreeMap<String, u64>) -> u64 {
    units.values().sum::<u64>() - units.values().max().copied().unwrap_or_default()
}

/// Counts the values that are far from the median, by their powers of ten.
fn far_from_median(powers: &BTreeMap<i32, u64>) -> u64 {
    let values: u64 = powers.values().sum();
    if values < LEAST_VALUES {
        return 0;
    }
    let mut before = 0;
    let is_median = |&(_, count): &(&i32, &u64)| {
        before += count;
        before * 2 >= values
    };
    let median = powers.iter().find(is_median).map_or(0, |(power, _)| *power);
    let is_far = |&(power, _): &(&i32, &u64)| (power - median).abs() >= FAR;
    powers.iter().filter(is_far).map(|(_, count)| count).sum()
}

/// Returns the codes with several units, as far as they may be told.
fn told(units: &Units) -> Option<String> {
    let is_code = |text: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"./%[]{}*-".contains(&byte);
        (1..=LONGEST_CODE).contains(&text.len()) && text.bytes().all(allowed)
    };
    let told = units.iter().filter(|(_, units)| units.len() > 1).filter_map(|((system, code), units)| {
        let is_known = system.as_deref().is_some_and(|system| TERMINOLOGIES.contains(&system));
        let mut frequent: Vec<(&String, u64)> = units
            .iter()
            .map(|(unit, rows)| (unit, *rows))
            .filter(|(unit, rows)| *rows >= LEAST_ROWS_TO_TELL && is_code(unit))
            .collect();
        frequent.sort_by_key(|(_, rows)| std::cmp::Reverse(*rows));
        let names: Vec<String> = frequent.iter().map(|(unit, rows)| format!("{unit} {rows}")).collect();
        (is_known && is_code(code) && names.len() > 1).then(|| format!("{code}: {}", names.join(", ")))
    });
    let told: Vec<String> = told.take(CODES_TO_TELL).collect();
    (!told.is_empty()).then(|| told.join("; "))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Units, far_from_median, told};

    #[test]
    fn values_three_powers_of_ten_from_the_median_are_far() {
        let far = |powers: &[(i32, u64)]| far_from_median(&powers.iter().copied().collect());
        assert_eq!(far(&[(0, 5), (1, 4), (4, 1)]), 1);
        assert_eq!(far(&[(-3, 2), (0, 5), (1, 4), (2, 1)]), 2);
        assert_eq!(far(&[(0, 8), (4, 1)]), 0, "too few values");
    }

    #[test]
    fn only_frequent_codes_of_known_systems_are_told() {
        let units = |system: &str, code: &str, units: &[(&str, u64)]| -> Units {
            let units: BTreeMap<String, u64> =
                units.iter().map(|(unit, rows)| ((*unit).to_owned(), *rows)).collect();
            [((Some(system.to_owned()), code.to_owned()), units)].into()
        };
        let loinc = "http://loinc.org";
        let kilograms = [("kg", 20), ("[oz]", 10), ("g", 9)];
        assert_eq!(told(&units(loinc, "29463-7", &kilograms)).as_deref(), Some("29463-7: kg 20, [oz] 10"));
        assert_eq!(told(&units("urn:local", "29463-7", &kilograms)), None);
        assert_eq!(told(&units(loinc, "weight of Maja", &kilograms)), None);
        assert_eq!(told(&units(loinc, "29463-7", &[("kg", 20), ("kilos of Maja", 90)])), None);
    }
}
