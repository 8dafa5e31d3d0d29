//! A number's value, exactly: `1`, `1.0` and `10e-1` are the same, and no digit is lost.

use std::fmt;

/// A number's sign, its digits without zeros at either end, and the power of ten of the last one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Decimal<'t> {
    negative: bool,
    /// In two parts, before and behind the point.
    digits: Digits<'t>,
    exponent: i64,
}

#[derive(Clone, Debug, Eq)]
struct Digits<'t>(&'t str, &'t str);

impl Digits<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty() && self.1.is_empty()
    }
}

impl PartialEq for Digits<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() + self.1.len() == other.0.len() + other.1.len()
            && self.0.bytes().chain(self.1.bytes()).eq(other.0.bytes().chain(other.1.bytes()))
    }
}

impl std::hash::Hash for Digits<'_> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0
            .bytes()
            .chain(self.1.bytes())
            .fold(0, |hash: u64, digit| hash.wrapping_mul(0x0100_0000_01b3) ^ u64::from(digit))
            .hash(state);
    }
}

/// The two sides of the first such byte. Quicker than a search for a character, and numbers are many.
fn split(text: &str, at: impl Fn(u8) -> bool) -> Option<(&str, &str)> {
    let place = text.bytes().position(at)?;
    Some((text.get(..place)?, text.get(place + 1..)?))
}

/// An exponent of more than 18 digits is taken as the largest.
fn exponent_of(text: &str) -> i64 {
    let given = text.trim_start_matches('+').parse().unwrap_or(match text.as_bytes() {
        [b'-', ..] => i64::MIN / 4,
        _ => i64::MAX / 4,
    });
    given.clamp(i64::MIN / 4, i64::MAX / 4)
}

impl<'t> Decimal<'t> {
    /// Of a number in JSON's grammar.
    #[must_use]
    pub fn new(text: &'t str) -> Self {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, given) = match split(text, |byte| matches!(byte, b'e' | b'E')) {
            Some((mantissa, exponent)) => (mantissa, exponent_of(exponent)),
            None => (text, 0),
        };
        let (whole, part) = split(mantissa, |byte| byte == b'.').unwrap_or((mantissa, ""));
        let whole = whole.trim_start_matches('0');
        let part = part.trim_end_matches('0');
        let (whole, part) = match (whole.is_empty(), part.is_empty()) {
            (true, true) => return Self { negative: false, digits: Digits("", ""), exponent: 0 },
            (true, false) => ("", part),
            (false, _) => (whole, part),
        };
        let mut exponent = given.saturating_sub(i64::try_from(part.len()).unwrap_or(i64::MAX / 4));
        let mut kept = whole;
        let part = if whole.is_empty() { part.trim_start_matches('0') } else { part };
        if part.is_empty() {
            kept = whole.trim_end_matches('0');
            exponent = exponent.saturating_add((whole.len() - kept.len()) as i64);
        }
        Self { negative, digits: Digits(kept, part), exponent }
    }

    /// True if one is the other with its sign changed.
    pub(crate) fn is_negative_of(&self, other: &Self) -> bool {
        let is_zero = self.digits.is_empty();
        let same = self.exponent == other.exponent && self.digits == other.digits;
        self.negative != other.negative && same && !is_zero
    }

    /// True if one is the other times a power of ten.
    pub(crate) fn same_digits(&self, other: &Self) -> bool {
        self.negative == other.negative && self.digits == other.digits && !self.digits.is_empty()
    }

    /// True if it was written as an integer, as readers of JSON tell them from floats.
    pub(crate) fn is_integer(text: &str) -> bool {
        !text.contains(['.', 'e', 'E'])
    }
}

/// In JSON's grammar, and the same text for the same value: `-123`, `123e-2`, `1e2`.
impl fmt::Display for Decimal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.digits.is_empty() {
            return f.write_str("0");
        }
        let Digits(whole, part) = &self.digits;
        write!(f, "{}{whole}{part}", if self.negative { "-" } else { "" })?;
        if self.exponent == 0 { Ok(()) } else { write!(f, "e{}", self.exponent) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_value_has_one_text_which_is_that_value() {
        for (text, shown) in [
            ("100", "1e2"),
            ("1.0", "1"),
            ("-0.0500", "-5e-2"),
            ("12.340e5", "1234e3"),
            ("-0", "0"),
            ("9223372036854775809", "9223372036854775809"),
        ] {
            assert_eq!(Decimal::new(text).to_string(), shown, "{text}");
            assert_eq!(Decimal::new(shown), Decimal::new(text), "{text}");
        }
    }

    #[test]
    fn a_number_is_its_value_and_not_its_text() {
        for same in [
            &["1", "1.0", "10e-1", "0.1e1", "1E0", "100e-2"][..],
            &["0", "-0", "0.0", "0e9"],
            &["120", "1.2e2", "120.00"],
            &["-0.05", "-5e-2", "-0.0500"],
            &["9223372036854775808", "9223372036854775808.0"],
        ] {
            for text in same {
                assert_eq!(Decimal::new(text), Decimal::new(same[0]), "{text}");
            }
        }
        for (a, b) in [
            ("9223372036854775808", "-9223372036854775808"),
            ("18446744073709551616", "0"),
            ("1", "10"),
            ("0.1", "0.01"),
            ("12", "1.2"),
            ("101", "1.1"),
            ("100000000000000000001", "100000000000000000002"),
            ("1e999999999999999999999", "1"),
        ] {
            assert_ne!(Decimal::new(a), Decimal::new(b), "{a} {b}");
        }
    }
}
