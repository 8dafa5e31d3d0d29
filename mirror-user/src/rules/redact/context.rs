//! One value in, what stands in its place out; every replacement is counted here.

use std::ops::Range;

use super::assign;
use super::detect::{self, Detectors, Found, What, card_digits, folded, write_token};
use super::json;
use super::names::{COUNTED, Fate, Names};
use super::paths::Paths;
use super::report::{Report, Where};
use super::segments::Segments;
use super::tokens::{self, Tokens};
use super::url;
use crate::tcp::event::Side;

/// What is redacted, ready for use.
pub(super) struct Plan {
    pub(super) names: Names,
    pub(super) paths: Paths,
    pub(super) segments: Segments,
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
pub(super) struct Context<'a> {
    pub(super) plan: &'a Plan,
    pub(super) report: &'a mut Report,
    pub(super) side: Side,
    found: Vec<Found<'a>>,
    /// The text that was looked through as a whole for the words of secrets.
    prescan: Option<Prescan<'a>>,
    /// Documents around the text at hand.
    nested: u8,
    /// The text at hand is the value of an identifier, whose digits may look like a card's.
    identifier: bool,
}

/// A text, and where in it something may begin that is looked for. One look through a whole head costs
/// less than one through each of its values.
struct Prescan<'a> {
    text: &'a [u8],
    hits: Vec<Range<usize>>,
}

impl Prescan<'_> {
    /// True when `part` is a piece of the text, and there is nothing in it.
    fn is_quiet(&self, part: &[u8]) -> bool {
        let start = part.as_ptr().addr().checked_sub(self.text.as_ptr().addr());
        // A decoded copy lies elsewhere in memory.
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

    /// Looks through a text whose pieces will be asked for, where words alone are looked for.
    pub(super) fn prescan(&mut self, text: &'a [u8]) {
        let mut hits = Vec::new();
        if self.plan.detectors.words(text, |hit| hits.push(hit)) {
            assign::places(&self.plan.names, text, |hit| hits.push(hit));
            self.prescan = Some(Prescan { text, hits });
        }
    }

    /// True for a text that is known to have nothing in it that a detector knows.
    pub(super) fn is_quiet(&self, text: &[u8]) -> bool {
        self.prescan.as_ref().is_some_and(|prescan| prescan.is_quiet(text))
    }

    fn scan(&mut self, text: &[u8]) {
        self.found.clear();
        self.plan.detectors.scan(text, self.identifier, &mut self.found);
        assign::find(&self.plan.names, text, &mut self.found);
        detect::join(&mut self.found);
    }

    /// Writes `text` with what is found in it replaced; false, and nothing is written, when nothing
    /// is.
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
        // A token beside other letters may make of them what they were not before.
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

    /// The same of a program, in which `token=` stands before code: looks alone count.
    pub(super) fn code(&mut self, at: &Where<'_>, text: &[u8], out: &mut Vec<u8>) -> bool {
        self.found.clear();
        self.plan.detectors.scan(text, self.identifier, &mut self.found);
        detect::join(&mut self.found);
        self.write_found(at, text, out)
    }

    /// True when a detector knows something in `text`.
    pub(super) fn knows(&mut self, text: &[u8]) -> bool {
        self.found.clear();
        self.plan.detectors.scan(text, self.identifier, &mut self.found);
        !self.found.is_empty()
    }

    /// Writes `text` with what was found in it replaced; false when nothing was.
    fn write_found(&mut self, at: &Where<'_>, text: &[u8], out: &mut Vec<u8>) -> bool {
        let plan = self.plan;
        let mut copied = 0;
        let mut changed = false;
        let found = std::mem::take(&mut self.found);
        for Found { range, what } in &found {
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

    /// The same of a value that may be a JSON document.
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
        // A value that was percent-encoded before it was put where it is, as URLs in URLs are.
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

    /// The same of a value with a name.
    pub(super) fn fated(
        &mut self,
        fate: Fate<'_>,
        at: &Where<'_>,
        text: &[u8],
        out: &mut Vec<u8>,
    ) -> bool {
        match fate {
            Fate::Keep => false,
            Fate::Replace(kind) => self.named(kind, at, text, out),
            Fate::Look => self.value(at, text, out),
            Fate::Identifier => {
                let outer = std::mem::replace(&mut self.identifier, true);
                let changed = self.value(at, text, out);
                self.identifier = outer;
                changed
            }
        }
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
                // The country code that nobody has, in the form of a token.
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

    /// The same of a number in a document: what stands for it is a number, too.
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

    /// The same of IP addresses, one or a list: each becomes one of those for documentation and
    /// experiments, so that who parses it still can.
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

/// The digits of a value that has as many as a telephone number (ITU-T E.164).
fn phone_digits(value: &[u8]) -> Option<Vec<u8>> {
    let digits = tokens::digits_of(value);
    (7..=15).contains(&digits.len()).then_some(digits)
}
