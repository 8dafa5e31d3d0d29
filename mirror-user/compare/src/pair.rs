//! Two answers to one request in, their differences out: status, fields, body.

use std::cell::OnceCell;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use crate::diff::{Differ, Found, How};
use crate::difference::Class;
use crate::headers::{self, Field};
use crate::lift::{Content, Format, Lifted, lift, values};
use crate::limits::Limits;
use crate::rules::{Active, Correlations};

/// A response, as far as it is compared.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Response<'a> {
    /// The status code.
    pub status: u16,
    /// The header fields, in their order.
    #[serde(borrow)]
    pub fields: Vec<Field<'a>>,
    /// The trailer fields.
    #[serde(borrow)]
    pub trailers: Vec<Field<'a>>,
    /// The body.
    #[serde(borrow)]
    pub content: Content<'a>,
    /// When it was made, in nanoseconds since 1970.
    pub at: Option<i64>,
    /// From the request's first byte to its own last one, in microseconds.
    pub latency_us: Option<u64>,
}

impl Response<'_> {
    /// The same, without its own bytes.
    #[must_use]
    pub fn borrowed(&self) -> Response<'_> {
        Response {
            fields: self.fields.clone(),
            trailers: self.trailers.clone(),
            content: self.content.borrowed(),
            ..*self
        }
    }
}

/// What came of a request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Answer<'a> {
    /// A response.
    Response(#[serde(borrow)] Response<'a>),
    /// None.
    Failed(Failure),
}

impl Answer<'_> {
    /// The same, without its own bytes.
    #[must_use]
    pub fn borrowed(&self) -> Answer<'_> {
        match self {
            Self::Response(response) => Answer::Response(response.borrowed()),
            Self::Failed(failure) => Answer::Failed(*failure),
        }
    }
}

/// Why there is no response.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr, Serialize, Deserialize,
)]
#[strum(serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// It took too long.
    Timeout,
    /// The connection was refused, or the name was not found.
    NotConnected,
    /// The connection was reset before the response was whole.
    Reset,
    /// It was closed before.
    Closed,
    /// What came is no HTTP.
    NotHttp,
}

/// The request that both were asked.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a str,
    /// The request target.
    pub target: &'a str,
    /// The header fields.
    pub fields: &'a [Field<'a>],
    /// The body, without chunk framing.
    pub body: &'a [u8],
}

impl Request<'_> {
    /// True if it changes nothing (RFC 9110 §9.2.1).
    #[must_use]
    pub fn is_safe(&self) -> bool {
        matches!(self.method, "GET" | "HEAD" | "OPTIONS")
    }
}

/// A response, whose body is read once that is needed.
pub(crate) struct Read<'a> {
    pub(crate) response: &'a Response<'a>,
    limits: &'a Limits,
    lifted: OnceCell<Arc<Lifted>>,
}

impl<'a> Read<'a> {
    pub(crate) fn new(response: &'a Response<'a>, limits: &'a Limits) -> Self {
        Self { response, limits, lifted: OnceCell::new() }
    }

    /// One whose body may have been read before.
    pub(crate) fn again(self, lifted: Option<Arc<Lifted>>) -> Self {
        Self { lifted: lifted.map(OnceCell::from).unwrap_or_default(), ..self }
    }

    /// The body, if it was read.
    pub(crate) fn known(&self) -> Option<&Arc<Lifted>> {
        self.lifted.get()
    }

    fn lifted(&self) -> &Lifted {
        let Response { fields, content, .. } = self.response;
        self.lifted.get_or_init(|| Arc::new(lift(fields, content, self.limits)))
    }

    /// True if both have the same bytes and say the same of them: then nothing in them differs.
    fn has_same_body(&self, other: &Self) -> bool {
        let (a, b) = (self.response, other.response);
        let says_same = |name| values(&a.fields, name).eq(values(&b.fields, name));
        a.content == b.content && says_same("content-type") && says_same("content-encoding")
    }
}

/// Compares two answers; the moments of `how` are set here.
pub(crate) fn compare(
    how: How<'_>,
    rules: Active<'_>,
    ids: &mut Correlations,
    method: &str,
    left: &Read<'_>,
    right: Result<&Read<'_>, Failure>,
) -> Found {
    let moments = [left.response.at, right.as_ref().ok().and_then(|right| right.response.at)];
    let mode = how.defaults.compare_headers;
    let mut differ = Differ::new(How { moments, ..how }, rules, ids);
    let right = match right {
        Ok(right) => right,
        Err(failure) => {
            let name: &'static str = failure.into();
            differ.note(
                &format!("failure.{name}"),
                Class::Failure,
                &left.response.status.to_string(),
                name,
            );
            return differ.found;
        }
    };
    let (a, b) = (left.response, right.response);
    differ.outside("status", Some(&a.status.to_string()), Some(&b.status.to_string()));
    // What a page of an error does not have is no finding of its own.
    if differ.found.differences.iter().any(|one| one.counts()) {
        return differ.found;
    }
    if !left.has_same_body(right) {
        bodies(&mut differ, left.lifted(), right.lifted());
    }
    let same_body = differ.found.differences.iter().all(|one| !one.path.starts_with("body"));
    let head_only = method == "HEAD" || a.status == 304;
    let context = headers::Context { mode, same_body, head_only };
    headers::compare(&mut differ, "header", context, &a.fields, &b.fields);
    headers::compare(&mut differ, "trailer", context, &a.trailers, &b.trailers);
    differ.found
}

fn bodies(differ: &mut Differ<'_>, left: &Lifted, right: &Lifted) {
    let name = |lifted: &Lifted| match lifted.flaw {
        Some(why) => <&str>::from(why),
        None => <&str>::from(lifted.format),
    };
    match (left.flaw, right.flaw) {
        (a, b) if a != b => differ.note("body", Class::Unreadable, name(left), name(right)),
        _ => match (left.format, right.format) {
            (a, b) if a == b => differ.bodies(&left.tree, &right.tree),
            (_, Format::Empty) => differ.outside("body", Some(name(left)), None),
            (Format::Empty, _) => differ.outside("body", None, Some(name(right))),
            _ => differ.note("body", Class::Format, name(left), name(right)),
        },
    }
}
