//! Puts exchanges together from messages, by the `http` stage: each on a connection of its own there.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use enum_map::{Enum, EnumMap};
use hashbrown::HashMap;
use strum::IntoStaticStr;

use super::origins::Origins;
use super::settle::Settlement;
use crate::broker::clock::now;
use crate::broker::envelope::{Content, Envelope, Part, Request};
use crate::broker::nats::{Outcome, Receipt, Taken};
use crate::filter::{Watch, Watcher};
use crate::http::HttpTable;
use crate::http::message::{Exchange, ExchangeId};
use crate::packet::Timestamp;
use crate::stats::{Account, Note, Seam, Topic};
use crate::tcp::event::{Change, CloseReason, ConnId, Peers, Side, StreamEvent};

/// Exchanges that wait for their next part or their response; beyond, the one that waits longest ends without.
const MAX_OPEN: usize = 50_000;
/// How long they wait: longer than a response takes.
const MAX_WAIT: Duration = Duration::from_secs(120);

/// Why an exchange was not passed on: "it was …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
enum NotPassedOn {
    /// Not readable as a request, though an envelope held it.
    NotARequest,
    /// Of a connection that the filter leaves out.
    NotWatched,
    /// Without all of its parts.
    PartMissing,
}

/// Exchanges under way.
pub(super) struct Assembly {
    settlement: Arc<Settlement>,
    watcher: Watcher,
    pub(super) http: HttpTable,
    pub(super) origins: Origins,
    open: HashMap<Key, Open>,
    /// In the order in which they began.
    ages: VecDeque<(Instant, Key)>,
    slots: Vec<u32>,
    next_slot: u32,
    serial: u64,
    requests: u64,
    dropped: EnumMap<NotPassedOn, u64>,
    unpaired: u64,
    responses_missing: u64,
    /// Handed on since that was last asked.
    handed: Vec<Handed>,
}

/// The request of one run.
type Key = (u16, u64);

/// What was handed on, and is settled once nobody has it any more.
pub(super) enum Handed {
    Request(ExchangeId),
    Rest(Receipt),
}

/// An exchange that is not whole.
struct Open {
    conn: ConnId,
    id: ExchangeId,
    peers: Arc<Peers>,
    request: Box<Request>,
    /// The next part.
    part: u32,
    parts: u32,
    /// The request is whole; the response comes.
    asked: bool,
    /// When the message ends that is being read.
    finished: Timestamp,
    /// Of the parts of a request that is not whole.
    receipts: Vec<Receipt>,
}

impl Assembly {
    /// Of the connections that are watched. `settlement` says when requests are settled.
    pub(super) fn new(settlement: Arc<Settlement>, watch: Watch, http: HttpTable) -> Self {
        Self {
            settlement,
            watcher: Watcher::new(watch),
            http,
            origins: Origins::default(),
            open: HashMap::new(),
            ages: VecDeque::new(),
            slots: Vec::new(),
            next_slot: 0,
            serial: 0,
            requests: 0,
            dropped: EnumMap::default(),
            unpaired: 0,
            responses_missing: 0,
            handed: Vec::new(),
        }
    }

    /// What was handed on since this was last asked.
    pub(super) fn handed(&mut self) -> Vec<Handed> {
        std::mem::take(&mut self.handed)
    }

    /// The way of a message.
    pub(super) fn take(&mut self, taken: Taken, out: &mut Vec<Exchange>) {
        let Taken { envelope, receipt } = taken;
        let Envelope { run, host, sequence, part, parts, content, .. } = envelope;
        let key = (self.origins.of_run(&run), sequence);
        match content {
            Content::Request(request) => self.request(key, &host, request, (parts, receipt), out),
            Content::RequestBody(body) => self.request_body(key, part, body, receipt, out),
            Content::Response(response) => self.response(key, parts, *response, receipt, out),
            Content::ResponseBody(body) => self.response_body(key, part, body, receipt, out),
            // Those are on a subject of their own.
            Content::Report(_) => self.handed.push(Handed::Rest(receipt)),
        }
    }

