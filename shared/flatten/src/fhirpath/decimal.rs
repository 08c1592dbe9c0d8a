//! Exact decimals: a whole number and how many of its digits stand behind the point. No binary fractions, so
//! `0.1 + 0.2 = 0.3` and `1.50` keeps its zero.

use std::cmp::Ordering;
use std::fmt;

/// A decimal of at most 38 digits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decimal {
    mantissa: i128,
    scale: u8,
}

/// The most digits behind the point; 10^38 is the largest power of ten that 128 bits hold.
const MAX_SCALE: u8 = 38;
/// Digits behind the point of a quotient that does not end sooner.
const QUOTIENT_SCALE: u8 = 28;

impl Decimal {
    pub(crate) const ZERO: Self = Self { mantissa: 0, scale: 0 };

    pub(crate) const fn integer(value: i128) -> Self {
        Self { mantissa: value, scale: 0 }
    }

    /// Reads a JSON or FHIRPath number. `None` beyond 38 digits, and for anything that is not a number.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (digits, exponent) = match text.split_once(['e', 'E']) {
            Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (negative, digits) = match digits.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, digits.strip_prefix('+').unwrap_or(digits)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() || (fraction.is_empty() && digits.contains('.')) {
            return None;
        }
        let mut mantissa = 0i128;
        for byte in whole.bytes().chain(fraction.bytes()) {
            let digit = byte.is_ascii_digit().then(|| i128::from(byte - b'0'))?;
            mantissa = mantissa.checked_mul(10)?.checked_add(digit)?;
        }
        let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        Self::of(if negative { -mantissa } else { mantissa }, scale)
    }

    fn of(mantissa: i128, scale: i32) -> Option<Self> {
        match u8::try_from(scale) {
            Ok(scale) if scale <= MAX_SCALE => Some(Self { mantissa, scale }),
            _ if mantissa == 0 => Some(Self::ZERO),
            Ok(_) => None,
            Err(_) => {
                let power = u8::try_from(scale.checked_neg()?).ok().filter(|&power| power <= MAX_SCALE)?;
                Some(Self { mantissa: mantissa.checked_mul(power_of_ten(power))?, scale: 0 })
            }
        }
    }

    /// Returns the whole number that it is, if it is one.
    pub(crate) fn as_integer(self) -> Option<i128> {
        let power = power_of_ten(self.scale);
        (self.mantissa % power == 0).then_some(self.mantissa / power)
    }

    /// Returns whether it is inside the range of FHIRPath's integers, which have 32 bits.
    pub(super) fn fits_integer(self) -> bool {
        self.as_integer().is_some_and(|number| i32::try_from(number).is_ok())
    }

    /// Returns the whole part.
    pub(super) const fn truncated(self) -> i128 {
        self.mantissa / power_of_ten(self.scale)
    }

    /// Returns whether it was written without a point.
    pub(crate) const fn is_written_whole(self) -> bool {
        self.scale == 0
    }

    pub(crate) fn add(self, other: Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        let mantissa = self.rescaled(scale)?.checked_add(other.rescaled(scale)?)?;
        Some(Self { mantissa, scale })
    }

    pub(crate) fn subtract(self, other: Self) -> Option<Self> {
        self.add(other.negate()?)
    }

    pub(crate) fn multiply(self, other: Self) -> Option<Self> {
        let scale = i32::from(self.scale) + i32::from(other.scale);
        Self::of(self.mantissa.checked_mul(other.mantissa)?, scale)
    }

    /// Returns the quotient, rounded half away from zero where it has more than 28 digits behind the point; `None`
    /// by zero.
    pub(crate) fn divide(self, other: Self) -> Option<Self> {
        let common = self.scale.max(other.scale);
        let (dividend, divisor) = (self.rescaled(common)?, other.rescaled(common)?);
        let negative = (dividend < 0) != (divisor < 0);
        let (dividend, divisor) = (dividend.unsigned_abs(), divisor.unsigned_abs());
        let mut quotient = i128::try_from(dividend.checked_div(divisor)?).ok()?;
        let mut rest = dividend.checked_rem(divisor)?;
        let mut scale = 0;
        while rest != 0 && scale < QUOTIENT_SCALE {
            rest = rest.checked_mul(10)?;
            let Some(longer) =
                quotient.checked_mul(10).and_then(|q| q.checked_add(i128::try_from(rest / divisor).ok()?))
            else {
                rest /= 10;
                break;
            };
            quotient = longer;
            rest %= divisor;
            scale += 1;
        }
        if rest >= divisor - rest {
            quotient = quotient.checked_add(1)?;
        }
        Some(Self { mantissa: if negative { -quotient } else { quotient }, scale })
    }

    /// Returns the whole part of the quotient; `None` by zero.
    pub(crate) fn divide_whole(self, other: Self) -> Option<Self> {
        let common = self.scale.max(other.scale);
        self.rescaled(common)?.checked_div(other.rescaled(common)?).map(Self::integer)
    }

    /// Returns what [`Decimal::divide_whole`] leaves; `None` by zero.
    pub(crate) fn remainder(self, other: Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        let mantissa = self.rescaled(scale)?.checked_rem(other.rescaled(scale)?)?;
        Some(Self { mantissa, scale })
    }

    pub(crate) fn negate(self) -> Option<Self> {
        Some(Self { mantissa: self.mantissa.checked_neg()?, scale: self.scale })
    }

    /// Returns the least number that would be rounded to this one as written: `1.0` → `0.95`.
    pub(crate) fn low_boundary(self) -> Option<Self> {
        Self::of(self.mantissa.checked_mul(10)?.checked_sub(5)?, i32::from(self.scale) + 1)
    }

    /// Returns the number that bounds from above what would be rounded to this one as written: `1.0` → `1.05`.
    pub(crate) fn high_boundary(self) -> Option<Self> {
        Self::of(self.mantissa.checked_mul(10)?.checked_add(5)?, i32::from(self.scale) + 1)
    }

    /// Returns the largest number of so many digits behind the point that is not above this one.
    pub(super) fn floor(self, scale: u8) -> Option<Self> {
        self.rounded(scale, i128::div_euclid)
    }

    /// Returns the least number of so many digits behind the point that is not below this one.
    pub(super) fn ceil(self, scale: u8) -> Option<Self> {
        self.rounded(scale, |mantissa, power| {
            mantissa.div_euclid(power) + i128::from(mantissa.rem_euclid(power) > 0)
        })
    }

    fn rounded(self, scale: u8, divide: fn(i128, i128) -> i128) -> Option<Self> {
        let mantissa = match self.scale.checked_sub(scale) {
            Some(dropped) => divide(self.mantissa, power_of_ten(dropped)),
            None => self.rescaled(scale)?,
        };
        Some(Self { mantissa, scale })
    }

    /// Returns mantissa and scale without zeros at the end: the same for all ways to write a value.
    pub(crate) const fn normalized(self) -> (i128, u8) {
        let Self { mut mantissa, mut scale } = self;
        while scale > 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            scale -= 1;
        }
        (mantissa, scale)
    }

    fn rescaled(self, scale: u8) -> Option<i128> {
        self.mantissa.checked_mul(power_of_ten(scale - self.scale))
    }
}

