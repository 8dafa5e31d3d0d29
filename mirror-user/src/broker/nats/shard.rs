//! The task of one shard: takes its messages in order, writes how far it may hand them on, hands them on, and writes how
//! far they are settled.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull::{Ordered, OrderedConfig};
use async_nats::jetstream::kv::UpdateErrorKind;
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::{Notify, SemaphorePermit};

use super::connect::causes;
use super::consume::Consumer;
use super::held::{NotHandedOn, weight};
use super::intake::Session;
use super::ledger::{Outcome, Take, Taken};
use super::members::shard_key;
use crate::broker::clock::now;
use crate::broker::envelope::{self, Content};
use crate::logging::emit;

/// Messages that are announced by one write of the lease.
const BATCH: usize = 256;
/// How long messages gather before that, unless there are so many: a shadow is late by no more, and a lease is written
/// 50 times a second at most.
const GATHER: Duration = Duration::from_millis(20);
/// How often the lease says how far messages are settled.
const WRITE_EVERY: Duration = Duration::from_secs(1);
/// Bytes that the server sends ahead.
const AHEAD_BYTES: i64 = 8 << 20;

/// How a task ended.
pub(super) enum Ended {
    /// Another member owns the shard.
    Lost,
    /// It was given back.
    Released,
    /// The broker or the connection failed; the shard is this member's still.
    Failed(String),
}

/// Takes the messages of one shard.
pub(super) struct Reader {
    session: Arc<Session>,
    shard: u32,
    release: Arc<Notify>,
    /// The last message that is wanted.
    until: Option<u64>,
    written: Instant,
}

impl Reader {
    pub(super) fn new(session: Arc<Session>, shard: u32, release: Arc<Notify>) -> Self {
        Self { session, shard, release, until: None, written: now() }
    }

    /// Ends after the last message up to this one.
    pub(super) fn until(self, last: u64) -> Self {
        Self { until: Some(last), ..self }
    }

    pub(super) async fn run(mut self) -> Ended {
        match self.take().await {
            Ok(ended) | Err(ended) => ended,
        }
    }

    async fn take(&mut self) -> Result<Ended, Ended> {
        let Some(cursor) = self.cursor() else { return Ok(Ended::Lost) };
        if self.until.is_some_and(|until| cursor >= until) {
            return Ok(Ended::Released);
        }
        let mut messages = self.open(cursor).await?;
        let mut waiting = true;
        loop {
            let timeout = if waiting { WRITE_EVERY } else { Duration::ZERO };
            let next = tokio::select! {
                biased;
                () = self.release.notified() => return self.give_back().await,
                next = tokio::time::timeout(timeout, messages.next()) => next,
            };
            let first = match next {
                Ok(Some(message)) => message.map_err(|why| Ended::Failed(causes(&why)))?,
                Ok(None) => return Err(Ended::Failed("the consumer ended".to_owned())),
                Err(_) => {
                    self.write_when_due().await?;
                    if waiting && self.is_at_the_end(true) {
                        return Ok(Ended::Released);
                    }
                    waiting = true;
                    continue;
                }
            };
            let batch = self.gather(first, &mut messages).await?;
            let pending = batch.last().and_then(|(_, message)| Some(message.info().ok()?.pending));
            let weights = batch.iter().map(|(_, message)| weight(message.payload.len())).sum();
            let session = Arc::clone(&self.session);
            let room = tokio::select! {
                biased;
                () = self.release.notified() => return self.give_back().await,
                room = session.shared.room.acquire_many(MAX_WEIGHT.min(weights)) => room,
            };
            let room = room.map_err(|_| Ended::Failed("stopped".to_owned()))?;
            self.hand_on(batch, weights, room).await?;
            waiting = false;
            if self.is_at_the_end(pending == Some(0)) {
                return Ok(Ended::Released);
            }
        }
    }

    /// True when everything that is wanted came: up to the last one, or `nothing_more` is there. A range ends at the
    /// latest with the last message of the stream, and most shards have theirs before it.
    fn is_at_the_end(&self, nothing_more: bool) -> bool {
        self.until
            .is_some_and(|until| nothing_more || self.cursor().is_none_or(|cursor| cursor >= until))
    }

    /// The last message that was taken; `None` if the shard is not this member's.
    fn cursor(&self) -> Option<u64> {
        let held = self.session.shared.held();
        held.shards.get(&self.shard).map(|owned| owned.ledger.cursor())
    }

