//! What is sent next, and under which numbers: each request gets the next sequence number of its run, each message the
//! next place on its shard. What was numbered is sent until it is confirmed, so that both are without gaps.

use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use hashbrown::HashMap;

use super::publish::{PublisherOptions, Shared};
use crate::broker::address::shard_of;
use crate::broker::envelope::{NotPublishable, Outgoing, Place, Writer};
use crate::http::message::ExchangeId;

/// Requests whose responses are to follow, at most; 3 MiB.
const MAX_OPEN: usize = 64 * 1024;

/// The numbers of a run.
pub(super) struct Numbers {
    run: String,
    responses: bool,
    writer: Writer,
    shards: u32,
    /// The next sequence number.
    sequence: u64,
    /// The next place on each shard.
    places: HashMap<u32, u64>,
    /// The numbers of requests whose responses are to follow.
    open: HashMap<ExchangeId, u64>,
    /// What is being sent part by part.
    current: Option<Current>,
}

/// A request or a response, of which some parts may have been sent.
struct Current {
    outgoing: Outgoing,
    at: Place,
    shard: u32,
    part: u32,
    parts: u32,
}

/// A message with its numbers.
pub(super) struct Numbered {
    pub(super) shard: u32,
    /// By which the server knows it, if it is sent again.
    pub(super) id: String,
    pub(super) bytes: Bytes,
    /// What is published once it is confirmed.
    pub(super) ends: Ends,
}

/// What ends with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    Request,
    Response,
    /// More parts follow.
    Nothing,
}

impl Ends {
    pub(super) fn of(outgoing: &Outgoing) -> Self {
        if outgoing.is_response() { Self::Response } else { Self::Request }
    }
}

impl Numbers {
    /// For a stream of so many shards, on a server that takes messages of so many bytes.
    pub(super) fn new(options: &PublisherOptions, shards: u32, max_payload: usize) -> Self {
        let PublisherOptions { run, host, responses, .. } = options;
        Self {
            run: run.clone(),
            responses: *responses,
            writer: Writer::new(run, host, *responses, max_payload),
            shards,
            sequence: 0,
            places: HashMap::new(),
            open: HashMap::new(),
            current: None,
        }
    }

    pub(super) fn writer(&self) -> &Writer {
        &self.writer
    }

    /// True when nothing is being sent part by part.
    pub(super) fn is_between(&self) -> bool {
        self.current.is_none()
    }

    /// Gives up what is being sent part by part.
    pub(super) fn give_up(&mut self) -> Option<Ends> {
        self.current.take().map(|current| Ends::of(&current.outgoing))
    }

    /// The next message: the next part of what is being sent, or of what waits.
    pub(super) fn next(&mut self, shared: &Shared) -> Option<Numbered> {
        loop {
            let Some(current) = &mut self.current else {
                let outgoing = shared.pop()?;
                self.current = self.begin(outgoing, shared);
                continue;
            };
            let Current { outgoing, at, shard, part, parts } = current;
            match self.writer.part(outgoing, *at, *part) {
                Ok(bytes) => {
                    let whole = Ends::of(outgoing);
                    let kind = if whole == Ends::Response { ".r" } else { "" };
                    let id = format!("{}-{}{kind}.{part}", self.run, at.sequence);
                    let shard = *shard;
                    *part = part.saturating_add(1);
                    let is_last = part == parts;
                    if is_last {
                        self.current = None;
                    }
                    let ends = if is_last { whole } else { Ends::Nothing };
                    return Some(Numbered { shard, id, bytes, ends });
                }
                // A body that cannot be read again keeps its numbers: a reader sees that parts are missing.
                Err(why) => {
                    shared.counts.not_sent(Ends::of(outgoing), why.into());
                    self.current = None;
                }
            }
        }
    }

    /// Gives numbers to what is sent next; `None` if it is a response whose request was not sent, or has too many parts.
    fn begin(&mut self, outgoing: Outgoing, shared: &Shared) -> Option<Current> {
        let id = outgoing.cleared().exchange().id;
        let parts: Result<u32, NotPublishable> = self.writer.parts(&outgoing);
        let parts =
            parts.map_err(|why| shared.counts.not_sent(Ends::of(&outgoing), why.into())).ok()?;
        let sequence = match outgoing.is_response() {
            true => self.open.remove(&id).or_else(|| {
                shared.counts.responses_dropped.fetch_add(1, Relaxed);
                None
            })?,
            false => self.number(id),
        };
        let shard = shard_of(self.run.as_bytes(), id.connection.number(), self.shards);
        let next = self.places.entry(shard).or_default();
        let place = *next;
        *next = next.saturating_add(u64::from(parts));
        Some(Current { outgoing, at: Place { sequence, place }, shard, part: 0, parts })
    }

    fn number(&mut self, id: ExchangeId) -> u64 {
        let sequence = self.sequence;
        self.sequence += 1;
        if self.responses {
            // Some may never end, because their connections were evicted.
            if self.open.len() >= MAX_OPEN {
                self.open.clear();
            }
            self.open.insert(id, sequence);
        }
        sequence
    }
}
