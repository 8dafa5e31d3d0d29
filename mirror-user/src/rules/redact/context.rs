//! Replaces single values by tokens, and counts every replacement.

use std::ops::Range;

use super::assign;
use super::detect::{self, Detection, Detectors, What, card_digits, folded, write_token};
use super::json;
use super::names::{COUNTED, Names, Treatment};
use super::paths::Paths;
use super::report::{Report, Where};
use super::segments::Segments;
use super::tokens::{self, Tokens};
use super::url;
use crate::tcp::event::Side;

/// Compiled options: what is redacted.
pub(super) struct Plan {
    pub(super) names: Names,
    pub(super) paths: Paths,
    pub(super) segments: Segments,
    pub(super) detectors: Detectors,
    pub(super) tokens: Tokens,
}

/// Maximum number of scans of a text. It is scanned again after a replacement; each pass leaves less to
/// replace.
const MAX_PASSES: u32 = 8;

/// Maximum nesting of JSON documents inside strings: message queues wrap a document once or twice.
const MAX_NESTED: u8 = 3;

/// State that is shared while the parts of a message are rewritten.
pub(super) struct Context<'a> {
    pub(super) plan: &'a Plan,
    pub(super) report: &'a mut Report,
    pub(super) side: Side,
    found: Vec<Detection<'a>>,
    /// The text that was prescanned as a whole for keywords of secrets.
    prescan: Option<Prescan<'a>>,
    /// Number of JSON documents around the current text.
    nested: u8,
    /// True if the current text is the value of an identifier, whose digits may look like a card number.
    identifier: bool,
}

/// A text with the positions where a match may start. One scan of a whole head costs less than one scan
/// per value.
struct Prescan<'a> {
    text: &'a [u8],
    hits: Vec<Range<usize>>,
}

impl Prescan<'_> {
    /// True if `part` is a slice of the text without any hits.
    fn is_quiet(&self, part: &[u8]) -> bool {
        let start = part.as_ptr().addr().checked_sub(self.text.as_ptr().addr());
        // A decoded copy is elsewhere in memory.
        let end = start.and_then(|start| start.checked_add(part.len()));
        let (Some(start), Some(end)) = (start, end.filter(|end| *end <= self.text.len())) else {
            return false;
        };
        self.hits.iter().all(|hit| end <= hit.start || hit.end <= start)
    }
}

impl<'a> Context<'a> {
    pub(super) fn new(plan: &'a Plan, report: &'a mut Report, side: Side) -> Self {
        Self { plan, report, side, found: Vec::new(), prescan: None, nested: 0, identifier: false }
    }

    /// Prescans a text whose slices will be scanned later, if only keywords are searched for.
    pub(super) fn prescan(&mut self, text: &'a [u8]) {
        let mut hits = Vec::new();
        if self.plan.detectors.words(text, |hit| hits.push(hit)) {
            assign::places(&self.plan.names, text, |hit| hits.push(hit));
            self.prescan = Some(Prescan { text, hits });
        }
    }

    /// True if the prescan showed that no detector finds anything in the text.
    pub(super) fn is_quiet(&self, text: &[u8]) -> bool {
        self.prescan.as_ref().is_some_and(|prescan| prescan.is_quiet(text))
    }

    fn scan(&mut self, text: &[u8]) {
        self.found.clear();
        self.plan.detectors.scan(text, self.identifier, &mut self.found);
        assign::find(&self.plan.names, text, &mut self.found);
        detect::join(&mut self.found);
    }

    /// Writes `text` with all findings replaced; returns false, with nothing written, if there are none.
    pub(super) fn text(&mut self, at: &Where<'_>, text: &[u8], out: &mut Vec<u8>) -> bool {
        if self.is_quiet(text) || self.plan.detectors.is_plain(text) {
            return false;
        }
        self.scan(text);
        let start = out.len();
        if !self.write_found(at, text, out) {
            out.truncate(start);
            return false;
        }
        // A token next to other characters may create new matches.
        for _ in 1..MAX_PASSES {
            let written = out.split_off(start);
            self.scan(&written);
            if !self.write_found(at, &written, out) {
                out.truncate(start);
                out.extend_from_slice(&written);
                break;
            }
        }
        true
    }

    /// The same for source code, in which `token=` is no secret: only patterns count, not names.
    pub(super) fn code(&mut self, at: &Where<'_>, text: &[u8], out: &mut Vec<u8>) -> bool {
        self.found.clear();
        self.plan.detectors.scan(text, self.identifier, &mut self.found);
        detect::join(&mut self.found);
        self.write_found(at, text, out)
    }

    /// True if a detector finds something in `text`.
    pub(super) fn knows(&mut self, text: &[u8]) -> bool {
        self.found.clear();
        self.plan.detectors.scan(text, self.identifier, &mut self.found);
        !self.found.is_empty()
    }

    /// Writes `text` with the findings replaced; returns false if none was.
    fn write_found(&mut self, at: &Where<'_>, text: &[u8], out: &mut Vec<u8>) -> bool {
        let plan = self.plan;
        let mut copied = 0;
        let mut changed = false;
        let found = std::mem::take(&mut self.found);
        for Detection { range, what } in &found {
            out.extend_from_slice(text.get(copied..range.start).unwrap_or_default());
            let value = text.get(range.clone()).unwrap_or_default();
            let replaced = match what {
                What::Known(what) => {
                    self.report.found(plan, self.side, at, *what);
                    write_token(&plan.tokens, *what, value, out);
                    true
                }
                What::Named(kind) => self.named(kind, at, value, out),
                What::Custom(index) => {
                    let written = plan.detectors.write_custom(&plan.tokens, *index, value, out);
                    if written {
                        self.report.named(plan, self.side, at, plan.detectors.name(*what));
                    }
                    written
                }
            };
            if !replaced {
                out.extend_from_slice(value);
            }
            changed |= replaced;
            copied = range.end;
        }
        out.extend_from_slice(text.get(copied..).unwrap_or_default());
        self.found = found;
        changed
    }

    /// The same for a value that may be a JSON document.
    pub(super) fn value(&mut self, at: &Where<'_>, text: &[u8], out: &mut Vec<u8>) -> bool {
        if self.plan.detectors.is_plain(text) {
            return false;
        }
        if json::may_be(text) && self.nested < MAX_NESTED {
            self.nested += 1;
            let document = json::rewrite(self, at, text);
            self.nested -= 1;
            if let Ok(document) = document {
                return document.inspect(|document| out.extend_from_slice(document)).is_some();
            }
        }
        // A value that is percent-encoded itself, such as a URL in a URL.
        if self.nested < MAX_NESTED && url::is_encoded(text) {
            self.nested += 1;
            let changed = url::encoded(text, out, |text, out| self.value(at, text, out));
            self.nested -= 1;
            if changed {
                return true;
            }
        }
        self.text(at, text, out)
    }

    /// The same for a named value.
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
