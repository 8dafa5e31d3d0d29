//! The position of a filter among those of others.

use std::io;
use std::os::fd::AsFd;

use anyhow::{Context, bail};
use rustix::io::Errno;

use super::super::Order;
use super::super::netlink::{Filter, Place, Qdisc, Side};
use super::Program;

/// The first handle of mirror's filters: `mirr`. Handles that the kernel assigns begin at 1.
const HANDLES: u32 = 0x6d69_7272;

/// The number of handles, and so of mirror's filters at one priority of one device.
const MAX_HANDLES: u32 = 0x1_0000;

/// How often another place is chosen because another process took the chosen one.
const ATTEMPTS: u32 = 4;

/// A filter of another kind, or of one protocol, that precedes mirror's and cannot be overtaken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::source::live) struct ForeignFilter {
    pub(in crate::source::live) kind: String,
    pub(in crate::source::live) priority: u16,
}

/// Attaches a program to a side of a device that has its qdisc.
pub(super) fn add(
    device: u32,
    side: Side,
    order: Order,
    program: &Program,
) -> anyhow::Result<(Place, Option<ForeignFilter>)> {
    for _ in 0..ATTEMPTS {
        let filters = list(device, side)?;
        let (place, foreign) = choose(&filters, order)?;
        match Filter::add((device, side), place, program.name, program.descriptor.as_fd()) {
            Ok(()) => return Ok((place, foreign)),
            // Another process was faster.
            Err(error) if is(&error, Errno::EXIST) => {}
            Err(error) if is(&error, Errno::OPNOTSUPP) => bail!(
                "its filters are shared with other devices (a block of tc), which mirror does not join"
            ),
            Err(error) => return Err(error).context("no filter can be attached"),
        }
    }
    bail!("its filters change too fast for one to be attached")
}

/// Chooses the place for a filter among these.
fn choose(filters: &[Filter], order: Order) -> anyhow::Result<(Place, Option<ForeignFilter>)> {
    let occupant = |priority: u16| {
        let mut those = filters.iter().filter(|filter| filter.place.priority == priority);
        those.find(|filter| !filter.shares_its_priority())
    };
    let (priority, occupant) = match order {
        Order::Last => (u16::MAX, occupant(u16::MAX)),
        Order::First => (1, occupant(1)),
        Order::Front => {
            let free = (1..u16::MAX).find(|priority| occupant(*priority).is_none());
            (free.context("every priority is taken by filters of other kinds")?, None)
        }
    };
    if let Some(Filter { kind, .. }) = occupant {
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
    let foreign = before
        .filter(|_| order == Order::Front)
        .map(|filter| ForeignFilter { kind: filter.kind.clone(), priority: filter.place.priority });
    Ok((Place { priority, handle }, foreign))
}

/// Makes sure that filters of both sides can be attached.
pub(super) fn ensure_qdisc(device: u32) -> anyhow::Result<()> {
    match Qdisc::add_clsact(device) {
        Ok(()) => Ok(()),
        // It belongs to another program, whose filters stay as they are.
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

pub(super) fn qdisc_of(device: u32) -> io::Result<Option<Qdisc>> {
    let qdiscs = Qdisc::all()?;
    Ok(qdiscs.into_iter().find(|(of, _)| *of == device).map(|(_, qdisc)| qdisc))
}

pub(super) fn list(device: u32, side: Side) -> anyhow::Result<Vec<Filter>> {
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
        let (Place { priority, handle }, foreign) = choose(filters, order).unwrap();
        (priority, handle, foreign.map(|foreign| foreign.priority))
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
