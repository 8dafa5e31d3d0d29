//! Volatile values: what is new each time it is made, told by its shape.
//!
//! Two values of one shape that differ are no difference by default: each side made its own. A time is volatile
//! only if it is near the moment at which its response was made: that of an order of last week is content.

use jiff::Timestamp;
use strum::IntoStaticStr;

/// What a value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Shape {
    /// A date and time (RFC 3339, RFC 9110) that is now, by its number of fraction digits and how its zone is written.
    Time(TimeForm),
    /// Seconds since 1970 that are now.
    EpochSeconds,
    /// Milliseconds.
    EpochMillis,
    /// Microseconds.
    EpochMicros,
    /// A UUID (RFC 9562), by its version.
    Uuid(u8),
    /// 26 characters of Crockford's base 32.
    Ulid,
    /// 27 characters of base 62.
    Ksuid,
    /// 20 characters of base 32.
    Xid,
    /// 24 hexadecimal digits.
    ObjectId,
    /// A JSON Web Token (RFC 7519).
    Jwt,
    /// Hexadecimal digits, by their number: identifiers of traces, digests.
    Hex(u16),
    /// 22 characters or more of base 64 that look random.
    Opaque,
}

/// How a time is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TimeForm {
    fraction: u8,
    zone: Zone,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Zone {
    #[default]
    Utc,
    Offset,
    Gmt,
}

/// How far a time may be from that of its response to be one that was made for it, in seconds: what clocks of hosts
/// may differ by, and answers may be cached.
const NOW_SECONDS: i64 = 300;
/// Characters of what may be random.
const MIN_OPAQUE: usize = 22;
/// Longer ones are content: a picture in base 64.
const MAX_OPAQUE: usize = 512;

impl Shape {
    /// Of a text of a response that was made at `now`, in nanoseconds since 1970.
    #[must_use]
    pub fn of_text(text: &str, now: Option<i64>) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() < 16 || bytes.len() > 4_096 {
            return None;
        }
        uuid(bytes)
            .or_else(|| time(text, now))
            .or_else(|| identifier(bytes))
            .or_else(|| jwt(text).then_some(Self::Jwt))
            .or_else(|| opaque(bytes).then_some(Self::Opaque))
    }

    /// Of a number, by its text.
    #[must_use]
    pub fn of_number(text: &str, now: Option<i64>) -> Option<Self> {
        let now = now? / 1_000_000_000;
        let whole = text.split_once('.').map_or(text, |(whole, _)| whole);
        let value: i64 = whole.parse().ok()?;
        let (shape, seconds) = match whole.len() {
            10 => (Self::EpochSeconds, value),
            13 => (Self::EpochMillis, value / 1_000),
            16 => (Self::EpochMicros, value / 1_000_000),
            _ => return None,
        };
        seconds.abs_diff(now).le(&NOW_SECONDS.unsigned_abs()).then_some(shape)
    }

    /// True for a name of a member that is an identifier, so that its object is a map.
    #[must_use]
    pub fn is_key(name: &str) -> bool {
        let bytes = name.as_bytes();
        // Most names are words.
        if bytes.len() != 36 && !bytes.iter().any(u8::is_ascii_digit) {
            return false;
        }
        let digits = !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit);
        digits || uuid(bytes).is_some() || identifier(bytes).is_some() || is_date(name)
    }
}

/// `2026-11-28`
fn is_date(text: &str) -> bool {
    text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok()
}

fn uuid(bytes: &[u8]) -> Option<Shape> {
    let good = bytes.len() == 36
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    let version = bytes.get(14)?;
    good.then(|| Shape::Uuid(version.wrapping_sub(b'0')))
}

/// The moment that a text tells, and how it is written.
pub(crate) fn moment(text: &str) -> Option<(Timestamp, TimeForm)> {
    if !text.get(..1)?.starts_with(|c: char| c.is_ascii_digit()) {
        let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
        return Some((at, TimeForm { fraction: 0, zone: Zone::Gmt }));
    }
    let at: Timestamp = text.parse().ok()?;
    let behind = text.split_once('.').map_or("", |(_, behind)| behind);
    let fraction = behind.bytes().take_while(u8::is_ascii_digit).count();
    let zone = if text.ends_with(['Z', 'z']) { Zone::Utc } else { Zone::Offset };
    Some((at, TimeForm { fraction: fraction.min(9) as u8, zone }))
}

fn time(text: &str, now: Option<i64>) -> Option<Shape> {
    let now = now? / 1_000_000_000;
    let long_enough = (19..=40).contains(&text.len());
    let (at, form) = long_enough.then(|| moment(text)).flatten()?;
    (at.as_second().abs_diff(now) <= NOW_SECONDS.unsigned_abs()).then_some(Shape::Time(form))
}

