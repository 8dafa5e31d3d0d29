//! Whose capture something comes from: each run gets a number, and each host a place among the interfaces.

use bytes::Bytes;
use hashbrown::HashMap;

use crate::http::message::{ConnectionId, Origin};
use crate::packet::InterfaceId;

/// Runs that are known at a time, each by a number.
const MAX_RUNS: usize = u16::MAX as usize;
/// Hosts that have a place of their own; the others share the last one.
const MAX_HOSTS: usize = 4096;

/// The runs and hosts that were seen.
#[derive(Default)]
pub(super) struct Origins {
    runs: HashMap<Bytes, u16>,
    /// The run of each number from 1 on.
    named: Vec<Bytes>,
    /// The place in `named` of the run that gives way next, once all numbers are taken.
    next: usize,
    hosts: HashMap<Bytes, u32>,
    names: Vec<String>,
}

impl Origins {
    /// The number of a run. After 65,535 runs numbers begin again: those that had them have ended long before.
    pub(super) fn of_run(&mut self, run: &Bytes) -> u16 {
        if let Some(number) = self.runs.get(run) {
            return *number;
        }
        // A copy, so that the message is not kept in memory with it.
        let run = Bytes::copy_from_slice(run);
        let place = match self.named.len() < MAX_RUNS {
            true => {
                self.named.push(run.clone());
                self.named.len() - 1
            }
            false => {
                let place = self.next;
                self.next = (place + 1) % MAX_RUNS;
                if let Some(former) = self.named.get_mut(place) {
                    self.runs.remove(&std::mem::replace(former, run.clone()));
                }
                place
            }
        };
        // 0 is this host's own capture.
        let number = u16::try_from(place + 1).unwrap_or(u16::MAX);
        self.runs.insert(run, number);
        number
    }

    /// The place of a host.
    pub(super) fn of_host(&mut self, host: &Bytes) -> InterfaceId {
        if let Some(place) = self.hosts.get(host) {
            return InterfaceId(*place);
        }
        let place = self.names.len().min(MAX_HOSTS - 1);
        if self.names.len() < MAX_HOSTS {
            self.names.push(String::from_utf8_lossy(host).into_owned());
            self.hosts
                .insert(Bytes::copy_from_slice(host), u32::try_from(place).unwrap_or_default());
        }
        InterfaceId(u32::try_from(place).unwrap_or_default())
    }

    pub(super) fn hosts(&self) -> &[String] {
        &self.names
    }

    /// The connection of a run.
    pub(super) fn connection(run: u16, number: u64) -> ConnectionId {
        ConnectionId::new(Origin(run), number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_hosts_keep_their_numbers_and_are_bounded() {
        let mut origins = Origins::default();
        let name = |n: u32| Bytes::from(format!("{n}"));
        let first = origins.of_run(&name(0));
        assert_eq!((first, origins.of_run(&name(1)), origins.of_run(&name(0))), (1, 2, 1));
        for n in 2..70_000 {
            assert_ne!(origins.of_run(&name(n)), 0);
            origins.of_host(&name(n));
        }
        assert!(origins.runs.len() <= usize::from(u16::MAX));
        assert_eq!(origins.hosts().len(), MAX_HOSTS);
        let connection = Origins::connection(2, 7);
        assert_ne!(connection, Origins::connection(1, 7));
        assert_eq!(connection.serial(), 7);
    }
}
