//! Backs off from a target that cannot be reached: after a failed connection the next attempt
//! waits. Only one of the waiting tasks makes that attempt; the others share its outcome.

use std::cell::Cell;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::sink::replay::outcome::not_delivered::NotDelivered;

/// The delay after the first failure. Short, because most failures are a restart or a full backlog.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// The longest delay: a target that comes back is found within this time.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Decides when a connection to the target may be attempted.
pub(in crate::sink::replay) struct ConnectBackoff {
    state: Cell<State>,
    wait: Cell<Duration>,
    /// Number of failed attempts, so that a waiting task can see whether the attempt that it waited
    /// for failed.
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

/// What the caller may do.
pub(in crate::sink::replay) enum Attempt {
    /// Connect, then report the outcome with `succeeded` or `failed`.
    Allowed,
    /// Do not connect: another task's attempt has just failed.
    Failed(NotDelivered),
}

impl ConnectBackoff {
    pub(in crate::sink::replay) fn new() -> Self {
        Self {
            state: Cell::new(State::Open),
            wait: Cell::new(FIRST_WAIT),
            failures: Cell::new(0),
            why: Cell::new(NotDelivered::ConnectFailed),
            tried: Notify::new(),
        }
    }

    /// Waits until this task may connect, or until another task's attempt has failed.
    pub(in crate::sink::replay) async fn attempt(&self) -> Attempt {
        let failures = self.failures.get();
        loop {
            match self.state.get() {
                State::Open => return Attempt::Allowed,
                _ if self.failures.get() != failures => {
                    return Attempt::Failed(self.why.get());
                }
                State::ClosedUntil(until) => {
                    tokio::time::sleep_until(until).await;
                    if matches!(self.state.get(), State::ClosedUntil(same) if same == until) {
                        self.state.set(State::Trying);
                        return Attempt::Allowed;
                    }
                }
                State::Trying => self.tried.notified().await,
            }
        }
    }

    /// A connection attempt succeeded.
    pub(in crate::sink::replay) fn succeeded(&self) {
        self.state.set(State::Open);
        self.wait.set(FIRST_WAIT);
        self.tried.notify_waiters();
    }

    /// A connection attempt failed. Concurrent attempts that fail count as one failure.
    pub(in crate::sink::replay) fn failed(&self, now: Instant, why: NotDelivered) {
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
