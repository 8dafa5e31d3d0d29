//! One connection: its two sides, and which response answers which request.

use std::sync::Arc;

use enum_map::EnumMap;

use crate::http::Room;
use crate::http::h1::reader::{Met, Reader};
use crate::http::h1::start;
use crate::http::h1::waiting::Queue;
use crate::http::message::Incomplete;
use crate::http::stats::{NotHttp, Refusal, Unread};
use crate::packet::Timestamp;
use crate::tcp::event::{Peers, Side};

mod ending;
mod heads;
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
}
