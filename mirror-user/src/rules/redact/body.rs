//! The content of a body by its media type: JSON, forms, parts, text, and the rest.

use super::inside;
use super::json;
use super::multipart;
use super::report::{Unredactable, Where};
use super::url::{self, PairsOf};
use super::work::Work;

/// How a body is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MediaType<'a> {
    Json,
    Form,
    /// With its boundary.
    Multipart(&'a [u8]),
    Text,
    /// Pictures, sound, fonts: what is in them is not looked into.
    Media,
    /// Another one, or none.
    Other,
}

impl<'a> MediaType<'a> {
    /// Of the value of a `Content-Type`.
    pub(super) fn of(value: &'a [u8]) -> Result<Self, Unredactable> {
        if let Some(charset) = parameter(value, b"charset")
            && !has_ascii(charset)
        {
            return Err(Unredactable::Charset);
        }
        let essence = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let essence = essence.to_ascii_lowercase();
        let starts = |prefix: &[u8]| essence.starts_with(prefix);
        let is_json = essence.ends_with(b"/json")
            || essence.ends_with(b"+json")
            || essence.ends_with(b"json-seq")
            || essence.ends_with(b"/x-ndjson")
            || essence.ends_with(b"/ndjson")
            || essence.ends_with(b"/jsonlines");
        Ok(match () {
            () if is_json => Self::Json,
            () if essence == b"application/x-www-form-urlencoded" => Self::Form,
            () if starts(b"multipart/") => {
                Self::Multipart(parameter(value, b"boundary").ok_or(Unredactable::BadMultipart)?)
            }
            () if starts(b"text/") || essence.ends_with(b"xml") => Self::Text,
            () if [&b"image/"[..], b"audio/", b"video/", b"font/"].iter().any(|it| starts(it)) => {
                Self::Media
            }
            () => Self::Other,
        })
    }
}

/// Rewrites content; `None` when nothing is to be replaced. Whatever it is said to be, field lines in
/// it are looked through as in a head.
///
/// # Errors
/// Why it cannot be read.
pub(super) fn rewrite(
    work: &mut Work<'_>,
    at: &Where<'_>,
    media_type: MediaType<'_>,
    content: &[u8],
) -> Result<Option<Vec<u8>>, Unredactable> {
    let rewritten = by_type(work, at, media_type, content)?;
    match inside::rewrite(work, rewritten.as_deref().unwrap_or(content)) {
        None => Ok(rewritten),
        Some(_) if std::str::from_utf8(content).is_err() && media_type != MediaType::Text => {
            Err(Unredactable::Binary)
        }
        rewritten => Ok(rewritten),
    }
}

fn by_type(
    work: &mut Work<'_>,
    at: &Where<'_>,
    media_type: MediaType<'_>,
    content: &[u8],
) -> Result<Option<Vec<u8>>, Unredactable> {
    if content.is_empty() {
        return Ok(None);
    }
    // Many clients send JSON as something else, curl's `--data` as a form. What only looks like it
    // may be a text; but a form never does, and what has no type of its own may be read as JSON by
    // someone who is less strict.
    if media_type != MediaType::Json && json::may_be(content) {
        match (json::rewrite(work, at, content), media_type) {
            (Ok(rewritten), _) => return Ok(rewritten),
            (Err(why), MediaType::Form) => return Err(why),
            (Err(why), MediaType::Other) if std::str::from_utf8(content).is_ok() => {
                return Err(why);
            }
            (Err(_), _) => {}
        }
    }
    let mut out = Vec::new();
    let changed = match media_type {
        MediaType::Json => return json::rewrite(work, at, content),
        MediaType::Multipart(boundary) => return multipart::rewrite(work, boundary, content),
        MediaType::Form => url::pairs(work, PairsOf::Form, content, &mut out),
        MediaType::Text | MediaType::Media | MediaType::Other => {
            let is_text = std::str::from_utf8(content).is_ok();
            match media_type {
                MediaType::Text if has_utf16_mark(content) => return Err(Unredactable::Charset),
                MediaType::Other if is_text && looks_like_form(content) => {
                    url::pairs(work, PairsOf::Form, content, &mut out)
                }
                _ if is_text || media_type == MediaType::Text => work.text(at, content, &mut out),
                MediaType::Media => false,
                _ if work.text(at, content, &mut out) => return Err(Unredactable::Binary),
                _ => false,
            }
        }
    };
    Ok(changed.then_some(out))
}

/// A parameter of a header's value (RFC 9110 §5.6.6), without quotes.
pub(super) fn parameter<'a>(value: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut rest = value.get(memchr::memchr(b';', value)?..)?;
    while let Some(after) = rest.strip_prefix(b";") {
        let equals = memchr::memchr(b'=', after)?;
        let (found, value) = after.split_at_checked(equals)?;
        let value = value.get(1..)?.trim_ascii_start();
        let (value, behind) = match value.strip_prefix(b"\"") {
            Some(quoted) => quoted.split_at_checked(memchr::memchr(b'"', quoted)?)?,
            None => value.split_at_checked(memchr::memchr(b';', value).unwrap_or(value.len()))?,
        };
        if found.trim_ascii().eq_ignore_ascii_case(name) {
            return Some(value.trim_ascii());
        }
        rest = behind.get(memchr::memchr(b';', behind)?..)?;
    }
    None
}

/// Encodings in which the bytes of ASCII stand for themselves.
fn has_ascii(charset: &[u8]) -> bool {
    let charset = charset.to_ascii_lowercase();
    let families: [&[u8]; 7] =
        [b"utf-8", b"utf8", b"us-ascii", b"ascii", b"iso-8859-", b"windows-125", b"latin1"];
    families.iter().any(|family| charset.starts_with(family))
}

fn has_utf16_mark(content: &[u8]) -> bool {
    content.starts_with(b"\xff\xfe") || content.starts_with(b"\xfe\xff")
}

/// `name=value&…` in the characters that a form has.
fn looks_like_form(content: &[u8]) -> bool {
    let is_such =
        |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%+&=;[]!$'()*,:@/?".contains(byte);
    memchr::memchr(b'=', content).is_some() && content.iter().all(is_such)
}
