//! Wakes those who send on time, to some tens of microseconds. The runtime's own timers tick once a
//! millisecond; here a timer of the kernel (timerfd_create(2)) stands behind all deadlines.

use std::cell::{Cell, RefCell};
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::sink::replay::clock::now;

/// Who asks to be woken.
pub(in crate::sink::replay) trait Sleeper {
    /// Its time has come, or will come soon.
    fn wake(&self);
}

/// Deadlines, and the one timer behind them.
pub(in crate::sink::replay) struct Timer {
    fd: AsyncFd<OwnedFd>,
    waiting: RefCell<BinaryHeap<Reverse<Waiting>>>,
    /// What the kernel's timer is set to.
    set_to: Cell<Option<Instant>>,
}

struct Waiting {
    until: Instant,
    sleeper: Weak<dyn Sleeper>,
}

impl Timer {
    /// A timer on the runtime that this is called on.
    #[expect(
        deprecated,
        reason = "its safe successor is unsafe to call, for types that are not what they own; an OwnedFd is"
    )]
    pub(in crate::sink::replay) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let fd = AsyncFd::with_interest(
            timerfd_create(TimerfdClockId::Monotonic, flags)?,
            Interest::READABLE,
        )?;
        Ok(Self { fd, waiting: RefCell::default(), set_to: Cell::new(None) })
    }

    /// Wakes `sleeper` at `until`, and perhaps before.
    pub(in crate::sink::replay) fn wake_at(
        &self,
        until: Instant,
        sleeper: &Rc<impl Sleeper + 'static>,
    ) {
        let sleeper = Rc::downgrade(sleeper) as Weak<dyn Sleeper>;
        self.waiting.borrow_mut().push(Reverse(Waiting { until, sleeper }));
        if self.set_to.get().is_none_or(|set_to| until < set_to) {
            self.set(until);
        }
    }

    /// When somebody is woken next.
    pub(in crate::sink::replay) fn next(&self) -> Option<Instant> {
        self.waiting.borrow().peek().map(|Reverse(first)| first.until)
    }

    /// Wakes those who are due, for ever.
    ///
    /// # Errors
    /// When the kernel's timer can no longer be read.
    pub(in crate::sink::replay) async fn run(&self) -> io::Result<()> {
        loop {
            self.fd.readable().await?.try_io(|fd| Ok(rustix::io::read(fd, &mut [0; 8])?)).ok();
            self.set_to.set(None);
            self.wake_due();
        }
    }

    fn wake_due(&self) {
        let now = now();
        let mut waiting = self.waiting.borrow_mut();
        while waiting.peek().is_some_and(|Reverse(first)| first.until <= now) {
            if let Some(sleeper) = waiting.pop().and_then(|Reverse(first)| first.sleeper.upgrade())
            {
                sleeper.wake();
            }
        }
        if let Some(Reverse(first)) = waiting.peek() {
            self.set(first.until);
        }
    }

    fn set(&self, until: Instant) {
        // Zero would disarm it.
        let wait = until.saturating_duration_since(now()).max(Duration::from_nanos(1));
        let it_value = Timespec {
            tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: wait.subsec_nanos().into(),
        };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value };
        timerfd_settime(self.fd.get_ref(), TimerfdTimerFlags::empty(), &once)
            .expect("the timer exists and the time is a time");
        self.set_to.set(Some(until));
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.until == other.until
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        self.until.cmp(&other.until)
    }
}
