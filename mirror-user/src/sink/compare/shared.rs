//! What the compared targets of a run have in common, while packets pass and targets come and go: handles to one
//! comparison, to where its pairs are kept, to what redacts them, and to the gate that its rules hold.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mirror_compare::comparison::{Comparison, Options, Pair};
use mirror_compare::gate::Gate;
use mirror_compare::report::Finding;

use super::store::Store;
use crate::rules::redact::Redactor;

/// A comparison that sinks add to and others read.
#[derive(Clone, Default)]
pub struct Shared {
    slot: Arc<Mutex<Slot>>,
    /// Which comparison of the slot this handle adds to.
    begun: u64,
    store: Option<Store>,
}

/// The comparison, and how many came before it.
struct Slot {
    comparison: Comparison,
    begun: u64,
    gate: Option<Gate>,
}

impl Default for Slot {
    fn default() -> Self {
        Self { comparison: Comparison::new(Options::default()), begun: 0, gate: None }
    }
}

/// The comparison, locked.
pub struct Locked<'s>(MutexGuard<'s, Slot>);

impl Deref for Locked<'_> {
    type Target = Comparison;

    fn deref(&self) -> &Comparison {
        &self.0.comparison
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Comparison {
        &mut self.0.comparison
    }
}

impl Shared {
    /// All comparisons that begin keep their pairs in `store`.
    #[must_use]
    pub fn kept_in(store: Option<Store>) -> Self {
        Self { store, ..Self::default() }
    }

    /// Begins a comparison, in place of the one before. The handle that comes back adds to it; those before add to
    /// nothing any more, because their target is another one.
    #[must_use]
    pub fn begin(&self, options: Options, gate: Option<Gate>) -> Self {
        let mut slot = self.slot();
        let begun = slot.begun.saturating_add(1);
        *slot = Slot { comparison: Comparison::new(options), begun, gate };
        drop(slot);
        // The first one is of the run with which the store begins.
        self.store.iter().filter(|_| begun > 1).for_each(Store::begin_run);
        Self { slot: Arc::clone(&self.slot), begun, store: self.store.clone() }
    }

    /// The comparison that goes on.
    pub fn lock(&self) -> Locked<'_> {
        Locked(self.slot())
    }

    /// Where pairs are kept.
    #[must_use]
    pub fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    /// Compares a pair and keeps it; `None` if another comparison has begun. Only the sinks have one, of what was cleared.
    pub(super) fn push(&self, pair: &Pair<'_>) -> Option<Arc<Finding>> {
        // The store may wait, and nobody else for it.
        let finding = self.own()?.push(pair);
        if let Some(store) = &self.store {
            store.offer(pair, &finding);
        }
        Some(finding)
    }

    /// Waits until all that was compared is stored, or counted.
    pub(super) fn settle(&self) {
        self.store.iter().for_each(Store::settle);
    }

    /// The comparison of this handle, to add to; `None` if another one has begun.
    fn own(&self) -> Option<Locked<'_>> {
        let slot = self.slot();
        (slot.begun == self.begun).then_some(Locked(slot))
    }

    /// The gate of the comparison's rules.
    #[must_use]
    pub fn gate(&self) -> Option<Gate> {
        self.slot().gate.clone()
    }

    /// How many have begun.
    #[must_use]
    pub fn begun(&self) -> u64 {
        self.slot().begun
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What redacts pairs; `None`: nothing does. A change of the settings sets another one.
#[derive(Clone, Default)]
pub struct Redaction(Arc<Mutex<Option<Arc<Redactor>>>>);

impl Redaction {
    /// Redacts by this from now on.
    pub fn set(&self, redactor: Option<Arc<Redactor>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = redactor;
    }

    /// What redacts now.
    #[must_use]
    pub fn get(&self) -> Option<Arc<Redactor>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_adds_to_its_own_comparison_alone() {
        let run = Shared::default();
        assert_eq!(run.begun(), 0);
        let first = run.begin(Options::default(), None);
        assert!(first.own().is_some() && run.begun() == 1);
        let second = run.begin(Options::default(), "failing_fields=0".parse().ok());
        assert!(first.own().is_none() && second.own().is_some());
        assert_eq!(first.gate(), second.gate(), "readers see what goes on");
        assert!(second.gate().is_some());
    }

    #[cfg(feature = "store")]
    #[test]
    fn a_comparison_that_begins_anew_keeps_the_store() {
        use mirror_compare::pair::{Answer, Request, Response};

        use crate::sink::compare::store::{Anew, Limits, Place, Range, RunFacts};

        let response = |status| Response {
            status,
            fields: Vec::new(),
            trailers: Vec::new(),
            content: mirror_compare::lift::Content::Bytes(b"".into()),
            at: None,
            latency_us: None,
        };
        let pair = Pair {
            id: "1".into(),
            request: Request { method: "GET", target: "/", fields: &[], body: b"" },
            production: response(200),
            candidate: Answer::Response(response(500)),
            control: None,
            again: None,
        };
        let store = Store::open(&Place::Memory, Limits::default(), RunFacts::default(), true);
        let run = Shared::kept_in(Some(store.unwrap()));
        let first = run.begin(Options::default(), None);
        let store = first.store().unwrap();
        store.start().unwrap();
        assert!(first.push(&pair).is_some());
        let second = run.begin(Options::default(), None);
        assert!(second.push(&pair).is_some() && first.push(&pair).is_none());
        second.settle();
        let anew = Shared::default().begin(Options::default(), None);
        let each = |_: &_| Ok(std::ops::ControlFlow::Continue(()));
        Anew::new(store.clone(), Range::new(None, None)).pass(&anew, each).unwrap();
        let basis = anew.lock().basis().unwrap();
        assert_eq!((basis.runs, basis.judged, basis.missing), (2, 2, 0));
    }
}
