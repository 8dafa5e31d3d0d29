//! What two values suggest as the cause: found from the values alone, and never a reason to forgive.

use crate::decimal::Decimal;
use crate::difference::Hint;
use crate::shape::moment;
use crate::tree::Value;

/// Characters of a text that is looked at.
const MAX_TEXT: usize = 4_096;

/// The cause that two values suggest.
pub(crate) fn of(left: Value<'_>, right: Value<'_>) -> Option<Hint> {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => numbers(a, b),
        (Value::Text(a), Value::Text(b)) if a.len().max(b.len()) <= MAX_TEXT => texts(a, b),
        (Value::Text(text), Value::Number(other)) | (Value::Number(other), Value::Text(text)) => {
            (text == other).then_some(Hint::Quoted)
        }
        (Value::Text(text), Value::Bool(yes)) | (Value::Bool(yes), Value::Text(text)) => {
            (text == if yes { "true" } else { "false" }).then_some(Hint::Quoted)
        }
        _ => None,
    }
}

fn numbers(a: &str, b: &str) -> Option<Hint> {
    let (left, right) = (Decimal::new(a), Decimal::new(b));
    if left == right {
        return Some(Hint::Notation);
    }
    if left.is_negative_of(&right) {
        return Some(Hint::Sign);
    }
    if left.same_digits(&right) {
        return Some(Hint::Scale);
    }
    let (x, y): (f64, f64) = (a.parse().ok()?, b.parse().ok()?);
    let places = |text: &str| text.split_once('.').map_or(0, |(_, part)| part.len());
    let (long, short, places) =
        if places(a) > places(b) { (x, y, places(b)) } else { (y, x, places(a)) };
    if a.len() == b.len() || places > 15 {
        return epochs(a, b);
    }
    let step = 10_f64.powi(-(places as i32));
    ((long - short).abs() < step * 1.000_001).then_some(Hint::Rounding)
}

/// Seconds since 1970 in two zones.
fn epochs(a: &str, b: &str) -> Option<Hint> {
    let per_second = match a.len() {
        10 => 1,
        13 => 1_000,
        _ => return None,
    };
    let (a, b): (i64, i64) = (a.parse().ok()?, b.parse().ok()?);
    zones(a.checked_sub(b)? / per_second).then_some(Hint::TimeZone)
}

/// True for a time as long as two zones differ by, give or take what two responses are apart.
fn zones(seconds: i64) -> bool {
    let (quarter, day) = (900, 14 * 3_600);
    let rest = (seconds.abs() + 5) % quarter;
    seconds.abs() > quarter - 5 && seconds.abs() <= day + 5 && rest <= 10
}

fn texts(a: &str, b: &str) -> Option<Hint> {
    if a.is_empty() || b.is_empty() {
        return Some(Hint::Empty);
    }
    if let (Some((x, _)), Some((y, _))) = (moment_of(a), moment_of(b)) {
        let apart = x.as_second() - y.as_second();
        return match apart {
            -1..=1 => Some(Hint::Notation),
            _ if zones(apart) => Some(Hint::TimeZone),
            _ => None,
        };
    }
    let spaceless = |text: &str| -> String { text.split_whitespace().collect() };
    if a.to_lowercase() == b.to_lowercase() {
        return Some(Hint::Case);
    }
    if spaceless(a) == spaceless(b) {
        return Some(Hint::Space);
    }
    if misread(a, b) || misread(b, a) {
        return Some(Hint::Encoding);
    }
    let start = |long: &str, short: &str| {
        let short = short.trim_end_matches(['…', '.']);
        !short.is_empty() && long.starts_with(short)
    };
    (start(a, b) || start(b, a)).then_some(Hint::Truncated)
}

/// A local time without a zone counts as UTC: that is the mistake which is looked for.
fn moment_of(text: &str) -> Option<(jiff::Timestamp, ())> {
    if !(16..=40).contains(&text.len()) {
        return None;
    }
    if let Some((at, _)) = moment(text) {
        return Some((at, ()));
    }
    let local: jiff::civil::DateTime = text.parse().ok()?;
    let utc = local.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some((utc.timestamp(), ()))
}

/// True if `bad` is what becomes of `good` when its UTF-8 is read as Latin-1, or its characters are replaced.
fn misread(good: &str, bad: &str) -> bool {
    if good.is_ascii() {
        return false;
    }
    let latin: String = good.bytes().map(char::from).collect();
    let windows = |c: char| c.is_ascii() || !('\u{80}'..='\u{9f}').contains(&c);
    let kept = |text: &str| -> String { text.chars().filter(|c| c.is_ascii()).collect() };
    let replaced = bad.contains(['\u{fffd}', '?']) && {
        let without: String = bad.chars().filter(|c| *c != '?' && *c != '\u{fffd}').collect();
        without == kept(good)
    };
    let halves = bad.chars().filter(|c| windows(*c)).count() > 0
        && bad != good
        && bad.chars().count() > good.chars().count()
        && kept(bad) == kept(good);
    latin == bad || replaced || (halves && bad.contains(['Ã', 'Â', 'â']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_named_where_the_values_show_it() {
        let number = |a, b| of(Value::Number(a), Value::Number(b));
        let text = |a, b| of(Value::Text(a), Value::Text(b));
        assert_eq!(number("19.994", "19.99"), Some(Hint::Rounding));
        assert_eq!(number("19.99", "20"), Some(Hint::Rounding));
        assert_eq!(number("5", "-5"), Some(Hint::Sign));
        assert_eq!(number("1999", "19.99"), Some(Hint::Scale));
        assert_eq!(number("1", "1.0"), Some(Hint::Notation));
        assert_eq!(number("17", "23"), None);
        assert_eq!(number("1796000000", "1796007200"), Some(Hint::TimeZone));
        assert_eq!(text("2026-11-28T10:00:00Z", "2026-11-28T12:00:00Z"), Some(Hint::TimeZone));
        assert_eq!(text("2026-11-28T10:00:00Z", "2026-11-28 11:00:00"), Some(Hint::TimeZone));
        assert_eq!(text("2026-11-28T10:00:00Z", "2026-11-28T11:00:00+01:00"), Some(Hint::Notation));
        assert_eq!(text("Zürich", "ZÃ¼rich"), Some(Hint::Encoding));
        assert_eq!(text("Zürich", "Z?rich"), Some(Hint::Encoding));
        assert_eq!(text("Ada", "ADA"), Some(Hint::Case));
        assert_eq!(text("a b", "a  b "), Some(Hint::Space));
        assert_eq!(text("a long text", "a long…"), Some(Hint::Truncated));
        assert_eq!(text("a", ""), Some(Hint::Empty));
        assert_eq!(of(Value::Text("1"), Value::Number("1")), Some(Hint::Quoted));
        assert_eq!(of(Value::Bool(true), Value::Text("true")), Some(Hint::Quoted));
    }
}
