//! A sink that takes what the rules send to one target, and nothing else.

use std::time::Duration;

use super::Sink;
use super::replay::{ReplayMonitor, ReplayReport};
use crate::rules::Cleared;
use crate::rules::route::TargetId;
use crate::stats::Note;
use crate::stats::{Account, Responses};

/// The sink of one target among several.
pub struct Routed {
    target: TargetId,
    /// What its account is called.
    name: &'static str,
    sink: Box<dyn Sink>,
}

impl Routed {
    /// What goes to `target` goes to `sink`. Its account bears the target's `name`.
    #[must_use]
    pub fn new(target: TargetId, name: &str, sink: Box<dyn Sink>) -> Self {
        // Never freed, as accounts outlive their rooms: a few names for the whole run.
        let name = String::leak(format!("to {name}"));
        Self { target, name, sink }
    }
}

impl Sink for Routed {
    fn interfaces(&mut self, names: &[String]) {
        self.sink.interfaces(names);
    }

    fn production(&mut self, responses: Responses) {
        self.sink.production(responses);
    }

    fn again(&mut self, shift: Duration) {
        self.sink.again(shift);
    }

    fn wants_answers(&self) -> bool {
        self.sink.wants_answers()
    }

    fn target(&self) -> Option<TargetId> {
        Some(self.target)
    }

    fn monitor(&self) -> Option<ReplayMonitor> {
        self.sink.monitor()
    }

    fn accept(&mut self, cleared: &Cleared) -> anyhow::Result<()> {
        if cleared.goes_to(self.target) { self.sink.accept(cleared) } else { Ok(()) }
    }

    fn idle(&mut self) -> anyhow::Result<()> {
        self.sink.idle()
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        self.sink.finish()
    }

    fn warnings(&self) -> Vec<String> {
        self.sink.warnings()
    }

    fn notes(&self) -> Vec<Note> {
        let notes = self.sink.notes().into_iter();
        let name = |counts: Vec<(String, u64)>| -> Vec<(String, u64)> {
            counts.into_iter().map(|(count, n)| (format!("{} {count}", self.name), n)).collect()
        };
        notes.map(|note| Note { counts: name(note.counts), ..note }).collect()
    }

    fn report(&self) -> Option<ReplayReport> {
        self.sink.report()
    }

    fn account(&self) -> Account {
        Account { name: self.name, ..self.sink.account() }
    }
}
