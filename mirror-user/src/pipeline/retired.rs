//! Sinks of removed targets. Each finishes on its own thread, so that what it was given is still
//! sent and the pipeline does not wait. Its counters are kept after the sink is dropped.

use std::thread::{self, JoinHandle};

use anyhow::anyhow;

use super::counts::SinkCounts;
use super::outlet::Outlet;
use crate::privileges::{self, Duty};

/// The results of a finished sink.
struct Ended {
    counts: SinkCounts,
    warnings: Vec<String>,
    outcome: anyhow::Result<()>,
}

/// A sink that finishes on its own thread.
struct Retiree {
    /// `None` once it was joined.
    thread: Option<JoinHandle<Ended>>,
    /// The counters when it was retired; replaced once it has finished.
    counts: SinkCounts,
    warnings: Vec<String>,
    outcome: anyhow::Result<()>,
}

/// Sinks that are finishing or have finished, in the order in which they were retired.
#[derive(Default)]
pub(super) struct Retired(Vec<Retiree>);

impl Retired {
    /// Starts to finish a sink.
    ///
    /// # Errors
    /// If no thread could be started; then what the sink was given is not delivered.
    pub(super) fn add(&mut self, mut outlet: Outlet) -> anyhow::Result<()> {
        self.join(JoinHandle::is_finished);
        let counts = SinkCounts::of(&outlet);
        let end = move || {
            let outcome = privileges::keep_for(Duty::Nothing).and_then(|()| outlet.sink.finish());
            Ended { counts: SinkCounts::of(&outlet), warnings: outlet.sink.warnings(), outcome }
        };
        let thread = Some(thread::Builder::new().name("retired".into()).spawn(end)?);
        self.0.push(Retiree { thread, counts, warnings: Vec::new(), outcome: Ok(()) });
        Ok(())
    }

    /// Waits for all of them.
    ///
    /// # Errors
    /// If a sink could not deliver what it was given.
    pub(super) fn finish(&mut self) -> anyhow::Result<()> {
        self.join(|_| true);
        let outcomes = self.0.iter_mut().map(|one| std::mem::replace(&mut one.outcome, Ok(())));
        outcomes.fold(Ok(()), anyhow::Result::and)
    }

    /// The counters of each sink: final ones, or those of its retirement while it still finishes.
    pub(super) fn counts(&self) -> impl Iterator<Item = &SinkCounts> {
        self.0.iter().map(|one| &one.counts)
    }

    /// Warnings of the sinks that have finished.
    pub(super) fn warnings(&self) -> impl Iterator<Item = &String> {
        self.0.iter().flat_map(|one| &one.warnings)
    }

    fn join(&mut self, when: impl Fn(&JoinHandle<Ended>) -> bool) {
        for one in &mut self.0 {
            let Some(thread) = one.thread.take_if(|thread| when(thread)) else { continue };
            match thread.join() {
                Ok(Ended { counts, warnings, outcome }) => {
                    (one.counts, one.warnings, one.outcome) = (counts, warnings, outcome);
                }
                Err(_) => one.outcome = Err(anyhow!("a target's thread panicked")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use super::*;
    use crate::rules::Cleared;
    use crate::sink::Sink;
    use crate::stats::{Account, Seam};

    /// Has one request in flight, which is settled on `release`.
    struct Slow {
        release: Receiver<()>,
        in_flight: u64,
    }

    impl Sink for Slow {
        fn accept(&mut self, _: &Cleared) -> anyhow::Result<()> {
            Ok(())
        }

        fn finish(&mut self) -> anyhow::Result<()> {
            self.release.recv()?;
            self.in_flight = 0;
            Ok(())
        }

        fn account(&self) -> Account {
            let (seen, in_flight) = (1, self.in_flight);
            let account = Account::new(Seam::ShadowRequests);
            Account { seen, in_flight, delivered: seen - in_flight, ..account }
        }
    }

    #[test]
    fn what_a_retired_sink_counted_is_there_while_it_ends_and_after() {
        let (release, released) = channel();
        let mut retired = Retired::default();
        let slow = Slow { release: released, in_flight: 1 };
        retired.add(Outlet::of_all(Box::new(slow))).unwrap();
        let account = |retired: &Retired| retired.counts().next().unwrap().account.clone();
        assert!(account(&retired).balances() && !account(&retired).is_settled());
        release.send(()).unwrap();
        retired.finish().unwrap();
        assert!(account(&retired).is_settled());
    }
}
