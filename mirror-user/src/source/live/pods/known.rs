//! The pods that are known: written by the thread that watches the API server, read by the one that
//! attaches. What was known last stays known while the API server is away.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use enum_map::EnumMap;
use hashbrown::HashMap;

use super::pod::{Metadata, Pod, Uid};
use super::{MAX_PODS, PAUSE, PodSource, WatchProblem};
use crate::logging::emit;

/// True while mirror's own pod asks for a pause. A cheap handle.
#[derive(Clone, Debug, Default)]
pub struct PauseSwitch(Arc<AtomicBool>);

impl PauseSwitch {
    /// Whether nothing is to be copied now.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// The pods of this node. A cheap handle.
#[derive(Clone, Debug)]
pub(super) struct Known(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    source: PodSource,
    /// Grows with each change of what is selected.
    version: AtomicU64,
    state: Mutex<State>,
    /// The pods were listed once.
    is_listed: AtomicBool,
    /// The watch goes on.
    is_up: AtomicBool,
    problems: EnumMap<WatchProblem, AtomicU64>,
    too_many: AtomicU64,
    /// Pods that came and went before the reader looked.
    missed: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    selected: HashMap<Uid, Arc<Pod>>,
    /// While the pods are listed: those seen so far.
    listing: Option<HashMap<Uid, Arc<Pod>>>,
    /// Selected since the reader looked last.
    fresh: HashMap<Uid, Arc<Pod>>,
}

impl Known {
    pub(super) fn new(source: PodSource) -> Self {
        Self(Arc::new(Shared {
            source,
            version: AtomicU64::new(0),
            state: Mutex::default(),
            is_listed: AtomicBool::new(false),
            is_up: AtomicBool::new(false),
            problems: EnumMap::default(),
            too_many: AtomicU64::new(0),
            missed: AtomicU64::new(0),
        }))
    }

    /// The pods are listed from the beginning.
    pub(super) fn begin_list(&self) {
        self.state().listing = Some(HashMap::new());
    }

    /// All pods were listed; those that were not are gone. Returns how many are selected.
    pub(super) fn end_list(&self) -> usize {
        let mut state = self.state();
        state.selected = state.listing.take().unwrap_or_default();
        let selected = state.selected.len();
        let State { selected: all, fresh, .. } = &mut *state;
        let gone: Vec<_> = fresh.extract_if(|uid, _| !all.contains_key(uid)).collect();
        drop(state);
        gone.iter().for_each(|(_, pod)| self.miss(pod));
        self.0.is_listed.store(true, Relaxed);
        self.changed();
        selected
    }

    /// A pod is there, or has changed.
    pub(super) fn apply(&self, pod: &Metadata) {
        if self.is_own(pod) {
            let pause = pod.annotations.get(PAUSE);
            let on = pause.is_some_and(|value| value != "false" && value != "off");
            self.0.source.pause.0.store(on, Relaxed);
            return;
        }
        let is_selected = self.0.source.selection.includes(pod);
        let is_new = self.is_listed();
        let mut state = self.state();
        let State { selected, listing, fresh } = &mut *state;
        let uid = pod.uid.as_str();
        // What is known of a pod that stays is kept: a label that has changed is no new pod.
        let was_new = selected.get(uid).map(|pod| pod.is_new);
        let pods = listing.as_mut().unwrap_or(selected);
        if !is_selected {
            pods.remove(uid);
            fresh.remove(uid);
        } else if pods.len() < MAX_PODS || pods.contains_key(uid) {
            let pod = Arc::new(Pod::new(pod, was_new.unwrap_or(is_new)));
            if was_new.is_none() && pod.is_new {
                fresh.insert(Arc::clone(&pod.uid), Arc::clone(&pod));
            }
            pods.insert(Arc::clone(&pod.uid), pod);
        } else {
            self.0.too_many.fetch_add(1, Relaxed);
        }
        let is_listing = listing.is_some();
        drop(state);
        if !is_listing {
            self.changed();
        }
    }

    /// A pod is gone.
    pub(super) fn delete(&self, pod: &Metadata) {
        let mut state = self.state();
        state.selected.remove(pod.uid.as_str());
        if let Some(listing) = &mut state.listing {
            listing.remove(pod.uid.as_str());
        }
        let gone = state.fresh.remove(pod.uid.as_str());
        drop(state);
        gone.iter().for_each(|pod| self.miss(pod));
        self.changed();
    }

    fn miss(&self, pod: &Pod) {
        self.0.missed.fetch_add(1, Relaxed);
        let name = pod.full_name();
        emit!(PodMissed, pod = name, "{name}: ended before it could be attached to");
    }

    /// The watch was interrupted. True if it went on before.
    pub(super) fn interrupted(&self, why: WatchProblem) -> bool {
        self.0.problems[why].fetch_add(1, Relaxed);
        self.0.is_up.swap(false, Relaxed)
    }

    /// The watch goes on. True if it did not before.
    pub(super) fn resumed(&self) -> bool {
        !self.0.is_up.swap(true, Relaxed)
    }

    fn changed(&self) {
        self.0.version.fetch_add(1, Relaxed);
    }

    fn is_own(&self, pod: &Metadata) -> bool {
        let own = self.0.source.own.as_deref().and_then(|own| own.split_once('/'));
        own.is_some_and(|(namespace, name)| namespace == pod.namespace && name == pod.name)
    }

