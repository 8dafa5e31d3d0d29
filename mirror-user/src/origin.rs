//! Where captured requests come from, by the names that metrics may have as labels.
//!
//! In come the pods of a node, as they begin and end, from who attaches to them; out go the names that stand for
//! the interface on which a request was seen. Only the parts that an operator chose as labels are kept, so that
//! two pods of one workload are one origin where `pod` is not chosen. A number of origins have their names, the
//! others are `other`; who counts by origin learns of those that were given up, and adds them there, so that no
//! sum falls.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use enum_map::{Enum, EnumMap};
use hashbrown::HashMap;
use strum::{EnumIter, EnumMessage, IntoStaticStr};

use crate::packet::InterfaceId;

/// Origins with names of their own: a node's pods, of which a kubelet runs 110 unless it is told otherwise, and
/// some that ended lately. Each has about 25 series for each target and rule.
pub const MAX_ORIGINS: usize = 128;

/// The name of all others.
const OTHER: &str = "other";

/// A label of the metrics of shadow requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, EnumIter, EnumMessage, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Label {
    /// The target that a request is for
    Target,
    /// The rule that sends it there
    Rule,
    /// The first digit of the response's status
    Class,
    /// The namespace of the pod that it was captured at; needs source.pods, as the next two
    Namespace,
    /// What this pod is one of: a Deployment, StatefulSet, DaemonSet or CronJob
    Workload,
    /// The name of this pod
    Pod,
}

/// The labels that an operator chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Labels(EnumMap<Label, bool>);

impl Labels {
    /// These; none are the default.
    #[must_use]
    pub fn of(chosen: &[Label]) -> Self {
        if chosen.is_empty() {
            return Self::default();
        }
        Self(EnumMap::from_fn(|label| chosen.contains(&label)))
    }

    /// True if it is one of them.
    #[must_use]
    pub fn has(self, label: Label) -> bool {
        self.0[label]
    }

    /// The first of them that pods alone have.
    #[must_use]
    pub fn of_pods(self) -> Option<Label> {
        [Label::Namespace, Label::Workload, Label::Pod].into_iter().find(|label| self.has(*label))
    }
}

/// Target, rule and class.
impl Default for Labels {
    fn default() -> Self {
        Self::of(&[Label::Target, Label::Rule, Label::Class])
    }
}

/// The names of an origin. Those that no label was chosen for are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Names {
    /// The pod's namespace.
    pub namespace: String,
    /// The name of its Deployment, StatefulSet, DaemonSet or CronJob.
    pub workload: String,
    /// Its name.
    pub pod: String,
}

impl Names {
    /// The parts that are labels.
    fn chosen(self, labels: Labels) -> Self {
        let part = |label, name| if labels.has(label) { name } else { String::new() };
        Self {
            namespace: part(Label::Namespace, self.namespace),
            workload: part(Label::Workload, self.workload),
            pod: part(Label::Pod, self.pod),
        }
    }
}

/// Where requests come from.
#[derive(Debug)]
pub struct Origin {
    /// Tells it from all others of the run; that of `other` is 0.
    pub id: u64,
    /// Its labels.
    pub names: Names,
    is_folded: AtomicBool,
}

impl Origin {
    fn new(id: u64, names: Names) -> Arc<Self> {
        Arc::new(Self { id, names, is_folded: AtomicBool::default() })
    }

    /// True once it has been given up for another one: what was counted of it is to be added to `other`.
    #[must_use]
    pub fn is_folded(&self) -> bool {
        self.is_folded.load(Relaxed)
    }
}

/// What became of origins: "an origin was …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, EnumIter, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum OriginChange {
    /// Given names of its own.
    Named,
    /// Added to `other` after its end, as another one needed the room.
    Folded,
    /// Counted as `other` from its start, as [`MAX_ORIGINS`] others have not ended.
    Beyond,
}

