//! The program as filters of clsact qdiscs, beside those of others.
//!
//! Refuses to touch what is not mirror's: a filter is removed only if the program behind it is. Filters
//! stand at a priority that other programs have, too, under handles that nobody else gives, as Cilium and
//! others put theirs at priority 1, handle 1, by replacing whatever is there. Everything here is done in
//! the network namespace of the thread that asks.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Context, bail};
use enum_map::Enum;
use mirror_common::names;
use rustix::io::Errno;
use strum::IntoStaticStr;

use super::Order;
use super::claim::Claim;
use super::device::Device;
use super::netlink::{Filter, Place, Qdisc, Side};

/// Handles of mirror's filters begin here: `mirr`. Handles that the kernel gives begin at 1.
const HANDLES: u32 = 0x6d69_7272;

/// So many filters of mirror at one place of one device are told from others.
const MAX_HANDLES: u32 = 0x1_0000;

/// How often a place is chosen anew because somebody took the chosen one in that moment.
const ATTEMPTS: u32 = 4;

/// A loaded program.
pub(super) struct Program {
    pub(super) name: &'static str,
    pub(super) id: u32,
    /// The kernel's hash of its instructions.
    pub(super) tag: u64,
    pub(super) descriptor: OwnedFd,
}

/// What another program did to a filter of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(super) enum Disturbance {
    /// Removed it.
    FilterRemoved,
    /// Put another program at its very place.
    FilterReplaced,
    /// Removed the clsact qdisc, and all filters with it.
    QdiscRemoved,
    /// Put another filter before it.
    Overtaken,
}

impl Disturbance {
    pub(super) fn told(self) -> &'static str {
        match self {
            Self::FilterRemoved => "another program removed mirror's filter",
            Self::FilterReplaced => "another program put a filter in the place of mirror's",
            Self::QdiscRemoved => {
                "another program removed the clsact qdisc, and mirror's filters with it"
            }
            Self::Overtaken => "another program put a filter before mirror's",
        }
    }
}

/// Filters of this process.
#[derive(Default)]
pub(super) struct Clsact {
    attached: Vec<Attached>,
    claims: Vec<Claim>,
}

struct Attached {
    device: u32,
    side: Side,
    place: Place,
    order: Order,
    program: Program,
}

impl Clsact {
    /// Attaches a program to one side of a device; says which filter of another kind stays before it.
    ///
    /// # Errors
    /// When that side cannot be had, or not the place that `order` asks for.
    pub(super) fn attach(
        &mut self,
        device: &Device,
        side: Side,
        order: Order,
        program: Program,
    ) -> anyhow::Result<Option<Behind>> {
        if !self.claims.iter().any(|claim| claim.is_on(program.id)) {
            self.claims.push(Claim::on(program.id)?);
        }
        ensure_qdisc(device.index)?;
        let (place, behind) = add(device.index, side, order, &program)?;
        self.attached.push(Attached { device: device.index, side, place, order, program });
        Ok(behind)
    }

    /// Looks at what became of the filters of a device; those that are gone or were overtaken are
    /// attached anew.
    ///
    /// # Errors
    /// When that is not possible.
    pub(super) fn mend(&mut self, device: u32) -> anyhow::Result<Vec<Disturbance>> {
        let mut disturbed = Vec::new();
        for attached in self.attached.iter_mut().filter(|attached| attached.device == device) {
            if let Some(disturbance) = attached.disturbance()? {
                disturbed.push((attached, disturbance));
            }
        }
        let mut disturbances = Vec::new();
        for (attached, disturbance) in disturbed {
            attached.attach_anew().context(disturbance.told())?;
            // Both sides have one qdisc.
            if disturbance != Disturbance::QdiscRemoved || !disturbances.contains(&disturbance) {
                disturbances.push(disturbance);
            }
        }
        Ok(disturbances)
    }

    /// Removes the filters of a device, as far as they are ours.
    pub(super) fn release(&mut self, device: u32) {
        for attached in self.attached.extract_if(.., |attached| attached.device == device) {
            attached.remove(attached.place);
        }
    }

    /// Removes all of our filters.
    pub(super) fn release_all(&mut self) {
        for attached in self.attached.drain(..) {
            attached.remove(attached.place);
        }
        self.claims.clear();
    }
}

