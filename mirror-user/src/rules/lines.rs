//! Writes the head of a request for a target: each line is kept, changed or dropped, depending on its
//! role.

use std::ops::Range;

use super::baggage;
use super::framing::is_digest;
use super::tag::{Baggage, Marks, NotSent};
use super::trace::{LINK, Trace, TraceIds, TraceParent};
use crate::http::message::{ExchangeId, Head, HeaderLine, Message, StartLine, Version};
use crate::http::target::{RequestTarget, TargetForm};

/// The shadow that is written, and its target.
pub(super) struct ShadowContext<'a> {
    pub(super) marks: &'a Marks,
    pub(super) exchange: ExchangeId,
    /// The target's host and port.
    pub(super) target: &'a str,
    /// The length of a body that was changed, in bytes; `None` if it stays.
    pub(super) length: Option<u64>,
}

/// The role of a header line in a replay.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Host,
    ContentLength,
    Baggage,
    TraceParent,
    TraceState,
    Upgrade,
    /// Always dropped.
    HopByHop,
    /// Dropped if `Connection` lists it.
    Other,
    /// Never dropped.
    Framing,
}

impl Role {
    fn of(name: &[u8]) -> Self {
        const ROLES: [(&[u8], Role); 16] = [
            (b"host", Role::Host),
            (b"te", Role::HopByHop),
            (b"expect", Role::HopByHop),
            (b"baggage", Role::Baggage),
            (b"upgrade", Role::Upgrade),
            (b"connection", Role::HopByHop),
            (b"keep-alive", Role::HopByHop),
            (b"tracestate", Role::TraceState),
            (b"traceparent", Role::TraceParent),
            (b"content-length", Role::ContentLength),
            (b"proxy-connection", Role::HopByHop),
            (b"transfer-encoding", Role::Framing),
            // Captured fields with the names of our marks would contradict them.
            (b"x-shadow-id", Role::HopByHop),
            (b"x-shadow-mode", Role::HopByHop),
            (b"x-shadow-request", Role::HopByHop),
            (LINK, Role::HopByHop),
        ];
        ROLES
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map_or(Self::Other, |(_, role)| *role)
    }
}

/// The parsed head of a request.
pub(super) struct Lines<'a> {
    pub(super) head: &'a Head,
    pub(super) method: &'a [u8],
    target: &'a Range<u32>,
    pub(super) version: Version,
}

impl<'a> Lines<'a> {
    pub(super) fn read(request: &'a Message) -> Result<Self, NotSent> {
        let head = &request.head;
        let StartLine::Request { method, target, version } = &head.start else {
            return Err(NotSent::NoRequest);
        };
        Ok(Self { head, method: head.bytes(method), target, version: *version })
    }

    fn named(&self, name: &'static [u8]) -> impl Iterator<Item = &'a HeaderLine> {
        let head = self.head;
        head.headers.iter().filter(move |line| head.bytes(&line.name).eq_ignore_ascii_case(name))
    }

    pub(super) fn connection_lists(&self, option: &[u8]) -> bool {
        self.named(b"connection").any(|line| {
            members(self.head.bytes(&line.value)).any(|listed| listed.eq_ignore_ascii_case(option))
        })
    }

    /// True for an Upgrade to anything but h2c. A server may ignore that offer (RFC 9110 §7.8), and some
    /// clients make it with every first request.
    pub(super) fn asks_for_tunnel(&self) -> bool {
        self.named(b"upgrade").any(|line| {
            members(self.head.bytes(&line.value))
                .any(|protocol| !protocol.is_empty() && !protocol.eq_ignore_ascii_case(b"h2c"))
        })
    }

    /// The `baggage` line that gets mirror's member: the last one that is kept.
    pub(super) fn baggage(&self) -> Option<&'a HeaderLine> {
        if self.connection_lists(b"baggage") { None } else { self.named(b"baggage").last() }
    }

