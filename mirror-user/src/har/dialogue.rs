//! What was said on a connection, as HTTP/1 has it: the bytes that the `http` stage reads, and when they came.

use std::net::SocketAddr;
use std::time::Duration;

use super::NotRead;
use super::content::{self, Held};
use super::entry::{Entry, Field, Request, Response, Timings};
use super::fields::{self, Becomes, lists};
use super::place::Place;
use crate::packet::Timestamp;
use crate::syntax::is_token;

/// The longest body that is told to be missing, in bytes: 1 TiB is beyond what anybody sends, and a sum of them is a number
/// still.
const MAX_MISSING: u64 = 1 << 40;

/// Statuses that have no content (RFC 9110 §6.4.1).
const WITHOUT_CONTENT: [u16; 2] = [204, 304];

/// A request and its response.
#[derive(Debug)]
pub struct Dialogue {
    /// Who talked.
    pub ends: Ends,
    /// What the file calls the connection; `None` where it does not say.
    pub connection: Option<String>,
    /// The request.
    pub request: Part,
    /// The response; `None` where there was none.
    pub response: Option<Part>,
    /// True if the connection ends with it.
    pub closes: bool,
    /// True if the connection was reset.
    pub reset: bool,
}

/// The two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ends {
    /// The client; `0.0.0.0` or `[::]` with any port where the file does not name it.
    pub client: SocketAddr,
    /// The server; `0.0.0.0` or `[::]` where neither the file nor the URL has its address.
    pub server: SocketAddr,
}

/// What one side said.
#[derive(Debug, PartialEq, Eq)]
pub struct Part {
    /// When its first byte came.
    pub started: Timestamp,
    /// When its last byte came.
    pub finished: Timestamp,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// How many more bytes it had, which the file does not hold.
    pub missing: Option<u64>,
}

/// When an entry began.
///
/// # Errors
/// If the text is no time with a zone, or one before 1970.
pub(super) fn time(started: Option<&str>) -> Result<Timestamp, NotRead> {
    let time = started.and_then(|text| text.trim().parse::<jiff::Timestamp>().ok());
    let nanos = time.and_then(|time| u64::try_from(time.as_nanosecond()).ok());
    nanos.map(Timestamp::from_nanos).ok_or(NotRead::BadTime)
}

impl Dialogue {
    /// What was said in `entry`, which is the `serial`-th of its file.
    ///
    /// # Errors
    /// Why it is no exchange of HTTP.
    pub fn of(entry: &Entry, serial: u64) -> Result<Self, NotRead> {
        if entry.request.method.is_empty() || entry.request.url.is_empty() {
            return Err(NotRead::Malformed);
        }
        let place = Place::of(&entry.request.url)?;
        if entry.is_of_browser() {
            return Err(NotRead::FromCache);
        }
        let times = Times::of(entry)?;
        let (client, server) = place.ends(entry, serial);
        let is_head = entry.request.method == "HEAD";
        let response = response(&entry.response, is_head)?;
        let incomplete =
            [&entry.request.incomplete, &entry.response.incomplete].map(Option::as_deref);
        let is_old = |version: &str| version.eq_ignore_ascii_case("HTTP/1.0");
        let says_close = |fields: &[Field]| lists(fields, "connection", "close");
        Ok(Self {
            ends: Ends { client, server },
            connection: match &entry.connection {
                serde_json::Value::String(name) if !name.is_empty() => Some(name.clone()),
                serde_json::Value::Number(number) => Some(number.to_string()),
                _ => None,
            },
            reset: incomplete.contains(&Some("reset")),
            closes: response.is_none()
                || incomplete.iter().any(Option::is_some)
                || is_tunnel(entry)
                || is_old(&entry.request.http_version)
                || is_old(&entry.response.http_version)
                || says_close(&entry.request.headers)
                || says_close(&entry.response.headers),
            request: request(&entry.request, &place)?.between(times.asked, times.sent),
            response: response.map(|said| said.between(times.answered, times.ended)),
        })
    }
}

/// The moments of an entry.
struct Times {
    asked: Timestamp,
    sent: Timestamp,
    answered: Timestamp,
    ended: Timestamp,
}

impl Times {
    fn of(entry: &Entry) -> Result<Self, NotRead> {
        let Timings { blocked, dns, connect, send, wait, receive } = entry.timings;
        let after = |from: Timestamp, spans: &[Option<f64>]| {
            let spans = spans.iter().flatten().filter(|span| **span > 0.0);
            from.later(span(spans.sum()))
        };
        // What went before the request was sent is no time of the server.
        let asked = after(time(Some(&entry.started_date_time))?, &[blocked, dns, connect]);
        let sent = after(asked, &[send]);
        let wait = wait.filter(|wait| *wait >= 0.0).or(entry.time);
        let answered = after(sent, &[wait]);
        let ended = after(answered, &[receive]);
        Ok(Self { asked, sent, answered, ended })
    }
}

/// True when what follows on the connection is not HTTP/1.
fn is_tunnel(entry: &Entry) -> bool {
    entry.request.method == "CONNECT" || entry.response.status == Some(101.0)
}

fn span(milliseconds: f64) -> Duration {
    Duration::try_from_secs_f64(milliseconds / 1_000.0).unwrap_or_default()
}

/// The bytes of a message.
struct Said {
    bytes: Vec<u8>,
    missing: Option<u64>,
}

impl Said {
    fn between(self, started: Timestamp, finished: Timestamp) -> Part {
        Part { started, finished, bytes: self.bytes, missing: self.missing }
    }
}