fn identifier(bytes: &[u8]) -> Option<Shape> {
    let has_digit = bytes.iter().any(u8::is_ascii_digit);
    let has_letter = bytes.iter().any(u8::is_ascii_alphabetic);
    if !(has_digit && has_letter) {
        return None;
    }
    let all = |good: fn(&u8) -> bool| bytes.iter().all(good);
    let lower = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'v');
    match bytes.len() {
        20 if all(lower) => Some(Shape::Xid),
        24 if all(u8::is_ascii_hexdigit) => Some(Shape::ObjectId),
        26 if bytes.first().is_some_and(|byte| (b'0'..=b'7').contains(byte))
            && all(is_crockford) =>
        {
            Some(Shape::Ulid)
        }
        length @ (16 | 32 | 40 | 48 | 56 | 64 | 96 | 128) if all(u8::is_ascii_hexdigit) => {
            Some(Shape::Hex(length as u16))
        }
        27 if all(u8::is_ascii_alphanumeric) && mixed(bytes) => Some(Shape::Ksuid),
        _ => None,
    }
}

fn is_crockford(byte: &u8) -> bool {
    byte.is_ascii_digit() || (byte.is_ascii_uppercase() && !b"ILOU".contains(byte))
}

/// True if digits and both cases occur, as in what is random and in few words.
fn mixed(bytes: &[u8]) -> bool {
    [u8::is_ascii_digit, u8::is_ascii_lowercase, u8::is_ascii_uppercase]
        .iter()
        .all(|kind| bytes.iter().any(kind))
}

fn jwt(text: &str) -> bool {
    let url_safe =
        |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    let mut parts = text.split('.');
    text.starts_with("eyJ") && parts.clone().count() == 3 && parts.all(url_safe)
}

fn opaque(bytes: &[u8]) -> bool {
    (MIN_OPAQUE..=MAX_OPAQUE).contains(&bytes.len())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/-_=".contains(byte))
        && mixed(bytes)
        // A path or a sentence with dashes has its marks often.
        && bytes.iter().filter(|byte| b"+/-_".contains(byte)).count() * 8 <= bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_796_000_000;

    fn of(text: &str) -> Option<Shape> {
        Shape::of_text(text, Some(NOW * 1_000_000_000))
    }

    #[test]
    fn each_shape_is_told() {
        assert_eq!(of("0190163d-8694-739b-aea5-966c26f8ad91"), Some(Shape::Uuid(7)));
        assert_eq!(of("01ARZ3NDEKTSV4RRFFQ69G5FAV"), Some(Shape::Ulid));
        assert_eq!(of("0ujtsYcgvSTl8PAuAdqWYSMnLOv"), Some(Shape::Ksuid));
        assert_eq!(of("9m4e2mr0ui3e8a215n4g"), Some(Shape::Xid));
        assert_eq!(of("507f1f77bcf86cd799439011"), Some(Shape::ObjectId));
        assert_eq!(of("4bf92f3577b34da6a3ce929d0e0e4736"), Some(Shape::Hex(32)));
        assert_eq!(of("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_1"), Some(Shape::Jwt));
        assert_eq!(of("dGhpcyBpcyBhIHRva2VuIQ12"), Some(Shape::Opaque));
        let number = |text: &str| Shape::of_number(text, Some(NOW * 1_000_000_000));
        assert_eq!(number("1796000007"), Some(Shape::EpochSeconds));
        assert_eq!(number("1796000007123"), Some(Shape::EpochMillis));
        assert_eq!(number("1796000007123000"), Some(Shape::EpochMicros));
        assert_eq!(number("1006000007"), None);
    }

    #[test]
    fn a_time_is_volatile_when_it_is_now_and_content_when_it_is_not() {
        let at = |seconds: i64| Timestamp::from_second(NOW + seconds).unwrap().to_string();
        assert!(of(&at(2)).is_some());
        assert_eq!(of(&at(0)), of(&at(-30)));
        assert_eq!(of(&at(-7 * 86_400)), None);
        // A clock of another zone that says it is UTC.
        assert_eq!(of(&at(7_200)), None);
        assert_ne!(of(&at(0)), of(&at(0).replace('Z', "+00:00")));
        assert_ne!(of(&at(0)), of(&at(0).replace('Z', ".000Z")));
        assert_eq!(Shape::of_text(&at(0), None), None);
    }

    #[test]
    fn words_are_no_shapes() {
        for text in [
            "a-perfectly-normal-product-name",
            "/products/red-shoes/42/reviews",
            "The quick brown fox jumps over 12 dogs",
            "administrator@example.com",
            "configuration",
            "12345678901234567890",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
        assert!(Shape::is_key("5001") && Shape::is_key("2026-11-28") && !Shape::is_key("name"));
    }
}
