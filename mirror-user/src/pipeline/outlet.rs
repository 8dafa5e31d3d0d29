//! A sink, and which of the cleared exchanges it gets.

use std::sync::Arc;

use crate::rules::Cleared;
use crate::rules::route::TargetId;
use crate::sink::Sink;
use crate::stats::{Account, Note};

/// A sink with its place among the targets of the rules.
pub struct Outlet {
    /// `None` for a sink that gets everything.
    target: Option<Named>,
    /// Where the exchanges go.
    pub(super) sink: Box<dyn Sink>,
}

/// One target among several.
struct Named {
    id: TargetId,
    /// What its account is called.
    name: &'static str,
}

impl Outlet {
    /// Everything that was cleared goes to `sink`.
    #[must_use]
    pub fn of_all(sink: Box<dyn Sink>) -> Self {
        Self { target: None, sink }
    }

    /// What the rules send to `id` goes to `sink`. Its account bears the target's `name`.
    #[must_use]
    pub fn of_target(id: TargetId, name: &Arc<str>, sink: Box<dyn Sink>) -> Self {
        // Never freed, as accounts outlive the stages: a few names for the whole run.
        let name = String::leak(format!("to {name}"));
        Self { target: Some(Named { id, name }), sink }
    }

    /// True when its target is one of these.
    pub(super) fn is_one_of(&self, targets: &[TargetId]) -> bool {
        self.target.as_ref().is_some_and(|target| targets.contains(&target.id))
    }

    pub(super) fn accept(&mut self, cleared: &Cleared) -> anyhow::Result<()> {
        match &self.target {
            Some(target) if !cleared.goes_to(target.id) => Ok(()),
            _ => self.sink.accept(cleared),
        }
    }

    pub(super) fn account(&self) -> Account {
        let account = self.sink.account();
        match &self.target {
            Some(target) => Account { name: target.name, ..account },
            None => account,
        }
    }

    pub(super) fn notes(&self) -> Vec<Note> {
        let notes = self.sink.notes();
        let Some(target) = &self.target else { return notes };
        let named = |counts: Vec<(String, u64)>| -> Vec<(String, u64)> {
            counts.into_iter().map(|(count, n)| (format!("{} {count}", target.name), n)).collect()
        };
        notes.into_iter().map(|note| Note { counts: named(note.counts), ..note }).collect()
    }
}
