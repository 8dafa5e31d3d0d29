//! The kernel program and its maps. Beside `control` and `meter` the only file that knows `aya`.

use std::fs::File;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use aya::maps::lpm_trie::LpmTrie;
use aya::maps::{Array, MapData, PerCpuArray, RingBuf};
use aya::programs::tc::{
    NlOptions, SchedClassifierLinkId, TcAttachOptions, qdisc_add_clsact, qdisc_detach_program,
};
use aya::programs::xdp::XdpLinkId;
use aya::programs::{
    CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, LinkOrder, SchedClassifier, TcAttachType,
    TcError, Xdp, XdpMode,
};
use aya::util::KernelVersion;
use aya::{Ebpf, EbpfLoader, include_bytes_aligned};
use hashbrown::HashMap;
use mirror_common::counter::COUNTERS;
use mirror_common::settings::{SLOTS, Slot};
use mirror_common::{Link, Outcome, SCRATCH_BYTES, SCRATCH_PLACES, names};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::cgroup::Cgroup;
use super::control::{Control, Maps};
use super::device::Device;
use super::log::{KernelLog, Listener};
use super::meter::Meter;
use super::netlink::Events;
use super::{Hook, Order};
use crate::privileges;
use crate::watch::Watch;

/// Made by `cargo xtask ebpf`; see `mirror-ebpf`.
static OBJECT: &[u8] = include_bytes_aligned!("../../../../mirror-ebpf/mirror-ebpf.o");

/// "There is one already", of `errno(3)`.
const EEXIST: i32 = rustix::io::Errno::EXIST.raw_os_error();

/// How the program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Path {
    /// Links of TCX (Linux 6.6), which the kernel removes with the process.
    Tcx,
    /// Filters of a clsact qdisc.
    Clsact,
    /// Links of XDP, which the kernel removes with the process.
    Xdp,
    /// Links of a cgroup, which the kernel removes with the process.
    Cgroup,
}

