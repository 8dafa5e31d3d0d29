//! What is shown instead of the run's own comparison: what is stored, judged by rules that were made on the page, or of a
//! part of the time.
//!
//! The run goes on, and its report and gate know nothing of it. A thread of its own reads the store and compares again,
//! and goes on with what is stored meanwhile, until something else is wished. All pages see the same.

use std::ops::ControlFlow;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use mirror_compare::comparison::Options;
use mirror_compare::rules::RuleSpec;
use serde::Serialize;
use tokio::time::Instant;

use crate::logging::emit;
use crate::privileges::{self, Duty};
use crate::sink::compare::Shared;
use crate::sink::compare::store::{Anew, Range, Store};

/// How long it waits at least until it looks for what was stored since, and how many times as long as that took.
const PAUSE: Duration = Duration::from_secs(1);
const SHARE: u32 = 10;
/// Rules that are made on the page; more go into a file.
const MAX_RULES: usize = 100;
/// Nanoseconds in a second.
const SECOND: i64 = 1_000_000_000;

/// What a page wishes to see.
#[derive(Clone, Debug, Default, PartialEq)]
struct Wish {
    /// Rules that were made here, which decide before those of the run.
    rules: Vec<RuleSpec>,
    /// When production responded, in seconds since 1970.
    from: Option<i64>,
    to: Option<i64>,
}

impl Wish {
    fn range(&self) -> Range {
        let nanos = |at: Option<i64>| at.map(|at| at.saturating_mul(SECOND));
        Range::new(nanos(self.from), nanos(self.to))
    }
}

/// What is shown instead.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Judged {
    /// Each line is a rule in YAML.
    rules: Vec<String>,
    from: Option<i64>,
    to: Option<i64>,
    /// Pairs that were counted so far, and those that there are.
    pairs: u64,
    compared: u64,
    /// All that was stored when it was looked at last is judged.
    done: bool,
    /// Why it ended early.
    failed: Option<String>,
}

impl Judged {
    pub(super) fn is_final(&self) -> bool {
        self.done || self.failed.is_some()
    }
}

/// Judges what is stored, as it is wished.
pub(super) struct Judgement {
    store: Option<Store>,
    turn: Mutex<Turn>,
    changed: Condvar,
}

#[derive(Default)]
struct Turn {
    number: u64,
    wish: Wish,
    shown: Option<Shared>,
    done: bool,
    failed: Option<String>,
    /// A thread judges.
    runs: bool,
}

impl Judgement {
    pub(super) fn new(store: Option<Store>) -> Arc<Self> {
        Arc::new(Self { store, turn: Mutex::default(), changed: Condvar::new() })
    }

    /// True if there is something to judge anew.
    pub(super) fn is_possible(&self) -> bool {
        self.store.is_some()
    }

    /// The comparison that is shown instead, and a number that is another one for each.
    pub(super) fn shown(&self) -> (u64, Option<Shared>) {
        let turn = self.turn();
        (turn.number, turn.shown.clone())
    }

    /// What is shown instead.
    pub(super) fn judged(&self) -> Option<Judged> {
        let turn = self.turn();
        let comparison = turn.shown.as_ref()?.lock();
        Some(Judged {
            rules: turn.wish.rules.iter().map(|rule| format!("- {rule}")).collect(),
            from: turn.wish.from,
            to: turn.wish.to,
            pairs: comparison.pairs(),
            compared: comparison.basis().map_or(0, |basis| basis.compared),
            done: turn.done,
            failed: turn.failed.clone(),
        })
    }

    /// Where pairs are stored, and the part of the time that is wished.
    pub(super) fn store(&self) -> Option<(Store, Range)> {
        let turn = self.turn();
        self.store.clone().map(|store| (store, turn.wish.range()))
    }

    /// Adds a rule; false if there are too many, or nothing is stored.
    pub(super) fn add(self: &Arc<Self>, rule: RuleSpec, options: &Options) -> bool {
        let mut wish = self.turn().wish.clone();
        if !wish.rules.contains(&rule) {
            wish.rules.insert(0, rule);
        }
        wish.rules.len() <= MAX_RULES && self.judge(wish, options)
    }

    /// Shows another part of the time; false if nothing is stored.
    pub(super) fn of(
        self: &Arc<Self>,
        from: Option<i64>,
        to: Option<i64>,
        options: &Options,
    ) -> bool {
        let wish = Wish { from, to, ..self.turn().wish.clone() };
        self.judge(wish, options)
    }

    /// Shows the run's own comparison again.
    pub(super) fn end(&self) {
        let number = self.turn().number + 1;
        let runs = self.turn().runs;
        *self.turn() = Turn { number, runs, ..Turn::default() };
        self.changed.notify_all();
    }

    fn judge(self: &Arc<Self>, wish: Wish, options: &Options) -> bool {
        if self.store.is_none() {
            return false;
        }
        let Ok(rules) = options.rules.behind(&wish.rules) else { return false };
        let shown = Shared::default().begin(Options { rules, ..options.clone() }, None);
        let mut turn = self.turn();
        turn.number += 1;
        turn.wish = wish;
        turn.shown = Some(shown);
        (turn.done, turn.failed) = (false, None);
        if !turn.runs {
            let judgement = Arc::clone(self);
            let thread = thread::Builder::new().name("judge".to_owned());
            match thread.spawn(move || judgement.run()) {
                Ok(_) => turn.runs = true,
                Err(error) => turn.failed = Some(format!("no thread could be started: {error}")),
            }
        }
        drop(turn);
        self.changed.notify_all();
        true
    }

    /// Until nothing is wished any more.
    fn run(&self) {
        if let Err(error) = privileges::keep_for(Duty::Nothing) {
            self.turn().failed = Some(format!("{error:#}"));
        }
        loop {
            let (number, shown, range) = {
                let mut turn = self.turn();
                let (Some(shown), None) = (turn.shown.clone(), &turn.failed) else {
                    turn.runs = false;
                    return;
                };
                (turn.number, shown, turn.wish.range())
            };
            if let Err(error) = self.follow(number, &shown, range) {
                emit!(DashboardFailed, "dashboard: {error:#}");
                let mut turn = self.turn();
                if turn.number == number {
                    turn.failed = Some(format!("{error:#}"));
                }
            }
        }
    }

    /// Judges what is stored, and what comes, until something else is wished.
    fn follow(&self, number: u64, shown: &Shared, range: Range) -> anyhow::Result<()> {
        let Some(store) = self.store.clone() else { return Ok(()) };
        let mut anew = Anew::new(store, range);
        loop {
            let begun = Instant::now();
            anew.pass(shown, |_| {
                let goes_on = self.turn().number == number;
                Ok(if goes_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
            })?;
            let mut turn = self.turn();
            if turn.number != number {
                return Ok(());
            }
            turn.done = true;
            let pause = PAUSE.max(begun.elapsed() * SHARE);
            let is_same = |turn: &mut Turn| turn.number == number;
            let waited = self.changed.wait_timeout_while(turn, pause, is_same);
            let (turn, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if turn.number != number {
                return Ok(());
            }
        }
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