impl Attached {
    /// What was done to it since it was attached.
    fn disturbance(&self) -> anyhow::Result<Option<Disturbance>> {
        let filters = list(self.device, self.side)?;
        let Some(here) = filters.iter().position(|filter| self.is(filter)) else {
            let replaced = filters.iter().any(|filter| filter.place == self.place);
            let has_qdisc = || Ok::<_, io::Error>(qdisc_of(self.device)?.is_some());
            return Ok(Some(if replaced {
                Disturbance::FilterReplaced
            } else if !filters.is_empty() || has_qdisc()? {
                Disturbance::FilterRemoved
            } else {
                Disturbance::QdiscRemoved
            }));
        };
        // Those of lower priority numbers were there before, or nothing can stand before them.
        let before = filters.get(..here).unwrap_or_default();
        let overtaken = self.order != Order::Last
            && before.iter().any(|filter| {
                filter.place.priority == self.place.priority && !is_of_a_mirror(filter)
            });
        Ok(overtaken.then_some(Disturbance::Overtaken))
    }

    /// The new filter is there before the old one goes, so that no packet passes unseen. One that
    /// passes both is known as a copy.
    fn attach_anew(&mut self) -> anyhow::Result<()> {
        ensure_qdisc(self.device)?;
        let old = self.place;
        (self.place, _) = add(self.device, self.side, self.order, &self.program)?;
        if old != self.place {
            self.remove(old);
        }
        Ok(())
    }

    fn is(&self, filter: &Filter) -> bool {
        filter.place == self.place && is_of(filter, self.program.id)
    }

    fn remove(&self, place: Place) {
        remove((self.device, self.side), place, self.program.id);
    }
}

/// A filter of another kind, or of one protocol, that stands before ours and cannot be overtaken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Behind {
    pub(super) kind: String,
    pub(super) priority: u16,
}

/// A filter that seems to be of a mirror that has ended.
pub(super) struct Leftover {
    pub(super) device: u32,
    side: Side,
    place: Place,
    pub(super) name: String,
    pub(super) program: u32,
    pub(super) tag: u64,
}

impl Leftover {
    /// On every device of this namespace. The kernel removes what is attached by links with its process;
    /// filters of clsact stay.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub(super) fn all() -> io::Result<Vec<Self>> {
        let mut leftovers = Vec::new();
        for (device, _) in Qdisc::all()? {
            for side in Side::BOTH {
                for Filter { place, name, program, .. } in Filter::all(device, side)? {
                    let Some((program, tag)) = program else { continue };
                    let is_named = names::PROGRAMS.contains(&name.as_str());
                    if is_named && Claim::exists_on(program) == Some(false) {
                        leftovers.push(Self { device, side, place, name, program, tag });
                    }
                }
            }
        }
        Ok(leftovers)
    }

    pub(super) fn remove(self) {
        remove((self.device, self.side), self.place, self.program);
    }
}

impl fmt::Display for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { side, place: Place { priority, handle }, name, .. } = self;
        write!(f, "{} pref {priority} handle {handle:#x} bpf ({name})", side.name())
    }
}

/// True when the program behind a filter is this one.
fn is_of(filter: &Filter, program: u32) -> bool {
    filter.program.is_some_and(|(id, _)| id == program)
}

/// True for a filter of a mirror that runs: it lets every packet pass on to the next.
fn is_of_a_mirror(filter: &Filter) -> bool {
    filter.program.is_some_and(|(id, _)| Claim::exists_on(id) == Some(true))
}

/// Removes a filter if the program behind it is this one. Where something else stands there, or nothing
/// any more, there is nothing to do.
fn remove((device, side): (u32, Side), place: Place, program: u32) {
    let filters = Filter::all(device, side).unwrap_or_default();
    if filters.iter().any(|filter| filter.place == place && is_of(filter, program)) {
        let _ = Filter::remove((device, side), place);
    }
}

/// Attaches a program to a side of a device that has its qdisc.
fn add(
    device: u32,
    side: Side,
    order: Order,
    program: &Program,
) -> anyhow::Result<(Place, Option<Behind>)> {
    for _ in 0..ATTEMPTS {
        let filters = list(device, side)?;
        let (place, behind) = choose(&filters, order)?;
        match Filter::add((device, side), place, program.name, program.descriptor.as_fd()) {
            Ok(()) => return Ok((place, behind)),
            // Somebody was faster.
            Err(error) if is(&error, Errno::EXIST) => {}
            Err(error) if is(&error, Errno::OPNOTSUPP) => bail!(
                "its filters are shared with other devices (a block of tc), which mirror does not join"
            ),
            Err(error) => return Err(error).context("no filter can be attached"),
        }
    }
    bail!("its filters change too fast for one to be attached")
}

