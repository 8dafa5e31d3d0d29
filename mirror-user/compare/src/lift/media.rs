//! What a `Content-Type` (RFC 9110 §8.3) says about a body.

use std::borrow::Cow;

use super::Format;

/// A media type, as far as it decides how a body is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// How to read it.
    pub format: Format,
    /// True if there is no content type, and the body was looked at.
    pub guessed: bool,
    latin1: bool,
}

impl Media {
    /// Of a content type, or of what the content looks like without one.
    #[must_use]
    pub fn new(value: Option<&[u8]>, content: &[u8]) -> Self {
        let value = value.map(|value| value.to_ascii_lowercase()).unwrap_or_default();
        let value = String::from_utf8_lossy(&value);
        let (kind, parameters) = value.split_once(';').unwrap_or((&value, ""));
        let charset = parameters.split(';').find_map(|one| one.trim().strip_prefix("charset="));
        let charset = charset.unwrap_or_default().trim_matches('"');
        let latin1 = matches!(charset, "iso-8859-1" | "latin1" | "windows-1252" | "us-ascii");
        let (format, guessed) = match of(kind.trim()) {
            Some(format) => (format, false),
            None => (guess(content), true),
        };
        Self { format, guessed, latin1 }
    }

    /// The text in its character set; `None` if it is in another one.
    pub(super) fn text<'b>(&self, bytes: &'b [u8]) -> Option<Cow<'b, str>> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Some(text.into()),
            Err(_) if self.latin1 => Some(bytes.iter().map(|byte| char::from(*byte)).collect()),
            Err(_) => None,
        }
    }
}

fn of(kind: &str) -> Option<Format> {
    Some(match kind {
        "" => return None,
        "application/x-ndjson"
        | "application/ndjson"
        | "application/jsonl"
        | "application/x-jsonlines"
        | "application/json-seq" => Format::JsonLines,
        "text/event-stream" => Format::Events,
        "text/html" => Format::Html,
        "application/x-www-form-urlencoded" => Format::Form,
        "application/json" | "text/json" => Format::Json,
        "application/xml" | "text/xml" => Format::Xml,
        _ if kind.ends_with("+json") => Format::Json,
        _ if kind.ends_with("+xml") => Format::Xml,
        _ if kind.starts_with("text/") => Format::Text,
        "application/javascript"
        | "application/yaml"
        | "application/x-yaml"
        | "application/graphql"
        | "application/toml"
        | "application/csv" => Format::Text,
        _ => Format::Binary,
    })
}

fn guess(content: &[u8]) -> Format {
    match content.trim_ascii_start().first() {
        Some(b'{' | b'[') => Format::Json,
        _ if std::str::from_utf8(content).is_ok() => Format::Text,
        _ => Format::Binary,
    }
}
