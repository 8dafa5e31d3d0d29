//! Cleared exchanges in: the end of the pipeline that reads recordings.

use std::sync::{Arc, Mutex, PoisonError};

use enum_map::Enum;
use strum::IntoStaticStr;

use super::book::{Builder, Loading};
use crate::http::message::Moment;
use crate::rules::Cleared;
use crate::sink::Sink;
use crate::stats::{Account, Note, Seam, Topic};

/// Why a recorded exchange cannot be given again: "it was skipped for its …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Skipped {
    /// Response without a request.
    NoRequest,
    /// Request that was not recorded whole.
    RequestIncomplete,
    /// Request with a body that this server would refuse.
    RequestTooLarge,
    /// Missing response.
    NoResponse,
    /// Response that was not recorded whole.
    ResponseIncomplete,
    /// Body that was not kept, or is withheld.
    BodyNotKept,
    /// Protocol, which is not HTTP any more after it.
    Tunnel,
    /// Size: all recordings together take more than [`MAX_BOOK_BYTES`](super::book::MAX_BOOK_BYTES).
    NoRoom,
}

/// What is being recorded; shared by the sinks that fill it one after the other and whoever makes a book of it.
#[derive(Clone)]
pub struct Recording(Arc<Mutex<Builder>>);

impl Recording {
    /// To be filled.
    #[must_use]
    pub fn new(builder: Builder) -> Self {
        Self(Arc::new(Mutex::new(builder)))
    }

    fn with<T>(&self, look: impl FnOnce(&mut Builder) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What was collected, for the last one who holds it.
    #[must_use]
    pub fn into_builder(self) -> Option<Builder> {
        let builder = Arc::into_inner(self.0)?;
        Some(builder.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Fills a recording.
pub struct StubSink {
    recording: Recording,
    /// What was recorded before this sink began.
    before: Loading,
}

impl StubSink {
    /// Fills `recording`.
    #[must_use]
    pub fn new(recording: Recording) -> Self {
        let before = recording.with(|builder| builder.loading().clone());
        Self { recording, before }
    }

    fn loading(&self) -> Loading {
        self.recording.with(|builder| builder.loading().clone())
    }
}

impl Sink for StubSink {
    fn accept(&mut self, cleared: &Cleared) -> anyhow::Result<()> {
        let exchange = cleared.exchange();
        self.recording.with(|builder| match exchange.moment {
            Moment::Asked => {}
            Moment::Interim => builder.interim(exchange),
            Moment::Ended => builder.add(exchange),
        });
        Ok(())
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        Ok(())
    }

    fn account(&self) -> Account {
        let (now, before) = (self.loading(), &self.before);
        let skipped = now.skipped.iter().map(|(why, n)| (why.into(), n - before.skipped[why]));
        Account {
            seen: now.seen - before.seen,
            delivered: now.kept - before.kept,
            dropped: skipped.collect(),
            ..Account::new(Seam::Exchanges)
        }
    }

    fn warnings(&self) -> Vec<String> {
        let loading = self.loading();
        let full = loading.skipped[Skipped::NoRoom] - self.before.skipped[Skipped::NoRoom];
        let text = || {
            format!(
                "--from: {full} exchanges were left out, because recordings take at most {} MiB of memory; serve them \
                 in parts",
                super::book::MAX_BOOK_BYTES >> 20
            )
        };
        if full > 0 { vec![text()] } else { Vec::new() }
    }
}

impl Loading {
    /// What recorded exchanges are as stubs, of which so many were never asked for.
    #[must_use]
    pub fn note(&self, unused: usize) -> Option<Note> {
        let counts = [
            ("different_requests", self.stubs),
            ("with_several_responses", self.sequences),
            ("exchanges_merged", self.merged),
            ("never_asked", unused as u64),
        ];
        Note::new(Topic::Stubs, counts)
    }
}
