//! Qdiscs and filters of devices (tc(8), tc-bpf(8)), as far as they concern the clsact qdisc.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_core::{NLA_F_NESTED, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL};

use super::{Request, attributes, put_attribute, text};

/// Message types (`linux/rtnetlink.h`).
const RTM_NEWQDISC: u16 = 36;
const RTM_DELQDISC: u16 = 37;
const RTM_GETQDISC: u16 = 38;
const RTM_NEWTFILTER: u16 = 44;
const RTM_DELTFILTER: u16 = 45;
const RTM_GETTFILTER: u16 = 46;

/// Attributes of both: the kind, the options of the kind, and for filters the chain.
const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const TCA_CHAIN: u16 = 11;

/// Options of the kind `bpf` (`linux/pkt_cls.h`): the program's descriptor, a name, flags, and those that
/// only the kernel sets, the program's tag and id.
const TCA_BPF_FD: u16 = 6;
const TCA_BPF_NAME: u16 = 7;
const TCA_BPF_FLAGS: u16 = 8;
const TCA_BPF_TAG: u16 = 10;
const TCA_BPF_ID: u16 = 11;

/// The return value of the program decides what happens to the packet.
const TCA_BPF_FLAG_ACT_DIRECT: u32 = 1;

/// The handle and the parent of the ingress and the clsact qdisc, of which a device has one at most.
const TC_H_CLSACT: u32 = 0xffff_fff1;
const CLSACT_HANDLE: u32 = 0xffff_0000;

/// Length of the structure that messages of qdiscs and filters begin with (`struct tcmsg`).
const TC_BYTES: usize = 20;

/// The kind of filters that are programs.
const BPF: &str = "bpf";

/// Packets of every protocol, `ETH_P_ALL` in network byte order.
const ALL_PROTOCOLS: u16 = 3_u16.to_be();

/// True for events of qdiscs and filters.
pub(super) fn is_about_filters(kind: u16) -> bool {
    matches!(kind, RTM_NEWQDISC | RTM_DELQDISC | RTM_NEWTFILTER | RTM_DELTFILTER)
}

/// Whether filters see incoming or outgoing packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::source::live) enum Side {
    Ingress,
    Egress,
}

impl Side {
    pub(in crate::source::live) const BOTH: [Self; 2] = [Self::Ingress, Self::Egress];

    /// `TC_H_MIN_INGRESS` or `TC_H_MIN_EGRESS` of the clsact qdisc.
    fn parent(self) -> u32 {
        CLSACT_HANDLE | if self == Self::Ingress { 0xfff2 } else { 0xfff3 }
    }

    pub(in crate::source::live) fn name(self) -> &'static str {
        if self == Self::Ingress { "ingress" } else { "egress" }
    }
}

/// The place of a filter on one side of a device. Filters run in the order of their priorities, those of
/// one priority in the order of the kernel's list; the handle identifies a filter within its priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::source::live) struct Place {
    /// 1 or more; all filters of a priority have the same kind and protocol.
    pub(in crate::source::live) priority: u16,
    /// Never 0, which stands for all filters of the priority.
    pub(in crate::source::live) handle: u32,
}

/// A filter as the kernel lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::source::live) struct Filter {
    /// `bpf`, `u32`, `flower` …
    pub(in crate::source::live) kind: String,
    pub(in crate::source::live) place: Place,
    /// True if it sees packets of every protocol.
    pub(in crate::source::live) all_protocols: bool,
    /// The name that was given to the program when it was attached.
    pub(in crate::source::live) name: String,
    /// Id and tag of an eBPF program.
    pub(in crate::source::live) program: Option<(u32, u64)>,
}

impl Filter {
    /// The filters of one side of a device, in the order in which they run; none if the device has no
    /// clsact qdisc. Filters of other chains than the first are left out.
    ///
    /// # Errors
    /// When the kernel does not list them.
    pub(in crate::source::live) fn all(device: u32, side: Side) -> io::Result<Vec<Self>> {
        let mut filters = Vec::new();
        let fixed = tc_message(device, 0, side.parent(), 0);
        Request::new(RTM_GETTFILTER, NLM_F_DUMP, &fixed).send(|kind, payload| {
            filters.extend((kind == RTM_NEWTFILTER).then(|| Self::read(payload)).flatten());
        })?;
        Ok(filters)
    }

