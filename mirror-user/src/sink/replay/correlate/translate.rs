//! Translates a request: replaces production's values with the target's. Only complete values are
//! replaced, and every other byte stays. If the length of the body changes, its framing is updated.

use std::io::Write;

use bytes::Bytes;
use hashbrown::HashMap;

use super::sites::is_json;
use super::table::Table;
use super::tokens::resource_of;
use crate::http::message::{BodyLength, Head, Kept, StartLine};
use crate::http::{dechunk, whole};
use crate::rules::tag::{Rest, ShadowRequest};

/// Fields that never contain a value from a server: they frame, route, mark or negotiate.
const SKIPPED_FIELDS: [&str; 18] = [
    "host",
    "content-length",
    "content-type",
    "content-encoding",
    "transfer-encoding",
    "connection",
    "user-agent",
    "date",
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "traceparent",
    "tracestate",
    "baggage",
    "x-shadow-id",
    "x-shadow-mode",
    "x-shadow-request",
];

/// Digests of the body, which are wrong once it is changed (RFC 9530, RFC 1864).
const CHECKSUMS: [&str; 4] = ["content-md5", "digest", "content-digest", "repr-digest"];

/// A response of production whose counterpart from the target is in flight.
#[derive(Debug)]
pub(super) struct Awaited {
    /// Its position of arrival.
    pub(super) arrived: u64,
    /// The kind of its value.
    pub(super) kind: Box<str>,
}

/// The awaited responses, by their values.
pub(super) type Pending = HashMap<Box<str>, Vec<Awaited>>;

/// Translates one request.
pub(super) struct Translator<'a> {
    pub(super) table: &'a Table,
    pub(super) pending: &'a Pending,
    /// The request's position of arrival, in the same sequence as responses.
    pub(super) arrived: u64,
    /// The resource of the request.
    pub(super) resource: String,
    /// Values that are written must be percent-encoded.
    pub(super) encodes: bool,
    /// Values that were replaced.
    pub(super) replaced: u64,
    /// Values that are ambiguous.
    pub(super) ambiguous: u64,
    /// A value in the request whose response is in flight.
    pub(super) awaits: Option<Box<str>>,
    /// The body may contain values but could not be searched.
    pub(super) body_left: bool,
}

impl<'a> Translator<'a> {
    pub(super) fn new(table: &'a Table, pending: &'a Pending, arrived: u64) -> Self {
        Self {
            table,
            pending,
            arrived,
            resource: String::new(),
            encodes: false,
            replaced: 0,
            ambiguous: 0,
            awaits: None,
            body_left: false,
        }
    }

    /// The translated request; `None` if nothing is replaced.
    pub(super) fn request(&mut self, request: &ShadowRequest) -> Option<ShadowRequest> {
        let (head, body) = whole::request(&request.front)?;
        let StartLine::Request { target, .. } = &head.start else { return None };
        let path = str::from_utf8(head.bytes(target)).ok()?;
        self.resource = resource_of(path);
        let wire = match (&request.rest, &body.wire) {
            (Rest::Memory(bytes), _) | (Rest::Nothing, Kept::Memory(bytes)) => Some(bytes.clone()),
            (Rest::File(_), _) => None,
            (Rest::Nothing, _) => Some(Bytes::new()),
        };
        self.body_left = wire.is_none();
        let new_body = wire.and_then(|wire| self.body(&head, body.framing, &wire));
        let before = self.replaced;
        let mut front = Vec::with_capacity(request.front.len() + 128);
        self.write_head(&head, new_body.as_ref().map(|body| body.length), &mut front);
        if self.replaced == before && new_body.is_none() {
            return None;
        }
        let rest = match new_body {
            Some(body) => {
                front.extend_from_slice(&body.wire);
                Rest::Nothing
            }
            None => {
                front.extend_from_slice(request.front.get(head.raw.len()..).unwrap_or_default());
                request.rest.clone()
            }
        };
        Some(ShadowRequest { front: front.into(), rest, ..*request })
    }

