//! The front of HAR files: entries, and the `http` stage that reads what was said in them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hashbrown::HashMap;

use super::front::{Front, Observed, Reading};
use super::packets::of_http;
use crate::filter::{Ports, Watch, Watcher};
use crate::har::{Dialogue, Ends, Outcome, Part, Reader};
use crate::http::HttpTable;
use crate::http::message::{Exchange, Message, Moment};
use crate::packet::{InterfaceId, Timestamp};
use crate::tcp::event::{Change, CloseReason, ConnId, Peers, Side, StreamEvent};

/// How many entries are read between two pauses.
const ENTRIES_PER_PAUSE: u64 = 64;

/// Connections that the files name and that are open at once: as many as a busy server has. Beyond, the one that was
/// not used for longest ends, and what follows on it is another connection.
const MAX_CONNECTIONS: usize = 50_000;

/// From entries to exchanges. An entry whose file names its connection follows those before it there, unless they
/// overlap, as on HTTP/2; others have a connection of their own. Peers that the file does not name have no
/// address, but different ports.
pub struct HarFront {
    reader: Box<Reader>,
    names: Vec<String>,
    watcher: Watcher,
    http: HttpTable,
    open: HashMap<Key, Open>,
    /// The open ones, by when they were used last.
    used: BTreeMap<(Timestamp, u64), Key>,
    slots: Vec<u32>,
    next_slot: u32,
    connections: u64,
    /// How many entries will have been read at the next pause.
    next_pause: u64,
}

/// A connection, as a file names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    file: u16,
    ends: Ends,
    name: Arc<str>,
}

#[derive(Clone, Copy)]
struct Open {
    id: ConnId,
    /// When the last response ended.
    free: Timestamp,
}

impl HarFront {
    /// What `reader` gives, of the connections that are watched.
    #[must_use]
    pub fn new(reader: Box<Reader>, watch: Watch, http: HttpTable) -> Self {
        Self {
            names: reader.names(),
            reader,
            watcher: Watcher::new(watch),
            http,
            open: HashMap::new(),
            used: BTreeMap::new(),
            slots: Vec::new(),
            next_slot: 0,
            connections: 0,
            next_pause: ENTRIES_PER_PAUSE,
        }
    }

    /// The way of an entry.
    fn take(&mut self, mut dialogue: Dialogue, file: u16, out: &mut Vec<Exchange>) {
        let Ends { client, server } = dialogue.ends;
        if let Err(why) = self.watcher.choice().judge(client, server) {
            return self.reader.drop_last(why.into());
        }
        if self.watcher.choice().requests_only {
            dialogue.response = None;
        }
        let Dialogue { ends, connection, request, response, closes, reset } = dialogue;
        let closes = closes || response.is_none();
        let last = response.as_ref().unwrap_or(&request).finished;
        let key = connection.map(|name| {
            // Whether a client's address is known or made up, one name is one connection.
            let client = if client.ip().is_unspecified() { server } else { client };
            Key { file, ends: Ends { client, server }, name: name.into() }
        });
        let known = key.as_ref().and_then(|key| self.open.get(key).copied());
        let (id, stays) = match known {
            Some(open) if open.free <= request.started => (open.id, !closes),
            _ => (self.begin(ends, file, request.started, out), known.is_none() && !closes),
        };
        let before = out.len();
        self.say(id, Side::Client, request, out);
        if let Some(response) = response {
            self.say(id, Side::Server, response, out);
        }
        // What could not be read taints nothing that follows: an entry stands for itself.
        let stays = stays && out.iter().skip(before).any(is_whole);
        if let Some(key) = key
            && self.open.get(&key).is_none_or(|open| open.id == id)
        {
            self.forget(&key);
            if stays {
                self.used.insert((last, id.serial), key.clone());
                self.open.insert(key, Open { id, free: last });
                return self.make_room(out);
            }
        }
        self.end(id, last, if reset { CloseReason::Reset } else { CloseReason::Fin }, out);
    }

    fn begin(&mut self, ends: Ends, file: u16, at: Timestamp, out: &mut Vec<Exchange>) -> ConnId {
        let slot = self.slots.pop().unwrap_or_else(|| {
            self.next_slot += 1;
            self.next_slot - 1
        });
        let id = ConnId { slot, serial: self.connections };
        self.connections += 1;
        let Ends { client, server } = ends;
        let peers = Peers { client, server, interface: InterfaceId(u32::from(file)) };
        self.push(id, at, Change::Opened { peers: peers.into(), midstream: false }, out);
        id
    }

