//! The mark of a shadow in its body, on top of the headers, for services that read their flags there.
//!
//! In comes a request; out goes its body with the members, fields or parts that a target's [`BodyMarks`] ask for, created or
//! replaced, with its framing and content codings as they were. All other bytes stay. A request without a body stays
//! as it is, as there is nothing to read in it. A body that cannot take the mark is refused: without it, the target would
//! take the shadow for a customer's request.

mod form;
mod json;
mod multipart;

use std::borrow::Cow;

use bytes::Bytes;

pub use self::json::{JsonMark, MAX_DEPTH};
use super::framing::{self, MAX_BODY_BYTES};
use crate::http::coding;
use crate::http::message::{Head, Message};

/// What is put into bodies, by their type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BodyMarks {
    /// Into `application/json` and types that end in `+json`.
    pub json: Vec<JsonMark>,
    /// Into `application/x-www-form-urlencoded`: names and values as they are before they are encoded.
    pub form: Vec<(String, String)>,
    /// Into `multipart/form-data`: names and values of parts.
    pub multipart: Vec<(String, String)>,
}

/// A body that cannot take the mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unmarkable;

/// A body with the mark.
pub(super) struct Marked {
    /// As it is sent, with its framing.
    pub(super) wire: Bytes,
    /// Its `Content-Length`, in bytes.
    pub(super) length: u64,
}

impl BodyMarks {
    /// True if bodies stay as they are.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.json.is_empty() && self.form.is_empty() && self.multipart.is_empty()
    }

    /// The body with the marks; `None` if the request has none.
    pub(super) fn apply(&self, request: &Message) -> Result<Option<Marked>, Unmarkable> {
        let Message { head, body, .. } = request;
        if self.is_empty() {
            return Ok(None);
        }
        let Some(unframed) = framing::unframe(body).map_err(|_| Unmarkable)? else {
            return Ok(None);
        };
        if unframed.content.is_empty() {
            return Ok(None);
        }
        let codings = coding::codings(head.values("content-encoding")).map_err(|_| Unmarkable)?;
        let content = coding::undo(&codings, unframed.content, MAX_BODY_BYTES);
        let mut content = self.edit(head, &content.map_err(|_| Unmarkable)?)?;
        for coding in &codings {
            content = coding::encode(*coding, &content);
        }
        let length = content.len() as u64;
        let wire = framing::frame(body.framing, content, &body.trailer_bytes).into();
        Ok(Some(Marked { wire, length }))
    }

    fn edit(&self, head: &Head, content: &[u8]) -> Result<Vec<u8>, Unmarkable> {
        let mut types = head.values("content-type");
        let (Some(value), None) = (types.next(), types.next()) else { return Err(Unmarkable) };
        let essence = value.split(|byte| *byte == b';').next().unwrap_or_default();
        let essence = essence.trim_ascii().to_ascii_lowercase();
        match essence.as_slice() {
            b"application/json" => json::mark(&self.json, content),
            b"application/x-www-form-urlencoded" => form::mark(&self.form, content),
            b"multipart/form-data" => multipart::mark(&self.multipart, value, content),
            other if other.ends_with(b"+json") => json::mark(&self.json, content),
            _ => Err(Unmarkable),
        }
    }
}

/// Pieces of a text that are replaced, in order.
struct Splices<'a> {
    text: &'a [u8],
    copied: usize,
    out: Vec<u8>,
}

impl<'a> Splices<'a> {
    fn new(text: &'a [u8]) -> Self {
        Self { text, copied: 0, out: Vec::with_capacity(text.len() + 64) }
    }

    /// Puts `with` in the place of a range, which starts where the last one ended or behind it.
    fn replace(&mut self, range: std::ops::Range<usize>, with: impl Into<Cow<'a, [u8]>>) {
        self.out.extend_from_slice(self.text.get(self.copied..range.start).unwrap_or_default());
        self.out.extend_from_slice(&with.into());
        self.copied = range.end;
    }

    fn finish(mut self) -> Vec<u8> {
        self.out.extend_from_slice(self.text.get(self.copied..).unwrap_or_default());
        self.out
    }
}
