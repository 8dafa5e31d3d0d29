//! What other programs did to the attachments of a run: each thing is said once and counted, and who
//! undoes what mirror does again and again is not fought for ever.

use std::time::Duration;

use hashbrown::{HashMap, HashSet};

use super::clsact::{Behind, Disturbance};
use super::device::Device;
use crate::logging::emit;
use crate::packet::Timestamp;
use crate::stats::Note;
use crate::stats::Tally;

/// So often within `SPAN` the filters of one device are attached anew.
const MAX_REPAIRS: u32 = 20;

/// Over how long repairs are counted.
const SPAN: Duration = Duration::from_secs(10);

/// How often it is tried again to attach what could not be.
const RETRY: Duration = Duration::from_secs(1);

/// What happened so far.
pub(super) struct Trouble {
    /// The run goes on without what cannot be attached, and tries again.
    persists: bool,
    counts: Tally<Disturbance>,
    said: HashSet<(u32, Disturbance)>,
    /// Since when repairs of a device are counted, and how many there were.
    repairs: HashMap<u32, (Timestamp, u32)>,
    /// What stands before the filters of a device, as it was said.
    behind: HashMap<u32, String>,
    /// What is wanted and not attached, by name.
    lost: HashSet<String>,
    /// When it was last tried to attach that.
    tried: Timestamp,
}

impl Trouble {
    pub(super) fn new(persists: bool) -> Self {
        Self {
            persists,
            counts: Tally::default(),
            said: HashSet::new(),
            repairs: HashMap::new(),
            behind: HashMap::new(),
            lost: HashSet::new(),
            tried: Timestamp::default(),
        }
    }

    /// A filter of a device was attached anew. False when that happens too often.
    pub(super) fn repaired(
        &mut self,
        device: &Device,
        disturbance: Disturbance,
        now: Timestamp,
    ) -> bool {
        self.counts.count(disturbance);
        if self.said.insert((device.index, disturbance)) {
            let (interface, what) = (device.name.as_str(), disturbance.message());
            emit!(
                FilterReattached,
                interface,
                reason = <&str>::from(disturbance),
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

    /// Something stands before the filters of a device, which is said.
    pub(super) fn stands_behind(&mut self, device: &Device, behind: Option<Behind>) {
        let Some(Behind { kind, priority }) = behind else { return };
        let message = format!(
            "{}: a filter of another kind ({kind}) stands before mirror's, at priority {priority}: \
             what it decides of is not seen",
            device.name
        );
        if self.behind.get(&device.index) != Some(&message) {
            let interface = device.name.as_str();
            emit!(ForeignFilterFirst, interface, kind = %kind, priority, "{message}");
            self.behind.insert(device.index, message);
        }
    }

    /// Nothing is known of a device any more.
    pub(super) fn forget(&mut self, device: &Device) {
        self.said.retain(|(index, _)| *index != device.index);
        self.repairs.remove(&device.index);
        self.behind.remove(&device.index);
        self.lost.remove(&device.name);
    }

    /// Something that is wanted is not attached any more, and cannot be.
    ///
    /// # Errors
    /// Why, unless the run goes on without.
    pub(super) fn lose(&mut self, name: &str, why: anyhow::Error) -> anyhow::Result<()> {
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

    /// Something that was lost is attached again.
    pub(super) fn find(&mut self, name: &str) {
        if self.lost.remove(name) {
            let ready = self.lost.is_empty();
            let also = if ready { "; ready" } else { "" };
            emit!(CaptureRecovered, interface = name, ready, "{name}: captured again{also}");
        }
    }

    pub(super) fn has_lost(&self, name: &str) -> bool {
        self.lost.contains(name)
    }

    /// True when what was lost is to be attached now, if that can be.
    pub(super) fn is_due(&mut self, now: Timestamp) -> bool {
        let due = !self.lost.is_empty() && now.since(self.tried) >= RETRY;
        if due {
            self.tried = now;
        }
        due
    }

    pub(super) fn note(&self) -> Option<Note> {
        Note::new("attached again", self.counts.non_zero())
    }

    /// What the operator should know at the end.
    pub(super) fn warnings(&self) -> impl Iterator<Item = String> {
        let lost = self.lost.iter().map(|name| format!("{name}: was not captured at the end"));
        self.behind.values().cloned().chain(lost)
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
        let removed = Disturbance::FilterRemoved;
        let mut trouble = Trouble::new(false);
        let at = |seconds| Timestamp::default().later(Duration::from_secs(seconds));
        let (lines, ()) = captured(|| {
            for second in 0..100 {
                assert!(trouble.repaired(&device(), removed, at(second)));
            }
        });
        let events: Vec<_> = lines.iter().map(|line| line.event).collect();
        assert_eq!(events, [Event::FilterReattached], "reported once");
        assert_eq!(lines[0].fields["reason"], "filter_removed");
        let mut trouble = Trouble::new(false);
        let repairs = (0..100).take_while(|_| trouble.repaired(&device(), removed, at(1))).count();
        assert_eq!(repairs, MAX_REPAIRS as usize);
        assert_eq!(trouble.note().unwrap().counts, [("filter_removed".to_owned(), 21)]);
        trouble.forget(&device());
        assert!(trouble.repaired(&device(), removed, at(1)));
    }

    #[test]
    fn what_is_lost_ends_a_run_or_is_tried_again() {
        let why = || anyhow::anyhow!("taken");
        let error = Trouble::new(false).lose("v0", why()).unwrap_err();
        assert_eq!(format!("{error:#}"), "v0: not captured any more: taken");
        let mut trouble = Trouble::new(true);
        let at = |seconds| Timestamp::default().later(Duration::from_secs(seconds));
        assert!(!trouble.is_due(at(5)));
        let (lines, ()) = captured(|| {
            trouble.lose("v0", why()).unwrap();
            trouble.lose("v0", why()).unwrap();
        });
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!(lines[0].event, Event::CaptureLost);
        assert!(trouble.has_lost("v0") && trouble.is_due(at(5)) && !trouble.is_due(at(5)));
        assert_eq!(trouble.warnings().count(), 1);
        trouble.find("v0");
        assert!(!trouble.has_lost("v0") && !trouble.is_due(at(7)));
    }
}
