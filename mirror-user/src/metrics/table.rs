//! The definitions of all metrics. `docs/metrics.md` holds what [`reference()`] makes of them, which a
//! test holds.

use std::fmt::Write as _;

use enum_map::Enum;
use strum::{EnumIter, IntoEnumIterator};

/// What kind of number a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It only grows, from 0 at the start of the process.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How many observations were at most so large, by bound.
    Histogram,
}

/// What a metric is measured in; the end of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// A number of things.
    Count,
    Seconds,
    Bytes,
    /// From 0 to 1.
    Ratio,
}

impl Unit {
    /// Its name; empty for counts.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Count => "",
            Self::Seconds => "seconds",
            Self::Bytes => "bytes",
            Self::Ratio => "ratio",
        }
    }
}

/// A metric's definition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Definition {
    /// Its name without unit and `_total`.
    pub(super) stem: &'static str,
    pub(super) kind: Kind,
    pub(super) unit: Unit,
    /// The names of its labels, in their order. A label without a value is left out.
    pub(super) labels: &'static [&'static str],
    pub(super) help: &'static str,
}

impl Definition {
    const fn new(kind: Kind, stem: &'static str, unit: Unit, help: &'static str) -> Self {
        Self { stem, kind, unit, labels: &[], help }
    }

    const fn by(self, labels: &'static [&'static str]) -> Self {
        Self { labels, ..self }
    }

    /// Its whole name, as it is scraped.
    pub(super) fn name(&self) -> String {
        let unit = self.unit.name();
        let joint = if unit.is_empty() { "" } else { "_" };
        let total = if self.kind == Kind::Counter { "_total" } else { "" };
        format!("{}{joint}{unit}{total}", self.stem)
    }
}

/// All metrics, in the order in which they are written.
#[derive(Clone, Copy, Debug, Enum, EnumIter, PartialEq, Eq)]
pub(super) enum Metric {
    Seen,
    Delivered,
    Dropped,
    InFlight,
    Detail,
    TargetSent,
    TargetResponses,
    TargetRetries,
    TargetConnections,
    TargetConnectionsOpened,
    TargetBreakerState,
    TargetBreakerOpened,
    TargetRamp,
    TargetLateness,
    TargetService,
    TargetResponse,
    ShadowRequests,
    ShadowDropped,
    ShadowResponses,
    ShadowResponse,
    Origins,
    CaptureInfo,
    CaptureAttached,
    CaptureLost,
    CapturePaused,
    CaptureSample,
    RingSize,
    RingUsed,
    KernelMemory,
    Pods,
    PodChanges,
    PodsWatched,
    PodsWatchProblems,
    PodPackets,
    PodBytes,
    PodRequests,
    GuardPauses,
    GuardSampleSteps,
    GuardCpu,
    GuardCpuLimit,
    GuardMemoryLimit,
    HostIdle,
    HostWaiting,
    HostSoftirq,
    HostMemoryWaiting,
    ConfigReloads,
    ConfigValid,
    OtlpSpans,
    NotReady,
    AdminRequests,
    AdminRefused,
    BuildInfo,
    ProcessCpu,
    ProcessResident,
    ProcessVirtual,
    ProcessThreads,
    ProcessStart,
    ProcessOpenFds,
    ProcessMaxFds,
}

const TARGET: &[&str] = &["target"];
const GROUP: &[&str] = &["target", "rule", "namespace", "workload", "pod"];
const POD: &[&str] = &["namespace", "pod", "workload"];
const SEAM: &[&str] = &["seam", "target"];

