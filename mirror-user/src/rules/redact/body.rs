//! Rewrites the content of a body by its media type: JSON, forms, multipart, text, and others.

use std::cell::OnceCell;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::context::Context;
use super::inside;
use super::json;
use super::multipart;
use super::names::Treatment;
use super::report::{Unredactable, Where};
use super::url::{self, PairsOf};
use crate::rules::multipart::parameter;

/// How a body is parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MediaType<'a> {
    Json,
    Form,
    /// With its boundary.
    Multipart(&'a [u8]),
    Text,
    /// Scripts and style sheets, in which `token=` is code.
    Script,
    /// A binary format, in which lengths would have to change with values.
    Binary,
    /// The same in base64 (gRPC-Web).
    BinaryText,
    /// Images, audio, video, fonts: their content is not scanned.
    Media,
    /// Any other type, or none.
    Other,
}

impl<'a> MediaType<'a> {
    /// The type of a `Content-Type` value.
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
            () if SCRIPTS.iter().any(|it| essence.ends_with(it)) => Self::Script,
            () if starts(b"application/grpc-web-text") => Self::BinaryText,
            () if BINARIES.iter().any(|it| memchr::memmem::find(&essence, it).is_some()) => {
                Self::Binary
            }
            () if starts(b"text/") || essence.ends_with(b"xml") => Self::Text,
            () if [&b"image/"[..], b"audio/", b"video/", b"font/"].iter().any(|it| starts(it)) => {
                Self::Media
            }
            () => Self::Other,
        })
    }
}

const SCRIPTS: [&[u8]; 4] = [b"javascript", b"ecmascript", b"/css", b"typescript"];

/// Binary formats with length fields, by parts of their media types.
const BINARIES: [&[u8]; 13] = [
    b"protobuf",
    b"/grpc",
    b"thrift",
    b"msgpack",
    b"cbor",
    b"bson",
    b"avro",
    b"flatbuffers",
    b"smile",
    b"hessian",
    b"java-serialized",
    b"octet-stream",
    b"amf",
];

/// Rewrites content; `None` if nothing is to be replaced. Whatever the type, lines in it that look like
/// header fields are treated as such.
///
/// # Errors
/// Why it cannot be parsed.
pub(super) fn rewrite(
    context: &mut Context<'_>,
    at: &Where<'_>,
    media_type: MediaType<'_>,
    content: &[u8],
) -> Result<Option<Vec<u8>>, Unredactable> {
    let nature = Nature::of(content);
    let rewritten = by_type(context, at, media_type, content, &nature)?;
    match inside::rewrite(context, rewritten.as_deref().unwrap_or(content)) {
        None => Ok(rewritten),
        Some(_) if is_binary(media_type, &nature) => Err(Unredactable::Binary),
        rewritten => Ok(rewritten),
    }
}

/// True for content that is never edited in place, because lengths in it may cover replaced values.
fn is_binary(media_type: MediaType<'_>, nature: &Nature<'_>) -> bool {
    match media_type {
        MediaType::Binary | MediaType::BinaryText => true,
        MediaType::Text => nature.has_controls(),
        _ => !nature.is_text(),
    }
}

fn by_type(
    context: &mut Context<'_>,
    at: &Where<'_>,
    media_type: MediaType<'_>,
    content: &[u8],
    nature: &Nature<'_>,
) -> Result<Option<Vec<u8>>, Unredactable> {
    if content.is_empty() {
        return Ok(None);
    }
    if media_type != MediaType::Media && (has_wide_mark(content) || is_wide(content)) {
        return Err(Unredactable::Charset);
    }
    // Many clients send JSON with another type, such as curl's `--data` as a form. If it fails to parse, it
    // may be plain text, which is scanned as such. But a form never looks like JSON, and content without
    // a known type may be accepted as JSON by a more lenient parser.
    if media_type != MediaType::Json && json::may_be(content) {
        match (json::rewrite(context, at, content), media_type) {
            (Ok(rewritten), _) => return Ok(rewritten),
            (Err(why), MediaType::Form) => return Err(why),
            (Err(why), MediaType::Other) if nature.is_text() => return Err(why),
            (Err(_), _) => {}
        }
    }
    let mut out = Vec::new();
    let changed = match media_type {
        MediaType::Json => return json::rewrite(context, at, content),
        MediaType::Multipart(boundary) => return multipart::rewrite(context, boundary, content),
        MediaType::Form => url::pairs(context, PairsOf::Form, content, &mut out),
        MediaType::Binary => return binary(context, content),
        MediaType::BinaryText => return binary_text(context, content),
        MediaType::Media if !nature.is_text() => false,
        MediaType::Other if !nature.is_text() => return binary(context, content),
        MediaType::Other if looks_like_form(content) => {
            url::pairs(context, PairsOf::Form, content, &mut out)
        }
        MediaType::Text if nature.has_controls() => return binary(context, content),
        MediaType::Script => context.code(at, content, &mut out),
        MediaType::Text | MediaType::Media | MediaType::Other => {
            context.text(at, content, &mut out)
        }
    };
    Ok(changed.then_some(out))
}

