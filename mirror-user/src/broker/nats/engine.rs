//! The thread that publishes: one session after the other, each message until the server has confirmed it.
//!
//! Messages go out in the order of their numbers, and a connection that was lost is never used again. What it had not
//! confirmed is sent first on the next one, under the same ids, so that the stream holds each once and in order.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{self, ErrorCode};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::runtime::Builder;

use super::connect::{Connected, Link, causes};
use super::numbers::{Ends, Numbered, Numbers};
use super::publish::{NotPublished, PublisherOptions, Shared, State};
use super::{FIRST_BACKOFF, longer, stream};
use crate::broker::clock::{now, pause, wall_time};
use crate::broker::envelope::{self, Report};
use crate::logging::emit;

/// Messages that were sent and not confirmed, at most: what a server confirms within some milliseconds.
const MAX_WINDOW: usize = 4096;
/// Their bytes.
const MAX_WINDOW_BYTES: usize = 32 << 20;
/// How often the engine looks whether it was stopped.
const CHECK: Duration = Duration::from_millis(50);
/// How often the counts are published.
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// Connects once and looks at the stream.
pub(super) fn probe(link: &Link, options: &PublisherOptions) -> anyhow::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let connected = link.connect("mirror publishes").await?;
        let Connected { jetstream, max_payload, .. } = &connected;
        let opened = stream::open(jetstream, &link.address, Some(&options.stream), *max_payload);
        let found = connected.while_it_lasts(opened).await.map_err(|why| link.named(why))?;
        let stream = &link.address;
        emit!(BrokerReady, stream = %stream, "{stream}: {found}");
        Ok(())
    })
}

/// Publishes.
pub(super) struct Engine {
    link: Link,
    options: PublisherOptions,
    shared: Arc<Shared>,
    /// Since the stream was first seen.
    numbers: Option<Numbers>,
    window: VecDeque<InFlight>,
    window_bytes: usize,
    reported: Instant,
    /// The operator was told that the broker takes nothing.
    told: bool,
}

/// A message without confirmation.
struct InFlight {
    message: Numbered,
    ack: Option<Ack>,
}

type Ack = BoxFuture<'static, Result<jetstream::publish::PublishAck, PublishError>>;

/// Why a session ended.
enum Ended {
    /// Everything is done.
    Done,
    /// For the time being.
    For(State, String),
}

impl Engine {
    pub(super) fn new(link: Link, options: PublisherOptions, shared: Arc<Shared>) -> Self {
        Self {
            link,
            options,
            shared,
            numbers: None,
            window: VecDeque::new(),
            window_bytes: 0,
            reported: now(),
            told: false,
        }
    }

    /// Publishes until there is nothing more, or no more time.
    pub(super) fn run(mut self) -> anyhow::Result<()> {
        let mut backoff = FIRST_BACKOFF;
        loop {
            let runtime = Builder::new_current_thread().enable_all().build();
            let runtime = runtime.context("publish: no event loop could be started")?;
            let before = self.shared.counts.messages.load(Relaxed);
            let ended = runtime.block_on(self.session());
            // With everything that still runs on the lost connection.
            drop(runtime);
            self.window.iter_mut().for_each(|sent| sent.ack = None);
            match ended {
                Ended::Done => return Ok(()),
                Ended::For(state, why) => {
                    self.shared.set_state(state);
                    if !self.told {
                        let (stream, why) = (&self.link.address, self.link.named(anyhow!(why)));
                        let reason = format!("{why:#}");
                        emit!(BrokerAway, stream = %stream, reason, "{why:#}; what does not fit into the queue meanwhile is dropped");
                        self.told = true;
                    }
                }
            }
            if self.shared.counts.messages.load(Relaxed) > before {
                backoff = FIRST_BACKOFF;
            }
            let until = now() + backoff;
            while now() < until {
                if self.shared.is_over() || (self.shared.is_done() && self.has_nothing()) {
                    self.give_up();
                    return Ok(());
                }
                pause(CHECK.min(until.saturating_duration_since(now())));
            }
            backoff = longer(backoff);
        }
    }

    fn has_nothing(&self) -> bool {
        self.window.is_empty() && self.numbers.as_ref().is_none_or(Numbers::is_between)
    }

    /// Counts what will not be sent any more.
    fn give_up(&mut self) {
        let counts = &self.shared.counts;
        let in_flight = self.window.drain(..).map(|sent| sent.message.ends);
        for ends in in_flight.chain(self.numbers.as_mut().and_then(Numbers::give_up)) {
            counts.not_sent(ends, NotPublished::Unconfirmed);
        }
        let why = self.shared.state().reason();
        while let Some(outgoing) = self.shared.pop() {
            counts.not_sent(Ends::of(&outgoing), why);
        }
    }

    async fn session(&mut self) -> Ended {
        let connected = match self.link.connect("mirror publishes").await {
            Ok(connected) => connected,
            Err(why) => return Ended::For(State::Away, format!("{why:#}")),
        };
        let Connected { jetstream, max_payload, .. } = &connected;
        let (address, missing) = (&self.link.address, Some(&self.options.stream));
        match stream::open(jetstream, address, missing, *max_payload).await {
            Ok(found) => {
                // What is sent part by part goes on with parts of one size.
                let numbers = || Numbers::new(&self.options, found.shards, *max_payload);
                self.numbers.get_or_insert_with(numbers);
            }
            Err(why) => return Ended::For(State::Away, format!("{why:#}")),
        }
        self.shared.set_state(State::Connected);
        match self.pump(&connected).await {
            Ok(()) => Ended::Done,
            Err(_) if connected.ending.not_allowed.load(Relaxed) => Ended::For(
                State::NotAllowed,
                "the server does not allow this user to publish there".to_owned(),
            ),
            Err((state, why)) => Ended::For(state, why),
        }
    }

