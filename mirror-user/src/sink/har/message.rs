//! The parts that requests and responses have in common.

use std::borrow::Cow;
use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;

use crate::http::message::{Head, Message, StartLine};
use crate::sink::decoded::{Absent, as_text, content};
use crate::sink::jsonl::text;

/// A name and a value.
#[derive(Debug, Serialize)]
pub(super) struct Pair<'m> {
    name: Cow<'m, str>,
    value: Cow<'m, str>,
}

/// The field lines in their order.
pub(super) fn fields(head: &Head) -> Vec<Pair<'_>> {
    head.fields().map(|(name, value)| Pair { name: text(name), value: text(value) }).collect()
}

/// The parameters of a query, as they stand there.
pub(super) fn parameters(query: &[u8]) -> Vec<Pair<'_>> {
    let parts = query.split(|byte| *byte == b'&').filter(|part| !part.is_empty());
    let pair = |part: &'_ [u8]| -> Pair<'_> {
        let at = part.iter().position(|byte| *byte == b'=').unwrap_or(part.len());
        let (name, value) = part.split_at(at);
        let value = value.strip_prefix(b"=").unwrap_or(value);
        Pair { name: text(name).into_owned().into(), value: text(value).into_owned().into() }
    };
    parts.map(pair).collect()
}

/// The version of a message.
pub(super) fn version(head: &Head) -> String {
    let (StartLine::Request { version, .. } | StartLine::Status { version, .. }) = &head.start;
    format!("HTTP/1.{}", version.minor())
}

/// Content with its codings undone, as far as that is possible.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Content {
    /// Bytes after decoding; on the wire, where they were not kept.
    pub(super) size: u64,
    pub(super) mime_type: String,
    /// Bytes that the coding saved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) compression: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) encoding: Option<&'static str>,
    /// Why there is no text, or none that is decoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) comment: Option<String>,
}

impl Content {
    /// The content of a message; without it if `left_out`.
    pub(super) fn of(message: &Message, left_out: bool) -> io::Result<Self> {
        let kind = message.head.field("content-type");
        let wire = message.body.length;
        // What Chrome writes for content of no type.
        let mime_type = kind.map_or_else(|| "x-unknown".to_owned(), |kind| text(kind).into_owned());
        let mut shown = Self { size: wire, mime_type, ..Self::default() };
        if left_out {
            return Ok(shown);
        }
        match content(message)? {
            Ok(decoded) => {
                shown.size = decoded.bytes.len() as u64;
                let saved = i64::try_from(shown.size).ok().zip(i64::try_from(wire).ok());
                shown.compression =
                    saved.map(|(size, wire)| size - wire).filter(|saved| *saved != 0);
                (shown.text, shown.encoding) = match as_text(&decoded.bytes, kind) {
                    Some(text) if !decoded.is_coded => (Some(text.to_owned()), None),
                    _ => (Some(BASE64.encode(&decoded.bytes)), Some("base64")),
                };
                shown.comment = decoded.is_coded.then(|| "in its Content-Encoding".to_owned());
            }
            Err(why) => shown.comment = Some(told(why)),
        }
        Ok(shown)
    }
}

/// Why there is no content.
pub(super) fn told(why: Absent) -> String {
    match why {
        Absent::TooLarge => "left out: too large".to_owned(),
        Absent::Withheld(reason) => format!("withheld by redaction: {reason}"),
        Absent::NotKept => "left out".to_owned(),
    }
}