    /// The selected pods, if they are others than at `version`.
    pub(super) fn since(&self, version: &mut u64) -> Option<HashMap<Uid, Arc<Pod>>> {
        // Costs an atomic load where nothing has changed.
        let now = self.0.version.load(Relaxed);
        (now != *version).then(|| {
            *version = now;
            let mut state = self.state();
            state.fresh.clear();
            state.selected.clone()
        })
    }

    pub(super) fn is_listed(&self) -> bool {
        self.0.is_listed.load(Relaxed)
    }

    pub(super) fn is_up(&self) -> bool {
        self.0.is_up.load(Relaxed)
    }

    /// How often each problem was met.
    pub(super) fn problems(&self) -> EnumMap<WatchProblem, u64> {
        EnumMap::from_fn(|problem| self.0.problems[problem].load(Relaxed))
    }

    /// Pods beyond [`MAX_PODS`].
    pub(super) fn too_many(&self) -> u64 {
        self.0.too_many.load(Relaxed)
    }

    /// Pods that came and went before the reader looked.
    pub(super) fn missed(&self) -> u64 {
        self.0.missed.load(Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::Origins;

    fn known() -> (Known, PauseSwitch) {
        let source = PodSource {
            node: "n1".to_owned(),
            selection: "labels=app=shop".parse().unwrap(),
            own: Some("mirror/mirror-x".to_owned()),
            pause: PauseSwitch::default(),
            origins: Origins::default(),
        };
        (Known::new(source.clone()), source.pause)
    }

    fn pod(uid: &str, app: &str) -> Metadata {
        let labels = [("app".to_owned(), app.to_owned())].into();
        Metadata { uid: uid.to_owned(), name: uid.to_owned(), labels, ..Metadata::default() }
    }

    fn uids(known: &Known, version: &mut u64) -> Option<Vec<String>> {
        let pods = known.since(version)?;
        let mut uids: Vec<String> = pods.keys().map(ToString::to_string).collect();
        uids.sort();
        Some(uids)
    }

    #[test]
    fn a_list_replaces_what_was_known_and_only_once_it_is_whole() {
        let (known, _) = known();
        let version = &mut 0;
        known.begin_list();
        known.apply(&pod("a", "shop"));
        known.apply(&pod("b", "other"));
        assert_eq!(uids(&known, version), None);
        assert_eq!(known.end_list(), 1);
        assert_eq!(uids(&known, version).unwrap(), ["a"]);
        known.apply(&pod("c", "shop"));
        assert_eq!(uids(&known, version).unwrap(), ["a", "c"]);
        let is_new = |uid: &str| known.since(&mut 0).unwrap()[uid].is_new;
        assert!(!is_new("a") && is_new("c"));
        // The API server goes away, and comes back without `a`.
        assert!(!known.interrupted(WatchProblem::Unreachable));
        known.begin_list();
        known.apply(&pod("c", "shop"));
        assert_eq!(uids(&known, version), None, "still known");
        known.end_list();
        assert_eq!(uids(&known, version).unwrap(), ["c"]);
        assert!(is_new("c"));
    }

    #[test]
    fn a_pod_that_is_not_selected_any_more_is_let_go() {
        let (known, _) = known();
        let version = &mut 0;
        known.begin_list();
        known.end_list();
        known.apply(&pod("a", "shop"));
        assert_eq!(uids(&known, version).unwrap(), ["a"]);
        let off = [(super::super::SHADOW.to_owned(), "off".to_owned())].into();
        known.apply(&Metadata { annotations: off, ..pod("a", "shop") });
        assert_eq!(uids(&known, version).unwrap(), [""; 0]);
        known.apply(&pod("a", "shop"));
        known.delete(&pod("a", "shop"));
        assert_eq!(uids(&known, version).unwrap(), [""; 0]);
    }

    #[test]
    fn mirrors_own_pod_pauses_and_is_never_captured() {
        let (known, pause) = known();
        let own = |value: Option<&str>| Metadata {
            namespace: "mirror".to_owned(),
            name: "mirror-x".to_owned(),
            annotations: value.map(|it| (PAUSE.to_owned(), it.to_owned())).into_iter().collect(),
            ..pod("m", "shop")
        };
        known.begin_list();
        for (value, on) in
            [(Some("true"), true), (None, false), (Some(""), true), (Some("false"), false)]
        {
            known.apply(&own(value));
            assert_eq!(pause.is_on(), on, "{value:?}");
        }
        assert_eq!(known.end_list(), 0);
    }

    #[test]
    fn a_pod_that_came_and_went_before_anybody_looked_is_counted() {
        let (known, _) = known();
        let version = &mut 0;
        known.begin_list();
        known.apply(&pod("a", "shop"));
        known.delete(&pod("a", "shop"));
        known.end_list();
        assert_eq!(known.missed(), 0, "it was there before");
        for other in ["b", "c"] {
            known.apply(&pod(other, "shop"));
        }
        known.delete(&pod("b", "shop"));
        assert_eq!((uids(&known, version).unwrap(), known.missed()), (vec!["c".to_owned()], 1));
        known.delete(&pod("c", "shop"));
        assert_eq!(known.missed(), 1, "the reader has seen it");
        known.apply(&pod("d", "shop"));
        known.begin_list();
        known.end_list();
        assert_eq!(known.missed(), 2);
    }

    #[test]
    fn pods_beyond_the_limit_are_counted() {
        let (known, _) = known();
        known.begin_list();
        for number in 0..MAX_PODS + 3 {
            known.apply(&pod(&number.to_string(), "shop"));
        }
        assert_eq!((known.end_list(), known.too_many()), (MAX_PODS, 3));
    }
}