    async fn open(&self, cursor: u64) -> Result<Ordered, Ended> {
        let Session { connected, link, .. } = &*self.session;
        let failed = |why: &dyn std::error::Error| Ended::Failed(causes(why));
        let stream = connected.jetstream.get_stream_no_info(&link.address.stream).await;
        let config = OrderedConfig {
            filter_subject: link.address.shard(self.shard),
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: cursor.saturating_add(1),
            },
            max_bytes: AHEAD_BYTES.max(i64::try_from(connected.max_payload).unwrap_or(i64::MAX)),
            ..OrderedConfig::default()
        };
        let consumer = stream.map_err(|why| failed(&why))?.create_consumer(config).await;
        let messages = consumer.map_err(|why| failed(&why))?.messages().await;
        messages.map_err(|why| failed(&why))
    }

    /// The message and those that come with it; only those after the last one that was taken.
    async fn gather(
        &mut self,
        first: Message,
        messages: &mut Ordered,
    ) -> Result<Vec<(u64, Message)>, Ended> {
        let (is_careful, again) = {
            let held = self.session.shared.held();
            let lease = held.shards.get(&self.shard).map(|owned| &owned.ledger.lease);
            lease.map_or((false, 0), |lease| (lease.careful, lease.again))
        };
        let cursor = self.cursor().ok_or(Ended::Lost)?;
        let mut batch = Vec::new();
        let mut next = Some(first);
        let until = tokio::time::Instant::now() + GATHER;
        while let Some(message) = next.take() {
            let sequence = message.info().map(|info| info.stream_sequence);
            let sequence = sequence.map_err(|why| Ended::Failed(why.to_string()))?;
            if sequence > cursor && self.until.is_none_or(|until| sequence <= until) {
                batch.push((sequence, message));
            }
            if batch.len() >= BATCH || (is_careful && sequence <= again) {
                break;
            }
            let more = match messages.next().now_or_never() {
                Some(more) => Ok(more),
                None => tokio::time::timeout_at(until, messages.next()).await,
            };
            next = match more {
                Ok(Some(more)) => Some(more.map_err(|why| Ended::Failed(causes(&why)))?),
                Ok(None) => return Err(Ended::Failed("the consumer ended".to_owned())),
                Err(_) => None,
            };
        }
        Ok(batch)
    }

    /// Hands messages on, once it is written that this may happen.
    async fn hand_on(
        &mut self,
        batch: Vec<(u64, Message)>,
        weights: u32,
        room: SemaphorePermit<'_>,
    ) -> Result<(), Ended> {
        let Some((last, _)) = batch.last() else { return Ok(()) };
        let last = *last;
        let session = Arc::clone(&self.session);
        self.write(Some(last)).await?;
        // A batch may be larger than what it was charged.
        let mut spare = weights.saturating_sub(MAX_WEIGHT);
        let mut parked = None;
        {
            let mut held = session.shared.held();
            if !held.shards.contains_key(&self.shard) {
                return Err(Ended::Lost);
            }
            // From here on, what is settled gives its part back.
            room.forget();
            for (sequence, message) in batch {
                let weight = weight(message.payload.len());
                let charged = weight.saturating_sub(spare);
                spare = spare.saturating_sub(weight);
                let envelope = envelope::read(&message.payload);
                let Some(owned) = held.shards.get_mut(&self.shard) else { return Err(Ended::Lost) };
                let nobody = Bytes::new();
                let (run, place, is_request) = match &envelope {
                    Ok(envelope) => {
                        let is_request = matches!(envelope.content, Content::Request(_));
                        (&envelope.run, envelope.place, is_request)
                    }
                    Err(_) => (&nobody, 0, false),
                };
                let is_parked = owned.parked == Some(sequence);
                let take = Take { sequence, run, place, is_request, weight: charged };
                let taken = owned.ledger.take(take);
                let refused = match (&envelope, taken) {
                    (Err(why), _) => Some(NotHandedOn::from(*why)),
                    (Ok(_), Taken::Duplicate) => Some(NotHandedOn::Duplicate),
                    (Ok(_), _) if is_parked => Some(NotHandedOn::Parked),
                    (Ok(_), Taken::First | Taken::Again) => None,
                };
                if let Some(why) = refused {
                    let outcome = if is_parked { Outcome::Parked } else { Outcome::Dropped };
                    let weight = owned.ledger.settle(sequence, outcome);
                    session.shared.room.add_permits(weight as usize);
                    session.shared.counts.drop(why);
                    parked = parked.or(is_parked.then_some(sequence));
                    continue;
                }
                if taken == Taken::Again {
                    session.shared.counts.redelivered.fetch_add(1, Relaxed);
                }
                if let Ok(envelope) = envelope {
                    session.shared.hand_on(&mut held, self.shard, sequence, envelope);
                }
            }
        }
        if let Some(sequence) = parked {
            self.park(sequence).await?;
        }
        self.wait_if_careful(last).await
    }

    /// Notes a parked message where it can be found.
    async fn park(&self, sequence: u64) -> Result<(), Ended> {
        let Session { bucket, link, .. } = &*self.session;
        let stream = &link.address;
        emit!(
            MessageParked,
            stream = %stream,
            sequence,
            "{stream}: message {sequence} is parked, because its owners died whenever they handled it; \
             --from-sequence {sequence} --to-sequence {sequence} takes it again"
        );
        if let Some(bucket) = bucket {
            let written =
                bucket.put(format!("parked.{sequence}"), self.shard.to_string().into()).await;
            written.map_err(|why| Ended::Failed(causes(&why)))?;
        }
        Ok(())
    }

    /// One message at a time, where owners died.
    async fn wait_if_careful(&mut self, last: u64) -> Result<(), Ended> {
        loop {
            {
                let mut held = self.session.shared.held();
                let Some(owned) = held.shards.get_mut(&self.shard) else { return Err(Ended::Lost) };
                let lease = &mut owned.ledger.lease;
                if !lease.careful {
                    return Ok(());
                }
                if lease.floor >= lease.again {
                    lease.careful = false;
                }
                if lease.floor >= last {
                    return Ok(());
                }
            }
            tokio::time::sleep(GATHER).await;
        }
    }

    async fn write_when_due(&mut self) -> Result<(), Ended> {
        let is_changed = {
            let held = self.session.shared.held();
            held.shards.get(&self.shard).is_some_and(|owned| owned.ledger.changed)
        };
        if is_changed && self.written.elapsed() >= WRITE_EVERY {
            return self.write(None).await;
        }
        Ok(())
    }

    /// Writes the lease, if there is a group: how far messages are settled, and how far they may be handed on.
    async fn write(&mut self, upto: Option<u64>) -> Result<(), Ended> {
        self.written = now();
        let Some(bucket) = &self.session.bucket else { return Ok(()) };
        let (value, revision) = {
            let mut held = self.session.shared.held();
            let Some(owned) = held.shards.get_mut(&self.shard) else { return Err(Ended::Lost) };
            let ledger = &mut owned.ledger;
            ledger.changed = false;
            ledger.lease.upto =
                ledger.lease.upto.max(upto.unwrap_or_default()).max(ledger.lease.floor);
            (ledger.lease.write(), owned.revision)
        };
        match bucket.update(shard_key(self.shard), value, revision).await {
            Ok(revision) => {
                let mut held = self.session.shared.held();
                if let Some(owned) = held.shards.get_mut(&self.shard) {
                    owned.revision = revision;
                }
                Ok(())
            }
            Err(why) if why.kind() == UpdateErrorKind::WrongLastRevision => Err(Ended::Lost),
            Err(why) => Err(Ended::Failed(causes(&why))),
        }
    }

    /// Gives the shard back, once everything that was handed on is settled, or there is no more time.
    async fn give_back(&mut self) -> Result<Ended, Ended> {
        let over = now() + Consumer::drain();
        loop {
            let is_settled = {
                let mut held = self.session.shared.held();
                self.session.shared.withdraw(&mut held, self.shard);
                held.shards.get(&self.shard).is_none_or(|owned| owned.ledger.is_settled())
            };
            if is_settled || now() >= over {
                break;
            }
            let _ = tokio::time::timeout(GATHER, self.session.shared.settled.notified()).await;
        }
        {
            let mut held = self.session.shared.held();
            if let Some(owned) = held.shards.get_mut(&self.shard) {
                owned.ledger.give_back();
            }
        }
        self.write(None).await?;
        Ok(Ended::Released)
    }
}

/// The units that one batch takes, at most.
const MAX_WEIGHT: u32 = 32 * 1024;
