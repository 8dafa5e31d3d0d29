//! Removes secrets and personal data from exchanges.
//!
//! Values of listed names (headers, query parameters, form fields, JSON members, cookies) and values that
//! a detector recognizes by pattern are replaced by keyed tokens, which keep a form that validators
//! accept. Everything else stays byte for byte; a changed body keeps its framing and content coding.
//!
//! Never guesses: a body that cannot be parsed is withheld ([`Kept::Withheld`]), with a reason
//! ([`Unredactable`]) and a counter; its exchange still appears in reports, but is not replayed. The only
//! state is the counts. Reads no clock and never blocks.

mod assign;
mod body;
mod context;
mod cookie;
mod detect;
mod head;
mod inside;
mod json;
mod multipart;
mod named;
mod names;
mod options;
mod replacer;
mod report;
mod segments;
#[cfg(test)]
mod tests;
mod tokens;
mod url;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use self::body::MediaType;
use self::context::{Context, Plan};
use self::detect::Detectors;
pub use self::detect::{Custom, Detector};
use self::head::NewBody;
pub use self::json::MAX_JSON_DEPTH;
pub use self::options::{
    BadOption, Preset, RedactOptions, check_cookie, check_header, check_name, check_path,
    check_segments,
};
pub use self::report::{Finding, MAX_PLACES, Unredactable};
use self::report::{Report, Where};
use self::tokens::Tokens;
pub use self::tokens::{Key, MIN_KEY_BYTES, ShortKey};
use super::framing;
pub use super::framing::MAX_BODY_BYTES;
use crate::http::coding;
use crate::http::message::{Body, Exchange, Flaw, Kept, Message};
use crate::stats::{Note, Topic};
use crate::tcp::event::Side;

/// True for a token that stands in the place of a text, in whole. Numbers, cards and telephone numbers have tokens that only
/// their detectors know.
#[must_use]
pub fn is_token(value: &[u8]) -> bool {
    tokens::is_token(value)
}

/// Redacts exchanges.
pub struct Redactor {
    plan: Plan,
    key: Key,
    // Behind a lock, so that `Rules` can be shared. Only one thread clears, so it is never contended.
    report: Mutex<Report>,
}

impl Redactor {
    /// Compiles the options; `None` if nothing is to be redacted.
    ///
    /// # Errors
    /// If an option is invalid, or the system has no random numbers for a key.
    pub fn new(options: RedactOptions) -> anyhow::Result<Option<Self>> {
        if options.is_off() {
            return Ok(None);
        }
        let key = match options.key.clone() {
            Some(key) => key,
            None => Key::random()?,
        };
        let plan = Plan {
            names: options.names()?,
            paths: options.paths()?,
            segments: options.segments()?,
            detectors: Detectors::new(options.detectors_on(), options.custom.clone()),
            tokens: Tokens::new(&key),
        };
        let report = Report { discover: options.discover, ..Report::default() };
        Ok(Some(Self { plan, key, report: Mutex::new(report) }))
    }

