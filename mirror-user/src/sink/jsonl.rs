//! One exchange per line, in the format of `docs/exchange-json.md`: for people, scripts and golden
//! files. Bytes that are not UTF-8 are shown as ISO 8859-1, the historical encoding of fields (RFC
//! 9110 §5.5).

use std::borrow::Cow;
use std::io::{self, Read, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;

use crate::http::message::{Body, HeaderLine, Kept, Message, StartLine};
use crate::packet::Timestamp;
use crate::rules::Cleared;
use crate::sink::lines::Form;

/// One JSON object per line.
#[derive(Clone, Copy, Debug)]
pub struct JsonLines {
    /// Includes the bytes of bodies, as far as they were kept.
    pub bodies: bool,
}

impl Form for JsonLines {
    fn write(&mut self, cleared: &Cleared, interface: &str, out: &mut dyn Write) -> io::Result<()> {
        let exchange = cleared.exchange();
        let message = |message| MessageLine::new(message, self.bodies);
        let line = ExchangeLine {
            id: exchange.id.to_string(),
            client: exchange.peers.client.to_string(),
            server: exchange.peers.server.to_string(),
            proxied_client: exchange.proxied_client.map(|client| client.to_string()),
            interface,
            request: exchange.request.as_deref().map(message).transpose()?,
            response: exchange.response.as_deref().map(message).transpose()?,
            skipped: cleared.refusal(),
        };
        serde_json::to_writer(&mut *out, &line)?;
        out.write_all(b"\n")
    }
}

/// By minor version, which is one digit.
const VERSIONS: [&str; 10] = ["1.0", "1.1", "1.2", "1.3", "1.4", "1.5", "1.6", "1.7", "1.8", "1.9"];

#[derive(Serialize)]
struct ExchangeLine<'a> {
    id: String,
    client: String,
    server: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    proxied_client: Option<String>,
    interface: &'a str,
    request: Option<MessageLine<'a>>,
    response: Option<MessageLine<'a>>,
    skipped: Option<&'static str>,
}

#[derive(Serialize)]
struct MessageLine<'a> {
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Cow<'a, str>>,
    version: &'static str,
    headers: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    trailers: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    body_length: u64,
    body_sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_withheld: Option<&'static str>,
    complete: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    flaws: Vec<&'static str>,
}

impl<'a> MessageLine<'a> {
    fn new(message: &'a Message, bodies: bool) -> io::Result<Self> {
        let head = &message.head;
        let body = &message.body;
        let mut line = Self {
            time: rfc3339(message.started),
            method: None,
            target: None,
            host: None,
            status: None,
            reason: None,
            version: "1.1",
            headers: fields(&head.raw, &head.headers),
            trailers: fields(&body.trailer_bytes, &body.trailers),
            body_length: body.length,
            body_sha256: body.sha256.map(|digest| hex(&digest)),
            body: if bodies { content(body)? } else { None },
            body_withheld: match body.wire {
                Kept::Withheld(why) => Some(why),
                _ => None,
            },
            complete: message.incomplete.is_none(),
            why: message.incomplete.map(Into::into),
            flaws: message.flaws.iter().map(Into::into).collect(),
        };
        let version = match &head.start {
            StartLine::Request { method, target, version } => {
                line.method = Some(text(head.bytes(method)));
                line.target = Some(text(head.bytes(target)));
                line.host = head.field("host").map(text);
                *version
            }
            StartLine::Status { code, reason, version } => {
                line.status = Some(*code);
                line.reason = Some(text(head.bytes(reason)));
                *version
            }
        };
        line.version = VERSIONS.get(usize::from(version.minor())).copied().unwrap_or("1.1");
        Ok(line)
    }
}

/// The content in base64; `None` if it was not kept. Of an incomplete body, the part that can be
/// decoded.
fn content(body: &Body) -> io::Result<Option<String>> {
    let Some(mut content) = body.content() else { return Ok(None) };
    let mut bytes = Vec::new();
    match content.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {}
        Err(error) => return Err(error),
    }
    Ok(Some(BASE64.encode(bytes)))
}

fn fields<'a>(bytes: &'a [u8], lines: &[HeaderLine]) -> Vec<(Cow<'a, str>, Cow<'a, str>)> {
    let part = |range: &std::ops::Range<u32>| {
        text(bytes.get(range.start as usize..range.end as usize).unwrap_or_default())
    };
    lines.iter().map(|line| (part(&line.name), part(&line.value))).collect()
}

/// Bytes as text: UTF-8, or else ISO 8859-1.
pub(super) fn text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().map(|byte| char::from(*byte)).collect()),
    }
}

/// Bytes in hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

/// RFC 3339 in UTC with nanoseconds; the epoch for a time that jiff cannot hold.
pub(super) fn rfc3339(at: Timestamp) -> String {
    let nanos = i128::from(at.as_nanos());
    let at = jiff::Timestamp::from_nanosecond(nanos).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{at:.9}")
}
