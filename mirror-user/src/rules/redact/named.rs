//! Values whose names say what they are: each gets the token of its kind, in a form that parsers still
//! accept.

use super::context::Context;
use super::detect::{self, card_digits, folded};
use super::names::{COUNTED, Treatment};
use super::report::Where;
use super::tokens;

impl Context<'_> {
    /// Writes a named value as its name says; returns false if it stays as it is.
    pub(super) fn by_treatment(
        &mut self,
        treatment: Treatment<'_>,
        at: &Where<'_>,
        text: &[u8],
        out: &mut Vec<u8>,
    ) -> bool {
        match treatment {
            Treatment::Keep => false,
            Treatment::Replace(kind) => self.named(kind, at, text, out),
            Treatment::Look => self.value(at, text, out),
            Treatment::Identifier => {
                let outer = std::mem::replace(&mut self.identifier, true);
                let changed = self.value(at, text, out);
                self.identifier = outer;
                changed
            }
        }
    }

    /// Writes the token for the value of a listed name; returns false if the value may stay: it is empty,
    /// or already a token.
    pub(super) fn named(
        &mut self,
        kind: &str,
        at: &Where<'_>,
        value: &[u8],
        out: &mut Vec<u8>,
    ) -> bool {
        if value.is_empty() || tokens::is_token(value) {
            return false;
        }
        let tokens = &self.plan.tokens;
        match kind {
            "pan" if let Some(digits) = card_digits(&folded(value)) => {
                if tokens::is_card(&digits) {
                    return false;
                }
                tokens.card(value, out);
            }
            "ssn" if let Some(digits) = ssn_digits(&folded(value)) => {
                if digits.starts_with(b"9") {
                    return false;
                }
                tokens.ssn(value, out);
            }
            "phone" if let Some(digits) = phone_digits(value) => {
                // The unassigned country code, in the form of a token.
                if digits.starts_with(b"999") && tokens::is_phone(value) {
                    return false;
                }
                tokens.phone(value, out);
            }
            "email" if value.contains(&b'@') => tokens.email(value, out),
            "iban" => tokens.iban(value, out),
            "ip" => return self.addresses(at, value, out),
            "authorization" => return self.credentials(at, value, out),
            _ => tokens.plain(kind, value, out),
        }
        self.report.named(self.plan, self.side, at, kind);
        true
    }

    /// The same for a number in a document: its token is a number, too.
    pub(super) fn number(
        &mut self,
        kind: &str,
        at: &Where<'_>,
        value: &[u8],
        out: &mut Vec<u8>,
    ) -> bool {
        if kind == COUNTED || tokens::is_number(value) {
            return false;
        }
        let nine = value.len() == 9 && value.iter().all(u8::is_ascii_digit);
        match kind {
            "ssn" if nine && value.starts_with(b"9") => return false,
            "ssn" if nine => self.plan.tokens.ssn(value, out),
            kind => self.plan.tokens.number(kind, value, out),
        }
        self.report.named(self.plan, self.side, at, kind);
        true
    }

    /// The same for IP addresses, one or a list: each becomes a reserved address, so that parsers still
    /// accept it.
    fn addresses(&mut self, at: &Where<'_>, value: &[u8], out: &mut Vec<u8>) -> bool {
        let start = out.len();
        for (index, part) in value.split(|byte| *byte == b',').enumerate() {
            if index > 0 {
                out.push(b',');
            }
            let bare = part.trim_ascii();
            let lead = part.len() - part.trim_ascii_start().len();
            out.extend_from_slice(part.get(..lead).unwrap_or_default());
            match std::str::from_utf8(bare).ok().and_then(|text| text.parse().ok()) {
                Some(address) => self.plan.tokens.address(address, out),
                None if bare.is_empty() || tokens::is_token(bare) => out.extend_from_slice(bare),
                None => self.plan.tokens.plain("ip", bare, out),
            }
        }
        let changed = out.get(start..) != Some(value);
        if changed {
            self.report.named(self.plan, self.side, at, "ip");
        }
        changed
    }

    /// The same for `Authorization` (RFC 9110 §11.4): the scheme is kept.
    fn credentials(&mut self, at: &Where<'_>, value: &[u8], out: &mut Vec<u8>) -> bool {
        let tokens = &self.plan.tokens;
        let end = memchr::memchr(b' ', value).unwrap_or(0);
        let (scheme, rest) = value.split_at_checked(end).unwrap_or_default();
        let is = |known: &[u8]| scheme.eq_ignore_ascii_case(known);
        let credentials = rest.trim_ascii();
        let mut keep_scheme = || {
            let lead = value.len() - rest.trim_ascii_start().len();
            out.extend_from_slice(value.get(..lead).unwrap_or_default());
        };
        match () {
            () if tokens::is_token(credentials) => return false,
            () if is(b"bearer") && !credentials.is_empty() => {
                keep_scheme();
                tokens.plain("bearer", credentials, out);
            }
            () if is(b"basic") && !credentials.is_empty() => {
                keep_scheme();
                tokens.basic(credentials, out);
            }
            () if SCHEMES.iter().any(|known| is(known)) && !credentials.is_empty() => {
                keep_scheme();
                tokens.plain("authorization", credentials, out);
            }
            // An unknown scheme may be part of the secret.
            () => tokens.plain("authorization", value, out),
        }
        self.report.named(self.plan, self.side, at, "authorization");
        true
    }

    /// The same for the user information of an authority (RFC 3986 §3.2.1).
    pub(super) fn userinfo(&mut self, at: &Where<'_>, value: &[u8], out: &mut Vec<u8>) -> bool {
        match self.plan.detectors.is_on(detect::Detector::Userinfo) {
            true => self.named("userinfo", at, value, out),
            false => self.text(at, value, out),
        }
    }
}

/// Registered schemes (IANA), and those of large services.
const SCHEMES: [&[u8]; 12] = [
    b"digest",
    b"negotiate",
    b"ntlm",
    b"hoba",
    b"mutual",
    b"dpop",
    b"token",
    b"apikey",
    b"scram-sha-256",
    b"aws4-hmac-sha256",
    b"sharedkey",
    b"signature",
];

/// The digits of a value that has the form of a social security number.
fn ssn_digits(value: &[u8]) -> Option<Vec<u8>> {
    let grouped = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b' ' | b'.');
    let digits = tokens::digits_of(value);
    (digits.len() == 9 && value.iter().all(grouped)).then_some(digits)
}

/// The digits of a value, if it has as many as a telephone number (ITU-T E.164).
fn phone_digits(value: &[u8]) -> Option<Vec<u8>> {
    let digits = tokens::digits_of(value);
    (7..=15).contains(&digits.len()).then_some(digits)
}
