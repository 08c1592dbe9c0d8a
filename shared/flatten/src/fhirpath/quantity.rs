//! Quantities: a number and its unit, compared where the units are the same.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::decimal::Decimal;

/// A number with a unit; `1` is the unit of a number without one, as in UCUM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Quantity<'v> {
    pub(super) value: Decimal,
    pub(super) unit: Cow<'v, str>,
}

/// Units of time of fixed length, in milliseconds; the only units that are converted.
const CLOCK: [(&str, i128); 6] =
    [("ms", 1), ("s", 1_000), ("min", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("wk", 604_800_000)];

impl Quantity<'_> {
    /// Returns how two quantities stand to each other; `None` where their units are different.
    pub(super) fn compare(&self, other: &Self) -> Option<Ordering> {
        if self.unit == other.unit {
            return Some(self.value.cmp(&other.value));
        }
        let milliseconds = |quantity: &Self| {
            let (_, factor) = CLOCK.iter().find(|(unit, _)| *unit == quantity.unit)?;
            quantity.value.multiply(Decimal::integer(*factor))
        };
        Some(milliseconds(self)?.cmp(&milliseconds(other)?))
    }
}

#[cfg(test)]
mod tests {
    use super::{Decimal, Quantity};
    use std::cmp::Ordering::{Equal, Greater};

    fn quantity(value: &str, unit: &'static str) -> Quantity<'static> {
        Quantity { value: Decimal::parse(value).unwrap(), unit: unit.into() }
    }

    #[test]
    fn compares_equal_units_and_units_of_time() {
        assert_eq!(quantity("5.0", "mg").compare(&quantity("5", "mg")), Some(Equal));
        assert_eq!(quantity("2", "h").compare(&quantity("119", "min")), Some(Greater));
        assert_eq!(quantity("1", "a").compare(&quantity("365", "d")), None);
        assert_eq!(quantity("1", "mg").compare(&quantity("1", "g")), None);
    }
}
