//! Requests in, what they are recognized by out: the same for a recorded request and one that is asked, so that
//! two requests that mean the same are one.
//!
//! Nothing is decoded that would make two things one: `%2F` is no slash, and `b` before `a` is another list. What
//! cannot be read as what it says it is stands for itself, byte by byte.

mod body;
mod path;
mod query;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

pub use self::body::BodyKind;
pub use self::path::Template;
pub(super) use self::path::segments;
use crate::http::ReadRequest;
use crate::http::target::RequestTarget;
use crate::json_path::Paths;

/// What of a request decides which stub answers it.
#[derive(Clone, Debug, Default)]
pub struct Matching {
    /// Header fields whose values must be equal, in lower case.
    pub headers: Vec<String>,
    /// Parameters of the query that do not matter.
    pub ignored_query: Vec<Vec<u8>>,
    /// Values of JSON bodies and fields of forms that do not matter.
    pub ignored_body: Paths,
    /// Paths of one kind, such as `/orders/{id}`.
    pub templates: Vec<Template>,
}

/// A request as far as it is read here.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The method token.
    pub method: &'a [u8],
    /// The request target.
    pub target: &'a [u8],
    /// The body without chunk framing.
    pub content: &'a [u8],
}

impl<'a> Facts<'a> {
    /// Of a request to this server.
    #[must_use]
    pub fn of(request: &ReadRequest<'a>) -> Self {
        Self { method: request.method, target: request.target, content: request.content }
    }
}

/// What a request is recognized by.
#[derive(Clone, Debug)]
pub struct Canonical<'a> {
    /// As it is: methods have cases (RFC 9110 §9.1).
    pub method: &'a [u8],
    /// Whom it asks, in lower case and without the port of its scheme; `None` where it does not say.
    pub host: Option<Cow<'a, [u8]>>,
    /// True if the target itself names the host, as it does to a proxy.
    pub is_absolute: bool,
    /// With percent-encoding only where it is needed.
    pub path: Cow<'a, [u8]>,
    /// Parameters in the order of their names, those of one name in their order.
    pub query: Cow<'a, [u8]>,
    /// The fields that must be equal, one a line.
    pub headers: Cow<'a, [u8]>,
    /// What the body was read as.
    pub body_kind: BodyKind,
    /// The body: JSON with sorted members and numbers by value, or its bytes; a long one by its digest.
    pub body: Cow<'a, [u8]>,
}

impl Matching {
    /// What a request with these header fields is recognized by.
    pub fn canonical<'a, F>(&self, facts: Facts<'a>, fields: F) -> Canonical<'a>
    where
        F: Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
    {
        let target = RequestTarget::parse(facts.method, facts.target);
        let is_absolute = !target.host().is_empty();
        let named = match is_absolute {
            true => Some(target.host()),
            false => {
                fields.clone().find(|(name, _)| name.eq_ignore_ascii_case(b"host")).map(|f| f.1)
            }
        };
        let (body_kind, body) = match facts.content {
            [] => (BodyKind::Empty, Cow::Borrowed(&[][..])),
            content => body::canonical(content, fields.clone(), &self.ignored_body),
        };
        Canonical {
            method: facts.method,
            host: named.filter(|host| !host.is_empty()).map(host),
            is_absolute,
            path: path::canonical(target.path()),
            query: query::canonical(target.query(), &self.ignored_query),
            headers: self.headers(fields),
            body_kind,
            body,
        }
    }

    /// The number of the first template that a canonical path fits.
    #[must_use]
    pub fn template(&self, path: &[u8]) -> Option<u16> {
        let place = self.templates.iter().position(|template| template.fits(path))?;
        u16::try_from(place).ok()
    }

    fn headers<'a>(
        &self,
        fields: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
    ) -> Cow<'a, [u8]> {
        if self.headers.is_empty() {
            return Cow::Borrowed(&[]);
        }
        let mut lines = Vec::new();
        for wanted in &self.headers {
            let same = |(name, _): &(&[u8], &[u8])| name.eq_ignore_ascii_case(wanted.as_bytes());
            for (_, value) in fields.clone().filter(same) {
                lines.extend_from_slice(wanted.as_bytes());
                lines.extend_from_slice(b": ");
                lines.extend_from_slice(value);
                // No value has one (RFC 9110 §5.5).
                lines.push(b'\n');
            }
        }
        Cow::Owned(lines)
    }
}

/// A host in lower case, without the port of `http` or `https`.
#[must_use]
pub fn host(host: &[u8]) -> Cow<'_, [u8]> {
    let host = host.strip_suffix(b":80").or(host.strip_suffix(b":443")).unwrap_or(host);
    match host.iter().any(u8::is_ascii_uppercase) {
        false => Cow::Borrowed(host),
        true => Cow::Owned(host.to_ascii_lowercase()),
    }
}
