//! Recovery of attachments that other programs removed or overtook: each kind of interference is reported
//! once and counted, and a program that keeps undoing what mirror does is not fought for ever.

use std::time::Duration;

use hashbrown::{HashMap, HashSet};

use super::clsact::{ForeignFilter, Interference};
use super::device::Device;
use crate::logging::emit;
use crate::packet::Timestamp;
use crate::stats::{Note, Tally, Topic};

/// How often the filters of one device are attached again within `SPAN`.
const MAX_REPAIRS: u32 = 20;

/// The time over which repairs are counted.
const SPAN: Duration = Duration::from_secs(10);

/// How often attaching is retried.
const RETRY: Duration = Duration::from_secs(1);

/// The state of what was damaged or lost.
pub(super) struct Recovery {
    /// The run continues without what cannot be attached, and retries.
    persists: bool,
    counts: Tally<Interference>,
    reported: HashSet<(u32, Interference)>,
    /// Start of the current span and number of repairs in it, by device.
    repairs: HashMap<u32, (Timestamp, u32)>,
    /// The filter that precedes those of mirror, as it was reported, by device.
    foreign: HashMap<u32, String>,
    /// Names of what is wanted and not attached.
    lost: HashSet<String>,
    /// When attaching it was last retried.
    last_attempt: Timestamp,
}

impl Recovery {
    pub(super) fn new(persists: bool) -> Self {
        Self {
            persists,
            counts: Tally::default(),
            reported: HashSet::new(),
            repairs: HashMap::new(),
            foreign: HashMap::new(),
            lost: HashSet::new(),
            last_attempt: Timestamp::default(),
        }
    }

    /// A filter of a device was attached again. False when that happens too often.
    pub(super) fn repaired(
        &mut self,
        device: &Device,
        interference: Interference,
        now: Timestamp,
    ) -> bool {
        self.counts.count(interference);
        if self.reported.insert((device.index, interference)) {
            let (interface, what) = (device.name.as_str(), interference.message());
            emit!(
                FilterReattached,
                interface,
                reason = <&str>::from(interference),
                "{interface}: {what}; attached again"
            );
        }
        let (since, times) = self.repairs.entry(device.index).or_insert((now, 0));
        if now.since(*since) > SPAN {
            (*since, *times) = (now, 0);
        }
        *times = times.saturating_add(1);
        *times <= MAX_REPAIRS
    }

    /// Reports a filter that precedes those of mirror.
    pub(super) fn report_foreign(&mut self, device: &Device, foreign: Option<ForeignFilter>) {
        let Some(ForeignFilter { kind, priority }) = foreign else { return };
        let message = format!(
            "{}: a filter of another kind ({kind}) stands before mirror's, at priority {priority}: \
             what it decides of is not seen",
            device.name
        );
        if self.foreign.get(&device.index) != Some(&message) {
            let interface = device.name.as_str();
            emit!(ForeignFilterFirst, interface, kind = %kind, priority, "{message}");
            self.foreign.insert(device.index, message);
        }
    }

    /// Forgets a device.
    pub(super) fn forget(&mut self, device: &Device) {
        self.reported.retain(|(index, _)| *index != device.index);
        self.repairs.remove(&device.index);
        self.foreign.remove(&device.index);
        self.lost.remove(&device.name);
    }

    /// Something that is wanted cannot be captured any more.
    ///
    /// # Errors
    /// The reason, unless the run continues without it.
    pub(super) fn mark_lost(&mut self, name: &str, why: anyhow::Error) -> anyhow::Result<()> {
        let why = why.context(format!("{name}: not captured any more"));
        if !self.persists {
            return Err(why);
        }
        if self.lost.insert(name.to_owned()) {
            let reason = format!("{why:#}");
            emit!(CaptureLost, interface = name, reason, "not ready: {reason}");
        }
        Ok(())
    }

    /// Something that was lost is captured again.
    pub(super) fn mark_found(&mut self, name: &str) {
        if self.lost.remove(name) {
            let ready = self.lost.is_empty();
            let also = if ready { "; ready" } else { "" };
            emit!(CaptureRecovered, interface = name, ready, "{name}: captured again{also}");
        }
    }

    /// The names of what is lost.
    pub(super) fn lost(&self) -> impl ExactSizeIterator<Item = &String> + Clone {
        self.lost.iter()
    }

    pub(super) fn is_lost(&self, name: &str) -> bool {
        self.lost.contains(name)
    }

    /// True when attaching what was lost should be retried now.
    pub(super) fn is_due(&mut self, now: Timestamp) -> bool {
        let due = !self.lost.is_empty() && now.since(self.last_attempt) >= RETRY;
        if due {
            self.last_attempt = now;
        }
        due
    }

    pub(super) fn note(&self) -> Option<Note> {
        Note::new(Topic::AttachedAgain, self.counts.non_zero())
    }

    /// What the operator should know at the end.
    pub(super) fn warnings(&self) -> impl Iterator<Item = String> {
        let lost = self.lost.iter().map(|name| format!("{name}: was not captured at the end"));
        self.foreign.values().cloned().chain(lost)
    }
}

#[cfg(test)]
mod tests {
    use mirror_common::Link;

    use super::*;
    use crate::logging::{Event, captured};

    fn device() -> Device {
        Device { name: "v0".to_owned(), index: 7, up: true, loopback: false, link: Link::Ethernet }
    }

    #[test]
    fn a_fight_is_given_up_and_rare_repairs_are_not() {
        let removed = Interference::FilterRemoved;
        let mut recovery = Recovery::new(false);
        let at = |seconds| Timestamp::default().later(Duration::from_secs(seconds));
        let (lines, ()) = captured(|| {
            for second in 0..100 {
                assert!(recovery.repaired(&device(), removed, at(second)));
            }
        });
        let events: Vec<_> = lines.iter().map(|line| line.event).collect();
        assert_eq!(events, [Event::FilterReattached], "reported once");
        assert_eq!(lines[0].fields["reason"], "filter_removed");
        let mut recovery = Recovery::new(false);
        let repairs = (0..100).take_while(|_| recovery.repaired(&device(), removed, at(1))).count();
        assert_eq!(repairs, MAX_REPAIRS as usize);
        assert_eq!(recovery.note().unwrap().counts, [("filter_removed".to_owned(), 21)]);
        recovery.forget(&device());
        assert!(recovery.repaired(&device(), removed, at(1)));
    }

    #[test]
    fn what_is_lost_ends_a_run_or_is_tried_again() {
        let why = || anyhow::anyhow!("taken");
        let error = Recovery::new(false).mark_lost("v0", why()).unwrap_err();
        assert_eq!(format!("{error:#}"), "v0: not captured any more: taken");
        let mut recovery = Recovery::new(true);
        let at = |seconds| Timestamp::default().later(Duration::from_secs(seconds));
        assert!(!recovery.is_due(at(5)));
        let (lines, ()) = captured(|| {
            recovery.mark_lost("v0", why()).unwrap();
            recovery.mark_lost("v0", why()).unwrap();
        });
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!(lines[0].event, Event::CaptureLost);
        assert!(recovery.is_lost("v0") && recovery.is_due(at(5)) && !recovery.is_due(at(5)));
        assert_eq!(recovery.warnings().count(), 1);
        recovery.mark_found("v0");
        assert!(!recovery.is_lost("v0") && !recovery.is_due(at(7)));
    }
}
