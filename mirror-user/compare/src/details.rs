//! The messages of a pair as text, for people who look at one: what a sample shows beside its differences.
//!
//! Made only where somebody may look ([`Options::details`](crate::comparison::Options::details)), of pairs that are kept
//! as samples or are among the last ones.

use serde::Serialize;
use strum::IntoStaticStr;

use crate::comparison::Pair;
use crate::headers::Field;
use crate::lift::{self, Content, Format};
use crate::limits::{Limits, cut};
use crate::pair::{Answer, Failure, Response};

/// Bytes of a body that are kept; what is behind them is not shown.
pub const MAX_BODY: usize = 16 * 1024;
/// Bytes of a field's value that are kept.
const MAX_VALUE: usize = 1_024;
/// Fields of a message that are kept.
const MAX_FIELDS: usize = 100;

/// The messages of a pair.
#[derive(Clone, Debug, Serialize)]
pub struct Details {
    /// The request.
    pub request: MessageText,
    /// Production's response.
    pub production: MessageText,
    /// What the candidate did.
    pub candidate: AnswerText,
    /// What the control did.
    pub control: Option<AnswerText>,
}

/// A response, or why there is none.
#[derive(Clone, Debug, Serialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
pub enum AnswerText {
    /// A response.
    Response(MessageText),
    /// None.
    Failed(Failure),
}

/// A message.
#[derive(Clone, Debug, Default, Serialize)]
pub struct MessageText {
    /// Method and target, or status.
    pub start: String,
    /// The header fields, then the trailer fields.
    pub fields: Vec<(String, String)>,
    /// What the body was read as.
    pub format: &'static str,
    /// The body without its codings; empty if it is no text.
    pub body: String,
    /// True if something is missing here that the message has.
    pub cut: bool,
}

impl Details {
    /// Those of a pair.
    #[must_use]
    pub fn new(pair: &Pair<'_>, limits: &Limits) -> Self {
        let request = &pair.request;
        let start = format!("{} {}", request.method, request.target);
        let content = Content::Bytes(request.body.into());
        Self {
            request: MessageText::new(start, request.fields, &content, limits),
            production: MessageText::response(&pair.production, limits),
            candidate: AnswerText::new(&pair.candidate, limits),
            control: pair.control.as_ref().map(|answer| AnswerText::new(answer, limits)),
        }
    }

    /// Bytes that it takes, about.
    #[must_use]
    pub fn size(&self) -> usize {
        let answer = |answer: &AnswerText| match answer {
            AnswerText::Response(message) => message.size(),
            AnswerText::Failed(_) => 0,
        };
        let control = self.control.as_ref().map_or(0, answer);
        self.request.size() + self.production.size() + answer(&self.candidate) + control
    }
}

impl AnswerText {
    fn new(answer: &Answer<'_>, limits: &Limits) -> Self {
        match answer {
            Answer::Response(response) => Self::Response(MessageText::response(response, limits)),
            Answer::Failed(failure) => Self::Failed(*failure),
        }
    }
}

impl MessageText {
    fn response(response: &Response<'_>, limits: &Limits) -> Self {
        let fields: Vec<Field<'_>> =
            response.fields.iter().chain(&response.trailers).copied().collect();
        Self::new(response.status.to_string(), &fields, &response.content, limits)
    }

    fn new(start: String, fields: &[Field<'_>], content: &Content<'_>, limits: &Limits) -> Self {
        let (start, whole_start) = cut(&start, MAX_VALUE);
        let mut is_cut = !whole_start || fields.len() > MAX_FIELDS;
        let mut value = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            let (text, whole) = cut(&text, MAX_VALUE);
            is_cut |= !whole;
            text.to_owned()
        };
        let shown = fields.iter().take(MAX_FIELDS);
        let shown = shown.map(|(name, of)| (value(name), value(of))).collect();
        let (format, text) = lift::text(fields, content, limits);
        let (body, whole) = text.as_deref().map_or(("", false), |text| cut(text, MAX_BODY));
        is_cut |= !whole && format != Format::Empty;
        Self {
            start: start.to_owned(),
            fields: shown,
            format: format.into(),
            body: body.to_owned(),
            cut: is_cut,
        }
    }

    fn size(&self) -> usize {
        let fields = self.fields.iter().map(|(name, value)| name.len() + value.len() + 48);
        self.start.len() + fields.sum::<usize>() + self.body.len()
    }
}