/// A program where it is attached.
enum Attached {
    Tc(&'static str, SchedClassifierLinkId),
    Xdp(XdpLinkId),
}

/// The loaded program.
pub(super) struct Kernel {
    /// `None` once it is detached; the maps live on.
    object: Option<Ebpf>,
    ring: RingBuf<MapData>,
    counters: Arc<Counters>,
    asleep: Array<MapData, u32>,
    listener: Option<Listener>,
    path: Path,
    /// What is attached, by the index of its device.
    attached: HashMap<u32, Vec<Attached>>,
    /// Held while filters of ours are attached by clsact; see [`claim`].
    claim: Option<File>,
    memory: [(&'static str, u64); 3],
}

impl Kernel {
    /// Loads the program with a ring of `ring_bytes`, and room to put records together for each
    /// processor that there can be; where looks `nest`, as at a cgroup's hooks, for several at a time.
    pub(super) fn load(ring_bytes: u32, log: KernelLog, nest: bool) -> anyhow::Result<Self> {
        privileges::check_capture()?;
        let cpus = aya::util::nr_cpus().map_err(|(file, error)| anyhow!("{file}: {error}"))?;
        let scratch = u32::try_from(cpus)? * if nest { SCRATCH_PLACES } else { 1 };
        let mut loader = EbpfLoader::new();
        log.prepare(&mut loader);
        let mut object = loader
            .map_max_entries(names::PACKETS, ring_bytes)
            .map_max_entries(names::SCRATCH, scratch)
            .load(OBJECT)
            .context(
                "the kernel program could not be loaded; `mirror doctor` says what this host lacks",
            )?;
        Ok(Self {
            ring: RingBuf::try_from(take_map(&mut object, names::PACKETS)?)?,
            counters: Arc::new(Counters(PerCpuArray::try_from(take_map(
                &mut object,
                names::COUNTERS,
            )?)?)),
            asleep: Array::try_from(take_map(&mut object, names::ASLEEP)?)?,
            listener: log.listen(&mut object)?,
            object: Some(object),
            path: Path::Tcx,
            attached: HashMap::new(),
            claim: None,
            memory: [
                ("ring_bytes", u64::from(ring_bytes)),
                ("scratch_bytes", u64::from(scratch) * SCRATCH_BYTES as u64),
                ("settings_bytes", u64::from(SLOTS) * size_of::<Slot>() as u64),
            ],
        })
    }

    /// Has the verifier look at the TC programs.
    pub(super) fn verify(&mut self) -> anyhow::Result<()> {
        for name in [names::INGRESS, names::EGRESS, names::INGRESS_IP, names::EGRESS_IP] {
            self.tc_program(name)?;
        }
        Ok(())
    }

    /// Tells the program what is wanted.
    pub(super) fn configure(&mut self, watch: Watch, wake_bytes: u32) -> anyhow::Result<Control> {
        let object = self.object.as_mut().context("detached already")?;
        let maps = Maps {
            switch: Array::try_from(take_map(object, names::SWITCH)?)?,
            slots: Array::try_from(take_map(object, names::SETTINGS)?)?,
            networks: LpmTrie::try_from(take_map(object, names::NETWORKS)?)?,
        };
        Control::new(maps, watch, wake_bytes)
    }

    /// Attaches the program to a device: to both directions, but on `lo`, where each packet that
    /// goes out comes in again, and by XDP to ingress alone.
    pub(super) fn attach(
        &mut self,
        device: &Device,
        hook: Hook,
        order: Order,
    ) -> anyhow::Result<()> {
        self.path = match hook {
            Hook::Xdp => return self.attach_xdp(device),
            Hook::Tc if has_tcx() => Path::Tcx,
            Hook::Tc | Hook::Clsact => Path::Clsact,
        };
        if self.path == Path::Clsact {
            if self.claim.is_none() {
                self.claim = Some(claim()?);
            }
            match qdisc_add_clsact(&device.name) {
                Ok(()) => {}
                // Someone else's, whose filters stay as they are.
                Err(TcError::NetlinkError(error)) if error.raw_os_error() == Some(EEXIST) => {}
                Err(error) => return Err(error).context("no clsact qdisc could be added"),
            }
        }
        let (ingress, egress) = match device.link {
            Link::Ethernet => (names::INGRESS, names::EGRESS),
            Link::Ip => (names::INGRESS_IP, names::EGRESS_IP),
        };
        self.attach_tc(device, ingress, TcAttachType::Ingress, order)?;
        if !device.loopback {
            self.attach_tc(device, egress, TcAttachType::Egress, order)?;
        }
        Ok(())
    }

    fn attach_tc(
        &mut self,
        device: &Device,
        name: &'static str,
        direction: TcAttachType,
        order: Order,
    ) -> anyhow::Result<()> {
        let path = self.path;
        let program = self.tc_program(name)?;
        let mut attach = |options| program.attach_with_options(&device.name, direction, options);
        let filter =
            |priority| TcAttachOptions::Netlink(NlOptions { priority, ..NlOptions::default() });
        let attached = match (path, order) {
            // Priority 1 may be taken by filters of another kind; 0 lets the kernel choose.
            (Path::Clsact, Order::First) => attach(filter(1)).or_else(|_| attach(filter(0))),
            (Path::Clsact, Order::Last) => attach(filter(u16::MAX)),
            (_, Order::First) => attach(TcAttachOptions::TcxOrder(LinkOrder::first())),
            (_, Order::Last) => attach(TcAttachOptions::TcxOrder(LinkOrder::last())),
        };
        let link = attached.context("cannot be attached to")?;
        self.attached.entry(device.index).or_default().push(Attached::Tc(name, link));
        Ok(())
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
        self.path = Path::Xdp;
        let program: &mut Xdp = self.program(names::XDP)?.try_into()?;
        if program.fd().is_err() {
            program.load().context("mirror_xdp: refused by the kernel's verifier")?;
        }
        // In the driver where it can, in the stack otherwise (loopback has no driver).
        let link = program
            .attach(&device.name, XdpMode::Default)
            .or_else(|_| program.attach(&device.name, XdpMode::Skb))
            .context("cannot be attached to")?;
        self.attached.entry(device.index).or_default().push(Attached::Xdp(link));
        Ok(())
    }

    /// Attaches the program to what the sockets of a cgroup send and get, beside the programs that
    /// others have attached there.
    pub(super) fn attach_cgroup(&mut self, cgroup: &Cgroup) -> anyhow::Result<()> {
        self.path = Path::Cgroup;
        for (name, direction) in [
            (names::CGROUP_IN, CgroupSkbAttachType::Ingress),
            (names::CGROUP_OUT, CgroupSkbAttachType::Egress),
        ] {
            let program: &mut CgroupSkb = self.program(name)?.try_into()?;
            program.load().with_context(|| format!("{name}: refused by the kernel's verifier"))?;
            // A link stands beside others by its nature, and the kernel refuses to be told so.
            let mode = CgroupAttachMode::Single;
            program.attach(cgroup, direction, mode).with_context(|| {
                format!("{cgroup}: cannot be attached to; one above it may allow no others below")
            })?;
        }
        Ok(())
    }

    /// Lets go of a device that is gone, or not wanted any more.
    pub(super) fn release(&mut self, index: u32) {
        for link in self.attached.remove(&index).unwrap_or_default() {
            // Links of a device that is gone are gone with it; their descriptors are given back.
            let _ = match link {
                Attached::Tc(name, link) => self.tc_program(name).map(|it| it.detach(link).is_ok()),
                Attached::Xdp(link) => self.program(names::XDP).and_then(|program| {
                    let program: &mut Xdp = program.try_into()?;
                    Ok(program.detach(link).is_ok())
                }),
            };
        }
    }

    fn program(&mut self, name: &str) -> anyhow::Result<&mut aya::programs::Program> {
        let object = self.object.as_mut().context("detached already")?;
        object.program_mut(name).with_context(|| format!("{name}: not in the kernel object"))
    }

    pub(super) fn path(&self) -> Path {
        self.path
    }

    /// Detaches the program. When this returns it runs nowhere any more, so that the counters stand
    /// still; what is in the ring can still be read.
    pub(super) fn detach(&mut self) {
        self.object = None;
        self.attached.clear();
        self.claim = None;
    }

    /// The next entry of the ring; its space is given back when it is dropped.
    pub(super) fn next_entry(&mut self) -> Option<impl Deref<Target = [u8]> + '_> {
        self.ring.next()
    }

    /// Waits until entries are told of, or something happened to a device, at most `wait`; true when
    /// there are entries.
    pub(super) fn wait(&self, wait: Duration, events: &Events) -> anyhow::Result<bool> {
        let timeout = Timespec::try_from(wait).context("a wait that is too long")?;
        let mut waited =
            [PollFd::new(&self.ring, PollFlags::IN), PollFd::new(events, PollFlags::IN)];
        match poll(&mut waited, Some(&timeout)) {
            Ok(_) => Ok(waited.first().is_some_and(|ring| !ring.revents().is_empty())),
            // A signal: whoever waits looks at the stop flag.
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(error).context("the ring cannot be waited for"),
        }
    }

    /// Prints what the program said of single packets since the last call.
    pub(super) fn print_log(&mut self) {
        if let Some(listener) = &mut self.listener {
            listener.print();
        }
    }

    /// Tells the program whether the next record is to wake the reader.
    pub(super) fn set_asleep(&mut self, asleep: bool) -> anyhow::Result<()> {
        Ok(self.asleep.set(0, u32::from(asleep), 0)?)
    }

    /// Every counter, summed over the processors; see [`mirror_common::counter`] for their places.
    pub(super) fn counters(&self) -> [u64; COUNTERS] {
        self.counters.sums()
    }

    /// Measures the programs that are attached now.
    pub(super) fn meter(&self) -> anyhow::Result<Meter> {
        let mut programs = Vec::new();
        for (_, program) in self.object.as_ref().context("detached already")?.programs() {
            // One that is not loaded is not attached.
            if let Ok(descriptor) = program.fd() {
                programs.push(descriptor.try_clone()?);
            }
        }
        Ok(Meter::new(programs, Arc::clone(&self.counters)))
    }

    /// What the maps take of the kernel's memory, the small ones aside.
    pub(super) fn memory(&self) -> [(&'static str, u64); 3] {
        self.memory
    }

    /// How many packets had this outcome.
    pub(super) fn count(&self, outcome: Outcome) -> u64 {
        self.counters().get(outcome as usize).copied().unwrap_or(0)
    }

    /// How many packets had each outcome.
    pub(super) fn outcomes(&self) -> Vec<(Outcome, u64)> {
        Outcome::ALL.into_iter().zip(self.counters()).collect()
    }
}

/// What the programs count, for every processor.
pub(super) struct Counters(PerCpuArray<MapData, [u64; COUNTERS]>);

impl Counters {
    /// Each of them, summed over the processors.
    fn sums(&self) -> [u64; COUNTERS] {
        let mut sums = [0; COUNTERS];
        // The map has exactly one entry, so that it can always be read.
        for of_cpu in self.0.get(&0, 0).iter().flat_map(|cpus| cpus.iter()) {
            for (sum, n) in sums.iter_mut().zip(of_cpu) {
                *sum += n;
            }
        }
        sums
    }

    /// Packets that were seen, whatever became of them.
    pub(super) fn packets(&self) -> u64 {
        Outcome::ALL.into_iter().zip(self.sums()).map(|(_, n)| n).sum()
    }
}

/// True when the kernel has TCX links.
pub(super) fn has_tcx() -> bool {
    // A kernel of that age may have been built without them; `lo` is always there to ask about.
    KernelVersion::current().is_ok_and(|version| version >= KernelVersion::new(6, 6, 0))
        && SchedClassifier::query_tcx("lo", TcAttachType::Ingress).is_ok()
}

/// Filters of clsact outlive a process that is killed. Whoever holds the lock on the network
/// namespace alone knows that those it finds belong to nobody, and removes them; then the lock is
/// shared with other mirrors in the namespace, and the kernel gives it back however the process ends.
/// The lock is on the namespace's own file, which every user may open.
fn claim() -> anyhow::Result<File> {
    let path = "/proc/thread-self/ns/net";
    let file = File::open(path).with_context(|| format!("{path}: is /proc there?"))?;
    if file.try_lock().is_ok() {
        for Device { name: device, .. } in Device::all()? {
            for (name, direction) in [
                (names::INGRESS, TcAttachType::Ingress),
                (names::EGRESS, TcAttachType::Egress),
                (names::INGRESS_IP, TcAttachType::Ingress),
                (names::EGRESS_IP, TcAttachType::Egress),
            ] {
                // Fails where there is none, which is the ordinary case.
                let _ = qdisc_detach_program(&device, direction, name);
            }
        }
        file.unlock()?;
    }
    file.lock_shared().with_context(|| format!("{path}: cannot be locked"))?;
    Ok(file)
}

fn take_map(object: &mut Ebpf, name: &str) -> anyhow::Result<aya::maps::Map> {
    object.take_map(name).with_context(|| format!("{name}: not in the kernel object"))
}
