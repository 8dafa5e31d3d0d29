//! Turns a cleared exchange into the exact bytes that are sent to a target, or the reason why not.
//!
//! The bytes are the captured ones, with these exceptions:
//! - `Host` follows [`HostPolicy`], and so does the authority of an absolute-form target: then the
//!   server ignores `Host` (RFC 9112 §3.2.2), and a mark in `Host` alone would not be seen.
//! - `X-Shadow-Request: 1`, `X-Shadow-Id`, in rollback mode `X-Shadow-Mode`, and the member
//!   `synthetic_request=true` in `baggage` (W3C Baggage) are added.
//! - `traceparent` names a new trace, and `tracestate` is dropped ([`Trace`]).
//! - Fields and the first segments of the path are edited for the target ([`RequestEdits`]).
//! - Hop-by-hop fields are dropped (RFC 9110 §7.6.1): `Connection` and the fields it lists,
//!   `Keep-Alive`, `Proxy-Connection`, `TE`, `Upgrade`; also `Expect`, because the body is sent at
//!   once. Fields that frame or route the request are never dropped, whatever `Connection` lists.
//! - Repeated equal values of `Content-Length` are merged into one (RFC 9112 §6.3).
//!
//! The body keeps its framing, including chunk extensions and trailers, unless it is marked, too ([`BodyMarks`]): then
//! `Content-Length` says its new length, and digests of the old one are dropped.

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use enum_map::Enum;
use strum::{EnumIter, EnumMessage, IntoStaticStr};

use super::baggage;
use super::body_mark::BodyMarks;
use super::edit::RequestEdits;
pub use super::host::HostPolicy;
use super::lines::{Lines, ShadowContext};
use super::trace::{Trace, TraceIds, Traces};
use super::{Cleared, SHADOW_MARK};
use crate::http::message::{BodyLength, ExchangeId, Head, Kept, Message, Spooled, Version};

/// Bodies up to this many bytes are copied into the buffer of the head: one buffer and one write, and no
/// small slice keeps a large captured chunk in memory while the request waits.
const SHORT_BODY_BYTES: usize = 16 * 1024;

/// How the shadow requests for one target are marked. `X-Shadow-Request` cannot be turned off: without
/// it, a shadow that passes a captured host would be mirrored again.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    /// How the host is rewritten.
    pub host: HostPolicy,
    /// What the target is asked to do with the effects of the request.
    pub mode: Mode,
    /// Prefix of `X-Shadow-Id`, which distinguishes the shadows of different runs.
    pub run: String,
    /// How requests with ambiguous framing are treated.
    pub ambiguous: Ambiguous,
    /// The trace of the shadow.
    pub trace: Trace,
    /// Generates the ids of new traces.
    pub trace_ids: TraceIds,
    /// How `baggage` is treated.
    pub baggage: Baggage,
    /// RequestEdits for the target.
    pub edits: RequestEdits,
    /// The mark in the body.
    pub body: BodyMarks,
}

/// How `baggage` is treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumIter, EnumMessage, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Baggage {
    /// Add `synthetic_request=true`
    #[default]
    Add,
    /// Leave it as captured, for targets that reject unknown baggage
    Keep,
}

/// What the target is asked to do with the effects of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumIter, EnumMessage, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Mode {
    /// Process it and keep its effects
    #[default]
    Replay,
    /// Process it, then roll it back (adds `X-Shadow-Mode: rollback`)
    Rollback,
}

/// How requests with ambiguous framing are treated (request smuggling, RFC 9112 §11.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumIter, EnumMessage, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Ambiguous {
    /// Drop and count them
    #[default]
    #[strum(serialize = "drop")]
    Hold,
    /// Send their framing unchanged, byte for byte, and nothing after it on that connection
    Send,
}

/// Why a cleared request is not replayed: "it was …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum NotSent {
    /// Not seen, or not a request.
    NoRequest,
    /// Not captured completely.
    Incomplete,
    /// Of ambiguous framing.
    Ambiguous,
    /// A request to leave HTTP on this connection: CONNECT, or Upgrade to another protocol.
    Tunnel,
    /// Larger in its body than the limit.
    BodyTooLarge,
    /// Captured without its body.
    BodyNotKept,
    /// Not parseable where it had to be redacted; the rules count why.
    Unredactable,
    /// Of a type, or in a form, that cannot take the mark in its body.
    BodyNotMarked,
}

/// A request as it is sent to a target.
#[derive(Clone, Debug)]
pub struct ShadowRequest {
    /// The head, and the body if it is short.
    pub front: Bytes,
    /// The body if it is long.
    pub rest: Rest,
    /// True for HEAD, whose response has no body whatever its headers say (RFC 9112 §6.3).
    pub is_head: bool,
    /// True if nothing may follow on its connection: the client asked to close it, or used HTTP/1.0, or
    /// the request is ambiguous, so the two ends may disagree where the next one starts.
    pub is_last: bool,
    /// True if it has no host, so that only its headers mark it.
    pub host_missing: bool,
}

/// What is sent after [`ShadowRequest::front`].
#[derive(Clone, Debug)]
pub enum Rest {
    /// Nothing.
    Nothing,
    /// These bytes.
    Memory(Bytes),
    /// All bytes of this file.
    File(Arc<Spooled>),
}

