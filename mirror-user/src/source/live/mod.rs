//! Packets of live interfaces: the kernel program copies them into a ring buffer, this module reads them.
//!
//! Each packet is copied once, out of the ring into a large chunk, and is a slice of that chunk. The
//! ring's space must be returned, and an allocation for each packet would cost half as much again. The
//! kernel's clock is converted to wall time here, once.
//!
//! The reader is woken as rarely as possible, because a wake-up costs production more than the copy
//! does. While packets arrive, it polls the ring every `POLL_INTERVAL`, and the kernel wakes it only when
//! `WAKE_BYTES` are waiting. When no packet has arrived for a while, it marks itself as asleep, and the
//! next packet wakes it at once.

mod account;
mod attachments;
mod cgroup;
mod chunk;
mod claim;
mod clsact;
mod control;
mod device;
mod follow;
mod health;
mod kernel;
mod log;
mod meter;
mod namespace;
mod netlink;
mod options;
mod order;
mod own;
mod parts;
pub mod pods;
mod presence;
mod recovery;

use std::fmt;
use std::time::Duration;

use anyhow::ensure;
use bytes::BytesMut;
use mirror_common::counter::{BYTES, FRAGMENTS};
use mirror_common::{Link, Outcome, PacketRecord};
use rustix::time::{ClockId, clock_gettime};

use self::attachments::{Attachments, Followed};
use self::chunk::{CHUNK_BYTES, write};
use self::follow::Interfaces;
use self::kernel::{Kernel, Path};
use self::options::MIN_RING_BYTES;
use self::parts::{Assembly, Parts};
use super::{Next, PacketSource};
use crate::filter::{Choice, Watch};
use crate::packet::{InterfaceId, LinkType, Packet, Timestamp};
use crate::stats::{Account, Note, Topic};
pub use cgroup::Cgroup;
pub use control::{Control, Copying};
pub use device::Device;
pub use health::Health;
pub use kernel::{has_tcx, object_digest};
pub use log::KernelLog;
pub use meter::Meter;
pub use namespace::Namespace;
pub use options::{DEFAULT_RING_BYTES, Hook, LiveOptions, Order};
pub use own::OwnSockets;
pub use pods::{PodFigures, PodSelection, PodSource};

/// How often the ring is polled while packets arrive; the upper bound of the delay of a packet.
const POLL_INTERVAL: Duration = Duration::from_millis(4);

/// After this many polls without a packet, the reader sleeps until it is woken.
const EMPTY_POLLS_BEFORE_SLEEP: u32 = 8;

/// The reader is woken before its next poll when this many bytes are waiting, or a quarter of a small
/// ring. At 100,000 small requests per second a poll finds half of that, so that no wake-up is needed.
const WAKE_BYTES: u32 = 256 * 1024;

/// How often changes of devices are checked while the ring is never empty.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(250);

/// Packets of live interfaces.
pub struct LiveSource {
    kernel: Kernel,
    control: Control,
    health: Health,
    attachments: Attachments,
    watch: Watch,
    interfaces: Interfaces,
    /// When changes of devices were last checked.
    last_followed: Timestamp,
    chunk: BytesMut,
    parts: Parts,
    /// Wall time minus CLOCK_MONOTONIC, nanoseconds.
    clock_offset: u64,
    empty_polls: u32,
    /// The reader is marked as asleep, and the kernel program has not woken it since.
    asleep: bool,
    handed_over: u64,
    /// Bytes of the packets that were handed over.
    taken_bytes: u64,
    /// Entries of the ring that are not packet records; none, unless kernel program and binary differ.
    unreadable: u64,
    stopping: bool,
}

