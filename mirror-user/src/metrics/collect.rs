//! Turns the figures of a run into the values of metrics.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use enum_map::{Enum, EnumMap};
use strum::{EnumIter, IntoEnumIterator, IntoStaticStr};

use super::figures::{Capture, Figures};
use super::groups;
use super::ready::NotReady;
use super::table::Metric;
use crate::guard::{self, Host, Last};
use crate::pipeline::Reloads;
use crate::process::Process;
use crate::sink::replay::{BreakerState, Distribution, ReplayFigures, SpanCounts};
use crate::source::live::PodFigures;
use crate::source::live::pods::PodCount;
use crate::stats::{Account, Note, Seam, Topic};
use crate::version;

/// The classes of final responses.
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

/// Notes that have metrics of their own, and two whose names come from captured packets, of which there
/// may be thousands.
const WITHOUT_DETAIL: [Topic; 9] = [
    Topic::NotIpByKind,
    Topic::NotTcpByKind,
    Topic::KernelMemory,
    Topic::Guard,
    Topic::Breaker,
    Topic::Configuration,
    Topic::Rules,
    Topic::Retried,
    Topic::Resent,
];

/// What the admin endpoint counts of itself.
#[derive(Clone, Debug, Default)]
pub struct Requests {
    /// Answered requests, by route.
    pub answered: Vec<(&'static str, u64)>,
    /// Refused ones, by reason.
    pub refused: EnumMap<RequestsRefused, u64>,
}

/// Why a request to the admin endpoint was refused, or its connection closed.
#[derive(Clone, Copy, Debug, Enum, EnumIter, IntoStaticStr, PartialEq, Eq)]
#[strum(serialize_all = "snake_case")]
pub enum RequestsRefused {
    /// There is no such route.
    NoRoute,
    /// The method is neither GET nor HEAD.
    Method,
    /// The token is missing or wrong.
    Token,
    /// The host is a name, and may be one that an attacker made a browser resolve to this host.
    Host,
    /// The request was no HTTP/1, or the connection ended in an error.
    Broken,
    /// It took too long: the client does not write, or does not read.
    Timeout,
    /// The TLS handshake failed.
    Handshake,
}

/// A value of a metric.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Whole(u64),
    Real(f64),
    Times(Distribution),
}

/// A value with those of its labels, in the order of the definition. Empty ones are left out.
#[derive(Clone, Debug)]
pub(super) struct Point {
    pub(super) labels: Vec<String>,
    pub(super) value: Value,
}

/// The values of all metrics.
#[derive(Debug, Default)]
pub(super) struct Points(EnumMap<Metric, Vec<Point>>);

impl Points {
    pub(super) fn of(&self, metric: Metric) -> &[Point] {
        &self.0[metric]
    }

    pub(super) fn put(&mut self, metric: Metric, labels: &[&str], value: Value) {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        self.0[metric].push(Point { labels, value });
    }

    pub(super) fn whole(&mut self, metric: Metric, labels: &[&str], value: u64) {
        self.put(metric, labels, Value::Whole(value));
    }

    fn optional(&mut self, metric: Metric, value: Option<u64>) {
        if let Some(value) = value {
            self.whole(metric, &[], value);
        }
    }
}

/// The values of all metrics of a run.
pub(super) fn collect(figures: &Figures, requests: &Requests) -> Points {
    let mut points = Points::default();
    accounts(&mut points, figures);
    figures.snapshot.notes.iter().for_each(|note| detail(&mut points, note));
    figures.targets.iter().for_each(|target| self::target(&mut points, target));
    groups::put(&mut points, figures);
    for (change, count) in figures.origins.into_iter().flatten() {
        points.whole(Metric::Origins, &[change.into()], count);
    }
    if let Some(capture) = &figures.capture {
        self::capture(&mut points, capture);
    }
    if let Some(guard) = &figures.guard {
        self::guard(&mut points, guard);
    }
    if let Some(reloads) = figures.reloads {
        self::reloads(&mut points, reloads);
    }
    if let Some(spans) = &figures.spans {
        let SpanCounts { seen: _, exported, queue_full, failed } = &**spans;
        for (result, count) in
            [("exported", exported), ("queue_full", queue_full), ("failed", failed)]
        {
            points.whole(Metric::OtlpSpans, &[result], count.load(Relaxed));
        }
    }
    let reasons = figures.not_ready();
    for reason in NotReady::iter() {
        let holds = reasons.iter().any(|because| because.reason == reason);
        points.whole(Metric::NotReady, &[reason.into()], u64::from(holds));
    }
    for (route, count) in &requests.answered {
        points.whole(Metric::AdminRequests, &[route], *count);
    }
    for (reason, count) in requests.refused {
        points.whole(Metric::AdminRefused, &[reason.into()], count);
    }
    let (commit, object) = (version::COMMIT.unwrap_or_default(), version::kernel_object());
    let build = [env!("CARGO_PKG_VERSION"), std::env::consts::ARCH, commit, object];
    points.whole(Metric::BuildInfo, &build, 1);
    process(&mut points, &figures.process);
    points
}

