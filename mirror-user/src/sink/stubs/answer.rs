//! What a stub answers: a response without what belongs to one connection or one moment.

use std::io;
use std::time::Duration;

use super::NotExported;
use crate::http::message::Message;
use crate::sink::decoded::{as_text, content};
use crate::sink::jsonl::text;

/// Fields of one connection (RFC 9110 §7.6.1) or of one framing, which the server of the stubs sets itself, and the time.
const LEFT_OUT: [&str; 10] = [
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A response.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Names as sent and values, in their order; fields of one name stay apart.
    pub headers: Vec<(String, String)>,
    /// The content, decoded unless `headers` have a `Content-Encoding`.
    pub body: Vec<u8>,
    /// From the end of the request to the beginning of the response.
    pub latency: Duration,
}

impl Answer {
    /// What `response` answered to `request`.
    ///
    /// # Errors
    /// If a spooled body cannot be read.
    pub(super) fn of(
        request: &Message,
        response: &Message,
    ) -> io::Result<Result<Self, NotExported>> {
        let head = &response.head;
        let Some(status) = head.status() else { return Ok(Err(NotExported::ResponseIncomplete)) };
        let decoded = match content(response)? {
            Ok(decoded) => decoded,
            Err(_) => return Ok(Err(NotExported::BodyNotKept)),
        };
        let named: Vec<String> = head
            .values("connection")
            .flat_map(|value| value.split(|byte| *byte == b','))
            .map(|name| text(name.trim_ascii()).to_ascii_lowercase())
            .collect();
        let stays = |name: &str| {
            let name = name.to_ascii_lowercase();
            let is_undone = !decoded.is_coded && name == "content-encoding";
            !(is_undone || LEFT_OUT.contains(&name.as_str()) || named.contains(&name))
        };
        let fields = head.fields().map(|(name, value)| (text(name), text(value)));
        let fields = fields.filter(|(name, _)| stays(name));
        Ok(Ok(Self {
            status,
            headers: fields.map(|(name, value)| (name.into_owned(), value.into_owned())).collect(),
            body: decoded.bytes,
            latency: response.started.since(request.finished),
        }))
    }

    /// True if a client would take one for the other.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        (self.status, &self.headers, &self.body) == (other.status, &other.headers, &other.body)
    }

    /// The value of a field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body, if it is a text.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self.field("content-encoding") {
            None => as_text(&self.body, self.field("content-type").map(str::as_bytes)),
            Some(_) => None,
        }
    }

    /// The values of each field under the name that it has first.
    #[must_use]
    pub fn grouped(&self) -> Vec<(&str, Vec<&str>)> {
        let mut grouped: Vec<(&str, Vec<&str>)> = Vec::new();
        for (name, value) in &self.headers {
            match grouped.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
                Some((_, values)) => values.push(value),
                None => grouped.push((name, vec![value])),
            }
        }
        grouped
    }

    /// What it takes in memory, about.
    pub(super) fn memory(&self) -> usize {
        let fields: usize =
            self.headers.iter().map(|(name, value)| name.len() + value.len() + 64).sum();
        fields + self.body.len() + 128
    }
}
