//! Keeps a dead target from being hammered: after a failed connection the next attempt waits, and
//! only one of those who wait makes it; the others share its outcome.

use std::cell::Cell;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::sink::replay::outcome::progress::NotDelivered;

/// The wait after the first failure; short, because most are a restart or a full backlog.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// The longest wait: a target that comes back is found within this time.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Whether connections to a target may be tried now.
pub(in crate::sink::replay) struct Gate {
    state: Cell<State>,
    wait: Cell<Duration>,
    /// Counts the attempts that failed one after the other, so that who has waited knows whether
    /// the attempt it waited for failed.
    failures: Cell<u64>,
    why: Cell<NotDelivered>,
    tried: Notify,
}

#[derive(Clone, Copy)]
enum State {
    Open,
    ClosedUntil(Instant),
    Trying,
}

/// What who asked may do.
pub(in crate::sink::replay) enum Pass {
    /// Connect, and tell the gate how it went.
    Go,
    /// The attempt of another has failed.
    Failed(NotDelivered),
}

impl Gate {
    pub(in crate::sink::replay) fn new() -> Self {
        Self {
            state: Cell::new(State::Open),
            wait: Cell::new(FIRST_WAIT),
            failures: Cell::new(0),
            why: Cell::new(NotDelivered::ConnectFailed),
            tried: Notify::new(),
        }
    }

    /// Waits until an attempt may be made, or until another's has failed.
    pub(in crate::sink::replay) async fn pass(&self) -> Pass {
        let failures = self.failures.get();
        loop {
            match self.state.get() {
                State::Open => return Pass::Go,
                _ if self.failures.get() != failures => {
                    return Pass::Failed(self.why.get());
                }
                State::ClosedUntil(until) => {
                    tokio::time::sleep_until(until).await;
                    if matches!(self.state.get(), State::ClosedUntil(same) if same == until) {
                        self.state.set(State::Trying);
                        return Pass::Go;
                    }
                }
                State::Trying => self.tried.notified().await,
            }
        }
    }

    /// An attempt succeeded.
    pub(in crate::sink::replay) fn open(&self) {
        self.state.set(State::Open);
        self.wait.set(FIRST_WAIT);
        self.tried.notify_waiters();
    }

    /// An attempt failed. Several that began while the gate was open count as one.
    pub(in crate::sink::replay) fn close(&self, now: Instant, why: NotDelivered) {
        if matches!(self.state.get(), State::ClosedUntil(_)) {
            return;
        }
        self.state.set(State::ClosedUntil(now + self.wait.get()));
        self.wait.set((self.wait.get() * 2).min(LONGEST_WAIT));
        self.why.set(why);
        self.failures.set(self.failures.get().wrapping_add(1));
        self.tried.notify_waiters();
    }
}