/// One account for each seam and target. Those of targets are read from their replays, so that each has
/// its target's name, and one that was removed and added again is one.
fn accounts(points: &mut Points, figures: &Figures) {
    let stages = figures.snapshot.accounts.iter();
    let mut all: Vec<Account> = Vec::new();
    for account in stages.filter(|account| account.seam != Seam::ShadowRequests) {
        let same =
            |known: &&mut Account| (known.seam, &known.target) == (account.seam, &account.target);
        match all.iter_mut().find(same) {
            Some(known) => known.add(account.clone()),
            None => all.push(account.clone()),
        }
    }
    all.extend(figures.targets.iter().map(|target| target.account.clone()));
    for account in &all {
        let seam = label(account.seam.name());
        let labels = [seam.as_str(), account.target.as_deref().unwrap_or_default()];
        points.whole(Metric::Seen, &labels, account.seen);
        points.whole(Metric::Delivered, &labels, account.delivered);
        points.whole(Metric::InFlight, &labels, account.in_flight);
        let [seam, target] = labels;
        for (reason, count) in &account.dropped {
            points.whole(Metric::Dropped, &[seam, target, reason], *count);
        }
    }
}

fn detail(points: &mut Points, note: &Note) {
    if note.topic == Topic::KernelMemory {
        for (map, bytes) in &note.counts {
            let map = map.trim_end_matches("_bytes");
            points.whole(Metric::KernelMemory, &[map], *bytes);
        }
    }
    if WITHOUT_DETAIL.contains(&note.topic) {
        return;
    }
    let (topic, target) = (label(note.topic.name()), note.target.as_deref().unwrap_or_default());
    for (name, count) in &note.counts {
        let labels = [topic.as_str(), name, target];
        let same = |point: &&mut Point| point.labels == labels;
        match points.0[Metric::Detail].iter_mut().find(same) {
            // A target that was removed and added again.
            Some(Point { value: Value::Whole(known), .. }) => *known = known.saturating_add(*count),
            _ => points.whole(Metric::Detail, &labels, *count),
        }
    }
}

fn target(points: &mut Points, figures: &ReplayFigures) {
    let name = figures.account.target.clone().unwrap_or_else(|| Arc::from(""));
    let labels = [&*name];
    points.whole(Metric::TargetSent, &labels, figures.sent);
    classes(points, Metric::TargetResponses, &labels, figures.classes);
    points.whole(Metric::TargetRetries, &labels, figures.retried);
    points.whole(Metric::TargetConnections, &labels, figures.connections);
    points.whole(Metric::TargetConnectionsOpened, &labels, figures.connected);
    for state in BreakerState::iter() {
        let is = u64::from(state == figures.breaker);
        points.whole(Metric::TargetBreakerState, &[&*name, state.into()], is);
    }
    points.whole(Metric::TargetBreakerOpened, &labels, figures.breaker_opened);
    points.put(Metric::TargetRamp, &labels, Value::Real(figures.ramp));
    points.put(Metric::TargetLateness, &labels, Value::Times(figures.late));
    points.put(Metric::TargetService, &labels, Value::Times(figures.service));
    points.put(Metric::TargetResponse, &labels, Value::Times(figures.response));
}