/// The origins of a run. A cheap handle.
#[derive(Clone, Debug)]
pub struct Origins(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    labels: Labels,
    other: Arc<Origin>,
    /// How many were folded so far.
    folds: AtomicU64,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    /// Also those that have ended, as packets of them may be in the ring. As many as the source has names for.
    of_interface: HashMap<InterfaceId, Arc<Origin>>,
    rows: Vec<Row>,
    /// How many were named so far, which numbers them, and how many ended.
    named: u64,
    ended: u64,
    beyond: u64,
}

#[derive(Debug)]
struct Row {
    origin: Arc<Origin>,
    /// Pods that have not ended.
    pods: u32,
    /// When the last of them ended, as a number that grows.
    ended: u64,
}

impl Origins {
    /// None yet; these are their labels.
    #[must_use]
    pub fn new(labels: Labels) -> Self {
        let other = || OTHER.to_owned();
        let other = Names { namespace: other(), workload: other(), pod: other() };
        Self(Arc::new(Inner {
            labels,
            other: Origin::new(0, other.chosen(labels)),
            folds: AtomicU64::default(),
            table: Mutex::default(),
        }))
    }

    /// From now on, requests that are seen at this interface come from a pod of these names.
    pub fn begin(&self, interface: InterfaceId, names: Names) {
        if self.0.labels.of_pods().is_none() {
            return;
        }
        let names = names.chosen(self.0.labels);
        let mut table = self.table();
        let row = match table.rows.iter().position(|row| row.origin.names == names) {
            Some(row) => Some(row),
            None => self.room(&mut table).map(|()| {
                table.named = table.named.saturating_add(1);
                let origin = Origin::new(table.named, names);
                table.rows.push(Row { origin, pods: 0, ended: 0 });
                table.rows.len() - 1
            }),
        };
        match row.and_then(|row| table.rows.get_mut(row)) {
            Some(row) => {
                row.pods = row.pods.saturating_add(1);
                let origin = Arc::clone(&row.origin);
                table.of_interface.insert(interface, origin);
            }
            None => {
                table.of_interface.remove(&interface);
                table.beyond = table.beyond.saturating_add(1);
            }
        }
    }

    /// A pod of this interface has ended. Packets of it may still be in the ring.
    pub fn end(&self, interface: InterfaceId) {
        let table = &mut *self.table();
        let Some(origin) = table.of_interface.get(&interface) else { return };
        if let Some(row) = table.rows.iter_mut().find(|row| row.origin.id == origin.id) {
            row.pods = row.pods.saturating_sub(1);
            table.ended = table.ended.saturating_add(1);
            row.ended = table.ended;
        }
    }

    /// Makes room for another one, if need be by folding the one that ended longest ago; `None` if none has.
    fn room(&self, table: &mut Table) -> Option<()> {
        if table.rows.len() < MAX_ORIGINS {
            return Some(());
        }
        let ended = table.rows.iter().enumerate().filter(|(_, row)| row.pods == 0);
        let (place, _) = ended.min_by_key(|(_, row)| row.ended)?;
        let Row { origin, .. } = table.rows.swap_remove(place);
        table.of_interface.retain(|_, known| known.id != origin.id);
        origin.is_folded.store(true, Relaxed);
        self.0.folds.fetch_add(1, Relaxed);
        Some(())
    }

    /// Where a request comes from that was seen at this interface.
    #[must_use]
    pub fn of(&self, interface: InterfaceId) -> Arc<Origin> {
        let known = match self.0.labels.of_pods() {
            None => None,
            Some(_) => self.table().of_interface.get(&interface).map(Arc::clone),
        };
        known.unwrap_or_else(|| self.other())
    }

    /// What stands for all that have no names of their own; where no label of pods is chosen, for all.
    #[must_use]
    pub fn other(&self) -> Arc<Origin> {
        Arc::clone(&self.0.other)
    }

    /// How many were folded so far: while it stays, no origin was.
    #[must_use]
    pub fn folds(&self) -> u64 {
        self.0.folds.load(Relaxed)
    }

