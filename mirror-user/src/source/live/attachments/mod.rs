//! What a run is attached to: devices, of this network namespace or another one, or a cgroup. Keeps to
//! what is wanted while devices, namespaces and cgroups come and go, and other programs touch the filters.

mod changes;

use std::fmt;

use anyhow::{Context, ensure};

use super::cgroup::Cgroup;
use super::device::Device;
use super::follow::{Places, Wanted};
use super::kernel::{Kernel, Path};
use super::namespace::Namespace;
use super::netlink::Events;
use super::trouble::Trouble;
use super::{LiveOptions, Order};
use crate::logging::emit;
use crate::stats::Note;

/// What is attached to now.
pub(super) struct Attachments {
    wanted: Wanted,
    namespace: Namespace,
    cgroup: Option<Cgroup>,
    order: Order,
    path: Path,
    /// Those that are attached to.
    devices: Vec<Device>,
    /// `None` while the namespace is gone.
    events: Option<Events>,
    /// The cgroup is attached to.
    in_cgroup: bool,
    trouble: Trouble,
    warnings: Vec<String>,
}

/// Whether more can come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prospect {
    More,
    /// The process is gone by which the namespace was named.
    Nothing,
}

impl Attachments {
    /// What is asked for, and nothing attached yet.
    ///
    /// # Errors
    /// When a pattern is none.
    pub(super) fn new(options: &LiveOptions, path: Path) -> anyhow::Result<Self> {
        Ok(Self {
            wanted: Wanted::new(&options.interfaces)?,
            namespace: options.namespace.clone(),
            cgroup: options.cgroup.clone(),
            order: options.order,
            path,
            devices: Vec::new(),
            events: None,
            in_cgroup: false,
            trouble: Trouble::new(options.persists),
            warnings: Vec::new(),
        })
    }

    /// Attaches to all that is there.
    ///
    /// # Errors
    /// When something that was named is not there or cannot be attached to, or nothing can.
    pub(super) fn begin(&mut self, kernel: &mut Kernel, places: &mut Places) -> anyhow::Result<()> {
        let present = self.enter()?;
        self.wanted.check_present(&present)?;
        self.remove_leftovers(kernel, &present)?;
        if let Some(cgroup) = &self.cgroup {
            kernel.attach_cgroup(cgroup)?;
            self.in_cgroup = true;
        }
        for device in present {
            if self.wanted.includes(&device) {
                let named = self.wanted.names(&device.name);
                match self.take_up(kernel, places, device) {
                    // One that cannot be had must not cost the others, which nobody named either.
                    Err(error) if !named => self.warnings.push(format!("left out: {error:#}")),
                    attached => attached?,
                }
            }
        }
        ensure!(
            !self.devices.is_empty() || self.wanted.waits() || self.in_cgroup,
            "no interface could be attached to: {}",
            self.warnings.join("; ")
        );
        Ok(())
    }

    /// Begins to listen, and says what is there.
    fn enter(&mut self) -> anyhow::Result<Vec<Device>> {
        // Before the devices are listed, so that nothing happens unheard in between.
        let filters = self.path == Path::Clsact;
        self.events = Some(self.namespace.run(|| Events::listen(filters))??);
        self.present()
    }

    fn present(&self) -> anyhow::Result<Vec<Device>> {
        self.namespace.run(Device::all)?.context("interfaces: cannot be listed")
    }

    /// Filters outlive a mirror that is killed; those of mirrors that run stay.
    fn remove_leftovers(&mut self, kernel: &mut Kernel, present: &[Device]) -> anyhow::Result<()> {
        let found = self.namespace.run(|| kernel.remove_leftovers())?;
        let (removed, doubtful) = match found {
            // Without filters of its own, a run has no need to look.
            Err(_) if self.path != Path::Clsact => return Ok(()),
            found => found.context("filters cannot be listed")?,
        };
        if removed > 0 {
            emit!(
                LeftoversRemoved,
                removed,
                "filters that a killed mirror left: {removed} removed"
            );
        }
        for leftover in doubtful {
            let device = present.iter().find(|device| device.index == leftover.device);
            let name = device.map_or("", |device| device.name.as_str());
            self.warnings.push(format!(
                "{name}: a filter that is named as mirror's belongs to none that runs, and its program is another; \
                 left. To remove it: tc filter del dev {name} {leftover}"
            ));
        }
        Ok(())
    }

    /// Attaches to a device.
    fn take_up(
        &mut self,
        kernel: &mut Kernel,
        places: &mut Places,
        device: Device,
    ) -> anyhow::Result<()> {
        ensure!(
            self.path != Path::Xdp || device.link == mirror_common::Link::Ethernet,
            "{}: has no Ethernet header, which XDP needs; use --hook tc",
            device.name
        );
        let order = self.order;
        let attached = self.namespace.run(|| kernel.attach(&device, order))?;
        let behind = attached.with_context(|| device.name.clone())?;
        self.trouble.stands_behind(&device, behind);
        places.add(&device);
        self.devices.push(device);
        Ok(())
    }

    /// Removes what is attached to devices, and keeps nothing of their namespace.
    fn leave(&mut self, kernel: &mut Kernel) {
        for device in self.devices.drain(..) {
            self.trouble.forget(&device);
        }
        if self.namespace.run(|| kernel.release_all()).is_err() {
            kernel.release_all();
        }
        self.events = None;
        self.namespace.let_go();
    }

    /// Removes all that is attached.
    pub(super) fn end(&mut self, kernel: &mut Kernel) {
        if self.namespace.run(|| kernel.detach()).is_err() {
            kernel.detach();
        }
    }

    /// What wakes a reader that waits for packets.
    pub(super) fn events(&self) -> Option<&Events> {
        self.events.as_ref()
    }

    /// The command that says why nothing was seen.
    pub(super) fn doctor(&self, ports: &str) -> String {
        let interface = self.wanted.first_named().unwrap_or("IFACE");
        let within = self.namespace.command_prefix();
        format!("{within}mirror doctor --watch {interface} --port {ports}")
    }

    pub(super) fn note(&self) -> Option<Note> {
        self.trouble.note()
    }

    /// What the operator should know at the end.
    pub(super) fn warnings(&self) -> Vec<String> {
        self.warnings.iter().cloned().chain(self.trouble.warnings()).collect()
    }
}

impl fmt::Display for Attachments {
    /// What was attached to, and how.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(cgroup) = &self.cgroup {
            return write!(f, "{cgroup} by its hooks");
        }
        let (path, namespace) = (self.path.name(), &self.namespace);
        let names: Vec<&str> = self.devices.iter().map(|device| device.name.as_str()).collect();
        match names.as_slice() {
            [] => write!(f, "{} when there is one{namespace}, by {path}", self.wanted),
            names => write!(f, "{}{namespace} by {path}", names.join(", ")),
        }
    }
}
