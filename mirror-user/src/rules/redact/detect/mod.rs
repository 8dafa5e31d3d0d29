//! Text in, the places of personal values and secrets out: in their order, none inside another.
//!
//! One look at each byte for digits and `@`, and one automaton for the words with which secrets
//! begin; what they point at is then checked by hand. Every check looks at a bounded piece of text
//! or lets the search go on behind it, so that the time is linear in the length of the text.
//! Remembers nothing.

mod email;
mod iban;
mod number;
mod secret;

use std::ops::Range;

use aho_corasick::AhoCorasick;
use enum_map::{Enum, EnumMap};
use strum::{EnumString, IntoStaticStr, VariantNames};

use super::tokens::Tokens;

/// What is recognised by its looks, wherever it stands: "it was …".
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
    EnumString,
    VariantNames,
)]
#[strum(serialize_all = "snake_case")]
pub enum Detector {
    /// A payment card number: 13 to 19 digits, single spaces or hyphens between them, an issuer's
    /// prefix, Luhn's check.
    Card,
    /// An e-mail address.
    Email,
    /// An International Bank Account Number: country, length and check digits (ISO 13616).
    Iban,
    /// A US social security number with its hyphens that could have been issued.
    Ssn,
    /// A telephone number behind a word that says so.
    Phone,
    /// A JSON Web Token, signed or encrypted (RFC 7519).
    Jwt,
    /// `Bearer` and what follows it (RFC 6750 §2.1).
    Bearer,
    /// `Basic` and base64 of `user:password` (RFC 7617).
    Basic,
    /// An access key id of Amazon Web Services.
    AwsKey,
    /// A token of GitHub.
    GithubToken,
    /// A secret key of Stripe.
    StripeKey,
    /// A private key in PEM (RFC 7468).
    PrivateKey,
}

impl Detector {
    /// Those of the preset `credentials`.
    pub const SECRETS: [Self; 7] = [
        Self::Jwt,
        Self::Bearer,
        Self::Basic,
        Self::AwsKey,
        Self::GithubToken,
        Self::StripeKey,
        Self::PrivateKey,
    ];
    /// Those that `pii` adds.
    pub const PERSONAL: [Self; 5] = [Self::Card, Self::Email, Self::Iban, Self::Ssn, Self::Phone];
}

/// One value and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) range: Range<usize>,
    pub(super) what: Detector,
}

/// The detectors that are on.
pub(super) struct Detectors {
    on: EnumMap<Detector, bool>,
    numbers: bool,
    /// The words with which secrets begin, if any are looked for.
    words: Option<AhoCorasick>,
}

/// A text that is shorter has no secret: the shortest are `Basic` with four letters of user and
/// password, and `whsec_` with ten more.
const SHORTEST_SECRET: usize = 16;
/// The shortest personal value: `a@b.cc`.
const SHORTEST_VALUE: usize = 6;

impl Detectors {
    pub(super) fn new(on: EnumMap<Detector, bool>) -> Self {
        use Detector::{Card, Iban, Phone, Ssn};
        Self {
            on,
            numbers: [Card, Iban, Phone, Ssn].iter().any(|what| on[*what]),
            words: secret::words(&on),
        }
    }

    /// Where in `text` there are words with which secrets begin, from the first to the end of the
    /// last; `None` when other things are looked for, too.
    pub(super) fn words(&self, text: &[u8]) -> Option<Option<Range<usize>>> {
        let words = self.words.as_ref().filter(|_| !self.numbers && !self.on[Detector::Email])?;
        let mut hits = words.find_iter(text);
        let first = hits.next();
        let end = |first: aho_corasick::Match| hits.last().map_or(first.end(), |last| last.end());
        Some(first.map(|first| first.start()..end(first)))
    }

    /// Fills `found` with what is in `text`.
    pub(super) fn scan(&self, text: &[u8], found: &mut Vec<Found>) {
        found.clear();
        if text.len() < SHORTEST_VALUE {
            return;
        }
        if text.len() >= SHORTEST_SECRET
            && let Some(words) = &self.words
        {
            secret::find(words, &self.on, text, found);
        }
        if self.on[Detector::Email] {
            email::find(text, found);
        }
        if self.numbers {
            number::find(&self.on, text, found);
        }
        if found.len() > 1 {
            join(found);
        }
    }
}

/// Brings them in order; what overlaps is one value, so that no end of the second stays, and so is
/// what adjoins, as two tokens without anything between them would be read as something else.
fn join(found: &mut Vec<Found>) {
    found.sort_by_key(|found| (found.range.start, found.range.end));
    found.dedup_by(|next, last| {
        let joins = next.range.start <= last.range.end;
        if joins {
            last.range.end = last.range.end.max(next.range.end);
        }
        joins
    });
}

/// Writes the token of `text`, which `what` recognised.
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
    }
}

/// True when a word could go on with this byte.
fn is_word(byte: Option<&u8>) -> bool {
    byte.is_some_and(u8::is_ascii_alphanumeric)
}

/// The byte before `at`.
fn before(text: &[u8], at: usize) -> Option<&u8> {
    at.checked_sub(1).and_then(|before| text.get(before))
}

/// How many bytes of `text` from `from` on are such, at most `most`.
fn run(text: &[u8], from: usize, most: usize, is_such: impl Fn(&u8) -> bool) -> usize {
    text.get(from..).unwrap_or_default().iter().take(most).take_while(|byte| is_such(byte)).count()
}

pub(super) use number::card_digits;
