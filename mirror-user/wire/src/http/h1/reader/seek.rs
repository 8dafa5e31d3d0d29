//! Between messages: where the next one starts, and when its head is whole.

use bytes::Bytes;

use super::{ReadEvent, Reader, State};
use crate::http::Context;
use crate::http::h1::head::{self, Outcome};
use crate::http::h1::start;
use crate::http::stats::{NotHttp, Refusal, Unread};
use crate::tcp::event::Side;

/// A start line that comes in pieces is looked at with each piece up to this length, so that other
/// protocols are recognised by their first bytes, and then again when it is whole.
const LONGEST_WORD: usize = 256;

impl Reader {
    /// Bytes after the last message that the side may send.
    pub(super) fn after_end(&mut self, data: &mut &[u8], cx: &mut Context<'_>) -> ReadEvent {
        skip_empty_lines(self.side, data, cx);
        if data.is_empty() {
            return ReadEvent::Nothing;
        }
        cx.drop_all(self.side, Unread::Refused, data);
        let State::Ended { reported } = &mut self.state else { return ReadEvent::Nothing };
        if std::mem::replace(reported, true) {
            ReadEvent::Nothing
        } else {
            ReadEvent::Refused(Refusal::AfterClose)
        }
    }

    /// Bytes after `Connection: close`: a request all the same, if the server responds to it.
    pub(super) fn after_close(&mut self, data: &mut &[u8], cx: &mut Context<'_>) -> ReadEvent {
        skip_empty_lines(self.side, data, cx);
        if data.is_empty() {
            return ReadEvent::Nothing;
        }
        cx.side(self.side).refused.count(Refusal::AfterClose);
        self.distrust();
        self.state = State::Resync;
        self.resync(data, cx)
    }

    pub(super) fn start(&mut self, data: &mut &[u8], cx: &mut Context<'_>) -> ReadEvent {
        if self.may_be_proxied(data) {
            return self.proxied(data, cx);
        }
        skip_empty_lines(self.side, data, cx);
        if data.is_empty() {
            return ReadEvent::Nothing;
        }
        self.started = cx.at;
        let input = data.get(..cx.options.max_head).unwrap_or(data);
        match head::parse(self.side, input, cx.lines) {
            Outcome::Head(parsed) => {
                let (raw, rest) = data.split_at_checked(parsed.len).unwrap_or((data, &[]));
                *data = rest;
                let raw = if cx.options.heads { Bytes::copy_from_slice(raw) } else { Bytes::new() };
                ReadEvent::Head(parsed, raw)
            }
            Outcome::Partial => {
                self.state = State::Head { line_seen: false };
                self.head(data, cx)
            }
            Outcome::Refused(refusal) => self.no_message(0, data, refusal, cx),
        }
    }

    /// Copies `data` behind what is held of a head; false when there is no space for it.
    pub(super) fn hold(&mut self, data: &[u8], cx: &mut Context<'_>) -> bool {
        let capacity = self.partial.capacity();
        self.partial.extend_from_slice(data);
        let grown = (self.partial.capacity() - capacity) as u64;
        let taken = cx.budget.take(grown);
        self.charged += if taken { grown } else { 0 };
        taken
    }

