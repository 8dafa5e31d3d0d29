//! Wakes senders at their deadlines, to within some tens of microseconds. The runtime's own timers
//! have a resolution of one millisecond, so all deadlines use one kernel timer (timerfd_create(2)).

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

/// What can be woken by the timer.
pub(in crate::sink::replay) trait Sleeper {
    /// Its deadline has passed, or will pass soon.
    fn wake(&self);
}

/// Deadlines, and the kernel timer that they share.
pub(in crate::sink::replay) struct Timer {
    fd: AsyncFd<OwnedFd>,
    wakeups: RefCell<BinaryHeap<Reverse<Wakeup>>>,
    /// The time that the kernel's timer is set to.
    set_to: Cell<Option<Instant>>,
}

struct Wakeup {
    until: Instant,
    sleeper: Weak<dyn Sleeper>,
}

impl Timer {
    /// Creates a timer on the current runtime.
    #[expect(
        deprecated,
        reason = "the replacement is an unsafe fn, for types whose descriptor may change; that of an OwnedFd cannot"
    )]
    pub(in crate::sink::replay) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let fd = AsyncFd::with_interest(
            timerfd_create(TimerfdClockId::Monotonic, flags)?,
            Interest::READABLE,
        )?;
        Ok(Self { fd, wakeups: RefCell::default(), set_to: Cell::new(None) })
    }

    /// Wakes `sleeper` at `until`, and possibly earlier.
    pub(in crate::sink::replay) fn wake_at(
        &self,
        until: Instant,
        sleeper: &Rc<impl Sleeper + 'static>,
    ) {
        let sleeper = Rc::downgrade(sleeper) as Weak<dyn Sleeper>;
        self.wakeups.borrow_mut().push(Reverse(Wakeup { until, sleeper }));
        if self.set_to.get().is_none_or(|set_to| until < set_to) {
            self.set(until);
        }
    }

    /// The next deadline.
    pub(in crate::sink::replay) fn next(&self) -> Option<Instant> {
        self.wakeups.borrow().peek().map(|Reverse(first)| first.until)
    }

    /// Wakes sleepers at their deadlines. Never ends without an error.
    ///
    /// # Errors
    /// If the kernel's timer can no longer be read.
    pub(in crate::sink::replay) async fn run(&self) -> io::Result<()> {
        loop {
            self.fd.readable().await?.try_io(|fd| Ok(rustix::io::read(fd, &mut [0; 8])?)).ok();
            self.set_to.set(None);
            self.wake_due();
        }
    }

    fn wake_due(&self) {
        let now = now();
        let mut wakeups = self.wakeups.borrow_mut();
        while wakeups.peek().is_some_and(|Reverse(first)| first.until <= now) {
            if let Some(sleeper) = wakeups.pop().and_then(|Reverse(first)| first.sleeper.upgrade())
            {
                sleeper.wake();
            }
        }
        if let Some(Reverse(first)) = wakeups.peek() {
            self.set(first.until);
        }
    }

    fn set(&self, until: Instant) {
        // Zero would disarm the timer.
        let wait = until.saturating_duration_since(now()).max(Duration::from_nanos(1));
        let it_value = Timespec {
            tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: wait.subsec_nanos().into(),
        };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value };
        timerfd_settime(self.fd.get_ref(), TimerfdTimerFlags::empty(), &once)
            .expect("the timer exists and the time is valid");
        self.set_to.set(Some(until));
    }
}

impl PartialEq for Wakeup {
    fn eq(&self, other: &Self) -> bool {
        self.until == other.until
    }
}

impl Eq for Wakeup {}

impl PartialOrd for Wakeup {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Wakeup {
    fn cmp(&self, other: &Self) -> Ordering {
        self.until.cmp(&other.until)
    }
}
