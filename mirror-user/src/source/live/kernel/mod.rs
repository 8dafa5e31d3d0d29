//! The kernel program and its maps.

mod attach;
mod counters;
mod path;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use aya::maps::lpm_trie::LpmTrie;
use aya::maps::{Array, MapData, PerCpuArray, RingBuf, SkStorage};
use aya::{Ebpf, EbpfLoader, include_bytes_aligned};
use bytes::Bytes;
use mirror_common::counter::COUNTERS;
use mirror_common::settings::{SLOTS, Slot};
use mirror_common::{Outcome, SCRATCH_BYTES, SCRATCH_PLACES, names};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sha2::{Digest, Sha256};

use self::attach::Attached;
pub(super) use self::counters::Counters;
pub(super) use self::path::Path;
pub use self::path::has_tcx;
use super::control::{Control, Maps};
use super::log::{KernelLog, Listener};
use super::meter::Meter;
use super::netlink::Events;
use super::own::OwnSockets;
use crate::filter::Watch;
use crate::privileges;

/// Made by `cargo xtask ebpf`; see `mirror-ebpf`.
static OBJECT: &[u8] = include_bytes_aligned!("../../../../../mirror-ebpf/mirror-ebpf.o");

/// The SHA-256 of the kernel object in this binary, in hexadecimal.
#[must_use]
pub fn object_digest() -> String {
    format!("{:x}", Bytes::from_owner(Sha256::digest(OBJECT)))
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
    attached: Attached,
    memory: [(&'static str, u64); 3],
}

impl Kernel {
    /// Loads the program with a ring of `ring_bytes` and a scratch buffer for each possible CPU, to
    /// assemble records in; several for each CPU at a cgroup's hooks, where runs of the program nest.
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
            attached: Attached::default(),
            memory: [
                ("ring_bytes", u64::from(ring_bytes)),
                ("scratch_bytes", u64::from(scratch) * SCRATCH_BYTES as u64),
                ("settings_bytes", u64::from(SLOTS) * size_of::<Slot>() as u64),
            ],
        })
    }

    /// Writes the settings of the program.
    pub(super) fn configure(
        &mut self,
        watch: Watch,
        wake_bytes: u32,
        own: Option<OwnSockets>,
    ) -> anyhow::Result<Control> {
        let object = self.object.as_mut().context("detached already")?;
        if let Some(own) = &own {
            own.register_with(SkStorage::try_from(take_map(object, names::OWN)?)?);
        }
        let maps = Maps {
            switch: Array::try_from(take_map(object, names::SWITCH)?)?,
            slots: Array::try_from(take_map(object, names::SETTINGS)?)?,
            networks: LpmTrie::try_from(take_map(object, names::NETWORKS)?)?,
        };
        Control::new(maps, watch, wake_bytes, own)
    }

    /// The next entry of the ring; its space is returned when it is dropped.
    pub(super) fn next_entry(&mut self) -> Option<impl Deref<Target = [u8]> + '_> {
        self.ring.next()
    }

    /// Waits for a wake-up by the ring or for an event of a device, for `wait` at most. True if the ring
    /// has entries.
    pub(super) fn wait(&self, wait: Duration, events: Option<&Events>) -> anyhow::Result<bool> {
        let timeout = Timespec::try_from(wait).context("a wait that is too long")?;
        let ring = PollFd::new(&self.ring, PollFlags::IN);
        let events = events.map(|events| PollFd::new(events, PollFlags::IN));
        let mut waited = [ring.clone(), events.unwrap_or(ring)];
        match poll(&mut waited, Some(&timeout)) {
            Ok(_) => Ok(waited.first().is_some_and(|ring| !ring.revents().is_empty())),
            // A signal: the caller checks the stop flag.
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(error).context("the ring cannot be waited for"),
        }
    }

    /// Emits what the program logged since the last call.
    pub(super) fn emit_log(&mut self) {
        if let Some(listener) = &mut self.listener {
            listener.emit();
        }
    }

    /// Sets whether the next record wakes the reader.
    pub(super) fn set_asleep(&mut self, asleep: bool) -> anyhow::Result<()> {
        Ok(self.asleep.set(0, u32::from(asleep), 0)?)
    }

    /// Every counter, summed over the CPUs; see [`mirror_common::counter`] for their positions.
    pub(super) fn counters(&self) -> [u64; COUNTERS] {
        self.counters.sums()
    }

    /// Measures the programs that are attached now.
    pub(super) fn meter(&self) -> anyhow::Result<Meter> {
        let mut programs = Vec::new();
        for (_, program) in self.object.as_ref().context("detached already")?.programs() {
            // A program that is not loaded is not attached.
            if let Ok(descriptor) = program.fd() {
                programs.push(descriptor.try_clone()?);
            }
        }
        Ok(Meter::new(programs, Arc::clone(&self.counters)))
    }

    /// The kernel memory of the maps, without the small ones.
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

fn take_map(object: &mut Ebpf, name: &str) -> anyhow::Result<aya::maps::Map> {
    object.take_map(name).with_context(|| format!("{name}: not in the kernel object"))
}
