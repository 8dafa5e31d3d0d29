//! A head was read: how its message is framed, and what it changes on the connection.

use bytes::Bytes;
use enum_map::EnumMap;

use super::{Conn, ResponseTo};
use crate::http::Context;
use crate::http::h1::framing::{self, Asked};
use crate::http::h1::head::Parsed;
use crate::http::h1::reader::{Absent, Begin};
use crate::http::h1::waiting::Waiting;
use crate::http::message::{BodyLength, Flaw, StartLine, Version};
use crate::http::stats::{NotHttp, Refusal, Unread};
use crate::tcp::event::Side;

impl Conn {
    pub(super) fn request(
        &mut self,
        parsed: Parsed,
        raw: Bytes,
        data: &mut &[u8],
        cx: &mut Context<'_>,
    ) {
        let Parsed { start, mut facts, asked, len } = parsed;
        let version = match start {
            StartLine::Request { version, .. } | StartLine::Status { version, .. } => version,
        };
        let framing = framing::request(&mut facts, version);
        let (close, may_switch) =
            (facts.close, asked == Asked::Connect || facts.upgrade && facts.connection_upgrade);
        let lost = facts.flaws.losing_framing().is_some();
        let framing = if lost { BodyLength::None } else { framing };
        let simple = facts.flaws.contains(Flaw::Http09);
        let asks_leave = facts.expects_leave && version != Version::Http10;
        let absent = if asks_leave { Absent::UntilLeave } else { Absent::Never };
        self.recover();
        let flaws = facts.flaws;
        let begin = Begin { start, flaws, len, raw, framing, unless_chunked: None, absent };
        if !self.client.begin(begin, cx) {
            cx.unread(Side::Client, Unread::Refused, len);
            return self.refuse(Side::Client, data, Refusal::NoRoom, cx);
        }
        self.closing = close && !may_switch;
        let index = self.index();
        let started = self.client.started();
        let unconfirmed = self.client.is_after_refusal() && self.is_in_turn();
        if self.server.is_after_refusal() && self.takes_refused_response() {
            self.server.goes_on();
        }
        if self.overflow > 0 || self.waiting.len() >= cx.options.max_waiting {
            self.outside = Some(index);
        } else {
            self.waiting.push(Waiting {
                index,
                started,
                asked,
                may_switch,
                answered: false,
                unconfirmed,
                request: None,
                response: None,
                charged: 0,
                doubts: EnumMap::default(),
            });
        }
        if lost {
            self.end(Side::Client, None, cx);
            let refusal = if simple { Refusal::Http09 } else { Refusal::Framing };
            self.refuse(Side::Client, data, refusal, cx);
        } else if self.client.is_bodiless() {
            self.end(Side::Client, None, cx);
        }
    }

    pub(super) fn response(
        &mut self,
        parsed: Parsed,
        raw: Bytes,
        data: &mut &[u8],
        cx: &mut Context<'_>,
    ) {
        let Parsed { start, mut facts, len, .. } = parsed;
        let StartLine::Status { code, version, .. } = start else { return };
        let interim = (100..200).contains(&code) && code != 101;
        self.response_to = if interim { ResponseTo::Interim } else { self.answered(cx) };
        let request = match self.response_to {
            ResponseTo::Oldest | ResponseTo::Guessed => {
                self.waiting.front().map(|w| (w.asked, w.may_switch))
            }
            ResponseTo::Interim | ResponseTo::Nothing(_) => None,
        };
        let (asked_for, may_switch) = request.unwrap_or((Asked::Other, false));
        let framing = framing::response(&mut facts, version, code, asked_for);
        let unless_chunked =
            framing::unless_chunked(&facts).filter(|_| framing == BodyLength::Chunked);
        let lost = facts.flaws.losing_framing().is_some();
        let framing = if lost { BodyLength::None } else { framing };
        // It may be the response to a HEAD that was not seen.
        let absent = match self.response_to {
            ResponseTo::Nothing(_) | ResponseTo::Guessed if !facts.is_http => Absent::Perhaps,
            _ => Absent::Never,
        };
        let flaws = facts.flaws;
        let begin = Begin { start, flaws, len, raw, framing, unless_chunked, absent };
        if !self.server.begin(begin, cx) {
            cx.unread(Side::Server, Unread::Refused, len);
            return self.refuse(Side::Server, data, Refusal::NoRoom, cx);
        }
        let switched = match code {
            101 => Some(NotHttp::Upgraded),
            200..300 if asked_for == Asked::Connect => Some(NotHttp::Tunnel),
            _ => None,
        };
        if !interim {
            self.last_response_at = self.server.started();
        }
        self.apply_to_client(code, cx);
        if lost || self.server.is_bodiless() {
            self.end(Side::Server, None, cx);
        }
        if lost {
            self.refuse(Side::Server, data, Refusal::Framing, cx);
        }
        match switched {
            // A client sends its request to the end before it switches (RFC 9110 §7.8).
            Some(NotHttp::Upgraded) if self.client.is_in_message() => self.switched = switched,
            Some(why) => self.leave(why, cx),
            None if may_switch && !interim => self.release(cx),
            None => {}
        }
    }
}