    /// Compiles new options for a running mirror: without a key of their own, they keep this redactor's
    /// key, so tokens stay the same.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn successor(&self, options: RedactOptions) -> anyhow::Result<Option<Self>> {
        let key = options.key.clone().or_else(|| Some(self.key.clone()));
        Self::new(RedactOptions { key, ..options })
    }

    /// Continues the counts of `former`.
    pub(super) fn continue_counts_of(&self, former: &Self) {
        let counted = std::mem::take(&mut *former.report());
        let mut report = self.report();
        *report = Report { discover: report.discover, ..counted };
    }

    /// Redacts an exchange; `known` is its redacted request, if it was redacted before.
    #[must_use]
    pub fn redact(&self, mut exchange: Exchange, known: Option<Arc<Message>>) -> Exchange {
        let mut report = self.report();
        if let Some(request) = exchange.request.take() {
            let redact = || self.message(&mut report, Side::Client, &request);
            exchange.request = Some(known.unwrap_or_else(redact));
        }
        if let Some(response) = &mut exchange.response {
            *response = self.message(&mut report, Side::Server, response);
        }
        exchange
    }

    /// The findings so far, if [`RedactOptions::discover`] is set.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        self.report().findings()
    }

    /// Counts of replaced values and withheld bodies so far.
    #[must_use]
    pub fn notes(&self) -> Vec<Note> {
        let report = self.report();
        let replaced = report
            .found
            .non_zero()
            .chain([("by_name", report.named), ("places_not_told", report.elsewhere)]);
        let (values, bodies) = match report.discover {
            true => (Topic::ValuesFound, Topic::BodiesNotRead),
            false => (Topic::ValuesRedacted, Topic::BodiesWithheld),
        };
        [Note::new(values, replaced), Note::new(bodies, report.withheld.non_zero())]
            .into_iter()
            .flatten()
            .collect()
    }

    /// Warnings for the operator at the end.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let report = self.report();
        let replaced = report.found.total() + report.named;
        let warn = self.key.is_random() && replaced > 0 && !report.discover;
        warn.then(|| {
            format!(
                "{replaced} values were replaced by tokens with a random key for this run; use \
                 --redact-key-file to get the same tokens in several runs"
            )
        })
        .into_iter()
        .collect()
    }

    fn report(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn message(&self, report: &mut Report, side: Side, message: &Arc<Message>) -> Arc<Message> {
        let mut context = Context::new(&self.plan, report, side);
        let content = match self.content(&mut context, message) {
            Ok(content) => content,
            Err(why) => {
                context.report.withheld.count(why);
                Content::Withheld(why)
            }
        };
        context.prescan(&message.head);
        let trailers =
            head::trailers(&mut context, &message.body.trailer_bytes, &message.body.trailers);
        let new_body = match &content {
            Content::Replaced(bytes) => Some(NewBody { length: bytes.len() as u64 }),
            _ => None,
        };
        let head = head::rewrite(&mut context, &message.head, !message.flaws.is_empty(), new_body);
        let same_body = matches!(content, Content::Same { extended: false }) && trailers.is_none();
        if head.is_none() && same_body {
            return Arc::clone(message);
        }
        let (trailer_bytes, trailers) = trailers
            .unwrap_or_else(|| (message.body.trailer_bytes.clone(), message.body.trailers.clone()));
        let keyed = match &content {
            Content::Withheld(_) | Content::Undigested => self.keyed(&message.body),
            Content::Same { .. } | Content::Replaced(_) => message.body.keyed,
        };
        let body = reframe(&message.body, content, same_body, trailer_bytes);
        Arc::new(Message {
            head: head.unwrap_or_else(|| message.head.clone()),
            body: Body { trailers, keyed, ..body },
            flaws: message.flaws,
            ..**message
        })
    }

    /// What stands for the content of a body that may not be told, so that equal ones can be told from others.
    fn keyed(&self, body: &Body) -> Option<[u8; 32]> {
        let is_short = body.length <= MAX_BODY_BYTES as u64;
        let digest = || is_short.then(|| body.digest()).flatten();
        body.sha256.or_else(digest).map(|sha256| self.plan.tokens.of_digest(&sha256))
    }

    /// Decides how a body is changed.
    fn content(
        &self,
        context: &mut Context<'_>,
        message: &Message,
    ) -> Result<Content, Unredactable> {
        let Message { head, body, .. } = message;
        if matches!(body.wire, Kept::Nothing | Kept::TooLarge | Kept::Withheld(_)) {
            // A digest could be reversed by trying values.
            return Ok(match body.length {
                0 => Content::Same { extended: false },
                _ if body.sha256.is_some() => Content::Undigested,
                _ => Content::Same { extended: false },
            });
        }
        if message.incomplete.is_some() {
            return Err(Unredactable::Incomplete);
        }
        let Some(unframed) = framing::unframe(body)? else {
            return Ok(Content::Same { extended: false });
        };
        let extended = unframed.extended;
        let mut transfer = head
            .values("transfer-encoding")
            .flat_map(|value| value.split(|byte| *byte == b','))
            .map(<[u8]>::trim_ascii);
        if transfer.any(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"chunked")) {
            return Err(Unredactable::TransferCoding);
        }
        let codings = coding::codings(head.values("content-encoding"))?;
        if unframed.content.is_empty() {
            return Ok(Content::Same { extended });
        }
        let content = coding::undo(&codings, unframed.content, MAX_BODY_BYTES)?;
        let media_type = match head.field("content-type") {
            Some(value) => MediaType::of(value)?,
            None => MediaType::Other,
        };
        let Some(mut rewritten) = body::rewrite(context, &Where::Body, media_type, &content)?
        else {
            return Ok(Content::Same { extended });
        };
        if message.flaws.iter().any(is_double_framing) {
            return Err(Unredactable::Ambiguous);
        }
        for coding in &codings {
            rewritten = coding::encode(*coding, &rewritten);
        }
        Ok(Content::Replaced(rewritten))
    }
}

/// How a body is changed.
enum Content {
    /// Unchanged; `extended`: except for chunk extensions, which are removed because their meaning is unknown.
    Same {
        extended: bool,
    },
    /// It was not kept; its digest is removed.
    Undigested,
    Replaced(Vec<u8>),
    Withheld(Unredactable),
}

/// Builds the new body; the caller sets its trailer fields.
fn reframe(body: &Body, content: Content, same: bool, trailer_bytes: Bytes) -> Body {
    let unframed = |body| match framing::unframe(body) {
        Ok(Some(unframed)) => unframed.content.into_owned(),
        _ => Vec::new(),
    };
    let (bytes, is_new) = match content {
        Content::Withheld(why) => {
            let wire = Kept::Withheld(why.into());
            return Body {
                wire,
                sha256: None,
                trailer_bytes,
                trailers: Vec::new(),
                ..body.clone()
            };
        }
        Content::Undigested => {
            return Body { sha256: None, trailer_bytes, trailers: Vec::new(), ..body.clone() };
        }
        Content::Same { .. } if same || matches!(body.wire, Kept::Nothing | Kept::TooLarge) => {
            return Body { trailer_bytes, trailers: Vec::new(), ..body.clone() };
        }
        Content::Same { .. } => (unframed(body), false),
        Content::Replaced(bytes) => (bytes, true),
    };
    let sha256 = match body.sha256 {
        Some(_) if is_new => Some(Sha256::digest(&bytes).into()),
        sha256 => sha256,
    };
    let length = bytes.len() as u64;
    let wire = Kept::Memory(framing::frame(body.framing, bytes, &trailer_bytes).into());
    let (framing, keyed, trailers) = (body.framing, None, Vec::new());
    Body { framing, length, sha256, keyed, wire, trailer_bytes, trailers }
}

/// Flaws with which a new length would still be ambiguous.
fn is_double_framing(flaw: Flaw) -> bool {
    matches!(
        flaw,
        Flaw::ConflictingLengths
            | Flaw::BadLength
            | Flaw::LengthAndTransferEncoding
            | Flaw::TransferEncodingInHttp10
            | Flaw::BadTransferEncoding
            | Flaw::HiddenFraming
    )
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}