    /// Writes the head, with a new `Content-Length` if `length` is given.
    fn write_head(&mut self, head: &Head, length: Option<usize>, out: &mut Vec<u8>) {
        let StartLine::Request { target, .. } = &head.start else { return };
        let mut at = 0;
        let mut copy_to = |end: usize, next: usize, out: &mut Vec<u8>| {
            out.extend_from_slice(head.raw.get(at..end).unwrap_or_default());
            at = next;
        };
        let text = str::from_utf8(head.bytes(target)).unwrap_or_default();
        let mut new = String::new();
        if self.reference(text, &mut new) {
            copy_to(target.start as usize, target.end as usize, out);
            out.extend_from_slice(new.as_bytes());
        }
        for line in &head.headers {
            let name = str::from_utf8(head.bytes(&line.name)).unwrap_or_default();
            let name = name.to_ascii_lowercase();
            if length.is_some() && CHECKSUMS.contains(&&*name) {
                let value_end = line.value.end as usize;
                let behind = head.raw.get(value_end..).unwrap_or_default();
                let end = behind.iter().position(|byte| *byte == b'\n').unwrap_or(behind.len());
                copy_to(line.name.start as usize, value_end.saturating_add(end + 1), out);
                continue;
            }
            let value = str::from_utf8(head.bytes(&line.value)).unwrap_or_default();
            new.clear();
            let changed = match (&*name, length) {
                ("content-length", Some(length)) => {
                    new = length.to_string();
                    true
                }
                _ if SKIPPED_FIELDS.contains(&&*name) => false,
                ("cookie", _) => self.cookies(value, &mut new),
                ("authorization" | "proxy-authorization", _) => self.credentials(value, &mut new),
                ("referer" | "origin", _) => self.reference(value, &mut new),
                _ => self.named(&name, value, &mut new),
            };
            if changed {
                copy_to(line.value.start as usize, line.value.end as usize, out);
                out.extend_from_slice(new.as_bytes());
            }
        }
        copy_to(head.raw.len(), head.raw.len(), out);
    }

    /// The body with values replaced; `None` if there are none.
    fn body(&mut self, head: &Head, framing: BodyLength, wire: &[u8]) -> Option<NewBody> {
        if wire.is_empty() {
            return None;
        }
        let media_type = head.field("content-type").unwrap_or_default();
        let is_form =
            media_type.to_ascii_lowercase().starts_with(b"application/x-www-form-urlencoded");
        if !is_json(media_type) && !is_form {
            return None;
        }
        let coding = head.field("content-encoding");
        let coded = coding.is_some_and(|coding| !coding.eq_ignore_ascii_case(b"identity"));
        let chunked = framing == BodyLength::Chunked;
        let (content, tail) = match chunked {
            true => dechunk(wire).map(|body| (body.content, body.end))?,
            false => (wire.to_vec(), &b""[..]),
        };
        let Ok(content) = String::from_utf8(content) else { return None };
        if coded {
            self.body_left = true;
            return None;
        }
        let mut new = String::with_capacity(content.len() + 64);
        let changed = match is_form {
            true => self.pairs(&content, &mut new),
            false => self.json(&content, &mut new),
        };
        if !changed {
            return None;
        }
        let length = new.len();
        let wire = match chunked {
            true => {
                let mut wire = Vec::with_capacity(length + tail.len() + 16);
                write!(wire, "{length:x}\r\n").expect("writing to a Vec cannot fail");
                wire.extend_from_slice(new.as_bytes());
                wire.extend_from_slice(tail);
                wire
            }
            false => new.into_bytes(),
        };
        Some(NewBody { length, wire })
    }
}

/// A translated body.
struct NewBody {
    /// Length of its content, in bytes.
    length: usize,
    wire: Vec<u8>,
}