    /// True if mirror's filters can have the priority of this one.
    pub(in crate::source::live) fn shares_its_priority(&self) -> bool {
        self.kind == BPF && self.all_protocols
    }

    /// Attaches a program at a place that is free.
    ///
    /// # Errors
    /// `EEXIST` if the place is taken, `EINVAL` if the priority has another kind or protocol, `ENOENT`
    /// without a clsact qdisc, and others.
    pub(in crate::source::live) fn add(
        (device, side): (u32, Side),
        Place { priority, handle }: Place,
        name: &str,
        program: BorrowedFd<'_>,
    ) -> io::Result<()> {
        let info = u32::from(priority) << 16 | u32::from(ALL_PROTOCOLS);
        let fixed = tc_message(device, handle, side.parent(), info);
        let descriptor = program.as_raw_fd().to_ne_bytes();
        let mut options = Vec::new();
        put_attribute(&mut options, TCA_BPF_FD, &descriptor);
        put_attribute(&mut options, TCA_BPF_NAME, &[name.as_bytes(), b"\0"].concat());
        put_attribute(&mut options, TCA_BPF_FLAGS, &TCA_BPF_FLAG_ACT_DIRECT.to_ne_bytes());
        let attributes =
            [(TCA_KIND, &b"bpf\0"[..]), (TCA_OPTIONS | NLA_F_NESTED, options.as_slice())];
        Request::order(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, &fixed, &attributes)
    }

    /// Removes the filter at a place, if it is still one of the kind `bpf`.
    ///
    /// # Errors
    /// `ENOENT` if there is none, `EINVAL` if it is of another kind, and others.
    pub(in crate::source::live) fn remove(
        (device, side): (u32, Side),
        place: Place,
    ) -> io::Result<()> {
        let info = u32::from(place.priority) << 16 | u32::from(ALL_PROTOCOLS);
        let fixed = tc_message(device, place.handle, side.parent(), info);
        Request::order(RTM_DELTFILTER, 0, &fixed, &[(TCA_KIND, b"bpf\0")])
    }

    /// `struct tcmsg` (family, index after three bytes, handle, parent, priority and protocol), then
    /// attributes. `None` for an entry without a handle, which stands for a whole priority.
    fn read(payload: &[u8]) -> Option<Self> {
        let (fixed, rest) = payload.split_first_chunk::<TC_BYTES>()?;
        let [_, _, _, _, _, _, _, _, h0, h1, h2, h3, _, _, _, _, i0, i1, i2, i3] = *fixed;
        let info = u32::from_ne_bytes([i0, i1, i2, i3]);
        let place = Place {
            priority: u16::try_from(info >> 16).ok()?,
            handle: u32::from_ne_bytes([h0, h1, h2, h3]),
        };
        let mut filter = Self {
            kind: String::new(),
            place,
            all_protocols: info & 0xffff == u32::from(ALL_PROTOCOLS),
            name: String::new(),
            program: None,
        };
        for (kind, value) in attributes(rest) {
            match kind {
                TCA_KIND => filter.kind = text(value),
                TCA_CHAIN if value.iter().any(|byte| *byte != 0) => return None,
                TCA_OPTIONS if filter.kind == BPF => filter.read_program(value),
                _ => {}
            }
        }
        (place.handle != 0).then_some(filter)
    }

    fn read_program(&mut self, options: &[u8]) {
        let (mut id, mut tag) = (None, 0);
        for (kind, value) in attributes(options) {
            match kind {
                TCA_BPF_NAME => self.name = text(value),
                TCA_BPF_TAG => tag = value.first_chunk().map_or(0, |tag| u64::from_be_bytes(*tag)),
                TCA_BPF_ID => id = value.first_chunk().map(|id| u32::from_ne_bytes(*id)),
                _ => {}
            }
        }
        self.program = id.map(|id| (id, tag));
    }
}

/// The qdisc of a device that filters of ingress and egress are attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::source::live) enum Qdisc {
    /// Both sides.
    Clsact,
    /// Ingress only; the kernel accepts filters for egress, too, but runs them on incoming packets.
    Ingress,
}

