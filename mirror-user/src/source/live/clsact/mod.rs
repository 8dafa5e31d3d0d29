//! The program as filters of clsact qdiscs, beside those of others.
//!
//! Refuses to touch what is not mirror's: a filter is removed only if the program behind it is. Filters
//! stand at a priority that other programs have, too, under handles that nobody else gives, as Cilium and
//! others put theirs at priority 1, handle 1, by replacing whatever is there. Everything here is done in
//! the network namespace of the thread that asks.

mod leftover;
mod place;

use std::io;
use std::os::fd::OwnedFd;

use anyhow::Context;
use enum_map::Enum;
use strum::IntoStaticStr;

pub(super) use self::leftover::Leftover;
pub(super) use self::place::Behind;
use self::place::{add, ensure_qdisc, list, qdisc_of};
use super::Order;
use super::claim::Claim;
use super::device::Device;
use super::netlink::{Filter, Place, Side};

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
    /// What happened, for people.
    pub(super) fn message(self) -> &'static str {
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

/// A filter of ours was attached anew.
pub(super) struct Repair {
    pub(super) disturbance: Disturbance,
    /// What stands before it now.
    pub(super) behind: Option<Behind>,
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
    pub(super) fn mend(&mut self, device: u32) -> anyhow::Result<Vec<Repair>> {
        let mut disturbed = Vec::new();
        for attached in self.attached.iter_mut().filter(|attached| attached.device == device) {
            if let Some(disturbance) = attached.disturbance()? {
                disturbed.push((attached, disturbance));
            }
        }
        let anew = |(attached, disturbance): (&mut Attached, Disturbance)| {
            let behind = attached.attach_anew().context(disturbance.message())?;
            Ok(Repair { disturbance, behind })
        };
        disturbed.into_iter().map(anew).collect()
    }

    /// Removes the filters of a device, as far as they are ours.
    pub(super) fn release(&mut self, device: u32) {
        for attached in self.attached.extract_if(.., |attached| attached.device == device) {
            attached.remove_all_but(None);
        }
    }

    /// Removes all of our filters.
    pub(super) fn release_all(&mut self) {
        for attached in self.attached.drain(..) {
            attached.remove_all_but(None);
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
    fn attach_anew(&mut self) -> anyhow::Result<Option<Behind>> {
        ensure_qdisc(self.device)?;
        let (place, behind) = add(self.device, self.side, self.order, &self.program)?;
        self.place = place;
        self.remove_all_but(Some(place));
        Ok(behind)
    }

    fn is(&self, filter: &Filter) -> bool {
        filter.place == self.place && is_of(filter, self.program.id)
    }

    /// Removes our filters from this side but the one at this place.
    fn remove_all_but(&self, place: Option<Place>) {
        let goes = |filter: &Filter| is_of(filter, self.program.id) && Some(filter.place) != place;
        remove((self.device, self.side), goes);
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

/// Removes the filters of which `goes` holds, which it says of none but mirror's. Where there are none,
/// or the device is gone, there is nothing to do.
fn remove((device, side): (u32, Side), goes: impl Fn(&Filter) -> bool) {
    let filters = Filter::all(device, side).unwrap_or_default();
    for filter in filters.iter().filter(|filter| goes(filter)) {
        let _ = Filter::remove((device, side), filter.place);
    }
}
