//! Production's exchanges and the target's responses to their shadows, compared while both come.
//!
//! ```text
//! pipeline ──Cleared──► LiveSink ──┐
//!                                  ├─► Meeting ──complete──► queue ──► a thread that redacts and compares
//! replay ──ShadowOutcome─► Side ───┘
//! ```
//!
//! Neither the pipeline nor a replay waits: what does not fit is dropped and counted, comparisons first. The thread gives
//! way to those that capture and send.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, JoinHandle};

use anyhow::Context;
use crossbeam_channel::Receiver;
use mirror_compare::report::Finding;
use strum::IntoEnumIterator;

use super::meeting::{Complete, Meeting, Told};
use super::message::{Live, Pair};
use super::{NotCompared, Redaction, Shared, unfit};
use crate::http::message::Moment;
use crate::priority;
use crate::privileges::{self, Duty};
use crate::rules::Cleared;
use crate::rules::pair::{Answers, ClearedPair};
use crate::sink::Sink;
use crate::stats::{Account, Seam};

/// Takes production's exchanges.
pub struct LiveSink {
    meeting: Arc<Meeting>,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
}

/// What compares complete pairs.
pub struct Judge {
    /// What it adds to.
    pub comparison: Shared,
    /// What redacts all sides of a pair.
    pub redaction: Redaction,
    /// Where pairs that differ are written, one JSON object per line.
    pub findings: Option<Box<dyn Write + Send>>,
}

impl LiveSink {
    /// Starts the thread that compares.
    ///
    /// # Errors
    /// If there is none to be had.
    pub fn start(meeting: Arc<Meeting>, judge: Judge) -> anyhow::Result<Self> {
        let queue = meeting.queue();
        let from = Arc::clone(&meeting);
        let thread = thread::Builder::new()
            .name("compare".to_owned())
            .spawn(move || {
                privileges::keep_for(Duty::Nothing)?;
                priority::give_way_further();
                judge.run(&queue, &from)
            })
            .context("compare: no thread could be started")?;
        Ok(Self { meeting, thread: Some(thread) })
    }
}

impl Judge {
    fn run(mut self, queue: &Receiver<Complete>, from: &Meeting) -> anyhow::Result<()> {
        let mut outcome = Ok(());
        for complete in queue {
            from.taken(&complete);
            let compared = self.compare(complete);
            match compared {
                Ok(finding) => {
                    from.counts.compared.fetch_add(1, Relaxed);
                    if outcome.is_ok() {
                        outcome = super::write(&mut self.findings, &finding);
                    }
                }
                Err(why) => from.counts.count(why),
            }
            // Whoever else is ready runs now, and not when the kernel's slice of milliseconds is over: on a saturated host
            // production's customers would wait for it.
            thread::yield_now();
        }
        self.comparison.settle();
        outcome.and_then(|()| super::flush(&mut self.findings))
    }

    fn compare(&self, complete: Complete) -> Result<Arc<Finding>, NotCompared> {
        let Complete { production, candidate, control, again, .. } = complete;
        let message = |told: &Told| match told {
            Some(Ok(response)) => response.message.clone(),
            _ => None,
        };
        let answers = Answers {
            candidate: message(&candidate),
            control: message(&control),
            again: message(&again),
        };
        let pair = ClearedPair::answered(&production, answers, self.redaction.get());
        let live = Live { candidate: &candidate, control: &control, again: &again };
        let pair = Pair::of_live(&pair, live).ok_or(NotCompared::Incomplete)?;
        pair.compare(&self.comparison).ok_or(NotCompared::Replaced)
    }
}

impl Sink for LiveSink {
    fn accept(&mut self, cleared: &Cleared) -> anyhow::Result<()> {
        let exchange = cleared.exchange();
        if exchange.moment != Moment::Ended {
            return Ok(());
        }
        let meeting = &self.meeting;
        meeting.counts.seen.fetch_add(1, Relaxed);
        let whole = exchange.response.as_deref().is_some_and(|one| one.incomplete.is_none());
        match unfit(exchange) {
            Some(why) => meeting.counts.count(why),
            None if !whole => meeting.counts.count(NotCompared::Incomplete),
            None => meeting.production(cleared),
        }
        Ok(())
    }

    /// Ends when the replays have: then all outcomes are known.
    fn finish(&mut self) -> anyhow::Result<()> {
        self.meeting.end();
        let ended = self.thread.take().map(JoinHandle::join);
        ended.map_or(Ok(()), |ended| {
            ended.unwrap_or_else(|_| anyhow::bail!("compare: its thread ended early"))
        })
    }

    fn warnings(&self) -> Vec<String> {
        let count = |why| self.meeting.counts.dropped[why].load(Relaxed);
        let (shed, seen) = (
            count(NotCompared::Shed) + count(NotCompared::NoRoom),
            self.meeting.counts.seen.load(Relaxed),
        );
        let text = || {
            format!(
                "{shed} of {seen} exchanges were not compared: they came faster than that takes"
            )
        };
        if shed > 0 { vec![text()] } else { Vec::new() }
    }

    fn account(&self) -> Account {
        let counts = &self.meeting.counts;
        // What is settled is read before what came in.
        let dropped = NotCompared::iter()
            .map(|why| (why.into(), counts.dropped[why].load(Relaxed)))
            .collect();
        let delivered = counts.compared.load(Relaxed);
        let seen = counts.seen.load(Relaxed);
        Account { seen, delivered, dropped, ..Account::new(Seam::Exchanges) }.with_rest_in_flight()
    }
}
