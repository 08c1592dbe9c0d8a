//! How FHIR decimals are written: with the digits as written, or as doubles.
//!
//! A double holds about 16 significant digits, but every tool can calculate with it. It stands for a decimal when it is
//! *the same number*: the shortest decimal text that reads back as the double has the value of the decimal as written.
//! So `0.1` and `1.50` are the same numbers as their doubles. `0.12345678901234567890` is not.

/// How FHIR decimals are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Decimals {
    /// With the digits as written; a Decimal128 in `MongoDB`.
    #[default]
    Exact,
    /// As the nearest double. In automatic rows the text stands beside a double that is not the same number.
    Double,
}

/// The double that is nearest to a decimal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct NearestDouble {
    pub(crate) value: f64,
    /// Whether the double is the same number as the decimal.
    pub(crate) is_same: bool,
}

impl NearestDouble {
    /// Reads a JSON number. Returns `None` where no finite double is near, as for `1e400`, and for very long texts.
    pub(crate) fn of(digits: &str) -> Option<Self> {
        if digits.len() > LONGEST {
            return None;
        }
        let value = digits.parse().ok().filter(|value: &f64| value.is_finite())?;
        Some(Self { value, is_same: is_short(digits, value) || is_same_number(digits, value) })
    }
}

/// How a number of an automatic row fits into a Decimal128.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DecimalFit {
    /// With all of its digits.
    Exact,
    /// Rounded to 34 significant digits.
    Rounded,
    /// It is too large, too small or too long.
    OutOfRange,
}

/// The digits that a Decimal128 holds exactly (IEEE 754-2008, decimal128).
const DECIMAL128_DIGITS: usize = 34;

impl DecimalFit {
    /// Tells how a JSON number fits. The bounds lie far inside the range of decimal128, so that rounding stays within it.
    pub(crate) fn of(number: &str) -> Self {
        let (mantissa, exponent) = parts(number);
        let in_range = exponent.parse::<i32>().is_ok_and(|exponent| exponent.unsigned_abs() < 6_000)
            && mantissa.len() < 100;
        let is_short = number.len() <= DECIMAL128_DIGITS || significant_digits(mantissa) <= DECIMAL128_DIGITS;
        match (in_range, is_short) {
            (true, true) => Self::Exact,
            (true, false) => Self::Rounded,
            (false, _) => Self::OutOfRange,
        }
    }
}

/// Returns whether a Decimal128 holds a JSON number with all of its digits: at most 34 of them, and an exponent
/// from -6176 to 6111 (IEEE 754-2008, decimal128).
pub(crate) fn fits_decimal128(number: &str) -> bool {
    if number.len() <= DECIMAL128_DIGITS && !number.contains(['e', 'E']) {
        return true;
    }
    let (mantissa, exponent) = parts(number);
    let behind_point = mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let exponent = exponent.parse::<i64>().ok().zip(i64::try_from(behind_point).ok());
    let exponent = exponent.and_then(|(exponent, behind)| exponent.checked_sub(behind));
    significant_digits(mantissa) <= DECIMAL128_DIGITS
        && exponent.is_some_and(|exponent| (-6176..=6111).contains(&exponent))
}

/// Returns the mantissa and the exponent of a JSON number.
fn parts(number: &str) -> (&str, &str) {
    number.split_once(['e', 'E']).unwrap_or((number, "0"))
}

fn significant_digits(mantissa: &str) -> usize {
    mantissa.bytes().filter(u8::is_ascii_digit).skip_while(|digit| *digit == b'0').count()
}

/// Longer texts are not read, in bytes. The standard library cuts exponents from 65,536 on, which makes a difference
/// where about as many digits stand in front of them.
const LONGEST: usize = 10_000;

/// Any decimal of so many significant digits is the same number as its double (IEEE 754-2008, binary64).
const SAFE_DIGITS: usize = 15;

/// Recognises most decimals without a look at their digits. Doubles near zero are left out, because they hold fewer
/// digits.
fn is_short(digits: &str, value: f64) -> bool {
    digits.len() <= SAFE_DIGITS && value.abs() >= f64::MIN_POSITIVE
}

/// Returns whether the shortest text that reads back as the double has the value of the digits.
fn is_same_number(digits: &str, value: f64) -> bool {
    let shortest = format!("{value:e}");
    let (written, shortest) = (Magnitude::read(digits), Magnitude::read(&shortest));
    written.exponent == shortest.exponent && written.significant().eq(shortest.significant())
}

/// A number without its sign: its significant digits and the power of ten that the first of them counts.
struct Magnitude<'a> {
    /// Begins and ends with a digit that is not zero, and may have a point in it; empty for zero.
    mantissa: &'a str,
    /// `None` for zero, and for exponents that no double has.
    exponent: Option<i64>,
}

impl<'a> Magnitude<'a> {
    fn read(number: &'a str) -> Self {
        let unsigned = number.strip_prefix('-').unwrap_or(number);
        let (digits, exponent) = parts(unsigned);
        let from_first = digits.trim_start_matches(['0', '.']);
        let zeros = digits.len() - from_first.len();
        let point = digits.find('.').unwrap_or(digits.len());
        // How many places the first significant digit stands in front of the point, or behind it if negative.
        let places = if zeros < point { signed(point - zeros - 1) } else { -signed(zeros - point) };
        let mantissa = from_first.trim_end_matches(['0', '.']);
        let exponent = exponent.parse::<i64>().ok().filter(|_| !mantissa.is_empty());
        Self { mantissa, exponent: exponent.and_then(|exponent| exponent.checked_add(places)) }
    }

