//! Keyed tokens, which replace values.
//!
//! A token is HMAC-SHA256(key, kind ‖ 0x00 ‖ normalised value). Equal values have equal tokens, and without
//! the key nobody can find a value by trying all of them, which is easy with a plain hash of a card or
//! social security number. Tokens are recognized and never replaced, so redaction is idempotent.

use std::fmt;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::detect::folded;

/// Shorter keys can be guessed (RFC 2104 §3 asks for as many bytes as the hash has; 16 are 128 bits).
pub const MIN_KEY_BYTES: usize = 16;

/// The key of tokens: runs with the same key produce the same tokens.
#[derive(Clone)]
pub struct Key {
    bytes: Vec<u8>,
    /// True if it was generated for this run.
    random: bool,
}

impl Key {
    /// A given key.
    ///
    /// # Errors
    /// If it is shorter than [`MIN_KEY_BYTES`].
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, ShortKey> {
        let bytes = bytes.into();
        if bytes.len() < MIN_KEY_BYTES { Err(ShortKey) } else { Ok(Self { bytes, random: false }) }
    }

    /// Generates a key for this run.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn random() -> anyhow::Result<Self> {
        let mut bytes = vec![0; 32];
        getrandom::fill(&mut bytes)
            .map_err(|error| anyhow::anyhow!("no random numbers for the redaction key: {error}"))?;
        Ok(Self { bytes, random: true })
    }

    /// True if it was generated for this run.
    #[must_use]
    pub fn is_random(&self) -> bool {
        self.random
    }
}

/// Never shows the key in a log.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("random", &self.random).finish_non_exhaustive()
    }
}

/// A key of less than [`MIN_KEY_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortKey;

impl fmt::Display for ShortKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the redaction key is shorter than {MIN_KEY_BYTES} bytes")
    }
}

impl std::error::Error for ShortKey {}

const PREFIX: &[u8] = b"redacted-";
const EMAIL_PREFIX: &[u8] = b"u-";
const EMAIL_DOMAIN: &[u8] = b"@redacted.invalid";
/// `redacted-basic-` in base64: 15 bytes, so what follows does not change the prefix.
const BASIC_PREFIX: &[u8] = b"cmVkYWN0ZWQtYmFzaWMt";
const NUMBER_PREFIX: &[u8] = b"8999";
/// 2⁵³ has 16 digits and begins with 9007.
const NUMBER_DIGITS: usize = 16;
const DOCUMENTATION: [u8; 4] = [0x20, 0x01, 0x0d, 0xb8];
/// Characters of base32: 80 bits of the code, so that two values of 2⁴⁰ share one.
const CODE_CHARS: usize = 16;

/// Creates tokens with one key.
pub(super) struct Tokens {
    keyed: Hmac<Sha256>,
}

impl Tokens {
    pub(super) fn new(key: &Key) -> Self {
        Self { keyed: Hmac::new_from_slice(&key.bytes).expect("HMAC takes keys of any length") }
    }

    fn code(&self, kind: &str, value: &[u8]) -> [u8; 32] {
        let mut mac = self.keyed.clone();
        mac.update(kind.as_bytes());
        mac.update(&[0]);
        mac.update(value);
        mac.finalize().into_bytes().into()
    }

    /// What stands for the digest of content that is not told.
    pub(super) fn of_digest(&self, sha256: &[u8; 32]) -> [u8; 32] {
        self.code("content", sha256)
    }

    /// `redacted-KIND-` and 16 characters of base32.
    pub(super) fn plain(&self, kind: &str, value: &[u8], out: &mut Vec<u8>) {
        out.reserve(PREFIX.len() + kind.len() + 1 + CODE_CHARS);
        out.extend_from_slice(PREFIX);
        out.extend_from_slice(kind.as_bytes());
        out.push(b'-');
        base32(&self.code(kind, value), out);
    }

