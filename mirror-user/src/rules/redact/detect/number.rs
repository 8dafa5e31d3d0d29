//! Findings that start with digits: payment cards, social security and telephone numbers, bank accounts.

use enum_map::EnumMap;

use super::{Detection, Detector, What, before, iban, is_word, run};
use crate::rules::redact::tokens;

/// ISO/IEC 7812-1 has up to 19 digits; no issuer has less than 13.
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

pub(super) fn find(on: &EnumMap<Detector, bool>, text: &[u8], found: &mut Vec<Detection<'_>>) {
    let mut at = 0;
    while let Some(start) = next_digit(text, at) {
        let (range, what) = match recognise(on, text, start) {
            Some(recognised) => recognised,
            None => {
                at = start + run(text, start, usize::MAX, u8::is_ascii_digit);
                continue;
            }
        };
        at = range.end.max(start + 1);
        found.push(Detection { range, what: What::Known(what) });
    }
}

fn next_digit(text: &[u8], from: usize) -> Option<usize> {
    let rest = text.get(from..)?;
    rest.iter().position(u8::is_ascii_digit).map(|at| from + at)
}

/// Recognizes what starts with the run of digits at `start`.
fn recognise(
    on: &EnumMap<Detector, bool>,
    text: &[u8],
    start: usize,
) -> Option<(std::ops::Range<usize>, Detector)> {
    if is_word(before(text, start)) {
        if on[Detector::Track]
            && let Some(track) = track_one(text, start)
        {
            return Some((track, Detector::Track));
        }
        let iban = start.checked_sub(2).filter(|iban| {
            on[Detector::Iban] && iban::may_begin(text, *iban) && !is_in_uuid(text, *iban)
        })?;
        return Some((iban..iban::end(text, iban)?, Detector::Iban));
    }
    if (on[Detector::Card] || on[Detector::Track])
        && !is_in_uuid(text, start)
        && let Some(end) = card_end(text, start)
    {
        if on[Detector::Track]
            && let Some(track) = track_two(text, start, end)
        {
            return Some((track, Detector::Track));
        }
        if on[Detector::Card] {
            return Some((start..end, Detector::Card));
        }
    }
    if on[Detector::Ssn]
        && let Some(end) = ssn_end(text, start)
    {
        return Some((start..end, Detector::Ssn));
    }
    if on[Detector::Phone] {
        return phone(text, start).map(|range| (range, Detector::Phone));
    }
    None
}

/// The end of the card number that starts at `start`: the longest valid one. More groups of digits may
/// follow, such as its security code.
fn card_end(text: &[u8], start: usize) -> Option<usize> {
    // Digits of a fraction are not a card number.
    if before(text, start) == Some(&b'.')
        && start.checked_sub(2).is_some_and(|at| text.get(at).is_some_and(u8::is_ascii_digit))
    {
        return None;
    }
    let mut digits = [0_u8; *CARD_DIGITS.end()];
    let mut n = 0;
    let mut at = start;
    let mut end = None;
    let mut separator = None;
    // Digits since the last separator: cards are printed in groups of three to seven.
    let mut group = 0;
    loop {
        match text.get(at) {
            Some(digit) if digit.is_ascii_digit() => {
                let Some(place) = digits.get_mut(n) else { break };
                *place = *digit;
                n += 1;
                at += 1;
                group += 1;
                let grouped = separator.is_none() || (2..=7).contains(&group);
                if CARD_DIGITS.contains(&n)
                    && grouped
                    && !is_word(text.get(at))
                    && digits.get(..n).is_some_and(is_card)
                {
                    end = Some(at);
                }
            }
            Some(byte @ (b' ' | b'-' | b'.'))
                if text.get(at + 1).is_some_and(u8::is_ascii_digit)
                    && (n >= *CARD_DIGITS.start() || (3..=7).contains(&group))
                    && *separator.get_or_insert(*byte) == *byte =>
            {
                at += 1;
                group = 0;
            }
            _ => break,
        }
    }
    end
}

/// True if `start` is the start of a group of a UUID (RFC 9562), which may have no letters.
fn is_in_uuid(text: &[u8], start: usize) -> bool {
    let is_uuid = |text: &[u8; 36]| {
        text.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
    };
    [0, 9, 14, 19, 24].iter().any(|offset| {
        let uuid = start.checked_sub(*offset).and_then(|at| text.get(at..)?.first_chunk());
        uuid.is_some_and(is_uuid)
    })
}

/// Maximum length of a track in bytes: 79 on the first, 107 on the third.
const MAX_TRACK: usize = 107;

/// `B`, a card number, `^`, a name: the first track from its `B`, or what precedes it, to its end.
fn track_one(text: &[u8], start: usize) -> Option<std::ops::Range<usize>> {
    let sentinel = start.checked_sub(1)?;
    if !matches!(text.get(sentinel), Some(b'B' | b'b')) || is_word(before(text, sentinel)) {
        return None;
    }
    let end = card_end(text, start).filter(|end| text.get(*end) == Some(&b'^'))?;
    let is_such = |byte: &u8| !matches!(byte, b'?' | b'"' | b'<' | b'&' | 0..0x20);
    Some(sentinel..end + run(text, end, MAX_TRACK, is_such))
}