    async fn pump(&mut self, connected: &Connected) -> Result<(), (State, String)> {
        for sent in &mut self.window {
            sent.ack = Some(send(connected, &self.link, &sent.message).await?);
            self.shared.counts.sent_again.fetch_add(1, Relaxed);
        }
        loop {
            self.fill(connected).await?;
            if self.has_nothing() && self.shared.is_done() {
                self.report(connected, true).await;
                return Ok(());
            }
            if self.shared.is_over() {
                self.give_up();
                self.report(connected, true).await;
                return Ok(());
            }
            self.report(connected, false).await;
            let has_room = self.has_room();
            let first = self.window.front_mut().and_then(|sent| sent.ack.as_mut());
            let confirmed = async {
                match first {
                    Some(ack) => ack.await,
                    None => pending().await,
                }
            };
            tokio::select! {
                confirmed = confirmed => self.confirmed(confirmed)?,
                () = connected.ending.wait() => return Err((State::Away, "the connection was lost".to_owned())),
                () = self.shared.wake.notified(), if has_room => {}
                () = tokio::time::sleep(CHECK) => {}
            }
            while let Some(ack) = self.window.front_mut().and_then(|sent| sent.ack.as_mut())
                && let Some(confirmed) = ack.now_or_never()
            {
                self.confirmed(confirmed)?;
            }
        }
    }

    fn has_room(&self) -> bool {
        self.window.len() < MAX_WINDOW && self.window_bytes < MAX_WINDOW_BYTES
    }

    /// Sends as much as may be without confirmation.
    async fn fill(&mut self, connected: &Connected) -> Result<(), (State, String)> {
        while self.has_room() {
            let next = self.numbers.as_mut().and_then(|numbers| numbers.next(&self.shared));
            let Some(message) = next else { return Ok(()) };
            self.window_bytes = self.window_bytes.saturating_add(message.bytes.len());
            let (ack, failed) = match send(connected, &self.link, &message).await {
                Ok(ack) => (Some(ack), None),
                Err(failed) => (None, Some(failed)),
            };
            self.window.push_back(InFlight { message, ack });
            if let Some(failed) = failed {
                return Err(failed);
            }
        }
        Ok(())
    }

    /// The oldest message was confirmed, or not.
    fn confirmed(
        &mut self,
        confirmed: Result<jetstream::publish::PublishAck, PublishError>,
    ) -> Result<(), (State, String)> {
        confirmed.map_err(|why| (state_of(&why), causes(&why)))?;
        let Some(InFlight { message, .. }) = self.window.pop_front() else { return Ok(()) };
        if std::mem::take(&mut self.told) {
            self.shared.counts.reconnected.fetch_add(1, Relaxed);
            let stream = &self.link.address;
            emit!(BrokerBack, stream = %stream, "{stream}: takes messages again");
        }
        self.window_bytes = self.window_bytes.saturating_sub(message.bytes.len());
        let counts = &self.shared.counts;
        counts.messages.fetch_add(1, Relaxed);
        counts.bytes.fetch_add(message.bytes.len() as u64, Relaxed);
        match message.ends {
            Ends::Request => counts.published.fetch_add(1, Relaxed),
            Ends::Response => counts.responses.fetch_add(1, Relaxed),
            Ends::Nothing => 0,
        };
        Ok(())
    }

    /// Publishes the counts, when it is time or at the end.
    async fn report(&mut self, connected: &Connected, ended: bool) {
        if !ended && self.reported.elapsed() < REPORT_EVERY {
            return;
        }
        self.reported = now();
        let Some(writer) = self.numbers.as_ref().map(Numbers::writer) else { return };
        let counts = &self.shared.counts;
        let dropped = counts.dropped().into_iter().filter(|(_, n)| *n > 0);
        let report = Report {
            time: wall_time(),
            published: counts.published.load(Relaxed),
            dropped: dropped.map(|(reason, n)| (reason.into(), n)).collect(),
            seen: counts.seen.load(Relaxed),
            ended,
        };
        let subject = self.link.address.report(&self.options.run);
        let sent = connected.jetstream.publish(subject, envelope::report(writer, &report)).await;
        // One that is lost is made up for by the next; the last one is waited for.
        if let (Ok(ack), true) = (sent, ended) {
            let _ = ack.await;
        }
    }
}

async fn send(
    connected: &Connected,
    link: &Link,
    message: &Numbered,
) -> Result<Ack, (State, String)> {
    let publish = PublishMessage::build().payload(message.bytes.clone()).message_id(&message.id);
    let sent = connected.jetstream.send_publish(link.address.shard(message.shard), publish).await;
    match sent {
        Ok(ack) => Ok(ack.into_future()),
        Err(why) => Err((state_of(&why), causes(&why))),
    }
}

/// What an error says of the broker.
fn state_of(why: &PublishError) -> State {
    let of_server =
        std::error::Error::source(why).and_then(|why| why.downcast_ref::<jetstream::Error>());
    match (why.kind(), of_server.map(jetstream::Error::error_code)) {
        (
            _,
            Some(
                ErrorCode::STREAM_STORE_FAILED
                | ErrorCode::STORAGE_RESOURCES_EXCEEDED
                | ErrorCode::INSUFFICIENT_RESOURCES,
            ),
        ) => State::Full,
        (PublishErrorKind::TimedOut, _) => State::Connected,
        _ => State::Away,
    }
}