    /// The labels that were chosen.
    #[must_use]
    pub fn labels(&self) -> Labels {
        self.0.labels
    }

    /// What became of origins so far; `None` where no label of pods is chosen.
    #[must_use]
    pub fn changes(&self) -> Option<EnumMap<OriginChange, u64>> {
        self.0.labels.of_pods()?;
        let table = self.table();
        Some(EnumMap::from_fn(|change| match change {
            OriginChange::Named => table.named,
            OriginChange::Folded => self.folds(),
            OriginChange::Beyond => table.beyond,
        }))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Without labels of pods.
impl Default for Origins {
    fn default() -> Self {
        Self::new(Labels::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(number: u32) -> Names {
        let (namespace, workload) = ("shop".to_owned(), format!("w{}", number % 2));
        Names { namespace, workload, pod: format!("p{number}") }
    }

    fn with(labels: &[Label]) -> Origins {
        Origins::new(Labels::of(labels))
    }

    #[test]
    fn pods_that_no_chosen_label_tells_apart_are_one_origin() {
        let origins = with(&[Label::Target, Label::Workload]);
        for pod in 1..=4 {
            origins.begin(InterfaceId(pod), names(pod));
        }
        assert_eq!(origins.of(InterfaceId(1)).id, origins.of(InterfaceId(3)).id);
        let w0 = origins.of(InterfaceId(2));
        let only = Names { workload: "w0".to_owned(), ..Names::default() };
        assert_eq!((&w0.names, w0.id), (&only, 2));
        let other = Names { workload: "other".to_owned(), ..Names::default() };
        assert_eq!(origins.of(InterfaceId(9)).names, other);
        assert_eq!(origins.changes().unwrap()[OriginChange::Named], 2);
    }

    #[test]
    fn without_labels_of_pods_everything_is_one_origin_without_names() {
        let origins = Origins::default();
        origins.begin(InterfaceId(1), names(1));
        assert_eq!(origins.of(InterfaceId(1)).names, Names::default());
        assert_eq!(origins.changes(), None);
    }

    #[test]
    fn the_one_that_ended_longest_ago_makes_room_and_one_that_has_not_does_not() {
        let origins = with(&[Label::Pod]);
        let limit = u32::try_from(MAX_ORIGINS).unwrap();
        for pod in 1..=limit {
            origins.begin(InterfaceId(pod), names(pod));
        }
        origins.begin(InterfaceId(limit + 1), names(limit + 1));
        assert_eq!(origins.of(InterfaceId(limit + 1)).names.pod, "other");
        let (first, second) = (origins.of(InterfaceId(5)), origins.of(InterfaceId(3)));
        origins.end(InterfaceId(5));
        origins.end(InterfaceId(3));
        assert_eq!(origins.of(InterfaceId(5)).names.pod, "p5", "its packets may be on their way");
        origins.begin(InterfaceId(limit + 2), names(limit + 2));
        assert_eq!((first.is_folded(), second.is_folded(), origins.folds()), (true, false, 1));
        assert_eq!(origins.of(InterfaceId(5)).names.pod, "other");
        assert_eq!(origins.of(InterfaceId(limit + 2)).names.pod, format!("p{}", limit + 2));
        let changes = origins.changes().unwrap();
        assert_eq!(changes.into_array(), [u64::from(limit) + 1, 1, 1]);
    }

    #[test]
    fn a_pod_that_returns_under_its_name_goes_on_where_it_was() {
        let origins = with(&[Label::Pod]);
        origins.begin(InterfaceId(1), names(1));
        let first = origins.of(InterfaceId(1));
        // The new one is there before the old one's end is noticed.
        origins.begin(InterfaceId(1), names(1));
        origins.end(InterfaceId(1));
        assert_eq!(origins.of(InterfaceId(1)).id, first.id);
        assert_eq!(origins.table().rows[0].pods, 1);
    }
}
