//! The kernel program and its maps. Beside `control`, `meter` and `own` the only file that knows `aya`.

use std::ops::Deref;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use aya::maps::lpm_trie::LpmTrie;
use aya::maps::{Array, MapData, PerCpuArray, RingBuf, SkStorage};
use aya::programs::cgroup_skb::CgroupSkbLinkId;
use aya::programs::tc::{SchedClassifierLinkId, TcAttachOptions};
use aya::programs::xdp::XdpLinkId;
use aya::programs::{
    CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, LinkOrder, ProgramError, SchedClassifier,
    TcAttachType, Xdp, XdpMode, loaded_programs,
};
use aya::util::KernelVersion;
use aya::{Ebpf, EbpfLoader, include_bytes_aligned};
use hashbrown::HashMap;
use mirror_common::counter::COUNTERS;
use mirror_common::settings::{SLOTS, Slot};
use mirror_common::{Link, Outcome, SCRATCH_BYTES, SCRATCH_PLACES, names};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::cgroup::Cgroup;
use super::clsact::{Behind, Clsact, Leftover, Program, Repair};
use super::control::{Control, Maps};
use super::device::Device;
use super::log::{KernelLog, Listener};
use super::meter::Meter;
use super::netlink::{Events, Side};
use super::own::OwnSockets;
use super::{Hook, Order};
use crate::filter::Watch;
use crate::privileges;

/// Made by `cargo xtask ebpf`; see `mirror-ebpf`.
static OBJECT: &[u8] = include_bytes_aligned!("../../../../mirror-ebpf/mirror-ebpf.o");

/// So many bytes of a program's name the kernel keeps (`BPF_OBJ_NAME_LEN`, without the zero).
const KERNEL_NAME_BYTES: usize = 15;

/// The programs for TC.
const TC_PROGRAMS: [&str; 4] = [names::INGRESS, names::EGRESS, names::INGRESS_IP, names::EGRESS_IP];

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

impl Path {
    /// The one of this kernel that is asked for.
    pub(super) fn of(hook: Hook, cgroup: Option<&Cgroup>) -> Self {
        match hook {
            _ if cgroup.is_some() => Self::Cgroup,
            Hook::Xdp => Self::Xdp,
            Hook::Tc if has_tcx() => Self::Tcx,
            Hook::Tc | Hook::Clsact => Self::Clsact,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tcx => "TCX",
            Self::Clsact => "clsact",
            Self::Xdp => "XDP",
            Self::Cgroup => "cgroup",
        }
    }
}