impl Metric {
    #[rustfmt::skip] // A line for each, as in a table.
    pub(super) fn definition(self) -> Definition {
        use Kind::{Counter, Gauge, Histogram};
        use Unit::{Bytes, Count, Ratio, Seconds};
        let of = Definition::new;
        match self {
            Self::Seen => of(Counter, "mirror_seen", Count, "What came in at a seam between two stages: seen = delivered + in flight + the sum over dropped, in each scrape").by(SEAM),
            Self::Delivered => of(Counter, "mirror_delivered", Count, "What went on from a seam").by(SEAM),
            Self::Dropped => of(Counter, "mirror_dropped", Count, "What was dropped at a seam, by reason; every reason is there from the start").by(&["seam", "target", "reason"]),
            Self::InFlight => of(Gauge, "mirror_in_flight", Count, "What came in at a seam and is still on its way").by(SEAM),
            Self::Detail => of(Counter, "mirror_detail", Count, "Counts that explain an account and are no losses; each is there from its first occurrence").by(&["topic", "detail", "target"]),
            Self::TargetSent => of(Counter, "mirror_target_sent", Count, "Shadow requests of which at least a part was written to the target").by(TARGET),
            Self::TargetResponses => of(Counter, "mirror_target_responses", Count, "Responses of the target, by the first digit of their status").by(&["target", "class"]),
            Self::TargetRetries => of(Counter, "mirror_target_retries", Count, "Attempts beyond the first one: nothing of the request had been sent, or its connection was closing").by(TARGET),
            Self::TargetConnections => of(Gauge, "mirror_target_connections", Count, "Open connections to the target").by(TARGET),
            Self::TargetConnectionsOpened => of(Counter, "mirror_target_connections_opened", Count, "Connections made to the target").by(TARGET),
            Self::TargetBreakerState => of(Gauge, "mirror_target_breaker_state", Count, "1 for the state of the target's circuit breaker, 0 for the others").by(&["target", "state"]),
            Self::TargetBreakerOpened => of(Counter, "mirror_target_breaker_opened", Count, "How often the target's circuit breaker opened").by(TARGET),
            Self::TargetRamp => of(Gauge, "mirror_target_ramp", Ratio, "Share of connections that the target's ramp admits; 0 once it has stopped, 1 without a ramp").by(TARGET),
            Self::TargetLateness => of(Histogram, "mirror_target_lateness", Seconds, "How late shadow requests were sent: after they were due or, live, after they were captured completely").by(TARGET),
            Self::TargetService => of(Histogram, "mirror_target_service", Seconds, "From sending a shadow request to the end of its response").by(TARGET),
            Self::TargetResponse => of(Histogram, "mirror_target_response", Seconds, "From when a shadow request was due to the end of its response").by(TARGET),
            Self::ShadowRequests => of(Counter, "mirror_shadow_requests", Count, "Shadow requests, by the labels that `metrics.labels` names; from the first one on").by(GROUP),
            Self::ShadowDropped => of(Counter, "mirror_shadow_dropped", Count, "Those without a response, for any reason").by(GROUP),
            Self::ShadowResponses => of(Counter, "mirror_shadow_responses", Count, "Responses to them, by the first digit of their status").by(&["target", "rule", "namespace", "workload", "pod", "class"]),
            Self::ShadowResponse => of(Histogram, "mirror_shadow_response", Seconds, "From when one was due to the end of its response").by(GROUP),
            Self::Origins => of(Counter, "mirror_origins", Count, "With labels of pods: what became of their values: named, folded into `other` after their end as others needed the room, or counted as `other` as there were too many").by(&["change"]),
            Self::CaptureInfo => of(Gauge, "mirror_capture_info", Count, "1; by which hook of the kernel packets are captured: TCX, clsact, XDP or cgroup").by(&["hook"]),
            Self::CaptureAttached => of(Gauge, "mirror_capture_attached", Count, "Interfaces and cgroups that are captured"),
            Self::CaptureLost => of(Gauge, "mirror_capture_lost", Count, "Interfaces and cgroups that are there, are wanted, and cannot be captured"),
            Self::CapturePaused => of(Gauge, "mirror_capture_paused", Count, "1 while nothing is copied because of a signal or the pause file"),
            Self::CaptureSample => of(Gauge, "mirror_capture_sample", Ratio, "Share of connections that is copied: the smaller of the configured sample and the guard's"),
            Self::RingSize => of(Gauge, "mirror_ring_size", Bytes, "Size of the ring between the kernel program and mirror"),
            Self::RingUsed => of(Gauge, "mirror_ring_used", Bytes, "What waits in the ring"),
            Self::KernelMemory => of(Gauge, "mirror_kernel_memory", Bytes, "Memory of the kernel program's maps").by(&["map"]),
            Self::Pods => of(Gauge, "mirror_pods", Count, "Selected pods of this node: attached to, or waiting for their cgroup").by(&["state"]),
            Self::PodChanges => of(Counter, "mirror_pod_changes", Count, "What became of selected pods: attached, released, missed (they ended before), refused by the kernel, or too_many").by(&["change"]),
            Self::PodsWatched => of(Gauge, "mirror_pods_watched", Count, "1 while the API server is watched, 0 while the pods are those that were known last"),
            Self::PodsWatchProblems => of(Counter, "mirror_pods_watch_problems", Count, "Why the API server could not be asked, or had to be asked anew").by(&["problem"]),
            Self::PodPackets => of(Counter, "mirror_pod_packets", Count, "Packets that a pod's sockets sent and received; `other` is what has no counts of its own").by(POD),
            Self::PodBytes => of(Counter, "mirror_pod", Bytes, "Bytes of these packets, as far as they were captured").by(POD),
            Self::PodRequests => of(Counter, "mirror_pod_requests", Count, "Requests in these packets, before rules and samples decide").by(POD),
            Self::GuardPauses => of(Counter, "mirror_guard_pauses", Count, "How often copying was paused"),
            Self::GuardSampleSteps => of(Counter, "mirror_guard_sample_steps", Count, "How often the guard lowered the sample, by what exceeded its limit, and raised it again").by(&["direction", "cause"]),
            Self::GuardCpu => of(Gauge, "mirror_guard_cpu", Ratio, "Share of one processor that mirror used in the last second, its kernel program included, as the guard measures it; absent without a limit"),
            Self::GuardCpuLimit => of(Gauge, "mirror_guard_cpu_limit", Ratio, "Share of one processor that mirror may use; absent without a limit"),
            Self::GuardMemoryLimit => of(Gauge, "mirror_guard_memory_limit", Bytes, "Resident memory that mirror may use; absent without a limit"),
            Self::HostIdle => of(Gauge, "mirror_host_idle", Ratio, "Share of all processors' time of the last second in which they had nothing to do, or worked for processes of low priority other than mirror, as the guard measures it; absent while it measures nothing"),
            Self::HostWaiting => of(Gauge, "mirror_host_waiting", Ratio, "Share of the last second in which a process other than mirror waited for a processor, at least"),
            Self::HostSoftirq => of(Gauge, "mirror_host_softirq", Ratio, "Share of all processors' time of the last second that went to software interrupts"),
            Self::HostMemoryWaiting => of(Gauge, "mirror_host_memory_waiting", Ratio, "Share of the last second in which a process waited for memory"),
            Self::ConfigReloads => of(Counter, "mirror_config_reloads", Count, "Changes of the configuration file, by what became of them").by(&["result"]),
            Self::ConfigValid => of(Gauge, "mirror_config_valid", Count, "1 if the configuration file is what is in effect, 0 if it was refused"),
            Self::OtlpSpans => of(Counter, "mirror_otlp_spans", Count, "Spans of shadow requests: exported to the collector, or lost as the queue was full or an export failed").by(&["result"]),
            Self::NotReady => of(Gauge, "mirror_not_ready", Count, "1 for each reason why the run is not ready, as /readyz has it; all are 0 if it is").by(&["reason"]),
            Self::AdminRequests => of(Counter, "mirror_admin_requests", Count, "Requests to the admin endpoint that were answered, by route").by(&["route"]),
            Self::AdminRefused => of(Counter, "mirror_admin_refused", Count, "Requests to the admin endpoint that were refused, and connections that were closed, by reason").by(&["reason"]),
            Self::BuildInfo => of(Gauge, "mirror_build_info", Count, "1; which mirror this is: its commit, where it was built by `cargo xtask dist`, and the SHA-256 of its kernel program").by(&["version", "arch", "commit", "kernel_object"]),
            Self::ProcessCpu => of(Counter, "process_cpu", Seconds, "User and system time of all threads"),
            Self::ProcessResident => of(Gauge, "process_resident_memory", Bytes, "Resident memory"),
            Self::ProcessVirtual => of(Gauge, "process_virtual_memory", Bytes, "Virtual memory"),
            Self::ProcessThreads => of(Gauge, "process_threads", Count, "Threads"),
            Self::ProcessStart => of(Gauge, "process_start_time", Seconds, "When the process was started, in seconds since 1970"),
            Self::ProcessOpenFds => of(Gauge, "process_open_fds", Count, "Open file descriptors; absent where the process may not list them"),
            Self::ProcessMaxFds => of(Gauge, "process_max_fds", Count, "File descriptors that may be open; absent without a limit"),
        }
    }
}

/// All metrics as a Markdown table.
#[must_use]
pub fn reference() -> String {
    let mut table = "| metric | type | labels | what it is |\n|---|---|---|---|\n".to_owned();
    for metric in Metric::iter() {
        let definition = metric.definition();
        let kind = match definition.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let labels: Vec<String> =
            definition.labels.iter().map(|label| format!("`{label}`")).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(
            table,
            "| `{}` | {kind} | {} | {} |",
            definition.name(),
            labels.join(", "),
            definition.help
        );
    }
    table
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_those_that_prometheus_wants() {
        let names: BTreeSet<String> =
            Metric::iter().map(|metric| metric.definition().name()).collect();
        assert_eq!(names.len(), Metric::iter().count(), "no two share a name");
        for name in &names {
            assert!(name.starts_with("mirror_") || name.starts_with("process_"), "{name}");
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
        }
        assert!(names.contains("process_cpu_seconds_total"));
        assert!(names.contains("mirror_target_response_seconds"));
    }
}