/// A point for each class.
pub(super) fn classes(points: &mut Points, metric: Metric, labels: &[&str], counts: [u64; 5]) {
    // Informational responses are not final.
    for (class, count) in CLASSES.into_iter().zip(counts.into_iter().skip(1)) {
        points.whole(metric, &[labels, &[class]].concat(), count);
    }
}

fn capture(points: &mut Points, capture: &Capture) {
    points.whole(Metric::CaptureInfo, &[capture.hook], 1);
    points.whole(Metric::CaptureAttached, &[], capture.attached as u64);
    points.whole(Metric::CaptureLost, &[], capture.lost.len() as u64);
    points.whole(Metric::CapturePaused, &[], u64::from(capture.copying.paused));
    points.put(Metric::CaptureSample, &[], Value::Real(capture.copying.sample));
    points.whole(Metric::RingSize, &[], capture.ring_bytes);
    points.whole(Metric::RingUsed, &[], capture.waiting_bytes);
    if let Some(pods) = &capture.pods {
        self::pods(points, pods);
    }
}

fn pods(points: &mut Points, pods: &PodFigures) {
    points.whole(Metric::Pods, &["attached"], pods.attached);
    points.whole(Metric::Pods, &["waiting"], pods.waiting);
    for (change, count) in pods.changes {
        points.whole(Metric::PodChanges, &[change.into()], count);
    }
    points.whole(Metric::PodsWatched, &[], u64::from(pods.is_watched));
    for (problem, count) in pods.problems {
        points.whole(Metric::PodsWatchProblems, &[problem.into()], count);
    }
    for PodCount { namespace, pod, workload, packets, bytes, requests } in &pods.counts {
        let labels = [namespace.as_str(), pod.as_str(), workload.as_str()];
        points.whole(Metric::PodPackets, &labels, *packets);
        points.whole(Metric::PodBytes, &labels, *bytes);
        points.whole(Metric::PodRequests, &labels, *requests);
    }
}

fn guard(points: &mut Points, guard: &guard::Figures) {
    points.whole(Metric::GuardPauses, &[], guard.pauses);
    for (cause, count) in guard.lowered {
        points.whole(Metric::GuardSampleSteps, &["lowered", cause.into()], count);
    }
    points.whole(Metric::GuardSampleSteps, &["raised", "headroom"], guard.raised);
    let Last { cpu, host } = guard.last;
    if let Some(cpu) = cpu {
        points.put(Metric::GuardCpu, &[], Value::Real(cpu));
    }
    if let Some(Host { idle, waiting, softirq, memory, .. }) = host {
        points.put(Metric::HostIdle, &[], Value::Real(idle));
        points.put(Metric::HostWaiting, &[], Value::Real(waiting));
        points.put(Metric::HostSoftirq, &[], Value::Real(softirq));
        points.put(Metric::HostMemoryWaiting, &[], Value::Real(memory));
    }
    if let Some(cpu) = guard.limits.cpu {
        points.put(Metric::GuardCpuLimit, &[], Value::Real(cpu));
    }
    points.optional(Metric::GuardMemoryLimit, guard.limits.memory);
}

fn reloads(points: &mut Points, reloads: Reloads) {
    points.whole(Metric::ConfigReloads, &["reloaded"], reloads.reloaded);
    points.whole(Metric::ConfigReloads, &["refused"], reloads.refused);
    points.whole(Metric::ConfigValid, &[], u64::from(!reloads.is_invalid));
}

fn process(points: &mut Points, process: &Process) {
    points.put(Metric::ProcessCpu, &[], Value::Real(process.cpu.as_secs_f64()));
    points.optional(Metric::ProcessResident, process.resident_bytes);
    points.optional(Metric::ProcessVirtual, process.virtual_bytes);
    points.optional(Metric::ProcessThreads, process.threads);
    if let Some(started) = process.started {
        points.put(Metric::ProcessStart, &[], Value::Real(started.as_secs_f64()));
    }
    points.optional(Metric::ProcessOpenFds, process.open_fds);
    points.optional(Metric::ProcessMaxFds, process.max_fds);
}

/// A name of a summary as it is written in a label.
fn label(name: &str) -> String {
    name.replace(' ', "_")
}