/// A program where it is attached by a link.
enum Attached {
    Tcx(&'static str, SchedClassifierLinkId),
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
    /// What is attached to devices by links, by the index of the device.
    attached: HashMap<u32, Vec<Attached>>,
    /// What is attached to a cgroup.
    of_cgroup: Vec<(&'static str, CgroupSkbLinkId)>,
    /// What is attached to devices by filters.
    clsact: Clsact,
    memory: [(&'static str, u64); 3],
}

impl Kernel {
    /// Loads the program with a ring of `ring_bytes`, and room to put records together for each
    /// processor that there can be; where looks nest, as at a cgroup's hooks, for several at a time.
    pub(super) fn load(ring_bytes: u32, log: KernelLog, path: Path) -> anyhow::Result<Self> {
        privileges::check_capture()?;
        let nest = path == Path::Cgroup;
        let cpus = aya::util::nr_cpus().map_err(|(file, error)| {
            anyhow!("{file}: the CPUs cannot be counted ({error}); mount sysfs on /sys")
        })?;
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
            path,
            attached: HashMap::new(),
            of_cgroup: Vec::new(),
            clsact: Clsact::default(),
            memory: [
                ("ring_bytes", u64::from(ring_bytes)),
                ("scratch_bytes", u64::from(scratch) * SCRATCH_BYTES as u64),
                ("settings_bytes", u64::from(SLOTS) * size_of::<Slot>() as u64),
            ],
        })
    }

    /// Has the verifier look at the TC programs.
    pub(super) fn verify(&mut self) -> anyhow::Result<()> {
        for name in TC_PROGRAMS {
            self.tc_program(name)?;
        }
        Ok(())
    }

    /// Tells the program what is wanted.
    pub(super) fn configure(
        &mut self,
        watch: Watch,
        wake_bytes: u32,
        own: Option<OwnSockets>,
    ) -> anyhow::Result<Control> {
        let object = self.object.as_mut().context("detached already")?;
        if let Some(own) = &own {
            own.are_known_by(SkStorage::try_from(take_map(object, names::OWN)?)?);
        }
        let maps = Maps {
            switch: Array::try_from(take_map(object, names::SWITCH)?)?,
            slots: Array::try_from(take_map(object, names::SETTINGS)?)?,
            networks: LpmTrie::try_from(take_map(object, names::NETWORKS)?)?,
        };
        Control::new(maps, watch, wake_bytes, own)
    }

    /// Attaches the program to a device: to both sides, but on `lo`, where each packet that goes out
    /// comes in again, and by XDP to ingress alone. Says what stays before it.
    pub(super) fn attach(
        &mut self,
        device: &Device,
        order: Order,
    ) -> anyhow::Result<Option<Behind>> {
        let (ingress, egress) = match device.link {
            Link::Ethernet => (names::INGRESS, names::EGRESS),
            Link::Ip => (names::INGRESS_IP, names::EGRESS_IP),
        };
        let egress = (!device.loopback).then_some((egress, Side::Egress));
        let sides = [(ingress, Side::Ingress)].into_iter().chain(egress);
        let mut behind = None;
        for (name, side) in sides {
            match self.path {
                Path::Clsact => {
                    let program = self.filter(name)?;
                    let before = self.clsact.attach(device, side, order, program);
                    behind = behind.or(before.inspect_err(|_| self.clsact.release(device.index))?);
                }
                Path::Xdp => return self.attach_xdp(device).map(|()| None),
                Path::Tcx | Path::Cgroup => self.attach_tcx(device, name, side, order)?,
            }
        }
        Ok(behind)
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
        let attached = self.tc_program(name)?.attach_with_options(&device.name, direction, options);
        let link = attached.context("cannot be attached to")?;
        self.attached.entry(device.index).or_default().push(Attached::Tcx(name, link));
        Ok(())
    }

    /// A TC program, loaded, as a filter has it.
    fn filter(&mut self, name: &'static str) -> anyhow::Result<Program> {
        let program = self.tc_program(name)?;
        let info = program.info()?;
        let descriptor = program.fd()?.as_fd().try_clone_to_owned()?;
        Ok(Program { name, id: info.id(), tag: info.tag(), descriptor })
    }

    /// Looks at what became of the filters of a device, and attaches anew what is gone or was
    /// overtaken.
    ///
    /// # Errors
    /// When that is not possible.
    pub(super) fn mend(&mut self, device: u32) -> anyhow::Result<Vec<Repair>> {
        self.clsact.mend(device)
    }

    /// Removes the filters that mirrors left that have ended: how many those were, and the others that
    /// bear the name of one.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub(super) fn remove_leftovers(&mut self) -> anyhow::Result<(u32, Vec<Leftover>)> {
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

    /// True when the program behind a filter is that of a mirror: the very same instructions as ours, or,
    /// for another version's, what the kernel calls it, which takes CAP_SYS_ADMIN to ask.
    fn is_ours(&mut self, leftover: &Leftover) -> bool {
        let Some(name) = TC_PROGRAMS.into_iter().find(|name| *name == leftover.name) else {
            return false;
        };
        let same = self.filter(name).is_ok_and(|program| program.tag == leftover.tag);
        let kept = name.as_bytes().get(..KERNEL_NAME_BYTES).unwrap_or(name.as_bytes());
        let mut programs = loaded_programs().map_while(Result::ok);
        same || programs.any(|info| info.id() == leftover.program && info.name() == kept)
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
            // A link stands beside others by its nature, and the kernel refuses to be told so.
            let mode = CgroupAttachMode::Single;
            let link = program.attach(cgroup, direction, mode).with_context(|| {
                format!("{cgroup}: cannot be attached to; one above it may allow no others below")
            })?;
            self.of_cgroup.push((name, link));
        }
        Ok(())
    }

    /// Lets go of a cgroup that is gone.
    pub(super) fn release_cgroup(&mut self) {
        for (name, link) in std::mem::take(&mut self.of_cgroup) {
            let _ = self.program(name).and_then(|program| {
                let program: &mut CgroupSkb = program.try_into()?;
                Ok(program.detach(link).is_ok())
            });
        }
    }

    /// Lets go of a device that is gone, or not wanted any more.
    pub(super) fn release(&mut self, index: u32) {
        self.clsact.release(index);
        for link in self.attached.remove(&index).unwrap_or_default() {
            // Links of a device that is gone are gone with it; their descriptors are given back.
            let _ = match link {
                Attached::Tcx(name, link) => {
                    self.tc_program(name).map(|it| it.detach(link).is_ok())
                }
                Attached::Xdp(link) => self.program(names::XDP).and_then(|program| {
                    let program: &mut Xdp = program.try_into()?;
                    Ok(program.detach(link).is_ok())
                }),
            };
        }
    }

    /// Lets go of all devices.
    pub(super) fn release_all(&mut self) {
        let devices: Vec<u32> = self.attached.keys().copied().collect();
        devices.into_iter().for_each(|device| self.release(device));
        self.clsact.release_all();
    }

    fn program(&mut self, name: &str) -> anyhow::Result<&mut aya::programs::Program> {
        let object = self.object.as_mut().context("detached already")?;
        object.program_mut(name).with_context(|| format!("{name}: not in the kernel object"))
    }

    /// Detaches the program. When this returns it runs nowhere any more, so that the counters stand
    /// still; what is in the ring can still be read.
    pub(super) fn detach(&mut self) {
        self.clsact.release_all();
        self.object = None;
        self.attached.clear();
        self.of_cgroup.clear();
    }

    /// The next entry of the ring; its space is given back when it is dropped.
    pub(super) fn next_entry(&mut self) -> Option<impl Deref<Target = [u8]> + '_> {
        self.ring.next()
    }

    /// Waits until entries are told of, or something happened to a device, at most `wait`; true when
    /// there are entries.
    pub(super) fn wait(&self, wait: Duration, events: Option<&Events>) -> anyhow::Result<bool> {
        let timeout = Timespec::try_from(wait).context("a wait that is too long")?;
        let ring = PollFd::new(&self.ring, PollFlags::IN);
        let events = events.map(|events| PollFd::new(events, PollFlags::IN));
        let mut waited = [ring.clone(), events.unwrap_or(ring)];
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
fn has_tcx() -> bool {
    // A kernel of that age may have been built without them; `lo` is always there to ask about.
    KernelVersion::current().is_ok_and(|version| version >= KernelVersion::new(6, 6, 0))
        && match SchedClassifier::query_tcx("lo", TcAttachType::Ingress) {
            Ok(_) => true,
            // There are links of others, of which only CAP_SYS_ADMIN may know more.
            Err(ProgramError::SyscallError(error)) => error.call == "bpf_prog_get_fd_by_id",
            Err(_) => false,
        }
}

fn take_map(object: &mut Ebpf, name: &str) -> anyhow::Result<aya::maps::Map> {
    object.take_map(name).with_context(|| format!("{name}: not in the kernel object"))
}
