//! A sink with a filter: which of the cleared exchanges it gets.

use std::sync::Arc;

use crate::rules::route::TargetId;
use crate::rules::{Cleared, Judged};
use crate::sink::Sink;
use crate::stats::{Account, Note};

/// A sink and its target in the rules.
pub struct Outlet {
    /// `None`: the sink gets everything.
    target: Option<Named>,
    /// The sink.
    pub(super) sink: Box<dyn Sink>,
}

/// One target among several.
struct Named {
    id: TargetId,
    /// Its name, which labels the sink's counters.
    name: Arc<str>,
}

impl Outlet {
    /// Gives every cleared exchange to `sink`.
    #[must_use]
    pub fn of_all(sink: Box<dyn Sink>) -> Self {
        Self { target: None, sink }
    }

    /// Gives what the rules send to `id` to `sink`. Its counters are labeled with the target's
    /// `name`.
    #[must_use]
    pub fn of_target(id: TargetId, name: Arc<str>, sink: Box<dyn Sink>) -> Self {
        Self { target: Some(Named { id, name }), sink }
    }

    /// True if its target is one of these.
    pub(super) fn is_one_of(&self, targets: &[TargetId]) -> bool {
        self.target.as_ref().is_some_and(|target| targets.contains(&target.id))
    }

    pub(super) fn accept(&mut self, cleared: &Cleared) -> anyhow::Result<()> {
        match &self.target {
            Some(target) if !cleared.goes_to(target.id) => Ok(()),
            _ => self.sink.accept(cleared),
        }
    }

    /// Counts an exchange that it has no room for.
    pub(super) fn refuse(&mut self, judged: &Judged) {
        match &self.target {
            Some(target) if !judged.goes_to(target.id) => {}
            _ => self.sink.refuse(judged),
        }
    }

    pub(super) fn account(&self) -> Account {
        Account { target: self.target_name(), ..self.sink.account() }
    }

    pub(super) fn notes(&self) -> Vec<Note> {
        let notes = self.sink.notes().into_iter();
        notes.map(|note| Note { target: self.target_name(), ..note }).collect()
    }

    fn target_name(&self) -> Option<Arc<str>> {
        self.target.as_ref().map(|target| Arc::clone(&target.name))
    }
}