    /// A head that goes on in later bytes. Each byte is copied once and searched once.
    pub(super) fn head(&mut self, data: &mut &[u8], cx: &mut Context<'_>) -> ReadEvent {
        let before = self.partial.len();
        let wanted = cx.options.max_head.saturating_sub(before).min(data.len());
        if !self.hold(data.get(..wanted).unwrap_or_default(), cx) {
            return self.no_message(before, data, Refusal::NoRoom, cx);
        }
        let mut simple = None;
        if let State::Head { line_seen: false } = self.state {
            let added = self.partial.get(before..).unwrap_or_default();
            let line_seen = memchr::memchr(b'\n', added).is_some();
            if line_seen || before < LONGEST_WORD {
                if self.guessed && !start::may_start(self.side, &self.partial) {
                    return self.no_message(before, data, Refusal::RequestLine, cx);
                }
                match start::refuse_start(self.side, &self.partial) {
                    Some(Refusal::Http09) => simple = memchr::memchr(b'\n', &self.partial),
                    Some(refusal) => return self.no_message(before, data, refusal, cx),
                    None => self.state = State::Head { line_seen },
                }
            }
        }
        let end = match simple {
            Some(lf) => Some(lf + 1),
            None => head::find_end(&self.partial, before.saturating_sub(2)),
        };
        let Some(end) = end else {
            if self.partial.len() >= cx.options.max_head {
                return self.no_message(before, data, Refusal::HeadTooLarge, cx);
            }
            *data = &[];
            return ReadEvent::Nothing;
        };
        self.partial.truncate(end);
        match head::parse(self.side, &self.partial, cx.lines) {
            Outcome::Head(parsed) => {
                *data = data.get(end.saturating_sub(before)..).unwrap_or_default();
                let raw = if cx.options.heads {
                    Bytes::from(std::mem::take(&mut self.partial).into_boxed_slice())
                } else {
                    Bytes::new()
                };
                self.forget_partial(cx);
                ReadEvent::Head(parsed, raw)
            }
            Outcome::Refused(refusal) => self.no_message(before, data, refusal, cx),
            Outcome::Partial => self.no_message(before, data, Refusal::RequestLine, cx),
        }
    }

    pub(super) fn forget_partial(&mut self, cx: &mut Context<'_>) {
        self.partial = Vec::new();
        cx.budget.give(std::mem::take(&mut self.charged));
    }

    /// What is read is not the beginning of a message. Of `partial`, the first `before` bytes came
    /// earlier than `data`.
    pub(super) fn no_message(
        &mut self,
        before: usize,
        data: &mut &[u8],
        refusal: Refusal,
        cx: &mut Context<'_>,
    ) -> ReadEvent {
        let protocol = (!self.begun && !self.guessed)
            .then(|| {
                let text = if before > 0 { &self.partial } else { *data };
                start::other_protocol(self.side, text)
            })
            .flatten();
        self.forget_partial(cx);
        let guessed = std::mem::take(&mut self.guessed);
        let why = match protocol {
            Some(_) => Unread::NotHttp,
            None if guessed && !self.refused => Unread::Resync,
            None => Unread::Refused,
        };
        cx.unread(self.side, why, before);
        self.state = State::Resync;
        if guessed && !self.refused {
            // What was guessed too early may hide the true start: it is looked for in this segment,
            // or, when the guess began with this segment, after its first line.
            let line = if before > 0 {
                0
            } else {
                memchr::memchr(b'\n', data).map_or(data.len(), |lf| lf + 1)
            };
            cx.unread(self.side, why, line);
            *data = data.get(line..).unwrap_or_default();
        } else {
            cx.drop_all(self.side, why, data);
        }
        match protocol {
            Some(protocol) => ReadEvent::NotHttp(protocol, refusal),
            None if guessed => ReadEvent::Nothing,
            None => ReadEvent::Refused(refusal),
        }
    }

    /// Looks for the next message where framing was lost: at the start of a segment, and, where
    /// nothing was refused before, also after the end of a line.
    pub(super) fn resync(&mut self, data: &mut &[u8], cx: &mut Context<'_>) -> ReadEvent {
        if !self.begun && !self.refused && start::is_tls_record(data) {
            cx.drop_all(self.side, Unread::NotHttp, data);
            return ReadEvent::NotHttp(NotHttp::Tls, Refusal::RequestLine);
        }
        if self.is_proxied(data) {
            return self.proxied(data, cx);
        }
        let why = if self.refused { Unread::Refused } else { Unread::Resync };
        let found = if start::may_start(self.side, data) {
            Some(0)
        } else if self.refused {
            None
        } else {
            start::find_start(self.side, data)
        };
        let Some(found) = found else {
            cx.drop_all(self.side, why, data);
            return ReadEvent::Nothing;
        };
        *data = data.get(found..).unwrap_or_default();
        cx.unread(self.side, why, found);
        self.guessed = true;
        self.state = State::Start;
        self.start(data, cx)
    }
}

fn skip_empty_lines(side: Side, data: &mut &[u8], cx: &mut Context<'_>) {
    let blank = data.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
    if blank > 0 {
        *data = data.get(blank..).unwrap_or_default();
        cx.unread(side, Unread::BetweenMessages, blank);
    }
}
