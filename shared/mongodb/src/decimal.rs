//! Decimals as written to IEEE 754-2008 decimal128 in its binary encoding, so that `1.50` stays `1.50`.

/// Digits that a decimal128 holds.
const MAX_DIGITS: u32 = 34;
const BIAS: i64 = 6176;
const MIN_EXPONENT: i64 = -6176;
const MAX_EXPONENT: i64 = 6111;
const COEFFICIENT_LIMIT: u128 = 10u128.pow(MAX_DIGITS);
const COEFFICIENT_BITS: u32 = 113;
const INFINITY: u128 = 0x78 << 120;
const SIGN: u128 = 1 << 127;

/// Returns the sixteen bytes, least significant first, of a decimal given as JSON writes numbers (RFC 8259, section 6).
///
/// Exact, trailing zeros included, up to 34 significant digits and exponents from -6176 to 6111. Beyond that
/// the value is rounded half to even, as IEEE 754-2008 (section 4.3.1) rounds by default: to infinity above,
/// to zero below.
#[must_use]
pub(crate) fn decimal128(digits: &str) -> [u8; 16] {
    let written = Written::parse(digits.as_bytes());
    let sign = if written.negative { SIGN } else { 0 };
    (sign | written.magnitude()).to_le_bytes()
}

/// A number taken apart: `coefficient` holds the first 34 significant digits, the rest only decides rounding.
#[derive(Default)]
struct Written {
    negative: bool,
    coefficient: u128,
    exponent: i64,
    cut: Cut,
}

/// The digits behind the coefficient: the first of them, and whether any other is not zero.
#[derive(Default)]
struct Cut {
    first: u8,
    more: bool,
}

impl Written {
    fn parse(text: &[u8]) -> Self {
        let mut written = Self::default();
        let (mut digits, mut dropped, mut behind_point) = (0u32, 0u32, false);
        let mut bytes = text.iter();
        while let Some(&byte) = bytes.next() {
            match byte {
                b'-' => written.negative = true,
                b'.' => behind_point = true,
                b'0'..=b'9' if digits < MAX_DIGITS => {
                    let digit = byte - b'0';
                    written.coefficient = written.coefficient * 10 + u128::from(digit);
                    digits += u32::from(digits > 0 || digit > 0);
                    written.exponent -= i64::from(behind_point);
                }
                b'0'..=b'9' => {
                    written.cut.push(byte - b'0', dropped);
                    dropped = dropped.saturating_add(1);
                    written.exponent += i64::from(!behind_point);
                }
                b'e' | b'E' => {
                    written.exponent = written.exponent.saturating_add(exponent(bytes.as_slice()));
                    break;
                }
                _ => {}
            }
        }
        written
    }

    fn magnitude(self) -> u128 {
        let Self { mut coefficient, mut exponent, cut, .. } = self;
        if exponent < MIN_EXPONENT {
            coefficient = shift_right(coefficient, MIN_EXPONENT - exponent, &cut);
            exponent = MIN_EXPONENT;
        } else if cut.rounds_up(coefficient) {
            coefficient += 1;
        }
        if coefficient == COEFFICIENT_LIMIT {
            coefficient /= 10;
            exponent += 1;
        }
        if coefficient == 0 {
            exponent = exponent.min(MAX_EXPONENT);
        }
        while exponent > MAX_EXPONENT && coefficient < COEFFICIENT_LIMIT / 10 {
            coefficient *= 10;
            exponent -= 1;
        }
        if exponent > MAX_EXPONENT {
            return INFINITY;
        }
        // The exponent lies between its bounds here, so the biased one is not negative.
        (u128::from((exponent + BIAS).unsigned_abs()) << COEFFICIENT_BITS) | coefficient
    }
}

impl Cut {
    const fn push(&mut self, digit: u8, dropped: u32) {
        if dropped == 0 {
            self.first = digit;
        } else {
            self.more |= digit > 0;
        }
    }

    const fn rounds_up(&self, coefficient: u128) -> bool {
        self.first > 5 || (self.first == 5 && (self.more || coefficient % 2 == 1))
    }
}

/// Drops `places` more digits, rounding once over all that was dropped.
fn shift_right(coefficient: u128, places: i64, cut: &Cut) -> u128 {
    let Some(divisor) = u32::try_from(places).ok().filter(|&places| places <= MAX_DIGITS) else {
        return 0;
    };
    let divisor = 10u128.pow(divisor);
    let (kept, rest) = (coefficient / divisor, coefficient % divisor);
    let more = cut.first > 0 || cut.more;
    let half = divisor / 2;
    let up = rest > half || (rest == half && (more || kept % 2 == 1));
    kept + u128::from(up)
}

/// Returns the digits behind `e`; more of them than any exponent has saturate.
fn exponent(text: &[u8]) -> i64 {
    let negative = text.first() == Some(&b'-');
    let digits = text.iter().filter(|byte| byte.is_ascii_digit());
    let value =
        digits.fold(0i64, |value, byte| value.saturating_mul(10).saturating_add(i64::from(byte - b'0')));
    if negative { -value } else { value }
}

#[cfg(test)]
mod tests {
    use bson::Decimal128;
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::decimal128;

    fn shown(digits: &str) -> String {
        Decimal128::from_bytes(decimal128(digits)).to_string()
    }

    #[test]
    fn keeps_what_was_written() {
        for digits in
            ["0", "-0", "0.0", "1.50", "-120.50", "80.0", "0.000001", "12345678901234567890.123456789"]
        {
            assert_eq!(shown(digits), digits);
        }
    }

    #[test]
    fn rounds_half_to_even_beyond_thirty_four_digits() {
        let nines = "9".repeat(34);
        assert_eq!(shown(&format!("{nines}5")), "1.000000000000000000000000000000000E+35");
        assert_eq!(shown("1.0000000000000000000000000000000005"), "1.000000000000000000000000000000000");
        assert_eq!(shown("1.00000000000000000000000000000000050001"), "1.000000000000000000000000000000001");
        assert_eq!(shown("1.0000000000000000000000000000000015"), "1.000000000000000000000000000000002");
    }

    #[test]
    fn leaves_the_range_as_ieee_754_says() {
        assert_eq!(shown("1e9999999999999999999"), "Infinity");
        assert_eq!(shown("-1e6145"), "-Infinity");
        assert_eq!(shown("1e-9999999999999999999"), "0E-6176");
        assert_eq!(shown("15e-6177"), "2E-6176");
        assert_eq!(shown("25e-6177"), "2E-6176");
        assert_eq!(shown("25.1e-6177"), "3E-6176");
        assert_eq!(shown("0e99999"), "0E+6111");
    }

    proptest! {
        /// Wherever the driver's own parser can represent a number, it agrees to the bit.
        #[test]
        fn agrees_with_the_driver(digits in "-?(0|[1-9][0-9]{0,36})(\\.[0-9]{1,36})?([eE][+-]?[0-9]{1,4})?") {
            if let Ok(expected) = digits.parse::<Decimal128>() {
                prop_assert_eq!(decimal128(&digits), expected.bytes());
            }
        }
    }
}
