//! Changes the settings of the kernel program while it runs.
//!
//! The maps have two slots for all settings. A change is written into the slot that is not in use, then
//! the switch is set by storing one byte, then the caller waits until no packet is still judged by the
//! old slot. So no packet sees half of a change, and nothing is detached.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::{Array, MapData};
use mirror_common::settings::{
    NET_KEY_BYTES, NET_KEY_TAG_BITS, PORT_WORDS, Slot, flag, net_key, port_bit,
};
use mirror_common::{Settings, Switch};
use rustix::thread::{MembarrierCommand, membarrier};

use super::own::OwnSockets;
use crate::filter::{Choice, Ports, Sample, Watch};

const SLOT_BYTES: usize = size_of::<Slot>();
type NetKey = Key<[u8; NET_KEY_BYTES]>;

/// Changes what the kernel program copies. Cheap to clone and to send to other threads; all clones share
/// one state. Once the source is gone, it has no effect.
#[derive(Clone)]
pub struct Control {
    state: Arc<Mutex<ProgramState>>,
    watch: Watch,
    own: Option<OwnSockets>,
}

impl Control {
    pub(super) fn new(
        maps: Maps,
        watch: Watch,
        wake_bytes: u32,
        own: Option<OwnSockets>,
    ) -> anyhow::Result<Self> {
        let mut state = ProgramState {
            maps,
            wake_bytes,
            flags: if own.is_some() { flag::OWN_SOCKETS } else { 0 },
            sample_limit: Sample::ALL,
            paused: false,
            slot: 0,
            networks: [Vec::new(), Vec::new()],
        };
        state.apply(&watch.choice())?;
        Ok(Self { state: Arc::new(Mutex::new(state)), watch, own })
    }

    /// Puts another choice in force.
    ///
    /// # Errors
    /// When the kernel refuses it; the old choice then stays in force.
    pub fn reconfigure(&self, choice: &Choice) -> anyhow::Result<()> {
        let mut state = self.state();
        // User space must know the new choice before the first packet that it wants arrives.
        let before = self.watch.choice();
        self.watch.set(choice.clone().into());
        state.apply(choice).inspect_err(|_| self.watch.set(before))
    }

    /// Limits the share of connections that is copied, whatever the choice says: what the choice wants and this leaves out
    /// is counted as `load_shed`. For the guard.
    ///
    /// # Errors
    /// When the kernel refuses it; the old limit then stays in force.
    pub fn limit_sample(&self, sample: Sample) -> anyhow::Result<()> {
        let mut state = self.state();
        let before = std::mem::replace(&mut state.sample_limit, sample);
        let outcome = state.apply(&self.watch.choice());
        if outcome.is_err() {
            state.sample_limit = before;
        }
        outcome
    }

    /// Off: packets are only counted, not even parsed. On: they are copied again.
    ///
    /// # Errors
    /// When the kernel refuses it.
    pub fn set_copying(&self, on: bool) -> anyhow::Result<()> {
        let mut state = self.state();
        let slot = state.slot;
        state.set_switch(Switch::new(slot, !on))?;
        state.paused = !on;
        Ok(())
    }

    /// What is copied now.
    #[must_use]
    pub fn copying(&self) -> Copying {
        let state = self.state();
        let sample = self.watch.choice().settings().sample.min(state.sample_limit.threshold());
        let sample = sample as f64 / Sample::ALL.threshold() as f64;
        Copying { sample, paused: state.paused }
    }

    /// The sockets whose packets are not copied.
    #[must_use]
    pub fn own_sockets(&self) -> Option<OwnSockets> {
        self.own.clone()
    }

    fn state(&self) -> MutexGuard<'_, ProgramState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the kernel program copies of the connections that are wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Copying {
    /// The share of them that is in the sample, from 0 to 1.
    pub sample: f64,
    /// True while nothing is copied.
    pub paused: bool,
}

