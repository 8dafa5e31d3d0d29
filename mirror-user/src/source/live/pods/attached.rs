//! Attaches to the cgroups of selected pods as they come, and lets them go as they end. Runs on the thread
//! that reads the ring, between two packets.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use enum_map::EnumMap;
use hashbrown::HashMap;

use super::super::cgroup::{self, Cgroup};
use super::super::follow::Interfaces;
use super::super::kernel::Kernel;
use super::super::presence::Presence;
use super::cgroups::{Tree, holds};
use super::counts::PodCounts;
use super::figures::{PodChange, PodFigures};
use super::known::Known;
use super::pod::{Pod, Uid};
use super::watch::{self, Watching};
use super::{PodSource, WatchProblem};
use crate::logging::emit;
use crate::packet::{InterfaceId, Timestamp};

/// How often it is looked whether attached cgroups are still there: a pod that has ended costs nothing but
/// two descriptors until then.
const CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// How often pods without a cgroup are looked for although no event said that one came.
const SCAN_INTERVAL: Duration = Duration::from_secs(1);

/// How many are attached to between two readings of the ring. Each takes the kernel a fraction of a
/// millisecond, and the ring must not overflow meanwhile.
const MAX_AT_A_TIME: usize = 16;

/// The pods that are captured, and those that will be.
pub(in crate::source::live) struct Pods {
    source: PodSource,
    known: Known,
    _watching: Watching,
    tree: Tree,
    /// Of what is known.
    version: u64,
    waiting: HashMap<Uid, Waiting>,
    attached: HashMap<Uid, Attached>,
    counts: PodCounts,
    changes: EnumMap<PodChange, u64>,
    last_check: Timestamp,
    last_scan: Timestamp,
    /// Some could not be attached to in the last turn because it had enough.
    has_more: bool,
}

/// A selected pod that is not attached to.
struct Waiting {
    pod: Arc<Pod>,
    /// It was attached to before, so that nobody misses it.
    was_attached: bool,
    /// Why it could not be.
    refused: Option<String>,
}

struct Attached {
    pod: Arc<Pod>,
    cgroup: Cgroup,
    interface: InterfaceId,
}

impl Pods {
    /// Starts the watch. No pod is known yet.
    ///
    /// # Errors
    /// When there is no API server to ask, or no cgroup hierarchy.
    pub(in crate::source::live) fn start(source: &PodSource) -> anyhow::Result<Self> {
        let mount = cgroup::mount()?;
        let known = Known::new(source.clone());
        let watching = watch::start(&source.node, known.clone())?;
        Ok(Self {
            source: source.clone(),
            known,
            _watching: watching,
            tree: Tree::new(mount),
            version: 0,
            waiting: HashMap::new(),
            attached: HashMap::new(),
            counts: PodCounts::default(),
            changes: EnumMap::default(),
            last_check: Timestamp::default(),
            last_scan: Timestamp::default(),
            has_more: false,
        })
    }

    /// Attaches to what came and releases what went.
    pub(in crate::source::live) fn follow(
        &mut self,
        kernel: &mut Kernel,
        interfaces: &mut Interfaces,
        now: Timestamp,
    ) {
        if now.since(self.last_check) >= CHECK_INTERVAL {
            self.last_check = now;
            self.release_ended(kernel, now);
        }
        let selected = self.known.since(&mut self.version);
        let moved = self.tree.has_changed();
        let due = now.since(self.last_scan) >= SCAN_INTERVAL;
        let news = selected.is_some() || moved || due || self.has_more;
        if let Some(selected) = selected {
            self.select(selected, kernel, now);
        }
        if news && !self.waiting.is_empty() {
            self.last_scan = now;
            self.attach_waiting(kernel, interfaces);
        }
    }

    /// These are selected now, and no others.
    fn select(
        &mut self,
        mut selected: HashMap<Uid, Arc<Pod>>,
        kernel: &mut Kernel,
        now: Timestamp,
    ) {
        let gone: Vec<Uid> =
            self.attached.keys().filter(|uid| !selected.contains_key(*uid)).cloned().collect();
        for uid in gone {
            self.release(&uid, kernel, now);
        }
        for (_, Waiting { pod, was_attached, .. }) in
            self.waiting.extract_if(|uid, _| !selected.contains_key(uid))
        {
            // One that was there before the run, as a Job that was done, may never have had a cgroup since.
            if pod.is_new && !was_attached {
                self.changes[PodChange::Missed] += 1;
                let name = pod.full_name();
                emit!(PodMissed, pod = name, "{name}: ended before it could be attached to");
            }
        }
        selected
            .retain(|uid, _| !self.attached.contains_key(uid) && !self.waiting.contains_key(uid));
        let new = selected
            .into_iter()
            .map(|(uid, pod)| (uid, Waiting { pod, was_attached: false, refused: None }));
        self.waiting.extend(new);
    }