/// The place for a filter among these.
fn choose(filters: &[Filter], order: Order) -> anyhow::Result<(Place, Option<Behind>)> {
    let stranger = |priority: u16| {
        let mut those = filters.iter().filter(|filter| filter.place.priority == priority);
        those.find(|filter| !filter.shares_its_priority())
    };
    let (priority, stranger) = match order {
        Order::Last => (u16::MAX, stranger(u16::MAX)),
        Order::First => (1, stranger(1)),
        Order::Front => {
            let free = (1..u16::MAX).find(|priority| stranger(*priority).is_none());
            (free.context("every priority is taken by filters of other kinds")?, None)
        }
    };
    if let Some(Filter { kind, .. }) = stranger {
        bail!(
            "priority {priority} is taken by a filter of another kind or of one protocol ({kind}), so that mirror cannot stand {}; {}",
            if order == Order::Last { "behind all others" } else { "before all others" },
            if order == Order::Last {
                "leave --order out"
            } else {
                "leave --order out to stand behind it"
            },
        );
    }
    let taken =
        |handle: u32| filters.iter().any(|filter| filter.place == Place { priority, handle });
    let handle = (HANDLES..HANDLES.saturating_add(MAX_HANDLES)).find(|handle| !taken(*handle));
    let handle = handle.context("too many filters of mirrors")?;
    let before = filters.iter().find(|filter| filter.place.priority < priority);
    let behind = before
        .filter(|_| order == Order::Front)
        .map(|filter| Behind { kind: filter.kind.clone(), priority: filter.place.priority });
    Ok((Place { priority, handle }, behind))
}

/// Sees to it that filters of both sides can be attached.
fn ensure_qdisc(device: u32) -> anyhow::Result<()> {
    match Qdisc::add_clsact(device) {
        Ok(()) => Ok(()),
        // Somebody else's, whose filters stay as they are.
        Err(error) if is(&error, Errno::EXIST) => match qdisc_of(device)? {
            Some(Qdisc::Ingress) => bail!(
                "has an ingress qdisc, beside which the kernel allows no clsact, so that what goes out \
                 could not be captured; make it a clsact qdisc, or use --hook xdp for what comes in"
            ),
            _ => Ok(()),
        },
        Err(error) => Err(error).context("no clsact qdisc can be added"),
    }
}

fn qdisc_of(device: u32) -> io::Result<Option<Qdisc>> {
    let qdiscs = Qdisc::all()?;
    Ok(qdiscs.into_iter().find(|(of, _)| *of == device).map(|(_, qdisc)| qdisc))
}

fn list(device: u32, side: Side) -> anyhow::Result<Vec<Filter>> {
    Filter::all(device, side).context("its filters cannot be listed")
}

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(kind: &str, priority: u16, handle: u32) -> Filter {
        Filter {
            kind: kind.to_owned(),
            place: Place { priority, handle },
            all_protocols: true,
            name: String::new(),
            program: None,
        }
    }

    fn chosen(filters: &[Filter], order: Order) -> (u16, u32, Option<u16>) {
        let (Place { priority, handle }, behind) = choose(filters, order).unwrap();
        (priority, handle, behind.map(|behind| behind.priority))
    }

    #[test]
    fn places_are_before_and_beside_those_of_others() {
        assert_eq!(chosen(&[], Order::Front), (1, HANDLES, None));
        let cilium = filter("bpf", 1, 1);
        let mirror = filter("bpf", 1, HANDLES);
        for order in [Order::Front, Order::First] {
            assert_eq!(chosen(&[cilium.clone(), mirror.clone()], order), (1, HANDLES + 1, None));
        }
        assert_eq!(chosen(&[cilium, mirror], Order::Last), (u16::MAX, HANDLES, None));
    }

    #[test]
    fn a_priority_of_another_kind_or_protocol_is_left_to_it() {
        let policer = filter("u32", 1, 0x8000_0800);
        let of_ipv4 = Filter { all_protocols: false, ..filter("bpf", 2, 1) };
        let filters = [policer, of_ipv4];
        assert_eq!(chosen(&filters, Order::Front), (3, HANDLES, Some(1)));
        let refused = choose(&filters, Order::First).unwrap_err().to_string();
        assert!(refused.contains("priority 1 is taken") && refused.contains("u32"), "{refused}");
        let last = [filter("flower", u16::MAX, 1)];
        assert!(choose(&last, Order::Last).unwrap_err().to_string().contains("behind all others"));
    }
}