    /// An address under `.invalid`, which never has mail (RFC 2606 §2).
    pub(super) fn email(&self, address: &[u8], out: &mut Vec<u8>) {
        let address = address.trim_ascii().to_ascii_lowercase();
        out.extend_from_slice(EMAIL_PREFIX);
        base32(&self.code("email", &address), out);
        out.extend_from_slice(EMAIL_DOMAIN);
    }

    /// A whole number of 16 digits, below 2⁵³, so that no JSON parser rounds it. It starts with 8999, which no
    /// card issuer uses, and passes the Luhn check, by which it is recognized.
    pub(super) fn number(&self, kind: &str, value: &[u8], out: &mut Vec<u8>) {
        let mut token = NUMBER_PREFIX.to_vec();
        self.digits(kind, value, NUMBER_DIGITS - NUMBER_PREFIX.len() - 1, &mut token);
        token.push(luhn_digit(&token));
        out.extend_from_slice(&token);
    }

    /// An address of 240.0.0.0/4, which is reserved (RFC 1112 §4), or of 2001:db8::/32 (RFC 3849).
    pub(super) fn address(&self, address: IpAddr, out: &mut Vec<u8>) {
        let code = self.code("ip", address.to_string().as_bytes());
        let [a, b, c, d, e, f, g, h, ..] = code;
        let token: IpAddr = match address {
            IpAddr::V4(v4) if v4.octets()[0] >= 240 => address,
            IpAddr::V6(v6) if v6.octets().starts_with(&DOCUMENTATION) => address,
            IpAddr::V4(_) => [240 | a & 7, b, c, d].into(),
            IpAddr::V6(_) => [0x20, 0x01, 0x0d, 0xb8, a, b, c, d, e, f, g, h, 0, 0, 0, 1].into(),
        };
        out.extend_from_slice(token.to_string().as_bytes());
    }

    /// The same number of digits in the same groups; passes the Luhn check and starts with 9, which no
    /// issuer of [`card`](super::detect) uses.
    pub(super) fn card(&self, text: &[u8], out: &mut Vec<u8>) {
        let digits = digits_of(text);
        let mut token = vec![b'9'];
        self.digits("pan", &digits, digits.len().saturating_sub(2), &mut token);
        token.push(luhn_digit(&token));
        fill(&folded(text), &token, out);
    }

    /// Nine digits in the same groups; the area 9xx was never issued.
    pub(super) fn ssn(&self, text: &[u8], out: &mut Vec<u8>) {
        let mut token = vec![b'9'];
        self.digits("ssn", &digits_of(text), 8, &mut token);
        fill(&folded(text), &token, out);
    }

    /// `+999`, an unassigned country code, and the remaining number of digits.
    pub(super) fn phone(&self, text: &[u8], out: &mut Vec<u8>) {
        let digits = digits_of(text);
        out.extend_from_slice(b"+999");
        self.digits("phone", &digits, digits.len().saturating_sub(3).max(6), out);
    }

    /// `user:password` in base64 (RFC 7617), so that a server can parse it.
    pub(super) fn basic(&self, credentials: &[u8], out: &mut Vec<u8>) {
        let mut text = Vec::new();
        self.plain("basic", credentials, &mut text);
        text.extend_from_slice(b":redacted");
        out.extend_from_slice(BASE64.encode(text).as_bytes());
    }

    /// An International Bank Account Number, spaces and case aside.
    pub(super) fn iban(&self, text: &[u8], out: &mut Vec<u8>) {
        let text = folded(text);
        let is_part = |byte: &&u8| !matches!(byte, b' ' | b'-' | b'.');
        let plain: Vec<u8> = text.iter().filter(is_part).map(u8::to_ascii_uppercase).collect();
        self.plain("iban", &plain, out);
    }

    /// `n` evenly distributed digits that depend on the value.
    fn digits(&self, kind: &str, value: &[u8], n: usize, out: &mut Vec<u8>) {
        let code = self.code(kind, value);
        let end = out.len().saturating_add(n);
        for counter in 0_u32.. {
            let block = Sha256::new().chain_update(code).chain_update(counter.to_be_bytes());
            for byte in block.finalize() {
                if out.len() == end {
                    return;
                }
                // 250 to 255 would bias the distribution towards the digits 0 to 5.
                if byte < 250 {
                    out.push(b'0' + byte % 10);
                }
            }
        }
    }
}