    /// Writes the start line and the captured lines that are kept; returns true if there is no host.
    pub(super) fn write(&self, to: &ShadowContext<'_>, ambiguous: bool, out: &mut Vec<u8>) -> bool {
        let Self { head, .. } = *self;
        let ShadowContext { marks, target, length: new_length, .. } = *to;
        let mut host_missing = !self.write_start_line(marks, target, out);
        let has_connection = self.named(b"connection").next().is_some();
        let last_baggage = self.baggage().filter(|_| marks.baggage == Baggage::Add);
        let mut length_written = false;
        for line in &head.headers {
            let name = head.bytes(&line.name);
            let value = head.bytes(&line.value);
            match Role::of(name) {
                Role::HopByHop | Role::Upgrade => {}
                Role::Baggage | Role::TraceParent | Role::TraceState | Role::Other
                    if has_connection && self.connection_lists(name) => {}
                Role::TraceParent | Role::TraceState | Role::Other if marks.edits.hides(name) => {}
                Role::Other if new_length.is_some() && is_digest(name) => {}
                Role::Host => {
                    host_missing &= value.is_empty();
                    self.write_line(line, out, |out| marks.host.apply(value, target, out));
                }
                Role::ContentLength if !ambiguous => {
                    if !length_written {
                        length_written = true;
                        let length = members(value).next().unwrap_or_default();
                        self.write_line(line, out, |out| match new_length {
                            Some(length) => out.extend_from_slice(length.to_string().as_bytes()),
                            None => out.extend_from_slice(length),
                        });
                    }
                }
                Role::Baggage if last_baggage.is_some_and(|last| last == line) => {
                    self.write_line(line, out, |out| baggage::append(value, out));
                }
                Role::TraceParent => self.write_trace(line, to, out),
                Role::TraceState if !matches!(marks.trace, Trace::Keep) => {}
                Role::Baggage
                | Role::TraceState
                | Role::ContentLength
                | Role::Framing
                | Role::Other => {
                    out.extend_from_slice(head.bytes(&line.line));
                }
            }
        }
        host_missing
    }

    /// Writes the start line; returns true if its target names a host.
    fn write_start_line(&self, marks: &Marks, target: &str, out: &mut Vec<u8>) -> bool {
        let line_end = self.head.headers.first().map_or_else(
            || self.end().saturating_sub(self.empty_line().len()),
            |line| line.line.start as usize,
        );
        let line = self.head.raw.get(..line_end).unwrap_or_default();
        let parts = RequestTarget::parse(self.method, self.head.bytes(self.target));
        if parts.form() != TargetForm::Absolute {
            self.write_path(self.target.start as usize, line, marks, out);
            return false;
        }
        let host = parts.host_range();
        let start = (self.target.start as usize).saturating_add(host.start);
        let end = (self.target.start as usize).saturating_add(host.end);
        let host = line.get(start..end).unwrap_or_default();
        out.extend_from_slice(line.get(..start).unwrap_or_default());
        marks.host.apply(host, target, out);
        self.write_path(end, line, marks, out);
        !host.is_empty()
    }

    /// Writes the `traceparent` of the shadow, followed by the captured one.
    fn write_trace(&self, line: &HeaderLine, to: &ShadowContext<'_>, out: &mut Vec<u8>) {
        match to.marks.trace {
            Trace::Keep => out.extend_from_slice(self.head.bytes(&line.line)),
            Trace::Off => {}
            Trace::New => self.write_new_trace(&to.marks.trace_ids, line, to, out),
        }
    }

    fn write_new_trace(
        &self,
        ids: &TraceIds,
        line: &HeaderLine,
        to: &ShadowContext<'_>,
        out: &mut Vec<u8>,
    ) {
        if let Some(captured) = self.trace() {
            let shadow = ids.shadow(&captured, to.exchange, to.target);
            self.write_line(line, out, |out| shadow.write(out));
            out.extend_from_slice(LINK);
            out.extend_from_slice(b": ");
            out.extend_from_slice(self.head.bytes(&line.value));
            out.extend_from_slice(b"\r\n");
        }
    }

    /// The trace that the request belongs to: none if it names several.
    pub(super) fn trace(&self) -> Option<TraceParent> {
        let mut named = self.named(b"traceparent");
        let parent = TraceParent::parse(self.head.bytes(&named.next()?.value))?;
        named.next().is_none().then_some(parent)
    }

    /// Writes the start line from its path on; for an origin-form target, with the method before it.
    fn write_path(&self, start: usize, line: &[u8], marks: &Marks, out: &mut Vec<u8>) {
        if start == self.target.start as usize {
            out.extend_from_slice(line.get(..start).unwrap_or_default());
        }
        let end = self.target.end as usize;
        for part in marks.edits.path(line.get(start..end).unwrap_or_default()) {
            out.extend_from_slice(part);
        }
        out.extend_from_slice(line.get(end..).unwrap_or_default());
    }

    /// Writes a line with another value; everything around the value stays unchanged.
    fn write_line(&self, line: &HeaderLine, out: &mut Vec<u8>, value: impl FnOnce(&mut Vec<u8>)) {
        out.extend_from_slice(self.head.bytes(&(line.line.start..line.value.start)));
        value(out);
        out.extend_from_slice(self.head.bytes(&(line.value.end..line.line.end)));
    }

    fn end(&self) -> usize {
        self.head.raw.len()
    }

    pub(super) fn empty_line(&self) -> &'a [u8] {
        if self.head.raw.ends_with(b"\r\n") { b"\r\n" } else { b"\n" }
    }
}

/// The members of a comma-separated list, without surrounding whitespace.
pub(super) fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}
