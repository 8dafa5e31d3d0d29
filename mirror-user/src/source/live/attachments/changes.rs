//! Follows changes while a run is attached: devices, namespaces and cgroups appear and disappear, and other
//! programs change filters.

use anyhow::anyhow;
use rustix::io::Errno;

use super::super::clsact::Repair;
use super::super::device::Device;
use super::super::follow::Interfaces;
use super::super::kernel::{Kernel, Path};
use super::super::netlink::{Changes, Events};
use super::super::order::OrderWatch;
use super::super::presence::Presence;
use super::{Attachments, Followed};
use crate::logging::emit;
use crate::packet::Timestamp;

impl Attachments {
    /// Attaches to and releases what changed since the last call.
    ///
    /// # Errors
    /// When something cannot be captured any more and the run does not continue without it.
    pub(in crate::source::live) fn follow(
        &mut self,
        kernel: &mut Kernel,
        interfaces: &mut Interfaces,
        now: Timestamp,
    ) -> anyhow::Result<Followed> {
        let due = self.recovery.is_due(now);
        if self.cgroup.is_some() {
            self.follow_cgroup(kernel, due)?;
        }
        if let Some(pods) = &mut self.pods {
            pods.follow(kernel, interfaces, now);
        }
        if self.namespace.is_other()
            && self.follow_namespace(kernel, interfaces)? == Followed::Ended
        {
            return Ok(Followed::Ended);
        }
        let changes = self.events.as_ref().map(Events::take).transpose()?.flatten();
        if let Some(changes) = changes.as_ref().filter(|it| it.devices || it.missed) {
            self.follow_devices(kernel, interfaces, &changes.removed)?;
        }
        if self.watch.is_some() {
            self.keep_first(kernel, now)?;
        }
        if self.path == Path::Clsact && (due || changes.is_some()) {
            self.repair(kernel, &changes.unwrap_or_default(), due, now)?;
        }
        Ok(Followed::Continues)
    }

    /// Attaches to wanted devices that appeared, and releases those that disappeared.
    fn follow_devices(
        &mut self,
        kernel: &mut Kernel,
        interfaces: &mut Interfaces,
        removed: &[u32],
    ) -> anyhow::Result<()> {
        let present = self.present()?;
        let is_there = |device: &Device| {
            !removed.contains(&device.index)
                && present.iter().any(|it| it.index == device.index && it.name == device.name)
        };
        for gone in self.devices.extract_if(.., |device| !is_there(device)) {
            self.namespace.run(|| kernel.release(gone.index))?;
            self.recovery.forget(&gone);
            emit!(InterfaceGone, interface = gone.name, "{}: gone", gone.name);
        }
        self.attach_new(kernel, interfaces, present);
        self.watch_order(kernel)
    }

    /// Has the order of programs watched on the devices that are attached to now.
    pub(super) fn watch_order(&self, kernel: &mut Kernel) -> anyhow::Result<()> {
        let Some(watch) = &self.watch else { return Ok(()) };
        let sides = self.devices.iter().map(|device| kernel.tcx_sides(device));
        watch.set(sides.collect::<anyhow::Result<Vec<_>>>()?.into_iter().flatten().collect());
        Ok(())
    }

    /// Goes before the TCX programs that others put before mirror's.
    fn keep_first(&mut self, kernel: &mut Kernel, now: Timestamp) -> anyhow::Result<()> {
        let found = self.watch.as_ref().map(OrderWatch::take).unwrap_or_default();
        for (index, interference) in found {
            let Some(device) = self.devices.iter().find(|device| device.index == index) else {
                continue;
            };
            match kernel.attach_first(device) {
                // The device is going away, which has an event of its own.
                Err(error) if is_no_device(&error) => {}
                // The next look finds no link, so that this is tried again.
                Err(error) => self.recovery.mark_lost(&device.name, error)?,
                Ok(()) => {
                    self.recovery.repaired(device, interference, now);
                    self.recovery.mark_found(&device.name);
                }
            }
        }
        Ok(())
    }

