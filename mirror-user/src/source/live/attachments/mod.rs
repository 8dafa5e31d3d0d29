//! What a run is attached to: devices of this or of another network namespace, or a cgroup.

mod changes;

use std::fmt;

use anyhow::{Context, ensure};

use super::cgroup::Cgroup;
use super::device::Device;
use super::follow::{Interfaces, OTHER, Selection};
use super::health::Health;
use super::kernel::{Kernel, Path};
use super::namespace::Namespace;
use super::netlink::Events;
use super::order::OrderWatch;
use super::pods::{PodFigures, Pods};
use super::recovery::Recovery;
use super::{LiveOptions, Order};
use crate::logging::emit;
use crate::packet::InterfaceId;
use crate::stats::Note;

/// What the run is attached to now.
pub(super) struct Attachments {
    selection: Selection,
    namespace: Namespace,
    cgroup: Option<Cgroup>,
    pods: Option<Pods>,
    order: Order,
    path: Path,
    /// The devices that are attached to.
    devices: Vec<Device>,
    /// `None` while the namespace is gone.
    events: Option<Events>,
    /// Whether the cgroup is attached to.
    in_cgroup: bool,
    /// Watches the order of TCX programs, with `--order first`.
    watch: Option<OrderWatch>,
    recovery: Recovery,
    warnings: Vec<String>,
}

/// Whether the run can still get packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Followed {
    /// Yes.
    Continues,
    /// No: the process that named the namespace is gone.
    Ended,
}

impl Attachments {
    /// Nothing is attached yet.
    ///
    /// # Errors
    /// When a pattern is not valid, or nobody can be asked for pods.
    pub(super) fn new(options: &LiveOptions, path: Path) -> anyhow::Result<Self> {
        Ok(Self {
            selection: Selection::new(&options.interfaces)?,
            namespace: options.namespace.clone(),
            cgroup: options.cgroup.clone(),
            pods: options.pods.as_ref().map(Pods::start).transpose()?,
            order: options.order,
            path,
            devices: Vec::new(),
            events: None,
            in_cgroup: false,
            watch: None,
            recovery: Recovery::new(options.persists),
            warnings: Vec::new(),
        })
    }

    /// Attaches to everything wanted that exists.
    ///
    /// # Errors
    /// When something that was named does not exist or cannot be attached to, or nothing could.
    pub(super) fn begin(
        &mut self,
        kernel: &mut Kernel,
        interfaces: &mut Interfaces,
    ) -> anyhow::Result<()> {
        let present = self.enter()?;
        self.selection.check_present(&present)?;
        self.remove_leftovers(kernel, &present)?;
        if let Some(cgroup) = &self.cgroup {
            kernel.attach_cgroup(cgroup)?;
            self.in_cgroup = true;
        }
        for device in present {
            if self.selection.includes(&device) {
                let named = self.selection.names(&device.name);
                match self.attach_device(kernel, interfaces, device) {
                    // A device that only matched a pattern must not prevent the capture of others.
                    Err(error) if !named => self.warnings.push(format!("left out: {error:#}")),
                    attached => attached?,
                }
            }
        }
        ensure!(
            !self.devices.is_empty()
                || self.selection.waits()
                || self.in_cgroup
                || self.pods.is_some(),
            "no interface could be attached to: {}",
            self.warnings.join("; ")
        );
        // A thread cannot follow the reader into another namespace.
        if self.path == Path::Tcx && self.order == Order::First && !self.namespace.is_other() {
            self.watch = OrderWatch::start()?;
        }
        self.watch_order(kernel)
    }

    /// Subscribes to events, then lists the devices.
    fn enter(&mut self) -> anyhow::Result<Vec<Device>> {
        // Before the devices are listed, so that no change in between is missed.
        let filters = self.path == Path::Clsact;
        self.events = Some(self.namespace.run(|| Events::listen(filters))??);
        self.present()
    }

    fn present(&self) -> anyhow::Result<Vec<Device>> {
        self.namespace.run(Device::all)?.context("interfaces: cannot be listed")
    }