    fn attach_waiting(&mut self, kernel: &mut Kernel, interfaces: &mut Interfaces) {
        let mut cgroups = self.tree.pods();
        let found: Vec<(Uid, PathBuf)> = self
            .waiting
            .iter()
            .filter_map(|(uid, it)| Some((Arc::clone(uid), cgroups.remove(&it.pod.cgroup)?)))
            .collect();
        self.has_more = found.len() > MAX_AT_A_TIME;
        for (uid, path) in found.into_iter().take(MAX_AT_A_TIME) {
            let Some(waiting) = self.waiting.get_mut(&uid) else { continue };
            let name = waiting.pod.full_name();
            let attached = Cgroup::open(&path).and_then(|cgroup| {
                kernel.attach_cgroup(&cgroup).inspect_err(|_| kernel.release_cgroup(&cgroup))?;
                Ok(cgroup)
            });
            match attached {
                Ok(cgroup) => {
                    let pod = Arc::clone(&waiting.pod);
                    let interface = interfaces.named(&name);
                    self.counts.begin(interface, &pod);
                    self.source.origins.begin(interface, pod.names());
                    self.waiting.remove(&uid);
                    self.attached.insert(uid, Attached { pod, cgroup, interface });
                    self.changes[PodChange::Attached] += 1;
                    emit!(PodAttached, pod = name, "{name}: attached to");
                }
                // It ended meanwhile.
                Err(_) if !path.exists() => {}
                Err(error) => {
                    self.changes[PodChange::Refused] += 1;
                    let reason = format!("{error:#}");
                    if waiting.refused.replace(reason.clone()).is_none() {
                        emit!(PodRefused, pod = name, reason, "{name}: not captured: {reason}");
                    }
                }
            }
        }
    }

    fn release_ended(&mut self, kernel: &mut Kernel, now: Timestamp) {
        let ended = |it: &Attached| it.cgroup.check() != Presence::Same;
        let gone: Vec<Uid> =
            self.attached.iter().filter(|(_, it)| ended(it)).map(|(uid, _)| uid.clone()).collect();
        for uid in gone {
            if let Some(pod) = self.release(&uid, kernel, now) {
                // It is still selected: the API server forgets it later, or its cgroup comes again.
                self.waiting.insert(uid, Waiting { pod, was_attached: true, refused: None });
            }
        }
    }

    fn release(&mut self, uid: &Uid, kernel: &mut Kernel, now: Timestamp) -> Option<Arc<Pod>> {
        let Attached { pod, cgroup, interface } = self.attached.remove(uid)?;
        kernel.release_cgroup(&cgroup);
        self.counts.end(interface, now);
        self.source.origins.end(interface);
        self.changes[PodChange::Released] += 1;
        let name = pod.full_name();
        emit!(PodReleased, pod = name, "{name}: let go");
        Some(pod)
    }

    /// The interface that stands for the pod to which a cgroup belongs, which was not seen before.
    pub(in crate::source::live) fn interface_of(&self, cgroup: u32) -> Option<InterfaceId> {
        let path = |it: &&Attached| holds(it.cgroup.path(), cgroup);
        self.attached.values().find(path).map(|it| it.interface)
    }

    pub(in crate::source::live) fn count_packet(&mut self, at: InterfaceId, bytes: usize) {
        self.counts.packet(at, bytes);
    }

    pub(in crate::source::live) fn count_request(&mut self, at: InterfaceId) {
        self.counts.request(at);
    }

    pub(in crate::source::live) fn attached(&self) -> usize {
        self.attached.len()
    }

    /// The names of pods that are there and that the kernel does not let be attached to.
    pub(in crate::source::live) fn refused(&self) -> impl Iterator<Item = String> {
        let refused = self.waiting.values().filter(|it| it.refused.is_some());
        refused.map(|it| it.pod.full_name())
    }

    pub(in crate::source::live) fn figures(&self) -> PodFigures {
        let mut changes = self.changes;
        changes[PodChange::TooMany] = self.known.too_many();
        changes[PodChange::Missed] = changes[PodChange::Missed].saturating_add(self.known.missed());
        PodFigures {
            attached: self.attached.len() as u64,
            waiting: self.waiting.len() as u64,
            changes,
            is_listed: self.known.is_listed(),
            is_watched: self.known.is_up(),
            problems: self.known.problems(),
            counts: self.counts.all(),
        }
    }

    /// What to look at where no request was seen.
    pub(in crate::source::live) fn advice(&self) -> String {
        let (attached, waiting) = (self.attached.len(), self.waiting.len());
        let forbidden = self.known.problems()[WatchProblem::Forbidden];
        match (self.known.is_listed(), attached, waiting) {
            (false, ..) if forbidden > 0 => {
                "the API server does not let this service account list pods".to_owned()
            }
            (false, ..) => "the API server was never reached".to_owned(),
            (true, 0, 0) => format!("no pod of {} is selected", self.source.node),
            (true, 0, waiting) => {
                format!("{waiting} pods are selected, and none has a cgroup here")
            }
            (true, attached, _) => format!("{attached} pods are captured; is it their port?"),
        }
    }
}

impl std::fmt::Display for Pods {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.source.fmt(f)
    }
}
