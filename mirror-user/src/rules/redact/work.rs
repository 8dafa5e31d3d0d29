//! One value in, what stands in its place out; every replacement is counted here.

use std::ops::Range;

use super::detect::{Detectors, Found, card_digits, write_token};
use super::json;
use super::names::Names;
use super::paths::Paths;
use super::report::{Report, Where};
use super::tokens::{self, Tokens};
use crate::tcp::event::Side;

/// What is redacted, ready for use.
pub(super) struct Plan {
    pub(super) names: Names,
    pub(super) paths: Paths,
    pub(super) detectors: Detectors,
    pub(super) tokens: Tokens,
}

/// How often a text is looked through again after something in it was replaced: each time less is left
/// that no token stands for.
const MAX_PASSES: u32 = 8;

/// JSON documents inside the strings of one another that are looked into: queues wrap a document
/// once or twice.
const MAX_NESTED: u8 = 3;

/// What the parts of a message share while it is rewritten.
pub(super) struct Work<'a> {
    pub(super) plan: &'a Plan,
    pub(super) report: &'a mut Report,
    pub(super) side: Side,
    pub(super) found: Vec<Found>,
    /// The text that was looked through as a whole for the words of secrets.
    looked: Option<Looked<'a>>,
    /// Documents around the text at hand.
    nested: u8,
}

/// A text, and where in it there are words with which secrets begin. One look through a whole head
/// costs less than one through each of its values.
struct Looked<'a> {
    text: &'a [u8],
    /// From the first of the words to the end of the last.
    words: Option<Range<usize>>,
}

impl Looked<'_> {
    /// True when `part` is a piece of the text, and none of the words reaches into it.
    fn is_quiet(&self, part: &[u8]) -> bool {
        let start = part.as_ptr().addr().checked_sub(self.text.as_ptr().addr());
        // A decoded copy lies elsewhere in memory.
        let end = start.and_then(|start| start.checked_add(part.len()));
        let (Some(start), Some(end)) = (start, end.filter(|end| *end <= self.text.len())) else {
            return false;
        };
        self.words.as_ref().is_none_or(|words| end <= words.start || words.end <= start)
    }
}

impl<'a> Work<'a> {
    pub(super) fn new(plan: &'a Plan, report: &'a mut Report, side: Side) -> Self {
        Self { plan, report, side, found: Vec::new(), looked: None, nested: 0 }
    }

    /// Looks through a text whose pieces will be asked for, where words alone are looked for.
    pub(super) fn look(&mut self, text: &'a [u8]) {
        let words = self.plan.detectors.words(text);
        self.looked = words.map(|words| Looked { text, words });
    }

    /// True for a text that is known to have nothing in it that a detector knows.
    pub(super) fn is_quiet(&self, text: &[u8]) -> bool {
        self.looked.as_ref().is_some_and(|looked| looked.is_quiet(text))
    }

    /// Writes `text` with what the detectors know replaced; false, and nothing is written, when
    /// they know nothing in it.
    pub(super) fn text(&mut self, at: &Where<'_>, text: &[u8], out: &mut Vec<u8>) -> bool {
        let plan = self.plan;
        if self.is_quiet(text) {
            return false;
        }
        plan.detectors.scan(text, &mut self.found);
        if self.found.is_empty() {
            return false;
        }
        let start = out.len();
        self.write_found(at, text, out);
        // A token beside other letters may make of them what they were not before.
        for _ in 1..MAX_PASSES {
            plan.detectors.scan(out.get(start..).unwrap_or_default(), &mut self.found);
            if self.found.is_empty() {
                break;
            }
            let written = out.split_off(start);
            self.write_found(at, &written, out);
        }
        true
    }

    /// Writes `text` with what was found in it replaced.
    fn write_found(&mut self, at: &Where<'_>, text: &[u8], out: &mut Vec<u8>) {
        let plan = self.plan;
        let mut copied = 0;
        for Found { range, what } in &self.found {
            self.report.found(plan, self.side, at, *what);
            out.extend_from_slice(text.get(copied..range.start).unwrap_or_default());
            let value = text.get(range.clone()).unwrap_or_default();
            write_token(&plan.tokens, *what, value, out);
            copied = range.end;
        }
        out.extend_from_slice(text.get(copied..).unwrap_or_default());
    }

    /// The same of a value that may be a JSON document.
    pub(super) fn value(&mut self, at: &Where<'_>, text: &[u8], out: &mut Vec<u8>) -> bool {
        if json::may_be(text) && self.nested < MAX_NESTED {
            self.nested += 1;
            let document = json::rewrite(self, at, text);
            self.nested -= 1;
            if let Ok(document) = document {
                return document.inspect(|document| out.extend_from_slice(document)).is_some();
            }
        }
        self.text(at, text, out)
    }

    /// Writes what stands for the value of a listed name; false when it may stay: it is empty, or
    /// a token.
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
            "pan" if let Some(digits) = card_digits(value) => {
                if tokens::is_card(&digits) {
                    return false;
                }
                tokens.card(value, out);
            }
            "ssn" if let Some(digits) = ssn_digits(value) => {
                if digits.starts_with(b"9") {
                    return false;
                }
                tokens.ssn(value, out);
            }
            "phone" if let Some(digits) = phone_digits(value) => {
                if digits.starts_with(b"999") {
                    return false;
                }
                tokens.phone(value, out);
            }
            "email" if value.contains(&b'@') => tokens.email(value, out),
            "iban" => tokens.iban(value, out),
            "authorization" => return self.credentials(at, value, out),
            _ => tokens.plain(kind, value, out),
        }
        self.report.named(self.plan, self.side, at, kind);
        true
    }

    /// The same of `Authorization` (RFC 9110 §11.4): the scheme stays.
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
            // What is no known scheme may be a part of the secret.
            () => tokens.plain("authorization", value, out),
        }
        self.report.named(self.plan, self.side, at, "authorization");
        true
    }

    /// The same of what stands before the `@` of an authority (RFC 3986 §3.2.1).
    pub(super) fn userinfo(&mut self, at: &Where<'_>, value: &[u8], out: &mut Vec<u8>) -> bool {
        match self.plan.names.header(b"authorization") {
            Some(_) => self.named("userinfo", at, value, out),
            None => self.text(at, value, out),
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
    let grouped = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b' ');
    let digits = tokens::digits_of(value);
    (digits.len() == 9 && value.iter().all(grouped)).then_some(digits)
}

/// The digits of a value that has as many as a telephone number (ITU-T E.164).
fn phone_digits(value: &[u8]) -> Option<Vec<u8>> {
    let digits = tokens::digits_of(value);
    (7..=15).contains(&digits.len()).then_some(digits)
}
