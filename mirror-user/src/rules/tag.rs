//! A cleared exchange in, the exact bytes that go to a target out, or the reason why none do.
//!
//! The bytes are the captured ones but for this:
//! - `Host` by [`HostPolicy`], and the authority of an absolute-form target with it: RFC 9112
//!   §3.2.2 has the server ignore `Host` then, so that a mark in `Host` alone would not be seen.
//! - `X-Shadow-Request: 1`, `X-Shadow-Id`, in rollback mode `X-Shadow-Mode`, and the member
//!   `synthetic_request=true` in `baggage` (W3C Baggage) are added.
//! - `traceparent` names a trace of the shadow's own, and `tracestate` is dropped ([`Trace`]).
//! - Fields and the path's first segments change as the target's [`Edits`] say.
//! - What was meant for the captured connection is dropped (RFC 9110 §7.6.1): `Connection` and
//!   what it lists, `Keep-Alive`, `Proxy-Connection`, `TE`, `Upgrade`; and `Expect`, as the body is
//!   sent at once. Never what frames or routes the request, whatever `Connection` lists.
//! - `Content-Length` given several times with one value is given once (RFC 9112 §6.3).
//!
//! The body goes out as it was framed, chunk extensions and trailers included.

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use enum_map::Enum;
use strum::{EnumIter, EnumMessage, IntoStaticStr};

use super::baggage;
use super::edit::Edits;
pub use super::host::HostPolicy;
use super::lines::{Addressee, Lines};
use super::trace::{Trace, TraceIds};
use super::{Cleared, SHADOW_MARK};
use crate::http::message::{BodyLength, ExchangeId, Head, Kept, Message, Spooled, Version};

/// Bodies up to so many bytes are copied behind their head: one buffer and one write, and no small
/// slice holds a large chunk of captured bytes in memory while it waits to be sent.
const SHORT_BODY_BYTES: usize = 16 * 1024;

/// How the shadow requests of one target are marked. `X-Shadow-Request` has no switch: without it,
/// a shadow that passes a captured host would be shadowed again.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    /// What becomes of the host.
    pub host: HostPolicy,
    /// What the shadow is to do with the request.
    pub mode: Mode,
    /// What `X-Shadow-Id` begins with, so that the shadows of two runs have different names.
    pub run: String,
    /// What becomes of a request that can be read in two ways.
    pub ambiguous: Ambiguous,
    /// Which trace the shadow belongs to.
    pub trace: Trace,
    /// Makes the ids of traces of its own.
    pub trace_ids: TraceIds,
    /// What becomes of `baggage`.
    pub baggage: Baggage,
    /// What its target sees otherwise.
    pub edits: Edits,
}

/// What becomes of `baggage`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumIter, EnumMessage, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Baggage {
    /// `synthetic_request=true` is added
    #[default]
    Add,
    /// As captured, for targets that refuse a baggage that they do not know
    Keep,
}

/// What the shadow is to do with a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumIter, EnumMessage, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Mode {
    /// Process it and keep its effects
    #[default]
    Replay,
    /// Process it, then roll it back (adds `X-Shadow-Mode: rollback`)
    Rollback,
}

/// What becomes of a request that can be read in two ways (request smuggling, RFC 9112 §11.2).
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
    /// Not seen whole.
    Incomplete,
    /// Readable in two ways.
    Ambiguous,
    /// A wish to stop talking HTTP on the connection: CONNECT, or Upgrade to something else.
    Tunnel,
    /// Longer in its body than what is kept of one.
    BodyTooLarge,
    /// Captured without its body.
    BodyNotKept,
    /// Not readable where it was to be redacted; the rules count why.
    Unredactable,
}

/// A request as it is sent to a target.
#[derive(Clone, Debug)]
pub struct ShadowRequest {
    /// The head, and the body when that is short.
    pub front: Bytes,
    /// The body when it is long.
    pub rest: Rest,
    /// True for HEAD, whose answer has no body whatever its headers say (RFC 9112 §6.3).
    pub is_head: bool,
    /// True when nothing may follow on its connection: the client said that nothing would, or
    /// HTTP/1.0, or an ambiguous request after which the two ends may disagree where the next begins.
    pub is_last: bool,
    /// True when it has no host, so that nothing marks it but its headers.
    pub host_missing: bool,
}

/// What is sent behind [`ShadowRequest::front`].
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
    /// True for a method that RFC 9110 §9.2.2 calls idempotent.
    #[must_use]
    pub fn is_idempotent(&self) -> bool {
        const IDEMPOTENT: [&[u8]; 6] = [b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"];
        let method = self.front.split(|byte| *byte == b' ').next().unwrap_or_default();
        IDEMPOTENT.contains(&method)
    }

    /// How many bytes of memory it holds.
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
    /// The request as it is sent to the target whose host and port are `target`.
    ///
    /// # Errors
    /// Why it is not sent.
    pub fn shadow_request(&self, marks: &Marks, target: &str) -> Result<ShadowRequest, NotSent> {
        let request = self.exchange.request.as_deref().ok_or(NotSent::NoRequest)?;
        let lines = sendable(request, marks.ambiguous)?;
        let ambiguous = !request.flaws.is_empty();
        let body = body_of(request)?;

        let mut front = Vec::with_capacity(capacity(lines.head, &body));
        let to = Addressee { marks, exchange: self.exchange.id, target };
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

/// The request's lines, if it may be sent at all.
pub(super) fn sendable(request: &Message, ambiguous: Ambiguous) -> Result<Lines<'_>, NotSent> {
    let lines = Lines::read(request)?;
    // First, as it is the cause: where a request ends that says so twice is not known.
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

/// Room for the head, the marks and a short body, so that the buffer is allocated once.
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