impl LiveSource {
    /// Loads the kernel program and attaches it.
    ///
    /// # Errors
    /// When an interface does not exist or cannot be captured on, or a privilege is missing; the message
    /// says what to do.
    pub fn attach(options: &LiveOptions) -> anyhow::Result<Self> {
        ensure!(
            options.ring_bytes.is_power_of_two() && options.ring_bytes >= MIN_RING_BYTES,
            "--ring-size {}: give a power of two from 512KiB on, such as 64MiB",
            options.ring_bytes
        );
        let cgroup = options.cgroup.as_ref();
        let path = Path::of(options.hook, cgroup.is_some() || options.pods.is_some());
        let attachments = Attachments::new(options, path)?;
        let mut kernel = Kernel::load(options.ring_bytes, options.log, path)?;
        let wake_bytes = WAKE_BYTES.min(options.ring_bytes / 4);
        let control = kernel.configure(options.watch.clone(), wake_bytes, options.own.clone())?;
        let mut source = Self {
            asleep: false,
            kernel,
            control,
            health: Health::new(path.name(), u64::from(options.ring_bytes)),
            attachments,
            watch: options.watch.clone(),
            interfaces: cgroup.map_or_else(Interfaces::default, |cgroup| {
                Interfaces::under_one_name(cgroup.to_string())
            }),
            last_followed: Timestamp::default(),
            chunk: BytesMut::with_capacity(CHUNK_BYTES),
            parts: Parts::default(),
            clock_offset: nanos(ClockId::Realtime).saturating_sub(nanos(ClockId::Monotonic)),
            empty_polls: 0,
            handed_over: 0,
            taken_bytes: 0,
            unreadable: 0,
            stopping: false,
        };
        source.attachments.begin(&mut source.kernel, &mut source.interfaces)?;
        source.attachments.show(&source.health);
        Ok(source)
    }

    /// Follows changes: devices appear and disappear, other programs change filters.
    fn follow(&mut self) -> anyhow::Result<()> {
        let now = self.time();
        let Self { attachments, kernel, interfaces, health, .. } = self;
        let followed = attachments.follow(kernel, interfaces, now)?;
        attachments.show(health);
        if followed == Followed::Ended {
            self.stop();
        }
        Ok(())
    }

    fn time(&self) -> Timestamp {
        Timestamp::from_nanos(nanos(ClockId::Monotonic).saturating_add(self.clock_offset))
    }

    /// Changes what is copied, from any thread.
    #[must_use]
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Whether it is attached, and how full its ring is, for any thread.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Measures the CPU time of the kernel programs.
    ///
    /// # Errors
    /// When they are detached, or descriptors are short.
    pub fn meter(&self) -> anyhow::Result<Meter> {
        self.kernel.meter()
    }

    /// Puts another choice in force without detaching: each packet is judged by the old or by the new
    /// choice as a whole.
    ///
    /// # Errors
    /// When the kernel refuses it; the old choice then stays in force.
    pub fn reconfigure(&mut self, choice: &Choice) -> anyhow::Result<()> {
        self.control.reconfigure(choice)
    }

    /// The next packet in the ring.
    fn take(&mut self) -> anyhow::Result<Option<Packet>> {
        while let Some(entry) = self.kernel.next_entry() {
            let Some((record, bytes)) = PacketRecord::parse(&entry) else {
                self.unreadable = self.unreadable.saturating_add(1);
                continue;
            };
            let link = match record.link() {
                Some(Link::Ethernet) => LinkType::Ethernet,
                Some(Link::Ip) => LinkType::RawIp,
                None => {
                    self.unreadable = self.unreadable.saturating_add(1);
                    continue;
                }
            };
            let tag_len = if record.part == 0 && record.parts_left == 0 {
                write(&record, bytes, &mut self.chunk)
            } else {
                match self.parts.add(&record, bytes) {
                    Assembly::Pending => continue,
                    Assembly::Complete(packet) => write(&record, &packet, &mut self.chunk),
                    Assembly::Broken => {
                        self.unreadable = self.unreadable.saturating_add(1);
                        continue;
                    }
                }
            };
            drop(entry);
            self.handed_over = self.handed_over.saturating_add(1);
            self.empty_polls = 0;
            let data = self.chunk.split().freeze();
            self.taken_bytes = self.taken_bytes.saturating_add(data.len() as u64);
            let Self { attachments, interfaces, .. } = self;
            let interface = interfaces
                .known(record.interface)
                .unwrap_or_else(|| attachments.identify(record.interface, interfaces));
            attachments.count_packet(interface, data.len());
            return Ok(Some(Packet {
                at: Timestamp::from_nanos(record.at.saturating_add(self.clock_offset)),
                link,
                interface,
                wire_len: record.wire_len.saturating_add(tag_len),
                data,
            }));
        }
        Ok(None)
    }

