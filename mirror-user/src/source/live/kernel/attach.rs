//! Where the program is attached: links and filters of devices, links of a cgroup.

use std::os::fd::AsFd;

use anyhow::Context;
use aya::programs::cgroup_skb::CgroupSkbLinkId;
use aya::programs::tc::{SchedClassifierLinkId, TcAttachOptions};
use aya::programs::xdp::XdpLinkId;
use aya::programs::{
    CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, LinkOrder, SchedClassifier, TcAttachType,
    Xdp, XdpMode, loaded_programs,
};
use hashbrown::HashMap;
use mirror_common::names;

use super::super::Order;
use super::super::cgroup::Cgroup;
use super::super::claim::Claim;
use super::super::clsact::{Clsact, ForeignFilter, Leftover, Program, Repair};
use super::super::device::Device;
use super::super::netlink::Side;
use super::super::order::TcxSide;
use super::super::presence::Identity;
use super::{Kernel, Path};

/// Bytes of a program's name that the kernel keeps (`BPF_OBJ_NAME_LEN`, without the zero).
const KERNEL_NAME_BYTES: usize = 15;

/// The programs for TC.
const TC_PROGRAMS: [&str; 4] = [names::INGRESS, names::EGRESS, names::INGRESS_IP, names::EGRESS_IP];

/// A link by which a program is attached to a device.
enum Link {
    Tcx(&'static str, SchedClassifierLinkId),
    Xdp(XdpLinkId),
}

/// What is attached now.
#[derive(Default)]
pub(super) struct Attached {
    /// To devices by links, by the index of the device.
    links: HashMap<u32, Vec<Link>>,
    /// To devices by filters.
    clsact: Clsact,
    /// To cgroups, by links.
    of_cgroups: HashMap<Identity, Vec<(&'static str, CgroupSkbLinkId)>>,
    /// By which mirrors know each other's programs at TCX.
    claims: Vec<Claim>,
}

impl Kernel {
    /// Loads the TC programs, so that the kernel verifies them.
    pub(in crate::source::live) fn verify(&mut self) -> anyhow::Result<()> {
        for name in TC_PROGRAMS {
            self.tc_program(name)?;
        }
        Ok(())
    }

    /// Attaches the program to both sides of a device; on `lo`, where each outgoing packet comes in
    /// again, and by XDP, to ingress only. Returns the foreign filter that precedes it, if any.
    pub(in crate::source::live) fn attach(
        &mut self,
        device: &Device,
        order: Order,
    ) -> anyhow::Result<Option<ForeignFilter>> {
        let (ingress, egress) = match device.link {
            mirror_common::Link::Ethernet => (names::INGRESS, names::EGRESS),
            mirror_common::Link::Ip => (names::INGRESS_IP, names::EGRESS_IP),
        };
        let egress = (!device.loopback).then_some((egress, Side::Egress));
        let sides = [(ingress, Side::Ingress)].into_iter().chain(egress);
        let mut foreign = None;
        for (name, side) in sides {
            match self.path {
                Path::Clsact => {
                    let program = self.filter(name)?;
                    let before = self.attached.clsact.attach(device, side, order, program);
                    foreign = foreign
                        .or(before.inspect_err(|_| self.attached.clsact.release(device.index))?);
                }
                Path::Xdp => return self.attach_xdp(device).map(|()| None),
                Path::Tcx | Path::Cgroup => self.attach_tcx(device, name, side, order)?,
            }
        }
        Ok(foreign)
    }