    fn request(
        &mut self,
        key: Key,
        host: &Bytes,
        request: Box<Request>,
        (parts, receipt): (u32, Receipt),
        out: &mut Vec<Exchange>,
    ) {
        self.requests += 1;
        // One that was begun by another owner, and is taken from its first part again.
        self.abandon(key, out);
        if self.watcher.choice().judge(request.client, request.server).is_err() {
            return self.drop(NotPassedOn::NotWatched, &[receipt]);
        }
        let interface = self.origins.of_host(host);
        let peers = Arc::new(Peers { client: request.client, server: request.server, interface });
        let slot = self.slots.pop().unwrap_or_else(|| {
            self.next_slot += 1;
            self.next_slot - 1
        });
        let conn = ConnId { slot, serial: self.serial };
        self.serial += 1;
        let Part { started, finished, head, body, .. } = request.message.clone();
        let id = ExchangeId {
            connection: Origins::connection(key.0, request.connection),
            index: request.index,
        };
        let change = Change::Opened { peers: Arc::clone(&peers), midstream: false };
        self.http.push(StreamEvent { conn, at: started, change }, out);
        let mut open = Open {
            conn,
            id,
            peers,
            request,
            part: 1,
            parts,
            asked: false,
            finished,
            receipts: vec![receipt],
        };
        self.say(&open, Side::Client, (started, head), out);
        self.say(&open, Side::Client, (finished, body), out);
        if parts == 1 {
            self.asked(&mut open, out);
        }
        self.keep_or_end(key, open, out);
    }

    fn request_body(
        &mut self,
        key: Key,
        part: u32,
        body: Bytes,
        receipt: Receipt,
        out: &mut Vec<Exchange>,
    ) {
        let Some(mut open) = self.open.remove(&key).filter(|open| !open.asked) else {
            return self.handed.push(Handed::Rest(receipt));
        };
        open.receipts.push(receipt);
        if open.part != part {
            return self.give_up(open, out);
        }
        open.part += 1;
        self.say(&open, Side::Client, (open.finished, body), out);
        if open.part == open.parts {
            self.asked(&mut open, out);
        }
        self.keep_or_end(key, open, out);
    }

    /// The request is whole, as far as its envelopes say.
    fn asked(&mut self, open: &mut Open, out: &mut [Exchange]) {
        open.asked = true;
        let is_asked =
            out.iter().any(|exchange| exchange.id == open.id && exchange.is_first_moment());
        let receipts = std::mem::take(&mut open.receipts);
        if is_asked {
            self.settlement.begin(open.id, receipts);
            self.handed.push(Handed::Request(open.id));
        } else {
            self.drop(NotPassedOn::NotARequest, &receipts);
        }
    }

    fn response(
        &mut self,
        key: Key,
        parts: u32,
        response: Part,
        receipt: Receipt,
        out: &mut Vec<Exchange>,
    ) {
        self.handed.push(Handed::Rest(receipt));
        let Some(mut open) = self.open.remove(&key).filter(|open| open.asked) else {
            self.unpaired += 1;
            return;
        };
        let Part { started, finished, head, body, why_no_body, wire_length, .. } = response;
        (open.part, open.parts, open.finished) = (1, parts, finished);
        self.say(&open, Side::Server, (started, head), out);
        self.say(&open, Side::Server, (finished, body), out);
        if !why_no_body.is_empty() {
            let change = Change::Gap(Side::Server, wire_length);
            self.push(&open, finished, change, out);
        }
        self.await_part(key, open, out);
    }

    fn response_body(
        &mut self,
        key: Key,
        part: u32,
        body: Bytes,
        receipt: Receipt,
        out: &mut Vec<Exchange>,
    ) {
        self.handed.push(Handed::Rest(receipt));
        let Some(mut open) = self.open.remove(&key).filter(|open| open.asked) else { return };
        if open.part != part {
            return self.end(open, out);
        }
        open.part += 1;
        self.say(&open, Side::Server, (open.finished, body), out);
        self.await_part(key, open, out);
    }

