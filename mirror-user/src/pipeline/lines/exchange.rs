//! One line in, the exchange that it was written from out.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use enum_map::Enum;
use serde::Deserialize;

use super::NotALine;
use crate::http::message::{
    Body, BodyLength, ConnectionId, Exchange, ExchangeId, Head, Incomplete, Kept, Message, Moment,
};
use crate::http::whole;
use crate::packet::{InterfaceId, Timestamp};
use crate::tcp::event::Peers;

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    id: String,
    #[serde(default)]
    client: String,
    #[serde(default)]
    server: String,
    request: Option<Part>,
    response: Option<Part>,
}

#[derive(Deserialize)]
struct Part {
    #[serde(default)]
    time: String,
    method: Option<String>,
    target: Option<String>,
    status: Option<u16>,
    #[serde(default)]
    reason: String,
    #[serde(default = "http11")]
    version: String,
    headers: Vec<(String, String)>,
    #[serde(default)]
    trailers: Vec<(String, String)>,
    #[serde(default)]
    body_length: u64,
    body: Option<String>,
    #[serde(default = "yes")]
    complete: bool,
    why: Option<String>,
}

fn http11() -> String {
    "1.1".to_owned()
}

fn yes() -> bool {
    true
}

/// The exchange of a line, the `serial`-th of all: at the moment when its request was whole, and at its end.
pub(super) fn read(line: &[u8], serial: u64) -> Result<Vec<Exchange>, NotALine> {
    let line: Line = serde_json::from_slice(line).map_err(|_| NotALine::NotAnExchange)?;
    if line.request.is_none() && line.response.is_none() {
        return Err(NotALine::NotAnExchange);
    }
    let to_head = line.request.as_ref().is_some_and(|part| part.method.as_deref() == Some("HEAD"));
    let request = line.request.map(|part| part.request()).transpose()?;
    let response = line.response.map(|part| part.response(to_head)).transpose()?;
    let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let peers = Arc::new(Peers {
        client: line.client.parse().unwrap_or(nowhere),
        server: line.server.parse().unwrap_or(nowhere),
        interface: InterfaceId::default(),
    });
    let ended = Exchange {
        id: id(&line.id, serial),
        moment: Moment::Ended,
        peers,
        proxied_client: None,
        request: request.map(Arc::new),
        response: response.map(Arc::new),
    };
    let is_asked = ended.request.as_ref().is_some_and(|request| request.incomplete.is_none());
    let asked = Exchange { moment: Moment::Asked, response: None, ..ended.clone() };
    Ok(is_asked.then_some(asked).into_iter().chain([ended]).collect())
}

/// The id as it was written, `17-0`; where there is none, the number of the line.
fn id(text: &str, serial: u64) -> ExchangeId {
    let parts = text
        .split_once('-')
        .and_then(|(connection, index)| Some((connection.parse().ok()?, index.parse().ok()?)));
    let (connection, index) = parts.unwrap_or((serial, 0));
    ExchangeId { connection: ConnectionId::local(connection), index }
}

impl Part {
    fn request(self) -> Result<Message, NotALine> {
        let (Some(method), Some(target)) = (&self.method, &self.target) else {
            return Err(NotALine::NotAnExchange);
        };
        let start =
            [method.as_bytes(), b" ", target.as_bytes(), b" HTTP/", self.version.as_bytes()];
        let head = self.head(&start.concat())?;
        let (head, body) = whole::request(&head).ok_or(NotALine::BadHead)?;
        // A space in one of them would move the others.
        if head.method() != method.as_bytes() || head.target() != target.as_bytes() {
            return Err(NotALine::BadHead);
        }
        self.message(head, body)
    }

    fn response(self, to_head: bool) -> Result<Message, NotALine> {
        let status = self.status.ok_or(NotALine::NotAnExchange)?;
        if status == 101 {
            return Err(NotALine::Switched);
        }
        let start = format!("HTTP/{} {status} ", self.version);
        let head = self.head(&[start.as_bytes(), self.reason.as_bytes()].concat())?;
        let (head, body) = whole::response(&head, to_head).ok_or(NotALine::BadHead)?;
        self.message(head, body)
    }

    /// The bytes of the head.
    fn head(&self, start: &[u8]) -> Result<Bytes, NotALine> {
        let mut out = start.to_vec();
        out.extend_from_slice(b"\r\n");
        fields(&self.headers, &mut out)?;
        out.extend_from_slice(b"\r\n");
        let breaks = memchr::memchr_iter(b'\n', &out).count();
        // One for each line, and no other that would end one in its middle.
        if breaks != self.headers.len() + 2 {
            return Err(NotALine::BadHead);
        }
        Ok(out.into())
    }

    fn message(self, head: Head, mut body: Body) -> Result<Message, NotALine> {
        let started = time(&self.time);
        let content = self.body.as_ref().map(|body| BASE64.decode(body)).transpose();
        let content = content.map_err(|_| NotALine::BadBody)?;
        body.length = self.body_length;
        body.wire = match content {
            _ if body.framing == BodyLength::None => Kept::Nothing,
            Some(content) => {
                body.length = content.len() as u64;
                Kept::Memory(self.framed(content, &mut body)?)
            }
            None if self.body_length == 0 && body.framing != BodyLength::Chunked => Kept::Nothing,
            None if self.body_length == 0 => Kept::Memory(self.framed(Vec::new(), &mut body)?),
            None => Kept::TooLarge,
        };
        let named = |name: &str| {
            let all = (0..Incomplete::LENGTH).map(Incomplete::from_usize);
            all.into_iter().find(|why| <&'static str>::from(*why) == name)
        };
        let why = self.why.as_deref().and_then(named).unwrap_or(Incomplete::EndOfInput);
        let incomplete = (!self.complete).then_some(why);
        let flaws = Default::default();
        Ok(Message { started, finished: started, head, body, incomplete, flaws })
    }

    /// The body as it may have been on the wire: chunked, in one chunk.
    fn framed(&self, content: Vec<u8>, body: &mut Body) -> Result<Bytes, NotALine> {
        if body.framing != BodyLength::Chunked {
            return Ok(content.into());
        }
        let mut out = Vec::with_capacity(content.len() + 64);
        if !content.is_empty() {
            out.extend_from_slice(format!("{:x}\r\n", content.len()).as_bytes());
            out.extend_from_slice(&content);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"0\r\n");
        fields(&self.trailers, &mut out)?;
        out.extend_from_slice(b"\r\n");
        Ok(out.into())
    }
}

fn fields(fields: &[(String, String)], out: &mut Vec<u8>) -> Result<(), NotALine> {
    for (name, value) in fields {
        if name.is_empty() || name.contains([':', '\r', '\n']) {
            return Err(NotALine::BadHead);
        }
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    Ok(())
}

fn time(text: &str) -> Timestamp {
    let at = text.parse::<jiff::Timestamp>().ok();
    let nanos = at.and_then(|at| u64::try_from(at.as_nanosecond()).ok());
    Timestamp::from_nanos(nanos.unwrap_or_default())
}
