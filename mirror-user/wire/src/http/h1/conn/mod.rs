//! One connection: its two sides, and which response belongs to which request.

use std::sync::Arc;

use enum_map::EnumMap;

use crate::http::Context;
use crate::http::h1::reader::{ReadEvent, Reader};
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
    /// What the response under way belongs to.
    response_to: ResponseTo,
    pairing: Pairing,
    /// Two requests were seen to wait at once.
    pipelined: bool,
    /// The request under way says `Connection: close`.
    closing: bool,
    /// What the client sends is not HTTP/1; whether the server responds in HTTP/1 is not
    /// known yet.
    client_is_foreign: bool,
    /// What the server sends is not HTTP/1 any more; nor will be what the client sends behind the
    /// request that is under way.
    switched: Option<NotHttp>,
    /// When each side was last refused.
    refused_at: EnumMap<Side, Timestamp>,
    /// When the last final response started.
    last_response_at: Timestamp,
    /// It is not HTTP/1, or not any more.
    over: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ResponseTo {
    /// The oldest waiting request.
    Oldest,
    /// The same, by time: it may be that of a request that was not seen.
    Guessed,
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
            response_to: ResponseTo::Interim,
            pairing: if midstream { Pairing::Uncertain } else { Pairing::Certain },
            pipelined: false,
            closing: false,
            client_is_foreign: false,
            switched: None,
            refused_at: EnumMap::default(),
            last_response_at: Timestamp::default(),
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
    pub(in crate::http) fn data(&mut self, side: Side, bytes: &[u8], cx: &mut Context<'_>) {
        cx.side(side).bytes += bytes.len() as u64;
        self.read(side, bytes, cx);
    }

    fn read(&mut self, side: Side, bytes: &[u8], cx: &mut Context<'_>) {
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
                cx.drop_all(side, Unread::NotHttp, &mut data);
                return;
            }
            match self.reader(side).read(&mut data, cx) {
                ReadEvent::Nothing => {}
                ReadEvent::Head(parsed, raw) => match side {
                    Side::Client => self.request(parsed, raw, &mut data, cx),
                    Side::Server => self.response(parsed, raw, &mut data, cx),
                },
                ReadEvent::End => self.end(side, None, cx),
                ReadEvent::Bad(flaw) => {
                    self.reader(side).flaw(flaw);
                    self.end(side, None, cx);
                    self.refuse(side, &mut data, Refusal::Framing, cx);
                }
                ReadEvent::Refused(refusal) => self.refuse(side, &mut data, refusal, cx),
                ReadEvent::NotHttp(protocol, refusal) => {
                    self.foreign(side, protocol, refusal, cx);
                }
                ReadEvent::Chosen(chosen) => self.choose(side, &chosen, cx),
                ReadEvent::HeldTooMuch => self.decide(cx),
            }
        }
    }

    /// The first bytes of `side` are no HTTP/1.
    fn foreign(&mut self, side: Side, protocol: NotHttp, refusal: Refusal, cx: &mut Context<'_>) {
        if self.reader(side.other()).has_begun() {
            // The other side spoke HTTP/1, so this is a bad message.
            self.refuse(side, &mut &[][..], refusal, cx);
        } else if side == Side::Client && matches!(protocol, NotHttp::Tls | NotHttp::Unknown) {
            // A server of HTTP/1 may respond with 400 to anything.
            cx.stats.not_http.count(protocol);
            self.client_is_foreign = true;
            self.refused_at[side] = cx.at;
            self.client.distrust();
        } else if self.client_is_foreign {
            self.over = true;
        } else {
            self.leave(protocol, cx);
        }
    }

    /// A message of `side` has ended, whole or cut.
    fn end(&mut self, side: Side, cut: Option<Incomplete>, cx: &mut Context<'_>) {
        let Some((message, charged)) = self.reader(side).finish(cut, cx) else { return };
        match side {
            Side::Client => self.end_request(message, charged, cx),
            Side::Server => self.end_response(message, charged, cx),
        }
    }

    fn refuse(&mut self, side: Side, data: &mut &[u8], refusal: Refusal, cx: &mut Context<'_>) {
        self.refused_at[side] = cx.at;
        self.reader(side).refuse(data, refusal, cx);
        self.doubt(side);
    }
}