impl Qdisc {
    /// The devices that have such a qdisc, and its kind.
    ///
    /// # Errors
    /// When the kernel does not list them.
    pub(in crate::source::live) fn all() -> io::Result<Vec<(u32, Self)>> {
        let mut qdiscs = Vec::new();
        Request::new(RTM_GETQDISC, NLM_F_DUMP, &[0; TC_BYTES]).send(|kind, payload| {
            qdiscs.extend((kind == RTM_NEWQDISC).then(|| Self::read(payload)).flatten());
        })?;
        Ok(qdiscs)
    }

    /// Adds a clsact qdisc to a device.
    ///
    /// # Errors
    /// `EEXIST` if it has one or an ingress qdisc, and others.
    pub(in crate::source::live) fn add_clsact(device: u32) -> io::Result<()> {
        let fixed = tc_message(device, CLSACT_HANDLE, TC_H_CLSACT, 0);
        let flags = NLM_F_CREATE | NLM_F_EXCL;
        Request::order(RTM_NEWQDISC, flags, &fixed, &[(TCA_KIND, b"clsact\0")])
    }

    fn read(payload: &[u8]) -> Option<(u32, Self)> {
        let (fixed, rest) = payload.split_first_chunk::<TC_BYTES>()?;
        let [_, _, _, _, i0, i1, i2, i3, ..] = *fixed;
        let (_, kind) = attributes(rest).find(|(kind, _)| *kind == TCA_KIND)?;
        let qdisc = match text(kind).as_str() {
            "clsact" => Self::Clsact,
            "ingress" => Self::Ingress,
            _ => return None,
        };
        Some((u32::from_ne_bytes([i0, i1, i2, i3]), qdisc))
    }
}

fn tc_message(device: u32, handle: u32, parent: u32, info: u32) -> [u8; TC_BYTES] {
    let mut fixed = [0; TC_BYTES];
    let values = [0, device, handle, parent, info].into_iter().flat_map(u32::to_ne_bytes);
    for (byte, value) in fixed.iter_mut().zip(values) {
        *byte = value;
    }
    fixed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filter(handle: u32, kind: &[u8], options: &[(u16, &[u8])]) -> Vec<u8> {
        let info = 5 << 16 | u32::from(ALL_PROTOCOLS);
        let mut payload = tc_message(7, handle, Side::Ingress.parent(), info).to_vec();
        put_attribute(&mut payload, TCA_KIND, kind);
        put_attribute(&mut payload, TCA_CHAIN, &[0; 4]);
        let mut nested = Vec::new();
        options.iter().for_each(|(kind, value)| put_attribute(&mut nested, *kind, value));
        put_attribute(&mut payload, TCA_OPTIONS | NLA_F_NESTED, &nested);
        payload
    }

    #[test]
    fn a_filter_is_read_with_its_program() {
        let id = 258_u32.to_ne_bytes();
        let options: [(u16, &[u8]); 3] = [
            (TCA_BPF_NAME, b"mirror\0"),
            (TCA_BPF_TAG, &[0, 0, 0, 0, 0, 0, 1, 2]),
            (TCA_BPF_ID, &id),
        ];
        let read = Filter::read(&filter(9, b"bpf\0", &options)).unwrap();
        assert_eq!(read.place, Place { priority: 5, handle: 9 });
        assert_eq!((read.name.as_str(), read.program), ("mirror", Some((258, 258))));
        assert!(read.shares_its_priority());
        // A number of another kind's options is no program.
        let other = Filter::read(&filter(9, b"u32\0", &options)).unwrap();
        assert!(other.program.is_none() && !other.shares_its_priority());
    }

    #[test]
    fn whole_priorities_and_other_chains_are_no_filters() {
        assert_eq!(Filter::read(&filter(0, b"bpf\0", &[])), None);
        let mut elsewhere = tc_message(7, 1, 0, 1 << 16).to_vec();
        put_attribute(&mut elsewhere, TCA_KIND, b"bpf\0");
        put_attribute(&mut elsewhere, TCA_CHAIN, &4_u32.to_ne_bytes());
        assert_eq!(Filter::read(&elsewhere), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(payload in proptest::collection::vec(any::<u8>(), 0..128)) {
            if let Some(filter) = Filter::read(&payload) {
                prop_assert!(filter.name.len() <= 3 * payload.len());
            }
            prop_assert!(Qdisc::read(&payload).is_none_or(|_| payload.len() > TC_BYTES));
        }
    }
}