    fn attach_tcx(
        &mut self,
        device: &Device,
        name: &'static str,
        side: Side,
        order: Order,
    ) -> anyhow::Result<()> {
        let direction = match side {
            Side::Ingress => TcAttachType::Ingress,
            Side::Egress => TcAttachType::Egress,
        };
        let order = match order {
            Order::First | Order::Front => LinkOrder::first(),
            Order::Last => LinkOrder::last(),
        };
        let options = TcAttachOptions::TcxOrder(order);
        let id = self.tc_program(name)?.info()?.id();
        if !self.attached.claims.iter().any(|claim| claim.is_on(id)) {
            self.attached.claims.push(Claim::on(id)?);
        }
        let attached = self.tc_program(name)?.attach_with_options(&device.name, direction, options);
        let link = attached.context("cannot be attached to")?;
        self.attached.links.entry(device.index).or_default().push(Link::Tcx(name, link));
        Ok(())
    }

    /// A TC program, loaded, for a filter.
    fn filter(&mut self, name: &'static str) -> anyhow::Result<Program> {
        let program = self.tc_program(name)?;
        let info = program.info()?;
        let descriptor = program.fd()?.as_fd().try_clone_to_owned()?;
        Ok(Program { name, id: info.id(), tag: info.tag(), descriptor })
    }

    /// A TC program, loaded.
    fn tc_program(&mut self, name: &str) -> anyhow::Result<&mut SchedClassifier> {
        let program: &mut SchedClassifier = self.program(name)?.try_into()?;
        if program.fd().is_err() {
            program.load().with_context(|| format!("{name}: refused by the kernel's verifier"))?;
        }
        Ok(program)
    }

    fn attach_xdp(&mut self, device: &Device) -> anyhow::Result<()> {
        let program: &mut Xdp = self.program(names::XDP)?.try_into()?;
        if program.fd().is_err() {
            program.load().context("mirror_xdp: refused by the kernel's verifier")?;
        }
        // In the driver if it supports XDP, else in the stack (loopback has no driver).
        let link = program
            .attach(&device.name, XdpMode::Default)
            .or_else(|_| program.attach(&device.name, XdpMode::Skb))
            .context("cannot be attached to")?;
        self.attached.links.entry(device.index).or_default().push(Link::Xdp(link));
        Ok(())
    }

    /// Attaches the program to what the sockets of a cgroup send and receive, next to the programs that
    /// others have attached there.
    pub(in crate::source::live) fn attach_cgroup(&mut self, cgroup: &Cgroup) -> anyhow::Result<()> {
        for (name, direction) in [
            (names::CGROUP_IN, CgroupSkbAttachType::Ingress),
            (names::CGROUP_OUT, CgroupSkbAttachType::Egress),
        ] {
            let program: &mut CgroupSkb = self.program(name)?.try_into()?;
            if program.fd().is_err() {
                program
                    .load()
                    .with_context(|| format!("{name}: refused by the kernel's verifier"))?;
            }
            // A link always allows others next to it, and the kernel rejects a flag that says so.
            let mode = CgroupAttachMode::Single;
            let link = program.attach(cgroup, direction, mode).with_context(|| {
                format!("{cgroup}: cannot be attached to; one above it may allow no others below")
            })?;
            self.attached.of_cgroups.entry(cgroup.identity()).or_default().push((name, link));
        }
        Ok(())
    }

    /// Releases a cgroup, which may be gone.
    pub(in crate::source::live) fn release_cgroup(&mut self, cgroup: &Cgroup) {
        for (name, link) in self.attached.of_cgroups.remove(&cgroup.identity()).unwrap_or_default()
        {
            let _ = self.program(name).and_then(|program| {
                let program: &mut CgroupSkb = program.try_into()?;
                Ok(program.detach(link).is_ok())
            });
        }
    }

    /// Releases a device that is gone.
    pub(in crate::source::live) fn release(&mut self, index: u32) {
        self.attached.clsact.release(index);
        for link in self.attached.links.remove(&index).unwrap_or_default() {
            // The links of a device end with it; this closes their descriptors.
            let _ = match link {
                Link::Tcx(name, link) => self.tc_program(name).map(|it| it.detach(link).is_ok()),
                Link::Xdp(link) => self.program(names::XDP).and_then(|program| {
                    let program: &mut Xdp = program.try_into()?;
                    Ok(program.detach(link).is_ok())
                }),
            };
        }
    }