    /// A response ends with its last part.
    fn await_part(&mut self, key: Key, open: Open, out: &mut Vec<Exchange>) {
        if open.part == open.parts {
            self.end(open, out);
        } else {
            self.open.insert(key, open);
        }
    }

    fn keep_or_end(&mut self, key: Key, open: Open, out: &mut Vec<Exchange>) {
        if open.asked && !open.request.response_follows {
            return self.end(open, out);
        }
        if self.open.insert(key, open).is_none() {
            self.ages.push_back((now(), key));
        }
        while let Some((begun, key)) = self.ages.front().copied()
            && (self.open.len() > MAX_OPEN
                || begun.elapsed() > MAX_WAIT
                || !self.open.contains_key(&key))
        {
            self.ages.pop_front();
            self.abandon(key, out);
        }
    }

    /// No more comes of an exchange.
    fn abandon(&mut self, key: Key, out: &mut Vec<Exchange>) {
        let Some(open) = self.open.remove(&key) else { return };
        if !open.asked {
            return self.give_up(open, out);
        }
        self.responses_missing += 1;
        self.end(open, out);
    }

    /// A request without all of its parts.
    fn give_up(&mut self, mut open: Open, out: &mut Vec<Exchange>) {
        let receipts = std::mem::take(&mut open.receipts);
        self.drop(NotPassedOn::PartMissing, &receipts);
        let before = out.len();
        self.end(open, out);
        out.truncate(before);
    }

    fn drop(&mut self, why: NotPassedOn, receipts: &[Receipt]) {
        self.dropped[why] += 1;
        receipts.iter().for_each(|receipt| self.settlement.settle(*receipt, Outcome::Dropped));
    }

    fn end(&mut self, open: Open, out: &mut Vec<Exchange>) {
        self.push(&open, open.finished, Change::Closed(CloseReason::Fin), out);
        self.slots.push(open.conn.slot);
    }

    fn say(
        &mut self,
        open: &Open,
        side: Side,
        (at, bytes): (Timestamp, Bytes),
        out: &mut Vec<Exchange>,
    ) {
        if !bytes.is_empty() {
            self.push(open, at, Change::Data(side, bytes), out);
        }
    }

    /// Tells the `http` stage, and gives what comes of it the names that it had where it was captured.
    fn push(&mut self, open: &Open, at: Timestamp, change: Change, out: &mut Vec<Exchange>) {
        let before = out.len();
        self.http.push(StreamEvent { conn: open.conn, at, change }, out);
        for exchange in out.iter_mut().skip(before) {
            exchange.id = open.id;
            exchange.peers = Arc::clone(&open.peers);
            exchange.proxied_client = open.request.proxied_client;
        }
    }

    /// Nothing more comes: what waits ends.
    pub(super) fn end_all(&mut self, out: &mut Vec<Exchange>) {
        let open: Vec<Key> = self.open.keys().copied().collect();
        for key in open {
            // What is not whole stays in the stream, for whoever takes it next.
            if let Some(open) = self.open.get_mut(&key).filter(|open| !open.asked) {
                open.receipts.clear();
            }
            self.abandon(key, out);
        }
    }

    /// Requests that came, and what became of them.
    pub(super) fn account(&self) -> Account {
        let dropped: Vec<_> = self.dropped.iter().map(|(why, n)| (why.into(), *n)).collect();
        let lost: u64 = self.dropped.values().sum();
        let open = self.open.values().filter(|open| !open.asked).count() as u64;
        let delivered = self.requests.saturating_sub(lost).saturating_sub(open);
        Account {
            seen: self.requests,
            delivered,
            in_flight: open,
            dropped,
            ..Account::new(Seam::TakenRequests)
        }
    }

    /// Responses that came alone, and those that did not come.
    pub(super) fn responses(&self) -> Option<Note> {
        let counts = [("unpaired", self.unpaired), ("missing", self.responses_missing)];
        Note::new(Topic::TakenResponses, counts)
    }
}
