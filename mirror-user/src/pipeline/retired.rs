//! Sinks of targets that are targets no more: each ends on a thread of its own, so that what it was
//! given is still sent and nobody waits for it meanwhile.

use std::thread::{self, JoinHandle};

use anyhow::anyhow;

use super::outlet::Outlet;
use crate::privileges::{self, Duty};

type Ended = (Outlet, anyhow::Result<()>);

/// Sinks that end, and those that have.
#[derive(Default)]
pub(super) struct Retired {
    ending: Vec<JoinHandle<Ended>>,
    ended: Vec<Outlet>,
}

impl Retired {
    /// Lets a sink end.
    ///
    /// # Errors
    /// When no thread could be started, and what it was given could not be delivered.
    pub(super) fn add(&mut self, mut outlet: Outlet) -> anyhow::Result<()> {
        let end = move || {
            let outcome = privileges::keep_for(Duty::Nothing).and_then(|()| outlet.sink.finish());
            (outlet, outcome)
        };
        self.ending.push(thread::Builder::new().name("retired".into()).spawn(end)?);
        Ok(())
    }

    /// Waits for all of them.
    ///
    /// # Errors
    /// When what one was given could not be delivered.
    pub(super) fn finish(&mut self) -> anyhow::Result<()> {
        let mut outcome = Ok(());
        for ending in self.ending.drain(..) {
            match ending.join() {
                Ok((outlet, ended)) => {
                    self.ended.push(outlet);
                    outcome = outcome.and(ended);
                }
                Err(_) => outcome = outcome.and(Err(anyhow!("a target's thread panicked"))),
            }
        }
        outcome
    }

    /// Those that have ended.
    pub(super) fn outlets(&self) -> impl Iterator<Item = &Outlet> {
        self.ended.iter()
    }
}
