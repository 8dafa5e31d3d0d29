//! Cleared exchanges in, compared pairs out.
//!
//! [`Recording`] keeps a candidate's exchanges in memory, within [`MAX_RECORDING_BYTES`]; [`CompareSink`] then takes
//! production's and compares each with the next one of the recording that answered an equal request. Requests are equal
//! if method, target and body are. Nothing is sent.
//!
//! With a replay, the other side is live ([`LiveSink`]). All that a run compares is added to one comparison ([`Shared`]).
//!
//! What was compared may be kept ([`store`]), and judged anew.
//!
//! Refuses exchanges that were not captured whole: a packet that the capture lost is no fault of the candidate.

mod live;
mod meeting;
mod message;
mod recording;
mod shared;
pub mod store;

use std::io::Write;

use anyhow::Context;
use enum_map::{Enum, EnumMap};
use mirror_compare::report::Finding;
use strum::{IntoEnumIterator, IntoStaticStr};

pub use self::live::{Judge, LiveSink};
pub use self::meeting::{Meeting, Role};
use self::message::Pair;
pub use self::recording::{MAX_RECORDING_BYTES, RecordSink, Recording};
pub use self::shared::{Redaction, Shared};
use crate::http::message::{Exchange, Incomplete, Message, Moment};
use crate::rules::Cleared;
use crate::rules::pair::ClearedPair;
use crate::sink::Sink;
use crate::stats::{Account, Seam};

/// Why an exchange was not compared: "it was …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, strum::EnumIter, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum NotCompared {
    /// Without an equal request in the other recording.
    NotMatched,
    /// Without a whole request, or without a response.
    Incomplete,
    /// With a response whose packets were not all captured.
    NotCaptured,
    /// Beyond the memory that a recording may take, or exchanges of which a side is missing yet.
    NoRoom,
    /// Not sent to the candidate, which the replay's account explains.
    NotSent,
    /// One too many: comparisons go first where there is too much to do.
    Shed,
    /// For a target that a reload replaced, when the next comparison had begun.
    Replaced,
}

/// The reasons with their counts.
fn counted(dropped: &EnumMap<NotCompared, u64>) -> Vec<(&'static str, u64)> {
    NotCompared::iter().map(|why| (why.into(), dropped[why])).collect()
}

/// Why a side of an exchange cannot be compared; `None` if it can.
fn unfit(exchange: &Exchange) -> Option<NotCompared> {
    let request = exchange.request.as_deref().filter(|request| request.incomplete.is_none());
    match (request, exchange.response.as_deref()) {
        (Some(_), Some(response)) if was_lost(response) => Some(NotCompared::NotCaptured),
        (Some(_), Some(_)) => None,
        _ => Some(NotCompared::Incomplete),
    }
}

/// True if the capture, and not the sender, left a message incomplete.
fn was_lost(message: &Message) -> bool {
    !matches!(message.incomplete, None | Some(Incomplete::Closed | Incomplete::Reset))
}

/// Writes a pair that differs.
///
/// # Errors
/// If it takes no more.
pub fn write(out: &mut Option<Box<dyn Write + Send>>, finding: &Finding) -> anyhow::Result<()> {
    let Some(out) = out.as_mut().filter(|_| finding.counts()) else { return Ok(()) };
    let written = serde_json::to_writer(&mut *out, finding).map_err(anyhow::Error::from);
    written.and_then(|()| Ok(out.write_all(b"\n")?)).context("--findings: it takes no more")
}

/// Writes what is buffered.
///
/// # Errors
/// If it takes no more.
pub fn flush(out: &mut Option<Box<dyn Write + Send>>) -> anyhow::Result<()> {
    out.as_mut().map_or(Ok(()), |out| out.flush().context("--findings: it takes no more"))
}

/// Compares production's exchanges with a recording.
pub struct CompareSink {
    recording: Recording,
    comparison: Shared,
    findings: Option<Box<dyn Write + Send>>,
    seen: u64,
    compared: u64,
    dropped: EnumMap<NotCompared, u64>,
}

impl CompareSink {
    /// Compares with `recording`; pairs that differ are written to `findings`, one JSON object per line.
    #[must_use]
    pub fn new(
        recording: Recording,
        comparison: Shared,
        findings: Option<Box<dyn Write + Send>>,
    ) -> Self {
        let dropped = EnumMap::default();
        Self { recording, comparison, findings, seen: 0, compared: 0, dropped }
    }

    fn compare(&mut self, cleared: &Cleared) -> anyhow::Result<Result<(), NotCompared>> {
        let exchange = cleared.exchange();
        let whole =
            exchange.response.as_deref().is_some_and(|response| response.incomplete.is_none());
        match unfit(exchange) {
            Some(why) => return Ok(Err(why)),
            None if !whole => return Ok(Err(NotCompared::Incomplete)),
            None => {}
        }
        let Some(candidate) = self.recording.take(exchange) else {
            return Ok(Err(NotCompared::NotMatched));
        };
        let Some(pair) = ClearedPair::of_recordings(cleared.clone(), &candidate) else {
            return Ok(Err(NotCompared::NotMatched));
        };
        let Some(pair) = Pair::of_recordings(&pair, candidate.exchange()) else {
            return Ok(Err(NotCompared::Incomplete));
        };
        let Some(finding) = pair.compare(&self.comparison) else {
            return Ok(Err(NotCompared::Replaced));
        };
        write(&mut self.findings, &finding)?;
        Ok(Ok(()))
    }
}

impl Sink for CompareSink {
    fn accept(&mut self, cleared: &Cleared) -> anyhow::Result<()> {
        if cleared.exchange().moment != Moment::Ended {
            return Ok(());
        }
        self.seen += 1;
        match self.compare(cleared)? {
            Ok(()) => self.compared += 1,
            Err(why) => self.dropped[why] += 1,
        }
        Ok(())
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        self.comparison.settle();
        flush(&mut self.findings)
    }

    fn account(&self) -> Account {
        Account {
            seen: self.seen,
            delivered: self.compared,
            dropped: counted(&self.dropped),
            ..Account::new(Seam::Exchanges)
        }
    }

    fn warnings(&self) -> Vec<String> {
        let left = self.recording.len();
        let missed = self.dropped[NotCompared::NotMatched];
        let mut warnings = Vec::new();
        if missed > 0 {
            warnings.push(format!("{missed} requests of --from have no equal one in --with"));
        }
        if left > 0 {
            warnings.push(format!("{left} requests of --with have no equal one in --from"));
        }
        warnings
    }
}