    /// Waits until there may be a packet, for `wait` at most.
    fn sleep(&mut self, wait: Duration) -> anyhow::Result<()> {
        self.kernel.emit_log();
        if self.empty_polls < EMPTY_POLLS_BEFORE_SLEEP {
            self.empty_polls += 1;
            return self.kernel.wait(wait.min(POLL_INTERVAL), self.attachments.events()).map(drop);
        }
        if !self.asleep {
            self.asleep = true;
            self.kernel.set_asleep(true)?;
        }
        // A packet that arrived before the mark does not wake the reader, but poll(2) sees it. One that
        // was being written at that moment is read when the wait ends.
        if self.kernel.wait(wait, self.attachments.events())? {
            // The kernel program clears the mark when it wakes the reader.
            self.asleep = false;
        }
        Ok(())
    }
}

impl fmt::Display for LiveSource {
    /// What was attached to, and how.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.attachments.fmt(f)
    }
}

/// Filters stay attached to their devices unless they are removed.
impl Drop for LiveSource {
    fn drop(&mut self) {
        self.attachments.end(&mut self.kernel);
    }
}

/// Checks that this host could capture: loads every program and unloads it again.
///
/// # Errors
/// Why it could not.
pub fn try_load() -> anyhow::Result<()> {
    Kernel::load(MIN_RING_BYTES, KernelLog::Off, Path::Tcx)?.verify()
}

fn nanos(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}

impl PacketSource for LiveSource {
    fn next(&mut self, wait: Duration) -> anyhow::Result<Next> {
        if let Some(packet) = self.take()? {
            if !self.stopping && packet.at.since(self.last_followed) >= FOLLOW_INTERVAL {
                self.last_followed = packet.at;
                self.follow()?;
            }
            return Ok(Next::Packet(packet));
        }
        if self.stopping {
            return Ok(Next::End);
        }
        self.sleep(wait)?;
        self.follow()?;
        Ok(self.take()?.map_or(Next::Idle, Next::Packet))
    }

    fn interfaces(&self) -> &[String] {
        self.interfaces.names()
    }

    fn now(&self) -> Option<Timestamp> {
        Some(self.time())
    }

    fn stop(&mut self) {
        self.attachments.end(&mut self.kernel);
        self.kernel.emit_log();
        self.stopping = true;
    }

    fn notes(&self) -> Vec<Note> {
        let counters = self.kernel.counters();
        let count = |place: usize| counters.get(place).copied().unwrap_or(0);
        let copied = [("bytes", count(BYTES)), ("fragments", count(FRAGMENTS))];
        let memory = Note::new(Topic::KernelMemory, self.kernel.memory());
        [Note::new(Topic::Copied, copied), memory, self.attachments.note()]
            .into_iter()
            .flatten()
            .collect()
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = self.attachments.warnings();
        let lost = self.kernel.count(Outcome::RingFull);
        if lost > 0 {
            warnings.push(format!(
                "{lost} packets did not fit into the ring; give it more by --ring-size, or watch fewer ports"
            ));
        }
        warnings.extend(self.control.own_sockets().and_then(|own| own.warning()));
        warnings
    }

    fn when_nothing_was_seen(&self) -> Option<String> {
        let ports = self.watch.choice().ports.to_string().replace(' ', "");
        let advice = self.attachments.advice(&ports);
        Some(format!("no request was seen; {advice}"))
    }

    fn account(&self) -> Account {
        let account = account::account(&self.kernel.outcomes(), self.handed_over, self.unreadable);
        let copied = self.kernel.counters().get(BYTES).copied().unwrap_or(0);
        self.health.set_waiting(account.in_flight, copied.saturating_sub(self.taken_bytes));
        if let Some(pods) = self.attachments.pods() {
            self.health.set_pods(pods);
        }
        account
    }

    fn count_request(&mut self, at: InterfaceId) {
        self.attachments.count_request(at);
    }
}