/// The maps that hold the settings.
pub(super) struct Maps {
    pub(super) switch: Array<MapData, u32>,
    pub(super) slots: Array<MapData, [u8; SLOT_BYTES]>,
    pub(super) networks: LpmTrie<MapData, [u8; NET_KEY_BYTES], u32>,
}

struct ProgramState {
    maps: Maps,
    wake_bytes: u32,
    /// Flags that are set whatever the choice says.
    flags: u32,
    sample_limit: Sample,
    paused: bool,
    /// The slot in use.
    slot: u32,
    /// The keys of the networks in each slot.
    networks: [Vec<NetKey>; 2],
}

impl ProgramState {
    fn apply(&mut self, choice: &Choice) -> anyhow::Result<()> {
        let slot = 1 - self.slot;
        self.write_networks(slot, choice).context("the networks could not be written")?;
        let settings = choice.settings();
        let settings = Settings {
            copied: settings.sample.min(self.sample_limit.threshold()),
            wake_bytes: self.wake_bytes,
            flags: settings.flags | self.flags,
            ..settings
        };
        self.maps.slots.set(slot, slot_bytes(settings, &choice.ports), 0)?;
        self.set_switch(Switch::new(slot, self.paused))?;
        self.slot = slot;
        wait_for_packets_under_way();
        Ok(())
    }

    fn set_switch(&mut self, switch: Switch) -> anyhow::Result<()> {
        self.maps.switch.set(0, switch.0, 0).context("the switch could not be turned")
    }

    fn write_networks(&mut self, slot: u32, choice: &Choice) -> anyhow::Result<()> {
        let [even, odd] = &mut self.networks;
        let keys = if slot == 0 { even } else { odd };
        while let Some(key) = keys.last() {
            self.maps.networks.remove(key)?;
            keys.pop();
        }
        for (list, address, bits, listed) in choice.nets.entries() {
            let key = Key::new(NET_KEY_TAG_BITS + bits, net_key(slot, list, address));
            self.maps.networks.insert(&key, listed.map_or(0, |listed| listed as u32), 0)?;
            keys.push(key);
        }
        Ok(())
    }
}

/// A slot in the form of the map.
fn slot_bytes(settings: Settings, ports: &Ports) -> [u8; SLOT_BYTES] {
    let mut words = [0_u64; PORT_WORDS];
    for port in ports.iter() {
        let (word, bit) = port_bit(port);
        if let Some(bits) = words.get_mut(word) {
            *bits |= bit;
        }
    }
    let mut bytes = [0; SLOT_BYTES];
    let words = words.iter().flat_map(|word| word.to_ne_bytes());
    for (byte, value) in bytes.iter_mut().zip(settings.to_bytes().into_iter().chain(words)) {
        *byte = value;
    }
    bytes
}

/// Returns when the kernel program has finished every packet that was in progress at the call, so that
/// the old slot can be written again.
#[expect(clippy::disallowed_methods, reason = "there is nothing to wait for where it is needed")]
fn wait_for_packets_under_way() {
    // Waits for an RCU grace period, within which the kernel runs every program to its end.
    if membarrier(MembarrierCommand::Global).is_err() {
        // Kernels with `nohz_full` do not have it. A program runs for some microseconds.
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_its_settings_and_a_bit_for_each_port() {
        let settings = Settings { wake_bytes: 7, ..Settings::default() };
        let bytes = slot_bytes(settings, &Ports::of_ranges([80..=80, 8080..=8081]));
        let (head, ports) = bytes.split_at(size_of::<Settings>());
        assert_eq!(head, settings.to_bytes());
        let is_set = |port: usize| ports[port / 64 * 8..][..8][port % 64 / 8] >> (port % 8) & 1;
        assert_eq!([80, 81, 8079, 8080, 8081, 8082].map(is_set), [1, 0, 0, 1, 1, 0]);
        assert_eq!(ports.iter().map(|byte| byte.count_ones()).sum::<u32>(), 3);
    }
}
