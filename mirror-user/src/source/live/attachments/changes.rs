//! What happens to the attachments of a run: devices, namespaces and cgroups come and go, and other programs
//! change filters.

use anyhow::anyhow;
use rustix::io::Errno;

use super::super::clsact::Repair;
use super::super::device::Device;
use super::super::follow::Places;
use super::super::kernel::{Kernel, Path};
use super::super::netlink::{Events, Happened};
use super::super::presence::Presence;
use super::{Attachments, Prospect};
use crate::logging::emit;
use crate::packet::Timestamp;

impl Attachments {
    /// Keeps to what is wanted.
    ///
    /// # Errors
    /// When something that was captured cannot be any more, and the run does not go on without.
    pub(in crate::source::live) fn follow(
        &mut self,
        kernel: &mut Kernel,
        places: &mut Places,
        now: Timestamp,
    ) -> anyhow::Result<Prospect> {
        let due = self.trouble.is_due(now);
        if self.cgroup.is_some() {
            self.follow_cgroup(kernel, due)?;
        }
        if self.namespace.is_other() && self.follow_namespace(kernel, places)? == Prospect::Nothing
        {
            return Ok(Prospect::Nothing);
        }
        let happened = self.events.as_ref().map(Events::take).transpose()?.flatten();
        if let Some(happened) = happened.as_ref().filter(|it| it.devices || it.unheard) {
            self.follow_devices(kernel, places, &happened.removed)?;
        }
        if self.path == Path::Clsact && (due || happened.is_some()) {
            self.mend(kernel, &happened.unwrap_or_default(), due, now)?;
        }
        Ok(Prospect::More)
    }

    /// Attaches to the wanted devices that came, and lets go of those that went.
    fn follow_devices(
        &mut self,
        kernel: &mut Kernel,
        places: &mut Places,
        removed: &[u32],
    ) -> anyhow::Result<()> {
        let present = self.present()?;
        let is_there = |device: &Device| {
            !removed.contains(&device.index)
                && present.iter().any(|it| it.index == device.index && it.name == device.name)
        };
        for gone in self.devices.extract_if(.., |device| !is_there(device)) {
            self.namespace.run(|| kernel.release(gone.index))?;
            self.trouble.forget(&gone);
            emit!(InterfaceGone, interface = gone.name, "{}: gone", gone.name);
        }
        self.take_up_new(kernel, places, present);
        Ok(())
    }

    /// Attaches to the wanted devices among these that are not attached to yet.
    fn take_up_new(&mut self, kernel: &mut Kernel, places: &mut Places, present: Vec<Device>) {
        for device in present {
            let known = self.devices.iter().any(|other| other.index == device.index);
            if known || !self.wanted.includes(&device) {
                continue;
            }
            let name = device.name.clone();
            match self.take_up(kernel, places, device) {
                Ok(()) => emit!(InterfaceAttached, interface = name, "{name}: attached to, too"),
                Err(error) => {
                    let reason = format!("{error:#}");
                    emit!(InterfaceSkipped, interface = name, reason, "left out: {reason}");
                }
            }
        }
    }

    /// Looks after the filters of devices where something happened; where it is `due`, also of those
    /// that could not be mended before.
    fn mend(
        &mut self,
        kernel: &mut Kernel,
        happened: &Happened,
        due: bool,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        for device in &self.devices {
            let lost = self.trouble.has_lost(&device.name);
            if !(if lost { due } else { happened.touches(device.index) }) {
                continue;
            }
            match self.namespace.run(|| kernel.mend(device.index))? {
                // It goes away, of which there is an event of its own.
                Err(error) if is_no_device(&error) => {}
                Err(error) => self.trouble.lose(&device.name, error)?,
                Ok(repairs) => {
                    let mut peace = true;
                    for Repair { disturbance, behind } in repairs {
                        peace &= self.trouble.repaired(device, disturbance, now);
                        self.trouble.stands_behind(device, behind);
                    }
                    if peace {
                        self.trouble.find(&device.name);
                    } else {
                        let why = "another program undoes again and again what mirror attaches";
                        self.trouble.lose(&device.name, anyhow!(why))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// A service that starts again has a new cgroup of the same name.
    fn follow_cgroup(&mut self, kernel: &mut Kernel, due: bool) -> anyhow::Result<()> {
        let Some(cgroup) = &self.cgroup else { return Ok(()) };
        let presence = cgroup.look();
        let name = cgroup.to_string();
        if presence != Presence::Same && self.in_cgroup {
            self.in_cgroup = false;
            kernel.release_cgroup();
            emit!(CgroupGone, cgroup = name, "{name}: gone");
        }
        if presence != Presence::Another || (self.trouble.has_lost(&name) && !due) {
            return Ok(());
        }
        let attached = cgroup.reopen().and_then(|cgroup| {
            kernel.attach_cgroup(&cgroup).inspect_err(|_| kernel.release_cgroup())?;
            Ok(cgroup)
        });
        match attached {
            Ok(cgroup) => {
                self.cgroup = Some(cgroup);
                self.in_cgroup = true;
                self.trouble.find(&name);
                emit!(CgroupAttached, cgroup = name, "{name}: there again, attached to");
            }
            // It went away meanwhile.
            Err(_) if cgroup.look() == Presence::Gone => {}
            Err(error) => self.trouble.lose(&name, error)?,
        }
        Ok(())
    }

    /// Lets go of a namespace when its name goes, or the process that it was named by, so that its
    /// interfaces go with it; one that has the name later is taken up.
    fn follow_namespace(
        &mut self,
        kernel: &mut Kernel,
        places: &mut Places,
    ) -> anyhow::Result<Prospect> {
        let presence = self.namespace.look();
        let name = format!("network namespace{}", self.namespace);
        if presence != Presence::Same && self.namespace.is_open() {
            self.leave(kernel);
            emit!(NamespaceGone, namespace = name, "{name}: gone");
            if self.namespace.is_of_a_process() {
                return Ok(Prospect::Nothing);
            }
        }
        if presence == Presence::Another && !self.namespace.is_open() {
            match self.namespace.follow().and_then(|()| self.enter()) {
                Ok(present) => {
                    self.trouble.find(&name);
                    emit!(NamespaceEntered, namespace = name, "{name}: there again");
                    self.take_up_new(kernel, places, present);
                }
                // It went away meanwhile.
                Err(_) if self.namespace.look() != Presence::Same => self.leave(kernel),
                Err(error) => {
                    self.leave(kernel);
                    self.trouble.lose(&name, error)?;
                }
            }
        }
        Ok(Prospect::More)
    }
}

/// The device of an attempt is not there any more.
fn is_no_device(error: &anyhow::Error) -> bool {
    let causes = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    causes
        .filter_map(std::io::Error::raw_os_error)
        .any(|number| number == Errno::NODEV.raw_os_error())
}