const fn power_of_ten(power: u8) -> i128 {
    10i128.pow(power as u32)
}

impl Ord for Decimal {
    /// Compares whole parts, then fractions brought to 38 digits: neither can overflow.
    fn cmp(&self, other: &Self) -> Ordering {
        let parts = |number: &Self| {
            let power = power_of_ten(number.scale);
            (number.mantissa / power, number.mantissa % power * power_of_ten(MAX_SCALE - number.scale))
        };
        parts(self).cmp(&parts(other))
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal {}

impl fmt::Display for Decimal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let power = power_of_ten(self.scale).unsigned_abs();
        let (whole, fraction) = (self.mantissa.unsigned_abs() / power, self.mantissa.unsigned_abs() % power);
        let sign = if self.mantissa < 0 { "-" } else { "" };
        match usize::from(self.scale) {
            0 => write!(formatter, "{sign}{whole}"),
            width => write!(formatter, "{sign}{whole}.{fraction:0width$}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Decimal;
    use proptest::prelude::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn reads_and_writes_what_was_written() {
        for text in ["0", "1.50", "-0.001", "123456789012345678901234567890.12345678", "0.00"] {
            assert_eq!(decimal(text).to_string(), text);
        }
        for (text, plain) in [("1e3", "1000"), ("1.5E-3", "0.0015"), ("-2.50e1", "-25.0"), ("0e400", "0")] {
            assert_eq!(decimal(text).to_string(), plain, "{text}");
        }
    }

    #[test]
    fn refuses_what_it_cannot_hold() {
        for text in ["", "-", "1.", ".5", "1e400", "1e-60", "1x", "9".repeat(40).as_str()] {
            assert!(Decimal::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn divides() {
        let cases = [
            ("3", "2", "1.5"),
            ("1", "8", "0.125"),
            ("-1", "4", "-0.25"),
            ("1.2", "0.4", "3"),
            ("1", "3", "0.3333333333333333333333333333"),
            ("2", "3", "0.6666666666666666666666666667"),
            ("0", "7", "0"),
        ];
        for (left, right, quotient) in cases {
            assert_eq!(
                decimal(left).divide(decimal(right)).unwrap().to_string(),
                quotient,
                "{left} / {right}"
            );
        }
        assert!(decimal("1").divide(decimal("0.0")).is_none());
        assert_eq!(decimal("-7").divide_whole(decimal("2")).unwrap().to_string(), "-3");
        assert_eq!(decimal("-7.5").remainder(decimal("2")).unwrap().to_string(), "-1.5");
    }

    #[test]
    fn boundaries_need_the_digits_as_written() {
        for (text, low, high) in [("1.0", "0.95", "1.05"), ("1", "0.5", "1.5"), ("-2.50", "-2.505", "-2.495")]
        {
            assert_eq!(decimal(text).low_boundary().unwrap().to_string(), low);
            assert_eq!(decimal(text).high_boundary().unwrap().to_string(), high);
        }
    }

    #[test]
    fn compares_across_scales_without_overflow() {
        assert_eq!(decimal("1.0"), decimal("1.00"));
        assert!(
            decimal("100000000000000000000000000000000000000")
                > decimal("0.00000000000000000000000000000000000001")
        );
        assert!(decimal("-1.5") < decimal("-1.49"));
    }

    proptest! {
        #[test]
        fn agrees_with_integers(a in -1_000_000i128..1_000_000, b in -1_000_000i128..1_000_000, scale in 0u8..6) {
            let (left, right) = (Decimal { mantissa: a, scale }, Decimal { mantissa: b, scale });
            prop_assert_eq!(left.cmp(&right), a.cmp(&b));
            prop_assert_eq!(left.add(right).unwrap().mantissa, a + b);
            prop_assert_eq!(left.multiply(right).unwrap().mantissa, a * b);
            if let Some(quotient) = left.divide(right) {
                let error = quotient.multiply(right).unwrap().subtract(left).unwrap();
                prop_assert!(error < decimal("0.000000000000001") && error > decimal("-0.000000000000001"));
            }
        }
    }
}
