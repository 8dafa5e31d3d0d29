//! International Bank Account Numbers (ISO 13616; lengths from SWIFT's registry).

use super::{is_word, run};

/// The longest: Saint Lucia has 32, Malta 31; the standard allows 34.
const MAX_CHARS: usize = 34;

/// The end of the number that starts at `start`, if there is one.
pub(super) fn end(text: &[u8], start: usize) -> Option<usize> {
    let country = text.get(start..start + 2)?.to_ascii_uppercase();
    let length = length_of(&country)?;
    let mut plain = [0_u8; MAX_CHARS];
    let mut at = start;
    for (index, place) in plain.get_mut(..length)?.iter_mut().enumerate() {
        let mut byte = *text.get(at)?;
        // It is printed in groups of four.
        if matches!(byte, b' ' | b'-' | b'.') && index % 4 == 0 && index > 0 {
            at += 1;
            byte = *text.get(at)?;
        }
        if !byte.is_ascii_alphanumeric() {
            return None;
        }
        *place = byte.to_ascii_uppercase();
        at += 1;
    }
    (!is_word(text.get(at)) && is_valid(plain.get(..length)?)).then_some(at)
}

/// True if a word with two letters and two digits starts at `start`.
pub(super) fn may_begin(text: &[u8], start: usize) -> bool {
    !is_word(super::before(text, start))
        && run(text, start, 2, u8::is_ascii_alphabetic) == 2
        && run(text, start + 2, 2, u8::is_ascii_digit) == 2
}

/// ISO/IEC 7064 MOD 97-10: the first four characters go to the end, letters count from 10.
fn is_valid(plain: &[u8]) -> bool {
    let (first, rest) = plain.split_at_checked(4).unwrap_or_default();
    let remainder = rest.iter().chain(first).fold(0_u32, |sum, byte| match byte {
        b'0'..=b'9' => (sum * 10 + u32::from(byte - b'0')) % 97,
        _ => (sum * 100 + u32::from(byte.wrapping_sub(b'A')) + 10) % 97,
    });
    remainder == 1
}

fn length_of(country: &[u8]) -> Option<usize> {
    Some(match country {
        b"NO" => 15,
        b"BE" => 16,
        b"DK" | b"FI" | b"FO" | b"GL" | b"NL" | b"SD" | b"FK" => 18,
        b"MK" | b"SI" => 19,
        b"AT" | b"BA" | b"EE" | b"KZ" | b"LT" | b"LU" | b"XK" | b"MN" => 20,
        b"CH" | b"HR" | b"LI" | b"LV" => 21,
        b"BG" | b"BH" | b"CR" | b"DE" | b"GB" | b"GE" | b"IE" | b"ME" | b"RS" | b"VA" => 22,
        b"AE" | b"GI" | b"IL" | b"IQ" | b"OM" | b"SO" | b"TL" => 23,
        b"AD" | b"CZ" | b"ES" | b"MD" | b"PK" | b"RO" | b"SA" | b"SE" | b"SK" | b"TN" | b"VG" => 24,
        b"LY" | b"PT" | b"ST" => 25,
        b"IS" | b"TR" => 26,
        b"BI" | b"DJ" | b"FR" | b"GR" | b"IT" | b"MC" | b"MR" | b"SM" => 27,
        b"AL" | b"AZ" | b"BY" | b"CY" | b"DO" | b"GT" | b"HN" | b"HU" | b"LB" | b"NI" | b"PL"
        | b"SV" => 28,
        b"BR" | b"EG" | b"PS" | b"QA" | b"UA" => 29,
        b"JO" | b"KW" | b"MU" | b"YE" => 30,
        b"MT" | b"SC" => 31,
        b"LC" => 32,
        b"RU" => 33,
        _ => return None,
    })
}