    /// Releases all devices.
    pub(in crate::source::live) fn release_all(&mut self) {
        let devices: Vec<u32> = self.attached.links.keys().copied().collect();
        devices.into_iter().for_each(|device| self.release(device));
        self.attached.clsact.release_all();
        // They belong to a network namespace, and would keep it alive.
        self.attached.claims.clear();
    }

    fn program(&mut self, name: &str) -> anyhow::Result<&mut aya::programs::Program> {
        let object = self.object.as_mut().context("detached already")?;
        object.program_mut(name).with_context(|| format!("{name}: not in the kernel object"))
    }

    /// The sides of a device that are attached to by TCX.
    pub(in crate::source::live) fn tcx_sides(
        &mut self,
        device: &Device,
    ) -> anyhow::Result<Vec<TcxSide>> {
        let links = self.attached.links.get(&device.index).into_iter().flatten();
        let names: Vec<&'static str> = links
            .filter_map(|link| match link {
                Link::Tcx(name, _) => Some(*name),
                Link::Xdp(_) => None,
            })
            .collect();
        let side = |name: &'static str| {
            let program = self.tc_program(name)?.info()?.id();
            let is_egress = [names::EGRESS, names::EGRESS_IP].contains(&name);
            let direction = if is_egress { TcAttachType::Egress } else { TcAttachType::Ingress };
            Ok(TcxSide { device: device.index, name: device.name.clone(), direction, program })
        };
        names.into_iter().map(side).collect()
    }

    /// Attaches to a device by TCX anew, before all others. The kernel does not take a program twice on
    /// one side, so for a moment there is none.
    ///
    /// # Errors
    /// When that is not possible.
    pub(in crate::source::live) fn attach_first(&mut self, device: &Device) -> anyhow::Result<()> {
        self.release(device.index);
        self.attach(device, Order::First).map(drop)
    }

    /// Checks the filters of a device, and attaches those again that were removed or overtaken.
    ///
    /// # Errors
    /// When that is not possible.
    pub(in crate::source::live) fn repair(&mut self, device: u32) -> anyhow::Result<Vec<Repair>> {
        self.attached.clsact.repair(device)
    }

    /// Removes the filters of mirrors that have ended. Returns their number, and the filters that have
    /// the name of one but cannot be proven to be mirror's.
    ///
    /// # Errors
    /// When the filters cannot be listed.
    pub(in crate::source::live) fn remove_leftovers(
        &mut self,
    ) -> anyhow::Result<(u32, Vec<Leftover>)> {
        let mut removed = 0;
        let mut doubtful = Vec::new();
        for leftover in Leftover::all()? {
            if self.is_ours(&leftover) {
                leftover.remove();
                removed += 1;
            } else {
                doubtful.push(leftover);
            }
        }
        Ok((removed, doubtful))
    }

    /// True if the program of a filter is mirror's: the same instructions as ours or, for another version,
    /// the name of the program in the kernel, which only CAP_SYS_ADMIN can query.
    fn is_ours(&mut self, leftover: &Leftover) -> bool {
        let Some(name) = TC_PROGRAMS.into_iter().find(|name| *name == leftover.name) else {
            return false;
        };
        let same = self.filter(name).is_ok_and(|program| program.tag == leftover.tag);
        let kept = name.as_bytes().get(..KERNEL_NAME_BYTES).unwrap_or(name.as_bytes());
        let mut programs = loaded_programs().map_while(Result::ok);
        same || programs.any(|info| info.id() == leftover.program && info.name() == kept)
    }

    /// Detaches the program. When this returns it does not run any more, so the counters are final; what
    /// is in the ring can still be read.
    pub(in crate::source::live) fn detach(&mut self) {
        self.attached.clsact.release_all();
        self.object = None;
        self.attached.links.clear();
        self.attached.of_cgroups.clear();
        self.attached.claims.clear();
    }
}