/// True for a token of the functions above, except those that are only digits.
pub(super) fn is_token(value: &[u8]) -> bool {
    is_email(value) || is_plain(value) || value.starts_with(BASIC_PREFIX)
}

fn is_plain(value: &[u8]) -> bool {
    let Some(rest) = value.strip_prefix(PREFIX) else { return false };
    let Some((kind, code)) = rest.split_at_checked(rest.len().saturating_sub(CODE_CHARS)) else {
        return false;
    };
    let is_kind = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
    is_code(code) && kind.len() >= 2 && kind.ends_with(b"-") && kind.iter().all(is_kind)
}

/// True for an e-mail token.
pub(super) fn is_email(value: &[u8]) -> bool {
    value
        .strip_suffix(EMAIL_DOMAIN)
        .and_then(|local| local.strip_prefix(EMAIL_PREFIX))
        .is_some_and(is_code)
}

/// True for a telephone number's token.
pub(super) fn is_phone(value: &[u8]) -> bool {
    value
        .strip_prefix(b"+999")
        .is_some_and(|rest| rest.len() >= 4 && rest.iter().all(u8::is_ascii_digit))
}

/// True for a number's token.
pub(super) fn is_number(value: &[u8]) -> bool {
    value.len() == NUMBER_DIGITS
        && value.starts_with(NUMBER_PREFIX)
        && value.iter().all(u8::is_ascii_digit)
        && luhn(value)
}

/// True if a text contains a token.
pub(super) fn has_token(text: &[u8]) -> bool {
    memchr::memmem::find(text, PREFIX).is_some()
        || memchr::memmem::find(text, EMAIL_DOMAIN).is_some()
}

/// True for the digits of a card's token.
pub(super) fn is_card(digits: &[u8]) -> bool {
    digits.first() == Some(&b'9') && luhn(digits)
}

fn is_code(code: &[u8]) -> bool {
    code.len() == CODE_CHARS && code.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'))
}

/// RFC 4648 §6 in lower case.
fn base32(code: &[u8; 32], out: &mut Vec<u8>) {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let bits = u128::from_be_bytes(*code.first_chunk().expect("32 bytes have 16"));
    out.extend((0..CODE_CHARS).map(|place| {
        let value = (bits >> (123 - 5 * place)) & 31;
        ALPHABET.get(value as usize).copied().unwrap_or_default()
    }));
}

/// The digits among the characters.
pub(super) fn digits_of(text: &[u8]) -> Vec<u8> {
    folded(text).iter().copied().filter(u8::is_ascii_digit).collect()
}

/// Writes `text` with its digits replaced, one after the other.
fn fill(text: &[u8], digits: &[u8], out: &mut Vec<u8>) {
    let mut digits = digits.iter();
    out.extend(text.iter().map(|byte| match byte.is_ascii_digit() {
        true => digits.next().copied().unwrap_or(b'0'),
        false => *byte,
    }));
}

/// ISO/IEC 7812-1 annex B.
pub(super) fn luhn(digits: &[u8]) -> bool {
    luhn_sum(digits, false).is_multiple_of(10)
}

fn luhn_digit(digits: &[u8]) -> u8 {
    b'0' + ((10 - luhn_sum(digits, true) % 10) % 10) as u8
}

/// The sum from the right; `doubles` says whether the last digit is one that is doubled.
fn luhn_sum(digits: &[u8], mut doubles: bool) -> u32 {
    let mut sum = 0;
    for digit in digits.iter().rev() {
        let value = u32::from(digit.wrapping_sub(b'0'));
        sum += match doubles {
            true if value > 4 => value * 2 - 9,
            true => value * 2,
            false => value,
        };
        doubles = !doubles;
    }
    sum
}