    fn say(&mut self, id: ConnId, side: Side, part: Part, out: &mut Vec<Exchange>) {
        let mut rest = Bytes::from(part.bytes);
        // The time of a message's first byte and that of its last.
        let first = rest.split_to(rest.len().min(1));
        self.push(id, part.started, Change::Data(side, first), out);
        self.push(id, part.finished, Change::Data(side, rest), out);
        if let Some(missing) = part.missing {
            self.push(id, part.finished, Change::Gap(side, missing), out);
        }
    }

    fn push(&mut self, conn: ConnId, at: Timestamp, change: Change, out: &mut Vec<Exchange>) {
        self.http.push(StreamEvent { conn, at, change }, out);
    }

    fn end(&mut self, id: ConnId, at: Timestamp, why: CloseReason, out: &mut Vec<Exchange>) {
        self.push(id, at, Change::Closed(why), out);
        self.slots.push(id.slot);
    }

    fn forget(&mut self, key: &Key) {
        if let Some(open) = self.open.remove(key) {
            self.used.remove(&(open.free, open.id.serial));
        }
    }

    fn make_room(&mut self, out: &mut Vec<Exchange>) {
        while self.open.len() > MAX_CONNECTIONS
            && let Some((_, key)) = self.used.pop_first()
        {
            if let Some(open) = self.open.remove(&key) {
                self.end(open.id, open.free, CloseReason::Evicted, out);
            }
        }
    }

    fn end_all(&mut self, out: &mut Vec<Exchange>) {
        self.used.clear();
        for (_, open) in std::mem::take(&mut self.open) {
            self.end(open.id, open.free, CloseReason::EndOfInput, out);
        }
    }
}

fn is_whole(exchange: &Exchange) -> bool {
    let is_whole = |message: &Option<Arc<Message>>| {
        message.as_ref().is_some_and(|message| message.incomplete.is_none())
    };
    exchange.moment == Moment::Ended && is_whole(&exchange.request) && is_whole(&exchange.response)
}

impl Front for HarFront {
    fn read(&mut self, _: Duration, out: &mut Vec<Exchange>) -> anyhow::Result<Reading> {
        while self.reader.entries() < self.next_pause {
            match self.reader.read() {
                Outcome::Dialogue(dialogue, file) => self.take(*dialogue, file, out),
                Outcome::Dropped => {}
                Outcome::Again(shift) => {
                    self.end_all(out);
                    return Ok(Reading::Rewound(shift));
                }
                Outcome::End => return Ok(Reading::End),
            }
            if !out.is_empty() {
                return Ok(Reading::Exchanges);
            }
        }
        self.next_pause = self.reader.entries().saturating_add(ENTRIES_PER_PAUSE);
        Ok(Reading::Pause)
    }

    fn stop(&mut self) {
        self.reader.stop();
    }

    fn finish(&mut self, out: &mut Vec<Exchange>) -> anyhow::Result<()> {
        self.end_all(out);
        Ok(())
    }

    /// The files.
    fn interfaces(&self) -> &[String] {
        &self.names
    }

    /// Entries, as there are no packets.
    fn packets(&self) -> u64 {
        self.reader.entries()
    }

    /// Nothing depends on them but the filter, which is shared.
    fn server_ports(&mut self, _: Ports) {}

    fn observe(&self) -> Observed {
        let (of_messages, notes) = of_http(self.http.stats());
        let mut accounts = vec![self.reader.account()];
        accounts.extend(of_messages);
        Observed { accounts, copies: Vec::new(), notes }
    }

    fn warnings(&self) -> Vec<String> {
        self.reader.warnings()
    }

    fn when_nothing_was_seen(&self) -> Option<String> {
        let account = self.reader.account();
        let most = account.losses().into_iter().max_by_key(|(_, n)| *n);
        Some(match most {
            None => "the HAR has no entries; was the recording on?".to_owned(),
            Some((why, n)) => format!("no entry of the HAR is a request: {n} were {why}"),
        })
    }
}
