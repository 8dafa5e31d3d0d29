//! One connection: its two sides, and which response answers which request.

use std::sync::Arc;

use bytes::Bytes;
use enum_map::EnumMap;

use crate::http::Room;
use crate::http::h1::framing::{self, Asked};
use crate::http::h1::head::Parsed;
use crate::http::h1::reader::{Absent, Begin, Gap, Met, Reader};
use crate::http::h1::start;
use crate::http::h1::waiting::{Queue, Waiting};
use crate::http::message::{BodyLength, Flaw, Incomplete, StartLine, Version};
use crate::http::stats::{NotHttp, Refusal, Unpaired, Unread};
use crate::packet::Timestamp;
use crate::tcp::event::{CloseReason, Peers, Side};

mod other_side;
mod pairing;

/// A connection that is read.
#[derive(Debug)]
pub(in crate::http) struct Conn {
    serial: u64,
    peers: Arc<Peers>,
    client: Reader,
    server: Reader,
    waiting: Queue,
    next_index: u32,
    /// Requests that ended without a place in the queue and whose responses are to come.
    overflow: u32,
    /// The request under way has no place in the queue; its index.
    outside: Option<u32>,
    /// What the response under way answers.
    answering: Answering,
    pairing: Pairing,
    /// Two requests were seen to wait at once.
    pipelined: bool,
    /// The request under way says `Connection: close`.
    closing: bool,
    /// What the client sends is not HTTP/1; whether the server answers so is not known yet.
    client_is_foreign: bool,
    /// What the server sends is not HTTP/1 any more; nor will be what the client sends behind the
    /// request that is under way.
    switched: Option<NotHttp>,
    /// When each side was last refused.
    refused_at: EnumMap<Side, Timestamp>,
    /// When the last final response started.
    answered_at: Timestamp,
    /// It is not HTTP/1, or not any more.
    over: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answering {
    /// The oldest waiting request.
    Oldest,
    /// Nothing yet: it is an interim response.
    Interim,
    /// No request that was seen; the index of the exchange.
    Nothing(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pairing {
    /// In order.
    Certain,
    /// By time.
    Uncertain,
    /// Not at all.
    Lost,
}

impl Conn {
    pub(in crate::http) fn new(serial: u64, peers: Arc<Peers>, midstream: bool) -> Self {
        Self {
            serial,
            peers,
            client: Reader::new(Side::Client, midstream),
            server: Reader::new(Side::Server, midstream),
            waiting: Queue::default(),
            next_index: 0,
            overflow: 0,
            outside: None,
            answering: Answering::Interim,
            pairing: if midstream { Pairing::Uncertain } else { Pairing::Certain },
            pipelined: false,
            closing: false,
            client_is_foreign: false,
            switched: None,
            refused_at: EnumMap::default(),
            answered_at: Timestamp::default(),
            over: false,
        }
    }

    pub(in crate::http) fn serial(&self) -> u64 {
        self.serial
    }

    fn reader(&mut self, side: Side) -> &mut Reader {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    /// Takes the next bytes of one side.
    pub(in crate::http) fn data(&mut self, side: Side, bytes: &[u8], room: &mut Room<'_>) {
        room.side(side).bytes += bytes.len() as u64;
        self.read(side, bytes, room);
    }

    fn read(&mut self, side: Side, bytes: &[u8], room: &mut Room<'_>) {
        let mut data = bytes;
        if self.client_is_foreign
            && side == Side::Client
            && self.server.has_begun()
            && start::may_start(side, data)
        {
            // The server refused what it was, and the client goes on in HTTP/1.
            self.client_is_foreign = false;
        }
        while !data.is_empty() {
            let foreign = match side {
                Side::Client => self.client_is_foreign,
                Side::Server => self.switched.is_some(),
            };
            if self.over || foreign {
                room.drop_all(side, Unread::NotHttp, &mut data);
                return;
            }
            match self.reader(side).read(&mut data, room) {
                Met::Nothing => {}
                Met::Head(parsed, raw) => match side {
                    Side::Client => self.request(parsed, raw, &mut data, room),
                    Side::Server => self.response(parsed, raw, &mut data, room),
                },
                Met::End => self.end(side, None, room),
                Met::Bad(flaw) => {
                    self.reader(side).flaw(flaw);
                    self.end(side, None, room);
                    self.refuse(side, &mut data, Refusal::Framing, room);
                }
                Met::Refused(refusal) => self.refuse(side, &mut data, refusal, room),
                Met::NotHttp(protocol, refusal) => {
                    self.foreign(side, protocol, refusal, room);
                }
                Met::Chosen(chosen) => self.choose(side, &chosen, room),
                Met::HeldTooMuch => self.decide(room),
            }
        }
    }

    /// The first bytes of `side` are no HTTP/1.
    fn foreign(&mut self, side: Side, protocol: NotHttp, refusal: Refusal, room: &mut Room<'_>) {
        if self.reader(side.other()).has_begun() {
            // The other side spoke HTTP/1, so this is a bad message.
            self.refuse(side, &mut &[][..], refusal, room);
        } else if side == Side::Client && matches!(protocol, NotHttp::Tls | NotHttp::Unknown) {
            // A server of HTTP/1 may answer 400 to anything.
            room.stats.not_http.count(protocol);
            self.client_is_foreign = true;
            self.refused_at[side] = room.at;
            self.client.distrust();
        } else if self.client_is_foreign {
            self.over = true;
        } else {
            self.leave(protocol, room);
        }
    }

    fn request(&mut self, parsed: Parsed, raw: Bytes, data: &mut &[u8], room: &mut Room<'_>) {
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
        if !self.client.begin(begin, room) {
            room.unread(Side::Client, Unread::Refused, len);
            return self.refuse(Side::Client, data, Refusal::NoRoom, room);
        }
        self.closing = close && !may_switch;
        let index = self.index();
        let started = self.client.started();
        let unconfirmed = self.client.is_after_refusal() && self.is_in_turn();
        if self.server.is_after_refusal() && self.takes_refused_response() {
            self.server.goes_on();
        }
        if self.overflow > 0 || self.waiting.len() >= room.options.max_waiting {
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
            self.end(Side::Client, None, room);
            let refusal = if simple { Refusal::Http09 } else { Refusal::Framing };
            self.refuse(Side::Client, data, refusal, room);
        } else if self.client.is_bodiless() {
            self.end(Side::Client, None, room);
        }
    }

    fn response(&mut self, parsed: Parsed, raw: Bytes, data: &mut &[u8], room: &mut Room<'_>) {
        let Parsed { start, mut facts, len, .. } = parsed;
        let StartLine::Status { code, version, .. } = start else { return };
        let interim = (100..200).contains(&code) && code != 101;
        self.answering = if interim { Answering::Interim } else { self.answered(room) };
        let request = match self.answering {
            Answering::Oldest => self.waiting.front().map(|w| (w.asked, w.may_switch)),
            Answering::Interim | Answering::Nothing(_) => None,
        };
        let (asked_for, may_switch) = request.unwrap_or((Asked::Other, false));
        let framing = framing::response(&mut facts, version, code, asked_for);
        let unless_chunked =
            framing::unless_chunked(&facts).filter(|_| framing == BodyLength::Chunked);
        let lost = facts.flaws.losing_framing().is_some();
        let framing = if lost { BodyLength::None } else { framing };
        // It may answer a HEAD that was not seen.
        let absent = match self.answering {
            Answering::Nothing(_) => Absent::Perhaps,
            Answering::Oldest | Answering::Interim => Absent::Never,
        };
        let flaws = facts.flaws;
        let begin = Begin { start, flaws, len, raw, framing, unless_chunked, absent };
        if !self.server.begin(begin, room) {
            room.unread(Side::Server, Unread::Refused, len);
            return self.refuse(Side::Server, data, Refusal::NoRoom, room);
        }
        let switched = match code {
            101 => Some(NotHttp::Upgraded),
            200..300 if asked_for == Asked::Connect => Some(NotHttp::Tunnel),
            _ => None,
        };
        if !interim {
            self.answered_at = self.server.started();
        }
        self.tell_client(code, room);
        if lost || self.server.is_bodiless() {
            self.end(Side::Server, None, room);
        }
        if lost {
            self.refuse(Side::Server, data, Refusal::Framing, room);
        }
        match switched {
            // A client sends its request to the end before it switches (RFC 9110 §7.8).
            Some(NotHttp::Upgraded) if self.client.is_in_message() => self.switched = switched,
            Some(why) => self.leave(why, room),
            None if may_switch && !interim => self.release(room),
            None => {}
        }
    }

    /// A message of `side` has ended, whole or cut.
    fn end(&mut self, side: Side, cut: Option<Incomplete>, room: &mut Room<'_>) {
        let Some((message, charged)) = self.reader(side).finish(cut, room) else { return };
        match side {
            Side::Client => self.end_request(message, charged, room),
            Side::Server => self.end_response(message, charged, room),
        }
    }

    fn refuse(&mut self, side: Side, data: &mut &[u8], refusal: Refusal, room: &mut Room<'_>) {
        self.refused_at[side] = room.at;
        self.reader(side).refuse(data, refusal, room);
        self.doubt(side);
    }

    /// Bytes of one side were never seen.
    pub(in crate::http) fn gap(&mut self, side: Side, missing: u64, room: &mut Room<'_>) {
        if self.over {
            return;
        }
        // What is released may hold what is behind it again.
        while let Some(chosen) = self.reader(side).choose_before_gap() {
            self.choose(side, &chosen, room);
        }
        match self.reader(side).gap(missing, room) {
            Gap::Within => {}
            Gap::End => self.end(side, None, room),
            Gap::Lost => {
                self.end(side, Some(Incomplete::Gap), room);
                self.reader(side).lose(Incomplete::Gap, room);
                self.doubt(side);
            }
        }
    }

    /// One side has sent everything.
    pub(in crate::http) fn finished(&mut self, side: Side, room: &mut Room<'_>) {
        if self.over {
            return;
        }
        self.stop(side, Incomplete::Closed, side == Side::Server, room);
        if side == Side::Server {
            while self.waiting.front().is_some_and(|waiting| waiting.request.is_some()) {
                self.give_up_oldest(Unpaired::Unanswered, room);
            }
        }
    }

    /// Nothing more comes of `side`; a body that ends with it is whole where that is `ordered`.
    fn stop(&mut self, side: Side, why: Incomplete, ordered: bool, room: &mut Room<'_>) {
        while let Some(chosen) = self.reader(side).choose_at_last() {
            self.choose(side, &chosen, room);
        }
        if self.reader(side).held().is_some() {
            // It may still be answered.
            return;
        }
        let whole = ordered && self.reader(side).is_until_close();
        self.reader(side).cut_head(why, room);
        self.end(side, (!whole).then_some(why), room);
        self.reader(side).end();
    }

    /// The connection has ended.
    pub(in crate::http) fn closed(&mut self, reason: CloseReason, room: &mut Room<'_>) {
        let why = match reason {
            CloseReason::Fin | CloseReason::Reused | CloseReason::SidesChanged => {
                Incomplete::Closed
            }
            CloseReason::Reset => Incomplete::Reset,
            CloseReason::Idle => Incomplete::Idle,
            CloseReason::Evicted => Incomplete::Evicted,
            CloseReason::EndOfInput => Incomplete::EndOfInput,
        };
        // What is released may ask for an upgrade again, and hold what is left.
        while !self.over {
            if let Some(chosen) = self.client.choose_at_last() {
                self.choose(Side::Client, &chosen, room);
            } else if self.client.held().is_some() {
                self.decide(room);
            } else {
                break;
            }
        }
        if !self.over {
            for side in [Side::Client, Side::Server] {
                self.stop(side, why, false, room);
            }
        }
        while self.waiting.len() > 0 {
            self.give_up_oldest(Unpaired::Unanswered, room);
        }
    }

    /// It is not HTTP/1, or not any more: what is under way ends.
    fn leave(&mut self, why: NotHttp, room: &mut Room<'_>) {
        room.stats.not_http.count(why);
        self.over = true;
        if let Some(held) = self.client.release(room) {
            room.unread(Side::Client, Unread::NotHttp, held.bytes.len());
        }
        for side in [Side::Client, Side::Server] {
            if let Some(chosen) = self.reader(side).choose_at_last() {
                let held = self.reader(side).chosen(&chosen, room);
                room.unread(side, Unread::NotHttp, held.bytes.len());
            }
            self.reader(side).cut_head(Incomplete::Closed, room);
            self.end(side, Some(Incomplete::Closed), room);
        }
        while self.waiting.len() > 0 {
            self.give_up_oldest(Unpaired::Unanswered, room);
        }
    }
}
