//! Attaches the program as filters of clsact qdiscs, next to the filters of others.
//!
//! It never changes what is not mirror's: a filter is removed only if its program is mirror's. Filters
//! share a priority with those of other programs, under handles that nobody else uses, because Cilium and
//! others replace whatever is at priority 1, handle 1. Everything here acts on the network namespace of
//! the calling thread.

mod leftover;
mod place;

use std::io;
use std::os::fd::OwnedFd;

use anyhow::Context;
use enum_map::Enum;
use strum::IntoStaticStr;

pub(super) use self::leftover::Leftover;
pub(super) use self::place::ForeignFilter;
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

/// What another program did to one of mirror's filters, or of its TCX links.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(super) enum Interference {
    /// It removed the filter.
    FilterRemoved,
    /// It replaced the filter.
    FilterReplaced,
    /// It removed the clsact qdisc, and all filters with it.
    QdiscRemoved,
    /// It put another filter before it.
    Overtaken,
}

impl Interference {
    /// A sentence for the operator.
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

/// A filter that was attached again.
pub(super) struct Repair {
    pub(super) interference: Interference,
    /// The filter that precedes it now.
    pub(super) foreign: Option<ForeignFilter>,
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
    /// Attaches a program to one side of a device. Returns the foreign filter that precedes it, if any.
    ///
    /// # Errors
    /// When no filter can be attached there, or not at the position that `order` requires.
    pub(super) fn attach(
        &mut self,
        device: &Device,
        side: Side,
        order: Order,
        program: Program,
    ) -> anyhow::Result<Option<ForeignFilter>> {
        if !self.claims.iter().any(|claim| claim.is_on(program.id)) {
            self.claims.push(Claim::on(program.id)?);
        }
        ensure_qdisc(device.index)?;
        let (place, foreign) = add(device.index, side, order, &program)?;
        self.attached.push(Attached { device: device.index, side, place, order, program });
        Ok(foreign)
    }

    /// Checks the filters of a device, and attaches those again that were removed or overtaken.
    ///
    /// # Errors
    /// When that is not possible.
    pub(super) fn repair(&mut self, device: u32) -> anyhow::Result<Vec<Repair>> {
        let mut damaged = Vec::new();
        for attached in self.attached.iter_mut().filter(|attached| attached.device == device) {
            if let Some(interference) = attached.interference()? {
                damaged.push((attached, interference));
            }
        }
        let reattach = |(attached, interference): (&mut Attached, Interference)| {
            let foreign = attached.reattach().context(interference.message())?;
            Ok(Repair { interference, foreign })
        };
        damaged.into_iter().map(reattach).collect()
    }

    /// Removes mirror's filters from a device.
    pub(super) fn release(&mut self, device: u32) {
        for attached in self.attached.extract_if(.., |attached| attached.device == device) {
            attached.remove_all_but(None);
        }
    }

    /// Removes all of mirror's filters.
    pub(super) fn release_all(&mut self) {
        for attached in self.attached.drain(..) {
            attached.remove_all_but(None);
        }
        self.claims.clear();
    }
}

impl Attached {
    /// What another program did to it since it was attached.
    fn interference(&self) -> anyhow::Result<Option<Interference>> {
        let filters = list(self.device, self.side)?;
        let Some(here) = filters.iter().position(|filter| self.is(filter)) else {
            let replaced = filters.iter().any(|filter| filter.place == self.place);
            let has_qdisc = || Ok::<_, io::Error>(qdisc_of(self.device)?.is_some());
            return Ok(Some(if replaced {
                Interference::FilterReplaced
            } else if !filters.is_empty() || has_qdisc()? {
                Interference::FilterRemoved
            } else {
                Interference::QdiscRemoved
            }));
        };
        // Filters of lower priority numbers were there before, or cannot be preceded.
        let before = filters.get(..here).unwrap_or_default();
        let overtaken = self.order != Order::Last
            && before.iter().any(|filter| {
                filter.place.priority == self.place.priority && !is_of_a_mirror(filter)
            });
        Ok(overtaken.then_some(Interference::Overtaken))
    }

    /// Attaches the new filter before it removes the old one, so that no packet is missed. A packet that
    /// passes both is recognized as a duplicate.
    fn reattach(&mut self) -> anyhow::Result<Option<ForeignFilter>> {
        ensure_qdisc(self.device)?;
        let (place, foreign) = add(self.device, self.side, self.order, &self.program)?;
        self.place = place;
        self.remove_all_but(Some(place));
        Ok(foreign)
    }

    fn is(&self, filter: &Filter) -> bool {
        filter.place == self.place && is_of(filter, self.program.id)
    }

    /// Removes mirror's filters from this side, except the one at this place.
    fn remove_all_but(&self, place: Option<Place>) {
        let which = |filter: &Filter| is_of(filter, self.program.id) && Some(filter.place) != place;
        remove((self.device, self.side), which);
    }
}

/// True if the filter has this program.
fn is_of(filter: &Filter, program: u32) -> bool {
    filter.program.is_some_and(|(id, _)| id == program)
}

/// True for a filter of a running mirror, which passes every packet on to the next filter.
fn is_of_a_mirror(filter: &Filter) -> bool {
    filter.program.is_some_and(|(id, _)| Claim::exists_on(id) == Some(true))
}

/// Removes the filters that `which` selects, which must be mirror's. If there are none, or the device is
/// gone, there is nothing to do.
fn remove((device, side): (u32, Side), which: impl Fn(&Filter) -> bool) {
    let filters = Filter::all(device, side).unwrap_or_default();
    for filter in filters.iter().filter(|filter| which(filter)) {
        let _ = Filter::remove((device, side), filter.place);
    }
}
