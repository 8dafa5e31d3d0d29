//! What is counted by pod.

use hashbrown::HashMap;

use super::figures::PodCount;
use super::pod::Pod;
use crate::packet::{InterfaceId, Timestamp};

/// Pods with counts of their own: a node's, and those that ended lately. Metrics have three series for each.
const MAX_ROWS: usize = 512;

/// The name of what has no counts of its own.
const OTHER: &str = "other";

/// The counts of each pod. What is counted of a pod that has ended stays under its name until the room is
/// needed, and then goes to `other`, so that no sum falls.
pub(super) struct PodCounts {
    /// The first is `other`.
    rows: Vec<Row>,
    /// The row of the interface that stands for a pod.
    of_interface: HashMap<InterfaceId, usize>,
}

struct Row {
    count: PodCount,
    interface: Option<InterfaceId>,
    ended: Option<Timestamp>,
}

impl Default for PodCounts {
    fn default() -> Self {
        let count = PodCount {
            namespace: OTHER.to_owned(),
            pod: OTHER.to_owned(),
            workload: OTHER.to_owned(),
            ..PodCount::default()
        };
        let other = Row { count, interface: None, ended: None };
        Self { rows: vec![other], of_interface: HashMap::new() }
    }
}

impl PodCounts {
    /// From now on, what is seen at this interface is counted for this pod.
    pub(super) fn begin(&mut self, interface: InterfaceId, pod: &Pod) {
        if let Some(row) = self.of_interface.get(&interface).and_then(|row| self.rows.get_mut(*row))
        {
            row.ended = None;
            return;
        }
        let Pod { namespace, name, workload, .. } = pod;
        let count = PodCount {
            namespace: namespace.clone(),
            pod: name.clone(),
            workload: workload.clone(),
            ..PodCount::default()
        };
        let row = Row { count, interface: Some(interface), ended: None };
        if self.rows.len() < MAX_ROWS {
            self.rows.push(row);
            self.of_interface.insert(interface, self.rows.len() - 1);
        } else if let Some(place) = self.longest_ended() {
            self.fold(place);
            self.of_interface.insert(interface, place);
            if let Some(old) = self.rows.get_mut(place) {
                *old = row;
            }
        }
    }

    /// The pod has ended. Packets of it may still be in the ring.
    pub(super) fn end(&mut self, interface: InterfaceId, now: Timestamp) {
        let row = self.of_interface.get(&interface).and_then(|row| self.rows.get_mut(*row));
        if let Some(row) = row {
            row.ended = Some(now);
        }
    }

    fn longest_ended(&self) -> Option<usize> {
        let ended =
            self.rows.iter().enumerate().filter_map(|(place, row)| Some((row.ended?, place)));
        ended.min().map(|(_, place)| place)
    }

    /// Adds a row to `other`.
    fn fold(&mut self, place: usize) {
        let Some(Row { count, interface, .. }) = self.rows.get_mut(place) else { return };
        let (packets, bytes, requests) = (count.packets, count.bytes, count.requests);
        if let Some(interface) = interface.take() {
            self.of_interface.remove(&interface);
        }
        if let Some(other) = self.rows.first_mut() {
            other.count.packets = other.count.packets.saturating_add(packets);
            other.count.bytes = other.count.bytes.saturating_add(bytes);
            other.count.requests = other.count.requests.saturating_add(requests);
        }
    }

    /// A packet of so many bytes was seen.
    pub(super) fn packet(&mut self, interface: InterfaceId, bytes: usize) {
        if let Some(count) = self.of(interface) {
            count.packets = count.packets.saturating_add(1);
            count.bytes = count.bytes.saturating_add(bytes as u64);
        }
    }

    /// A request was seen.
    pub(super) fn request(&mut self, interface: InterfaceId) {
        if let Some(count) = self.of(interface) {
            count.requests = count.requests.saturating_add(1);
        }
    }

    fn of(&mut self, interface: InterfaceId) -> Option<&mut PodCount> {
        let row = self.of_interface.get(&interface).copied().unwrap_or(0);
        self.rows.get_mut(row).map(|row| &mut row.count)
    }

    pub(super) fn all(&self) -> Vec<PodCount> {
        self.rows.iter().map(|row| row.count.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::pod::Metadata;
    use super::*;

    fn pod(number: usize) -> Pod {
        let name = format!("p{number}");
        Pod::new(
            &Metadata { uid: name.clone(), name, namespace: "n".to_owned(), ..Metadata::default() },
            true,
        )
    }

    fn interface(number: usize) -> InterfaceId {
        InterfaceId(u32::try_from(number).unwrap())
    }

    #[test]
    fn each_pod_has_its_counts_and_what_is_of_none_goes_to_other() {
        let mut counts = PodCounts::default();
        counts.begin(interface(1), &pod(1));
        counts.packet(interface(1), 100);
        counts.packet(interface(9), 7);
        counts.request(interface(1));
        let all = counts.all();
        assert_eq!(
            (all[1].pod.as_str(), all[1].packets, all[1].bytes, all[1].requests),
            ("p1", 1, 100, 1)
        );
        assert_eq!((all[0].pod.as_str(), all[0].packets, all[0].bytes), ("other", 1, 7));
    }

    #[test]
    fn a_limit_of_rows_loses_no_count() {
        let mut counts = PodCounts::default();
        for number in 1..=3 * MAX_ROWS {
            counts.begin(interface(number), &pod(number));
            counts.packet(interface(number), 1);
            let later = Timestamp::from_nanos(number as u64);
            // Every second one ends.
            if number % 2 == 0 {
                counts.end(interface(number), later);
            }
        }
        let all = counts.all();
        assert_eq!(all.len(), MAX_ROWS);
        assert_eq!(all.iter().map(|count| count.packets).sum::<u64>(), 3 * MAX_ROWS as u64);
        assert!(all[0].packets > 0);
        assert!(counts.of_interface.len() < MAX_ROWS);
        // A pod that is seen again goes on with its counts.
        counts.end(interface(1), Timestamp::default());
        counts.begin(interface(1), &pod(1));
        counts.packet(interface(1), 1);
        assert!(counts.all().iter().any(|count| count.pod == "p1" && count.packets == 2));
    }
}