fn request(request: &Request, place: &Place) -> Result<Said, NotRead> {
    let Request { method, target, headers, .. } = request;
    let target = target.as_ref().unwrap_or(&place.target);
    // A character for each byte, as it was written.
    let target: Option<Vec<u8>> = target.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
    let is_plain = |target: &Vec<u8>| {
        !target.is_empty() && target.iter().all(|byte| *byte > b' ' && *byte != 0x7f)
    };
    let target = target.filter(is_plain).ok_or(NotRead::BadField)?;
    if !is_token(method.as_bytes()) {
        return Err(NotRead::BadField);
    }
    let version = version(&request.http_version);
    let line = [method.as_bytes(), &target, version.as_bytes()].join(&b' ');
    let mut head = [&line[..], b"\r\n"].concat();
    if fields::values(headers, "host").next().is_none() {
        fields::write_line("Host", &place.authority, &mut head);
    }
    let held = content::of_request(request)?;
    let has_body = held != Held::Bytes(Vec::new()) || has_framing(headers);
    let body = has_body.then_some(held);
    Framed { headers, incomplete: request.incomplete.as_deref(), is_old: version == OLD }
        .write(head, body)
}

/// `None` where there was no response, as writers show it by the status 0.
fn response(response: &Response, is_head: bool) -> Result<Option<Said>, NotRead> {
    let status = response.status.filter(|status| (101.0..1_000.0).contains(status));
    // Other interim responses are never the last word.
    let Some(status) =
        status.map(|status| status as u16).filter(|status| !(102..200).contains(status))
    else {
        return Ok(None);
    };
    let version = version(&response.http_version);
    let reason: String = response.status_text.chars().filter(|c| !c.is_control()).collect();
    let head = format!("{version} {status} {reason}\r\n").into_bytes();
    let has_body = !is_head && status != 101 && !WITHOUT_CONTENT.contains(&status);
    let body = if has_body { Some(content::of_response(response)?) } else { None };
    let headers = &response.headers;
    Framed { headers, incomplete: response.incomplete.as_deref(), is_old: version == OLD }
        .write(head, body)
        .map(Some)
}

const OLD: &str = "HTTP/1.0";

/// Messages of later versions are read as HTTP/1.1, which has the same meaning (RFC 9110 §6).
fn version(version: &str) -> &'static str {
    if version.eq_ignore_ascii_case(OLD) { OLD } else { "HTTP/1.1" }
}

fn has_framing(fields: &[Field]) -> bool {
    ["content-length", "transfer-encoding"]
        .into_iter()
        .any(|name| fields::values(fields, name).next().is_some())
}

/// How a message is framed.
struct Framed<'f> {
    headers: &'f [Field],
    /// Why the message is not whole, if it is not.
    incomplete: Option<&'f str>,
    is_old: bool,
}

impl Framed<'_> {
    /// Adds fields and body to the start line; without a body, fields stay as they are, as in the response to HEAD.
    fn write(&self, mut head: Vec<u8>, body: Option<Held>) -> Result<Said, NotRead> {
        let Some(body) = body else {
            fields::write(self.headers, |_| Becomes::Same, &mut head)?;
            head.extend_from_slice(b"\r\n");
            return Ok(Said { bytes: head, missing: None });
        };
        let declared = content::declared(self.headers);
        let (bytes, length) = match body {
            Held::Bytes(bytes) if self.incomplete.is_some() => {
                let more = bytes.len() as u64 + 1;
                (bytes, declared.unwrap_or(0).min(MAX_MISSING).max(more))
            }
            Held::Bytes(bytes) => {
                let length = bytes.len() as u64;
                (bytes, length)
            }
            Held::Missing(length) => {
                (Vec::new(), length.or(declared).unwrap_or(0).clamp(1, MAX_MISSING))
            }
        };
        let missing = Some(length - bytes.len() as u64).filter(|missing| *missing > 0);
        let coding = fields::values(self.headers, "transfer-encoding");
        let is_chunked = !self.is_old
            && missing.is_none() // a gap would lose where the chunks are
            && coding.map(|value| value.trim().to_ascii_lowercase()).eq(["chunked"]);
        let mut has_length = is_chunked;
        fields::write(
            self.headers,
            |name| {
                if name.eq_ignore_ascii_case("transfer-encoding") {
                    return if is_chunked { Becomes::Same } else { Becomes::Nothing };
                }
                if !name.eq_ignore_ascii_case("content-length") {
                    return Becomes::Same;
                }
                match std::mem::replace(&mut has_length, true) {
                    true => Becomes::Nothing,
                    false => Becomes::Value(length.to_string()),
                }
            },
            &mut head,
        )?;
        // Where its connection ended early, nothing more of it was ever sent.
        let was_sent = !matches!(self.incomplete, Some("closed" | "reset"));
        let missing = missing.filter(|_| was_sent);
        if !has_length {
            fields::write_line("Content-Length", &length.to_string(), &mut head);
        }
        head.extend_from_slice(b"\r\n");
        match is_chunked {
            true => chunked(&bytes, &mut head),
            false => head.extend_from_slice(&bytes),
        }
        Ok(Said { bytes: head, missing })
    }
}

/// One chunk: where the others ended is not in a HAR.
fn chunked(bytes: &[u8], out: &mut Vec<u8>) {
    if !bytes.is_empty() {
        out.extend_from_slice(format!("{:x}\r\n", bytes.len()).as_bytes());
        out.extend_from_slice(bytes);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
}