    fn significant(&self) -> impl Iterator<Item = u8> {
        self.mantissa.bytes().filter(|byte| *byte != b'.')
    }
}

/// Returns the length of a text that is in memory.
fn signed(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{NearestDouble, is_same_number};

    fn is_same(digits: &str) -> bool {
        NearestDouble::of(digits).unwrap().is_same
    }

    #[test]
    fn a_double_is_the_same_number_where_its_shortest_text_has_the_value_of_the_digits() {
        let zeros = "0 -0 0.0 -0.00 0e5 0E-999999999999999999999 0e99999999999999999999";
        let ordinary = "1 10 100.0 0.1 1.50 -1.500 80.0 0.000001 0.00100 1.0E-7 6.02e23 6.02E+23";
        let one_and_a_half = "15e-1 0.15e1 150e-2 1500000000000000000000e-21";
        let long = "66.89999999999999 66.8999999999999900 28.249811535573546 0.30000000000000004 \
                    0.1000000000000000000000000000000000000000000000000000 100000000000000000000000";
        let around_2_to_the_53 = "9007199254740991 9007199254740992 9007199254740994 -9007199254740992.00";
        let at_the_ends =
            "1.7976931348623157e308 2.2250738585072014e-308 1e-310 1.5e-310 5e-324 0.0000000005e-314";
        for texts in [zeros, ordinary, one_and_a_half, long, around_2_to_the_53, at_the_ends] {
            for digits in texts.split_whitespace() {
                assert!(is_same(digits), "{digits}");
            }
        }
        // The first one reads back as the same double as the shorter 66.89999999999999.
        let long = "66.899999999999991 0.12345678901234567890 1234567890.123456789012345678901234 \
                    0.1000000000000000000000000000000000000000000000000001 123456789012345678 \
                    0.1000000000000000055511151231257827021181583404541015625 1152921504606846976";
        let around_2_to_the_53 = "9007199254740993 -9007199254740993 9007199254740993.0";
        let at_the_ends =
            "1.79769313486231575e308 4.9e-324 3e-324 1.23e-323 1e-400 -1e-400 1e-99999999999999999999";
        for digits in
            [long, around_2_to_the_53, at_the_ends].iter().flat_map(|texts| texts.split_whitespace())
        {
            assert!(!is_same(digits), "{digits}");
        }
    }

    #[test]
    fn the_nearest_double_is_finite_or_is_not_there() {
        for digits in ["1e400", "-1e400", "1.8e308", "1e99999999999999999999", &"9".repeat(400)] {
            assert_eq!(NearestDouble::of(digits), None, "{digits}");
        }
        for zeros in [super::LONGEST, 700_000] {
            assert_eq!(
                NearestDouble::of(&format!("0.{}1e{}", "0".repeat(zeros), zeros + 1)),
                None,
                "{zeros}"
            );
        }
        assert!(is_same(&format!("0.{}1e9901", "0".repeat(9_900))));
        for (digits, value) in [("1e-400", 0.0), ("-1e-400", -0.0), ("-0", -0.0), ("0e400", 0.0)] {
            let nearest = NearestDouble::of(digits).unwrap().value;
            assert_eq!(nearest.to_bits(), f64::to_bits(value), "{digits}");
        }
        assert_eq!(NearestDouble::of("9007199254740993").unwrap().value.to_string(), "9007199254740992");
    }

    proptest! {
        /// The shortest text of a double is the same number, however its point and its zeros are moved.
        #[test]
        fn the_shortest_text_is_the_same_number(value in any::<f64>(), zeros in 0usize..30) {
            prop_assume!(value.is_finite());
            let (mantissa, exponent) = format!("{value:e}").split_once('e').map(|(mantissa, exponent)| {
                (mantissa.to_owned(), exponent.parse::<i64>().unwrap())
            }).unwrap();
            let point = if mantissa.contains('.') { "" } else { "." };
            let (sign, digits) = mantissa.strip_prefix('-').map_or(("", &*mantissa), |digits| ("-", digits));
            let behind = format!("{mantissa}{point}{}e{exponent}", "0".repeat(zeros + 1));
            let before = exponent + i64::try_from(zeros).unwrap() + 1;
            let first = format!("{sign}0.{}{}e{before}", "0".repeat(zeros), digits.replace('.', ""));
            for text in [format!("{value:?}"), value.to_string(), behind, first] {
                prop_assert!(is_same(&text), "{}", text);
            }
        }

        /// What is recognised by its length is the same number by its digits as well.
        #[test]
        fn short_texts_are_the_same_numbers(digits in "-?(0|[1-9][0-9]{0,6})(\\.[0-9]{1,7})?([eE][+-]?[0-9]{1,3})?") {
            if let Some(nearest) = NearestDouble::of(&digits) {
                prop_assert_eq!(nearest.is_same, is_same_number(&digits, nearest.value), "{}", digits);
            }
        }
    }
}