/// Binary content: unchanged, or withheld if something is found in it.
fn binary(context: &mut Context<'_>, content: &[u8]) -> Result<Option<Vec<u8>>, Unredactable> {
    if context.knows(content) || has_names(context, content) {
        return Err(Unredactable::Binary);
    }
    Ok(None)
}

/// Base64, possibly in several pieces, each with its padding.
fn binary_text(context: &mut Context<'_>, content: &[u8]) -> Result<Option<Vec<u8>>, Unredactable> {
    let mut decoded = Vec::new();
    let plain: Vec<u8> = content.iter().copied().filter(|it| !it.is_ascii_whitespace()).collect();
    for piece in plain.chunks(4) {
        let bytes = BASE64.decode(piece).map_err(|_| Unredactable::Binary)?;
        decoded.extend_from_slice(&bytes);
    }
    binary(context, &decoded)
}

/// True if binary content contains a listed name, as MessagePack, CBOR and BSON may.
fn has_names(context: &Context<'_>, content: &[u8]) -> bool {
    let names = &context.plan.names;
    let is_such = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
    content.split(|byte| !is_such(byte)).any(|word| {
        // The length byte before the name may look like a letter.
        let tails = [Some(word), word.get(1..)];
        (MIN_BINARY_NAME..=MAX_BINARY_NAME).contains(&word.len())
            && tails.iter().flatten().any(|name| {
                name.len() >= MIN_BINARY_NAME
                    && names.may_be_known(name)
                    && matches!(names.field(name), Treatment::Replace(_))
            })
    })
}

/// Length of a name in binary content, in bytes: random bytes contain every shorter one.
const MIN_BINARY_NAME: usize = 5;
const MAX_BINARY_NAME: usize = 64;

/// Properties of content that need a scan of all bytes, computed on first use.
struct Nature<'a> {
    content: &'a [u8],
    controls: OnceCell<bool>,
    text: OnceCell<bool>,
}

impl<'a> Nature<'a> {
    fn of(content: &'a [u8]) -> Self {
        Self { content, controls: OnceCell::new(), text: OnceCell::new() }
    }

    /// True for UTF-8 without control characters.
    fn is_text(&self) -> bool {
        let is_text = || !self.has_controls() && std::str::from_utf8(self.content).is_ok();
        *self.text.get_or_init(is_text)
    }

    /// True if there are bytes that no text has, such as lengths and tags of binary formats.
    fn has_controls(&self) -> bool {
        *self.controls.get_or_init(|| has_controls(self.content))
    }
}

/// Control characters, except whitespace (0x09 to 0x0d), ESC and the JSON text separator (RFC 7464).
fn has_controls(content: &[u8]) -> bool {
    // Whole blocks and only comparisons, so that the compiler can vectorize it.
    let is_control = |byte: u8| {
        u8::from(byte < 0x09)
            | u8::from(byte.wrapping_sub(0x0e) < 0x0d)
            | u8::from(byte.wrapping_sub(0x1c) < 0x02)
            | u8::from(byte == 0x1f)
            | u8::from(byte == 0x7f)
    };
    content
        .chunks(CONTROL_BLOCK)
        .any(|block| block.iter().fold(0, |found, byte| found | is_control(*byte)) != 0)
}

/// Block size in bytes: a few vector registers.
const CONTROL_BLOCK: usize = 256;

/// True for encodings that are supersets of ASCII.
fn has_ascii(charset: &[u8]) -> bool {
    let charset = charset.to_ascii_lowercase();
    let families: [&[u8]; 7] =
        [b"utf-8", b"utf8", b"us-ascii", b"ascii", b"iso-8859-", b"windows-125", b"latin1"];
    families.iter().any(|family| charset.starts_with(family))
}

/// The byte order mark of UTF-16 or UTF-32.
fn has_wide_mark(content: &[u8]) -> bool {
    [&b"\xff\xfe"[..], b"\xfe\xff", b"\0\0\xfe\xff"].iter().any(|mark| content.starts_with(mark))
}

/// Number of bytes that are examined to recognize UTF-16 and UTF-32 without a mark.
const WIDE_BYTES: usize = 256;

/// True for UTF-16 or UTF-32 without a mark: zeros next to every letter, in either byte order.
fn is_wide(content: &[u8]) -> bool {
    let start = content.get(..WIDE_BYTES).unwrap_or(content);
    let zeros = |step: usize, at: usize| {
        let units = start.chunks_exact(step);
        let all = units.len();
        let wide = units.filter(|unit| {
            unit.iter().enumerate().all(|(place, byte)| match place == at {
                true => byte.is_ascii_graphic() || byte.is_ascii_whitespace(),
                false => *byte == 0,
            })
        });
        all >= 2 && wide.count() * 4 >= all * 3
    };
    memchr::memchr(0, start).is_some() && (zeros(2, 0) || zeros(2, 1) || zeros(4, 0) || zeros(4, 3))
}

/// `name=value&…`, with only the characters of a form.
fn looks_like_form(content: &[u8]) -> bool {
    let is_such =
        |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%+&=;[]!$'()*,:@/?".contains(byte);
    memchr::memchr(b'=', content).is_some() && content.iter().all(is_such)
}
