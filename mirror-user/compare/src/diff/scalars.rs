//! What a rule says about two values of one type.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use mirror_wire::http::coding::{self, Coding};

use crate::decimal::Decimal;
use crate::lift::json_tree;
use crate::limits::Limits;
use crate::rules::{Correlations, Effect, Embedded, Numbers};
use crate::shape::moment;
use crate::tree::{Tree, Value};

/// True if two numbers are the same.
pub(super) fn same_number(a: &str, b: &str, numbers: Numbers) -> bool {
    let kinds = numbers == Numbers::Value || Decimal::is_integer(a) == Decimal::is_integer(b);
    kinds && Decimal::new(a) == Decimal::new(b)
}

/// True if a rule with this effect allows two values that are not the same.
pub(super) fn allows(
    effect: &Effect,
    values: (Value<'_>, Value<'_>),
    ids: &mut Correlations,
) -> bool {
    let texts = match values {
        (Value::Text(a) | Value::Number(a), Value::Text(b) | Value::Number(b)) => Some((a, b)),
        _ => None,
    };
    let Some((a, b)) = texts else { return false };
    match effect {
        Effect::Tolerance(tolerance) => match (a.parse::<f64>(), b.parse::<f64>()) {
            (Ok(a), Ok(b)) => {
                let apart = (a - b).abs();
                apart <= tolerance.abs || apart <= tolerance.rel * a.abs().max(b.abs())
            }
            _ => false,
        },
        Effect::TimeTolerance(most) => match (nanoseconds(a), nanoseconds(b)) {
            (Some(a), Some(b)) => a.abs_diff(b) <= *most,
            _ => false,
        },
        Effect::BothMatch(regex) => regex.is_match(a) && regex.is_match(b),
        Effect::Correlate(kind) => ids.learn(kind, a, b),
        Effect::Ignore(_)
        | Effect::Array(_)
        | Effect::TypeOnly
        | Effect::Embedded(_)
        | Effect::Members { .. } => false,
    }
}

/// Since 1970: a time as text, or as a number of seconds or milliseconds.
fn nanoseconds(text: &str) -> Option<i128> {
    if let Some((at, _)) = moment(text) {
        return Some(at.as_nanosecond());
    }
    let unit = match text.len() {
        10 => 1_000_000_000,
        13 => 1_000_000,
        _ => return None,
    };
    Some(text.parse::<i128>().ok()? * unit)
}

/// The document that a text holds; `None` if it holds none.
pub(super) fn embedded(kind: Embedded, text: &str, limits: &Limits) -> Option<Tree> {
    let decoded = match kind {
        Embedded::Json => return json_tree(text, limits).ok(),
        Embedded::Base64Json | Embedded::GzipBase64 => STANDARD
            .decode(text)
            .or_else(|_| STANDARD_NO_PAD.decode(text))
            .or_else(|_| URL_SAFE_NO_PAD.decode(text))
            .ok()?,
    };
    let plain = match kind {
        Embedded::GzipBase64 => coding::decode(Coding::Gzip, &decoded, limits.body_bytes).ok()?,
        _ => decoded,
    };
    json_tree(std::str::from_utf8(&plain).ok()?, limits).ok()
}