    /// Attaches to those of these devices that are wanted and not attached to yet.
    fn attach_new(
        &mut self,
        kernel: &mut Kernel,
        interfaces: &mut Interfaces,
        present: Vec<Device>,
    ) {
        for device in present {
            let known = self.devices.iter().any(|other| other.index == device.index);
            if known || !self.selection.includes(&device) {
                continue;
            }
            let name = device.name.clone();
            match self.attach_device(kernel, interfaces, device) {
                Ok(()) => emit!(InterfaceAttached, interface = name, "{name}: attached to, too"),
                Err(error) => {
                    let reason = format!("{error:#}");
                    emit!(InterfaceSkipped, interface = name, reason, "left out: {reason}");
                }
            }
        }
    }

    /// Repairs the filters of devices that changed; when `due`, also those that could not be repaired
    /// before.
    fn repair(
        &mut self,
        kernel: &mut Kernel,
        changes: &Changes,
        due: bool,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        for device in &self.devices {
            let lost = self.recovery.is_lost(&device.name);
            if !(if lost { due } else { changes.touches(device.index) }) {
                continue;
            }
            match self.namespace.run(|| kernel.repair(device.index))? {
                // The device is going away, which has an event of its own.
                Err(error) if is_no_device(&error) => {}
                Err(error) => self.recovery.mark_lost(&device.name, error)?,
                Ok(repairs) => {
                    let mut settled = true;
                    for Repair { interference, foreign } in repairs {
                        settled &= self.recovery.repaired(device, interference, now);
                        self.recovery.report_foreign(device, foreign);
                    }
                    if settled {
                        self.recovery.mark_found(&device.name);
                    } else {
                        let why = "another program undoes again and again what mirror attaches";
                        self.recovery.mark_lost(&device.name, anyhow!(why))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Follows the name of the cgroup: a service that restarts has a new cgroup of the same name.
    fn follow_cgroup(&mut self, kernel: &mut Kernel, due: bool) -> anyhow::Result<()> {
        let Some(cgroup) = &self.cgroup else { return Ok(()) };
        let presence = cgroup.check();
        let name = cgroup.to_string();
        if presence != Presence::Same && self.in_cgroup {
            self.in_cgroup = false;
            kernel.release_cgroup(cgroup);
            emit!(CgroupGone, cgroup = name, "{name}: gone");
        }
        if presence != Presence::Another || (self.recovery.is_lost(&name) && !due) {
            return Ok(());
        }
        let attached = cgroup.reopen().and_then(|cgroup| {
            kernel.attach_cgroup(&cgroup).inspect_err(|_| kernel.release_cgroup(&cgroup))?;
            Ok(cgroup)
        });
        match attached {
            Ok(cgroup) => {
                self.cgroup = Some(cgroup);
                self.in_cgroup = true;
                self.recovery.mark_found(&name);
                emit!(CgroupAttached, cgroup = name, "{name}: there again, attached to");
            }
            // It disappeared meanwhile.
            Err(_) if cgroup.check() == Presence::Gone => {}
            Err(error) => self.recovery.mark_lost(&name, error)?,
        }
        Ok(())
    }

    /// Releases the namespace when its name or the process that named it is gone, so that its interfaces
    /// can be removed. A namespace that gets the name later is followed.
    fn follow_namespace(
        &mut self,
        kernel: &mut Kernel,
        interfaces: &mut Interfaces,
    ) -> anyhow::Result<Followed> {
        let presence = self.namespace.check();
        let name = format!("network namespace{}", self.namespace);
        if presence != Presence::Same && self.namespace.is_open() {
            self.leave(kernel);
            emit!(NamespaceGone, namespace = name, "{name}: gone");
            if self.namespace.is_of_a_process() {
                return Ok(Followed::Ended);
            }
        }
        if presence == Presence::Another && !self.namespace.is_open() {
            match self.namespace.follow().and_then(|()| self.enter()) {
                Ok(present) => {
                    self.recovery.mark_found(&name);
                    emit!(NamespaceEntered, namespace = name, "{name}: there again");
                    self.attach_new(kernel, interfaces, present);
                }
                // It disappeared meanwhile.
                Err(_) if self.namespace.check() != Presence::Same => self.leave(kernel),
                Err(error) => {
                    self.leave(kernel);
                    self.recovery.mark_lost(&name, error)?;
                }
            }
        }
        Ok(Followed::Continues)
    }
}

/// True if the device of the operation does not exist any more.
fn is_no_device(error: &anyhow::Error) -> bool {
    let causes = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    causes
        .filter_map(std::io::Error::raw_os_error)
        .any(|number| number == Errno::NODEV.raw_os_error())
}