impl ShadowRequest {
    /// True for an idempotent method (RFC 9110 §9.2.2).
    #[must_use]
    pub fn is_idempotent(&self) -> bool {
        const IDEMPOTENT: [&[u8]; 6] = [b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"];
        IDEMPOTENT.contains(&self.method())
    }

    /// True for a method that changes nothing (RFC 9110 §9.2.1), TRACE aside.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        const SAFE: [&[u8]; 3] = [b"GET", b"HEAD", b"OPTIONS"];
        SAFE.contains(&self.method())
    }

    fn method(&self) -> &[u8] {
        self.front.split(|byte| *byte == b' ').next().unwrap_or_default()
    }

    /// Memory that it occupies, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        let rest = match &self.rest {
            Rest::Memory(bytes) => bytes.len(),
            Rest::Nothing | Rest::File(_) => 0,
        };
        self.front.len().saturating_add(rest)
    }
}

impl Cleared {
    /// The request for the target whose host and port are `target`.
    ///
    /// # Errors
    /// The reason why it is not sent.
    pub fn shadow_request(&self, marks: &Marks, target: &str) -> Result<ShadowRequest, NotSent> {
        let request = self.exchange.request.as_deref().ok_or(NotSent::NoRequest)?;
        let lines = sendable(request, marks.ambiguous)?;
        let ambiguous = !request.flaws.is_empty();
        let marked = marks.body.apply(request).map_err(|_| NotSent::BodyNotMarked)?;
        let length = marked.as_ref().map(|marked| marked.length);
        let body = match marked {
            // What is ambiguous has no one body that could be marked.
            Some(_) if ambiguous => return Err(NotSent::BodyNotMarked),
            Some(marked) => Rest::Memory(marked.wire),
            None => body_of(request)?,
        };

        let mut front = Vec::with_capacity(capacity(lines.head, &body));
        let to = ShadowContext { marks, exchange: self.exchange.id, target, length };
        let host_missing = lines.write(&to, ambiguous, &mut front);
        let add_baggage = marks.baggage == Baggage::Add && lines.baggage().is_none();
        write_marks(marks, self.exchange.id, add_baggage, &mut front);
        marks.edits.write(&mut front);
        front.extend_from_slice(lines.empty_line());
        let rest = match body {
            Rest::Memory(bytes) if bytes.len() <= SHORT_BODY_BYTES => {
                front.extend_from_slice(&bytes);
                Rest::Nothing
            }
            other => other,
        };
        Ok(ShadowRequest {
            front: front.into(),
            rest,
            is_head: lines.method == b"HEAD",
            is_last: ambiguous
                || lines.version == Version::Http10
                || lines.connection_lists(b"close"),
            host_missing,
        })
    }
}

impl Cleared {
    /// The traces of its shadow for `target`.
    #[must_use]
    pub fn traces(&self, marks: &Marks, target: &str) -> Traces {
        let request = self.exchange.request.as_deref();
        let production = request.and_then(|request| Lines::read(request).ok()?.trace());
        let new = production.as_ref().filter(|_| matches!(marks.trace, Trace::New));
        let shadow = new.map(|captured| marks.trace_ids.shadow(captured, self.exchange.id, target));
        Traces { production, shadow }
    }
}

/// The lines of the request, if it may be sent.
pub(super) fn sendable(request: &Message, ambiguous: Ambiguous) -> Result<Lines<'_>, NotSent> {
    let lines = Lines::read(request)?;
    // Checked first, because it is the cause: where an ambiguous request ends is not known.
    if !request.flaws.is_empty() && ambiguous == Ambiguous::Hold {
        return Err(NotSent::Ambiguous);
    }
    if request.incomplete.is_some() {
        return Err(NotSent::Incomplete);
    }
    if lines.method == b"CONNECT" || lines.asks_for_tunnel() {
        return Err(NotSent::Tunnel);
    }
    Ok(lines)
}

fn body_of(request: &Message) -> Result<Rest, NotSent> {
    match (&request.body.wire, request.body.framing) {
        (Kept::Memory(bytes), _) => Ok(Rest::Memory(bytes.clone())),
        (Kept::File(file), _) => Ok(Rest::File(Arc::clone(file))),
        (Kept::Withheld(_), _) => Err(NotSent::Unredactable),
        (Kept::TooLarge, _) => Err(NotSent::BodyTooLarge),
        (Kept::Nothing, BodyLength::None | BodyLength::Length(0)) => Ok(Rest::Nothing),
        (Kept::Nothing, _) => Err(NotSent::BodyNotKept),
    }
}

/// Capacity for the head, the marks and a short body, so that the buffer is allocated once.
fn capacity(head: &Head, body: &Rest) -> usize {
    const MARKS: usize = 192;
    let short_body = match body {
        Rest::Memory(bytes) if bytes.len() <= SHORT_BODY_BYTES => bytes.len(),
        _ => 0,
    };
    head.raw.len().saturating_add(short_body).saturating_add(MARKS)
}

fn write_marks(marks: &Marks, id: ExchangeId, add_baggage: bool, out: &mut Vec<u8>) {
    write!(out, "{SHADOW_MARK}: 1\r\nX-Shadow-Id: {}-{id}\r\n", marks.run)
        .expect("writing to a Vec cannot fail");
    if marks.mode == Mode::Rollback {
        out.extend_from_slice(b"X-Shadow-Mode: rollback\r\n");
    }
    if add_baggage {
        out.extend_from_slice(b"baggage: ");
        out.extend_from_slice(baggage::MEMBER);
        out.extend_from_slice(b"\r\n");
    }
}
