//! Finds personal data and secrets in a text: ranges in order, without overlaps.
//!
//! One pass over all bytes for digits and `@`, and a few vectorised searches for keywords of secrets;
//! candidates are then verified. Each verification reads a bounded piece of text or advances the search
//! past it, so the time is linear in the length of the text. Stateless.

mod custom;
mod email;
mod fold;
mod iban;
mod keywords;
mod number;
mod parts;
mod secret;
mod signs;
mod words;

use std::ops::Range;

use enum_map::{Enum, EnumMap};
use strum::{EnumIter, EnumMessage, EnumString, IntoStaticStr, VariantNames};

use super::tokens::Tokens;

/// What is recognized by its pattern, anywhere: "it was …".
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Enum,
    IntoStaticStr,
    EnumIter,
    EnumMessage,
    EnumString,
    VariantNames,
)]
#[strum(serialize_all = "snake_case")]
pub enum Detector {
    /// Payment card numbers: 13 to 19 digits, optionally with single spaces or hyphens, an issuer's
    /// prefix, Luhn check
    Card,
    /// E-mail addresses
    Email,
    /// International Bank Account Numbers: country, length and check digits (ISO 13616)
    Iban,
    /// US social security numbers with hyphens, in ranges that are issued
    Ssn,
    /// Telephone numbers after a word such as `phone`
    Phone,
    /// JSON Web Tokens, signed or encrypted (RFC 7519)
    Jwt,
    /// The token after `Bearer` (RFC 6750 §2.1)
    Bearer,
    /// The base64 of `user:password` after `Basic` (RFC 7617)
    Basic,
    /// Access key IDs of Amazon Web Services
    AwsKey,
    /// Tokens of GitHub
    GithubToken,
    /// Secret keys of Stripe
    StripeKey,
    /// Private keys in PEM (RFC 7468), of OpenSSH, PGP, PuTTY and age
    PrivateKey,
    /// Tokens of Slack, GitLab, Google, npm, PyPI, OpenAI, Anthropic, Twilio, SendGrid and others
    ServiceToken,
    /// User information in URLs (RFC 3986 §3.2.1)
    Userinfo,
    /// Data of the magnetic stripe of a card (ISO/IEC 7813)
    Track,
}

impl Detector {
    /// The detectors of the preset `credentials`.
    pub const SECRETS: [Self; 9] = [
        Self::Jwt,
        Self::Bearer,
        Self::Basic,
        Self::AwsKey,
        Self::GithubToken,
        Self::StripeKey,
        Self::PrivateKey,
        Self::ServiceToken,
        Self::Userinfo,
    ];
    /// The detectors that `pii` adds.
    pub const PERSONAL: [Self; 6] =
        [Self::Card, Self::Email, Self::Iban, Self::Ssn, Self::Phone, Self::Track];
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What<'a> {
    Known(Detector),
    /// The value of a listed name, and the kind of its tokens.
    Named(&'a str),
    /// Detection by this custom detector.
    Custom(usize),
}

/// A value and its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Detection<'a> {
    pub(super) range: Range<usize>,
    pub(super) what: What<'a>,
}

/// The detectors that are on.
pub(super) struct Detectors {
    on: EnumMap<Detector, bool>,
    numbers: bool,
    custom: Vec<Custom>,
    /// True if one of [`Detector::SECRETS`] is on.
    secrets: bool,
}

/// A shorter text contains no secret: the shortest are `Basic` with four letters of user and password,
/// and `whsec_` with ten more.
const SHORTEST_SECRET: usize = 16;
/// The shortest personal value: `a@b.cc`.
const SHORTEST_VALUE: usize = 6;

impl Detectors {
    pub(super) fn new(on: EnumMap<Detector, bool>, custom: Vec<Custom>) -> Self {
        use Detector::{Card, Iban, Phone, Ssn, Track};
        Self {
            on,
            numbers: [Card, Iban, Phone, Ssn, Track].iter().any(|what| on[*what]),
            custom,
            secrets: Detector::SECRETS.iter().any(|what| on[*what]),
        }
    }

    pub(super) fn is_on(&self, what: Detector) -> bool {
        self.on[what]
    }

    /// Reports each range in `text` that may start a secret; returns false if other things are searched
    /// for, too.
    pub(super) fn words(&self, text: &[u8], mut hit: impl FnMut(Range<usize>)) -> bool {
        if self.numbers || self.on[Detector::Email] || !self.custom.is_empty() {
            return false;
        }
        if self.secrets {
            // A head has these kinds.
            let mut signs = Signs::MARK | Signs::SEPARATOR | Signs::DIGIT;
            if memchr::memchr(b'@', text).is_some() {
                signs = signs | Signs::AT;
            }
            words::each(text, signs, |range, _| {
                let end = range.end;
                hit(range);
                end
            });
        }
        true
    }

