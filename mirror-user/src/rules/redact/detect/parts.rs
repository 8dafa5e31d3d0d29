//! Tokens that are known by their parts, as they begin like any word.

use std::ops::Range;

use super::secret::{decoded, is_base64url, may_begin};
use super::{is_word, run};

/// The token that has its first dot at `dot`; `length` base64url characters stand before it.
pub(super) fn with_dot(text: &[u8], dot: usize, length: usize) -> Option<Range<usize>> {
    let start = dot.checked_sub(length)?;
    let end = match length {
        17 => airtable(text, start, dot)?,
        // The base64 of a user's number with 17 to 20 digits.
        23..=28 => discord(text, start, dot)?,
        _ => return None,
    };
    whole(text, start..end)
}

/// `pat` with 14 characters, and 64 hexadecimal digits.
fn airtable(text: &[u8], start: usize, dot: usize) -> Option<usize> {
    let is_it = text.get(start..dot)?.starts_with(b"pat");
    let digits = run(text, dot + 1, 65, u8::is_ascii_hexdigit);
    (is_it && digits == 64).then_some(dot + 1 + digits)
}

/// A bot's number in base64, a time in 6 characters, and 27 to 38 more.
fn discord(text: &[u8], start: usize, dot: usize) -> Option<usize> {
    let second = dot + 1 + run(text, dot + 1, 7, is_base64url);
    if second != dot + 7 || text.get(second) != Some(&b'.') {
        return None;
    }
    let rest = run(text, second + 1, 39, is_base64url);
    let number = decoded(text.get(start..dot)?)?;
    let is_it = (27..=38).contains(&rest) && number.iter().all(u8::is_ascii_digit);
    is_it.then_some(second + 1 + rest)
}

/// Mailchimp's: 32 hexadecimal digits, `-us`, and the number of a data center. `dash` is where the latter
/// starts.
pub(super) fn mailchimp(text: &[u8], dash: usize) -> Option<Range<usize>> {
    let start = dash.checked_sub(32)?;
    if !text.get(dash..)?.starts_with(b"-us")
        || !text.get(start..dash)?.iter().all(u8::is_ascii_hexdigit)
    {
        return None;
    }
    let center = run(text, dash + 3, 3, u8::is_ascii_digit);
    matches!(center, 1 | 2).then(|| whole(text, start..dash + 3 + center)).flatten()
}

/// How Telegram's tokens go on behind the number of a bot.
pub(super) const TELEGRAM: &[u8] = b":AA";
/// The shortest of them: 8 digits, the colon and 35 characters.
pub(super) const TELEGRAM_BYTES: usize = 44;

/// Telegram's: a number with 8 to 10 digits, a colon, and 35 characters. `colon` is where the latter stands.
pub(super) fn telegram(text: &[u8], colon: usize) -> Option<Range<usize>> {
    let before = text.get(colon.saturating_sub(11)..colon)?;
    let digits = before.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let length = run(text, colon + 1, 36, is_base64url);
    if !(8..=10).contains(&digits) || length != 35 {
        return None;
    }
    // In an address, `bot` stands before the number.
    let start = colon - digits;
    let begins = may_begin(text, start) || text.get(..start)?.ends_with(b"/bot");
    (begins && !is_word(text.get(colon + 36))).then_some(start..colon + 36)
}

/// The range, if it is no part of a longer word.
fn whole(text: &[u8], range: Range<usize>) -> Option<Range<usize>> {
    (may_begin(text, range.start) && !is_word(text.get(range.end))).then_some(range)
}

#[cfg(test)]
mod tests {
    use enum_map::EnumMap;

    use super::super::{Detector, Signs, secret};

    /// What is found as a secret, and the text between.
    fn found(text: &str) -> Vec<&str> {
        let on = EnumMap::from_fn(|it| Detector::SECRETS.contains(&it));
        let mut found = Vec::new();
        secret::find(&on, text.as_bytes(), Signs::of(text.as_bytes()), &mut found);
        found.into_iter().map(|found| &text[found.range]).collect()
    }

    #[test]
    fn a_token_is_found_wherever_it_stands() {
        let hex = "0123456789abcdef";
        for token in [
            format!("110201543:AA{}", "Hq7_x-W9kL3".repeat(3)),
            format!("MTIzNDU2Nzg5MDEyMzQ1Njc4.Gh3_-x.{}", "aB3-".repeat(8)),
            format!("patAbCdEf0123456Z.{}", hex.repeat(4)),
            // Ends its first part in another's keyword.
            format!("patAbCdEf012345SG.{}", hex.repeat(4)),
            format!("{}-us21", hex.repeat(2)),
            format!("discord.com/api/webhooks/123456789012345678/{}", "aB3-".repeat(17)),
        ] {
            for text in [token.clone(), format!("a {token}, b"), format!("key={token}&x=1")] {
                assert_eq!(found(&text), [&token], "{text}");
            }
        }
        let token = format!("110201543:AA{}", "Hq7_x-W9kL3".repeat(3));
        let url = format!("https://api.telegram.org/bot{token}/getMe");
        assert_eq!(found(&url), [&token]);
        let okta = "00aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789_-ab";
        assert_eq!(found(&format!("SSWS {okta}")), [okta]);
    }

    #[test]
    fn what_only_looks_alike_is_left() {
        let hex = "0123456789abcdef";
        for text in [
            // a time, and a word
            "2026-01-02T03:04:05:AAAA".to_owned(),
            format!("1102:AA{}", "Hq7_x-W9kL3".repeat(3)),
            // not a number in base64
            format!("NotANumberButAWordHere00.Gh3_-x.{}", "aB3-".repeat(8)),
            // a file of a package, and a digest with a region
            format!("patchwork-0.14.10.{}", hex.repeat(4)),
            format!("{}-us-east-1", hex.repeat(2)),
            format!("{}-us21x", hex.repeat(2)),
        ] {
            assert_eq!(found(&text), [""; 0], "{text}");
        }
    }
}