/// A card number, `=`, its expiry and more digits: the second track.
fn track_two(text: &[u8], start: usize, end: usize) -> Option<std::ops::Range<usize>> {
    let digits = match text.get(end) {
        Some(b'=' | b'D') => run(text, end + 1, MAX_TRACK, u8::is_ascii_digit),
        _ => return None,
    };
    (digits >= 4).then_some(start..end + 1 + digits)
}

fn is_card(digits: &[u8]) -> bool {
    has_issuer(digits)
        && tokens::luhn(digits)
        && digits.iter().any(|digit| Some(digit) != digits.first())
}

/// The networks' ranges and lengths (ISO/IEC 7812, as the networks publish them).
fn has_issuer(digits: &[u8]) -> bool {
    let prefix = digits.iter().take(4).fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    match (prefix, digits.len()) {
        (4000..=4999, 13 | 16 | 19) => true,     // Visa
        (5100..=5599 | 2221..=2720, 16) => true, // Mastercard
        (3400..=3499 | 3700..=3799, 15) => true, // American Express
        (3000..=3059 | 3095 | 3600..=3699 | 3800..=3999, 14) => true, // Diners Club
        (3000..=3059 | 3095 | 3600..=3699 | 3800..=3999, 16) => true, // Diners Club
        (3528..=3589, 16) => true,               // JCB
        (6011 | 6440..=6599, 16 | 19) => true,   // Discover, RuPay, Elo, Verve
        (6200..=6299 | 8100..=8171, 16..=19) => true, // UnionPay
        (6360..=6399, 16 | 19) => true,          // Elo, InstaPayment, Maestro
        (6000..=6099 | 8172..=8299, 16) => true, // RuPay, Hipercard
        (5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763, 13..=19) => true, // Maestro
        (5019, 16) => true,                      // Dankort
        (5060..=5090, 16 | 18 | 19) => true,     // Verve, Elo, RuPay
        (2200..=2204, 16..=19) => true,          // Mir
        _ => false,
    }
}

/// The digits of a text that has the form of a card number, whatever its check digit and issuer.
pub(in crate::rules::redact) fn card_digits(text: &[u8]) -> Option<Vec<u8>> {
    let digits = tokens::digits_of(text);
    let plain = text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b' ' | b'-' | b'.'));
    (plain && (12..=19).contains(&digits.len())).then_some(digits)
}

fn ssn_end(text: &[u8], start: usize) -> Option<usize> {
    let ssn: &[u8; 11] = text.get(start..)?.first_chunk()?;
    let [a, b, c, first @ (b'-' | b'.'), d, e, second, f, g, h, i] = ssn else { return None };
    if first != second {
        return None;
    }
    let digits = [*a, *b, *c, *d, *e, *f, *g, *h, *i];
    let end = start + ssn.len();
    let goes_on = |byte: Option<&u8>, next: Option<&u8>| {
        is_word(byte) || byte == Some(&b'-') && next.is_some_and(u8::is_ascii_digit)
    };
    let alone = !goes_on(text.get(end), text.get(end + 1))
        && !goes_on(before(text, start), start.checked_sub(2).and_then(|at| text.get(at)));
    (alone && is_issued_ssn(&digits)).then_some(end)
}

/// Areas 000, 666 and 9xx, group 00 and serial 0000 are never issued, and one number was printed on sample
/// cards in wallets.
pub(in crate::rules::redact) fn is_issued_ssn(digits: &[u8; 9]) -> bool {
    let [area @ .., _, _, _, _, _, _] = digits;
    let [_, _, _, group @ .., _, _, _, _] = digits;
    let [_, _, _, _, _, serial @ ..] = digits;
    digits.iter().all(u8::is_ascii_digit)
        && area != b"000"
        && area != b"666"
        && area.first() != Some(&b'9')
        && group != b"00"
        && serial != b"0000"
        && digits != b"078051120"
}

/// Maximum distance between a number and a preceding word that marks it as a telephone number, in bytes.
const CONTEXT_BYTES: usize = 24;
const CONTEXT: [&[u8]; 10] = [
    b"phone",
    b"mobile",
    b"tel",
    b"cell",
    b"fax",
    b"call",
    b"sms",
    b"whatsapp",
    b"handy",
    b"contact",
];

fn phone(text: &[u8], start: usize) -> Option<std::ops::Range<usize>> {
    let plus = before(text, start) == Some(&b'+');
    let open = before(text, start) == Some(&b'(');
    let (mut digits, mut at, mut end) = (0, start, start);
    while let Some(byte) = text.get(at) {
        match byte {
            b'0'..=b'9' => {
                digits += 1;
                end = at + 1;
            }
            b' ' | b'-' | b'.' | b'(' | b')' | b'/' if at < end + 2 => {}
            _ => break,
        }
        if digits > 15 {
            return None;
        }
        at += 1;
    }
    if is_word(text.get(end)) {
        return None;
    }
    // E.164, or the North American plan with or without its country code.
    let fits = match plus {
        true => digits >= 8 && !text.get(start..).is_some_and(|rest| rest.starts_with(b"999")),
        false => digits == 10 || digits == 11 && text.get(start) == Some(&b'1'),
    };
    if !fits {
        return None;
    }
    let first = start - usize::from(plus || open);
    let context = text.get(first.saturating_sub(CONTEXT_BYTES)..first)?.to_ascii_lowercase();
    CONTEXT.iter().any(|word| memchr::memmem::find(&context, word).is_some()).then_some(first..end)
}