    /// Adds findings in `text`, which has these signs, to `found`; `identifier`: not numbers, because random
    /// digits may look like them.
    pub(super) fn scan(
        &self,
        text: &[u8],
        signs: Signs,
        identifier: bool,
        found: &mut Vec<Detection<'_>>,
    ) {
        if self.secrets && text.len() >= SHORTEST_SECRET {
            secret::find(&self.on, text, signs, found);
        }
        if text.len() >= SHORTEST_VALUE {
            if self.on[Detector::Email] && signs.meet(Signs::AT) {
                email::find(text, found);
            }
            if self.numbers && !identifier && signs.meet(Signs::DIGIT | Signs::BEYOND) {
                self.numbers(text, found);
            }
        }
        for (index, custom) in self.custom.iter().enumerate() {
            let hits = custom.regex.captures_iter(text);
            found.extend(hits.filter_map(|hit| {
                let range = hit.get(1).or_else(|| hit.get(0))?.range();
                (!range.is_empty()).then_some(Detection { range, what: What::Custom(index) })
            }));
        }
    }

    /// True for a short text without any byte that a finding needs, like most strings in documents.
    pub(super) fn is_plain(&self, text: &[u8], signs: Signs) -> bool {
        text.len() < SHORTEST_SECRET && self.custom.is_empty() && !signs.meet(Signs::NEEDED)
    }

    fn numbers(&self, text: &[u8], found: &mut Vec<Detection<'_>>) {
        let Some(folded) = fold::FoldedText::new(text) else {
            return number::find(&self.on, text, found);
        };
        let first = found.len();
        number::find(&self.on, folded.text(), found);
        for found in found.iter_mut().skip(first) {
            found.range = folded.unfold(found.range.clone());
        }
    }

    /// The name of what was found.
    pub(super) fn name<'a>(&'a self, what: What<'a>) -> &'a str {
        match what {
            What::Known(what) => what.into(),
            What::Named(kind) => kind,
            What::Custom(index) => self.custom.get(index).map_or("custom", |custom| &custom.name),
        }
    }

    /// Writes the token for a match of a custom detector; returns false if it is already a token.
    pub(super) fn write_custom(
        &self,
        tokens: &Tokens,
        index: usize,
        text: &[u8],
        out: &mut Vec<u8>,
    ) -> bool {
        let Some(custom) = self.custom.get(index) else { return false };
        let start = out.len();
        match custom.keep_length {
            true => custom::mask(text, out),
            false if super::tokens::has_token(text) => return false,
            false => tokens.plain(&custom.name, text, out),
        }
        out.get(start..) != Some(text)
    }
}

/// Sorts findings, and merges overlapping ones, so that no part of a value remains. Adjacent ones are
/// merged, too, because two adjacent tokens would be read as something else.
pub(super) fn join(found: &mut Vec<Detection<'_>>) {
    if found.len() < 2 {
        return;
    }
    found.sort_by_key(|found| (found.range.start, found.range.end));
    found.dedup_by(|next, last| {
        let joins = next.range.start <= last.range.end;
        if joins {
            last.range.end = last.range.end.max(next.range.end);
        }
        joins
    });
}

/// Writes the token of `text`, which was found by `what`.
pub(super) fn write_token(tokens: &Tokens, what: Detector, text: &[u8], out: &mut Vec<u8>) {
    match what {
        Detector::Card => tokens.card(text, out),
        Detector::Email => tokens.email(text, out),
        Detector::Iban => tokens.iban(text, out),
        Detector::Ssn => tokens.ssn(text, out),
        Detector::Phone => tokens.phone(text, out),
        Detector::Jwt => tokens.plain("jwt", text, out),
        Detector::Bearer => tokens.plain("bearer", text, out),
        Detector::Basic => tokens.basic(text, out),
        Detector::AwsKey => tokens.plain("aws", text, out),
        Detector::GithubToken => tokens.plain("github", text, out),
        Detector::StripeKey => tokens.plain("stripe", text, out),
        Detector::PrivateKey => tokens.plain("pem", text, out),
        Detector::ServiceToken => tokens.plain("service", text, out),
        Detector::Userinfo => tokens.plain("userinfo", text, out),
        Detector::Track => tokens.plain("track", text, out),
    }
}

/// True if this byte can continue a word.
fn is_word(byte: Option<&u8>) -> bool {
    byte.is_some_and(u8::is_ascii_alphanumeric)
}

/// The byte before `at`.
fn before(text: &[u8], at: usize) -> Option<&u8> {
    at.checked_sub(1).and_then(|before| text.get(before))
}

/// Number of consecutive bytes of `text`, from `from` on and at most `most`, that satisfy `is_such`.
fn run(text: &[u8], from: usize, most: usize, is_such: impl Fn(&u8) -> bool) -> usize {
    text.get(from..).unwrap_or_default().iter().take(most).take_while(|byte| is_such(byte)).count()
}

pub use custom::Custom;
pub(super) use fold::folded;
pub(super) use number::card_digits;
pub(super) use signs::{Signs, each_separator};