    /// Removes the filters of a mirror that was killed. Those of running ones stay.
    fn remove_leftovers(&mut self, kernel: &mut Kernel, present: &[Device]) -> anyhow::Result<()> {
        let found = self.namespace.run(|| kernel.remove_leftovers())?;
        let (removed, doubtful) = match found {
            // A run that attaches no filters has no need to look for them.
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
    fn attach_device(
        &mut self,
        kernel: &mut Kernel,
        interfaces: &mut Interfaces,
        device: Device,
    ) -> anyhow::Result<()> {
        ensure!(
            self.path != Path::Xdp || device.link == mirror_common::Link::Ethernet,
            "{}: has no Ethernet header, which XDP needs; use --hook tc",
            device.name
        );
        let order = self.order;
        let attached = self.namespace.run(|| kernel.attach(&device, order))?;
        let foreign = attached.with_context(|| device.name.clone())?;
        self.recovery.report_foreign(&device, foreign);
        interfaces.add(&device);
        self.devices.push(device);
        Ok(())
    }

    /// Detaches from all devices and closes everything that keeps their namespace alive.
    fn leave(&mut self, kernel: &mut Kernel) {
        for device in self.devices.drain(..) {
            self.recovery.forget(&device);
        }
        if self.namespace.run(|| kernel.release_all()).is_err() {
            kernel.release_all();
        }
        self.events = None;
        self.namespace.release();
    }

    /// Detaches everything.
    pub(super) fn end(&mut self, kernel: &mut Kernel) {
        if self.namespace.run(|| kernel.detach()).is_err() {
            kernel.detach();
        }
    }

    /// Shows what is attached to, and what is lost, to other threads.
    pub(super) fn show(&self, health: &Health) {
        let attached = self.devices.len().saturating_add(usize::from(self.in_cgroup));
        let lost = self.recovery.lost();
        let Some(pods) = &self.pods else {
            // A device whose filters are lost is known, and not captured.
            return health.set_attached(attached.saturating_sub(lost.len()), lost);
        };
        let refused: Vec<String> = pods.refused().collect();
        health.set_attached(pods.attached(), refused.iter());
    }

    /// The id for a packet of a device or cgroup that none was seen of before.
    pub(super) fn identify(&self, index: u32, interfaces: &mut Interfaces) -> InterfaceId {
        let Some(pods) = &self.pods else { return interfaces.of(index) };
        let id = pods.interface_of(index).unwrap_or_else(|| interfaces.named(OTHER));
        interfaces.learn(index, id);
        id
    }

    /// Counts a packet for the pod that it was seen at.
    pub(super) fn count_packet(&mut self, at: InterfaceId, bytes: usize) {
        if let Some(pods) = &mut self.pods {
            pods.count_packet(at, bytes);
        }
    }

    /// Counts a request for the pod that it was seen at.
    pub(super) fn count_request(&mut self, at: InterfaceId) {
        if let Some(pods) = &mut self.pods {
            pods.count_request(at);
        }
    }

    /// The state of the pods, if pods are captured.
    pub(super) fn pods(&self) -> Option<PodFigures> {
        self.pods.as_ref().map(Pods::figures)
    }

    /// The events that wake a reader which waits for packets.
    pub(super) fn events(&self) -> Option<&Events> {
        self.events.as_ref()
    }

    /// What to do where nothing was seen.
    pub(super) fn advice(&self, ports: &str) -> String {
        if let Some(pods) = &self.pods {
            return pods.advice();
        }
        let interface = self.selection.first_named().unwrap_or("IFACE");
        let within = self.namespace.command_prefix();
        format!("`{within}mirror doctor --watch {interface} --port {ports}` says why")
    }

    pub(super) fn note(&self) -> Option<Note> {
        self.recovery.note()
    }

    /// What the operator should know at the end.
    pub(super) fn warnings(&self) -> Vec<String> {
        self.warnings.iter().cloned().chain(self.recovery.warnings()).collect()
    }
}

impl fmt::Display for Attachments {
    /// What was attached to, and how.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(cgroup) = &self.cgroup {
            return write!(f, "{cgroup} by its hooks");
        }
        if let Some(pods) = &self.pods {
            return write!(f, "{pods} as they come, by the hooks of their cgroups");
        }
        let (path, namespace) = (self.path.name(), &self.namespace);
        let names: Vec<&str> = self.devices.iter().map(|device| device.name.as_str()).collect();
        match names.as_slice() {
            [] => write!(f, "{} when there is one{namespace}, by {path}", self.selection),
            names => write!(f, "{}{namespace} by {path}", names.join(", ")),
        }
    }
}
