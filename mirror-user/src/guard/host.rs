//! What is left of the host for production: spare processors, who waits for one, network interrupts, memory.
//!
//! From `/proc/stat` (proc(5)), `/proc/pressure` and the `cpu.pressure` of mirror's own cgroup (pressure stall information,
//! Linux 4.20; it can be off), and `/proc/self/task/*/schedstat`. What cannot be read counts as no pressure.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::process::user_ticks;

/// The load of the host in the span of one measurement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Host {
    /// How many processors are online.
    pub processors: f64,
    /// Share of all processors' time in which they had nothing to do, or worked for processes of low priority other than
    /// mirror: those give way to production by themselves.
    pub idle: f64,
    /// Share of the time in which a process other than mirror waited for a processor. No more than that: the kernel tells in
    /// which time anybody waited, and what mirror's threads waited is subtracted from it, all of them together.
    pub waiting: f64,
    /// Share of all processors' time that went to software interrupts: to the network, in the first place.
    pub softirq: f64,
    /// Share of the time in which a process waited for memory.
    pub memory: f64,
}

/// Measures it.
pub(super) struct HostMeter {
    /// The `cpu.pressure` of mirror's cgroup, if it has one of its own.
    cgroup: Option<PathBuf>,
    last: Totals,
}

/// Sums since boot.
#[derive(Clone, Debug, Default, PartialEq)]
struct Totals {
    /// Wall time.
    now: Duration,
    processors: u32,
    /// Ticks of all processors.
    ticks: Ticks,
    /// Ticks of mirror's threads in user space, which are of low priority, too.
    own_ticks: u64,
    /// How long some process of the host waited for a processor.
    waiting: Duration,
    /// The same of mirror's cgroup.
    cgroup_waiting: Duration,
    /// How long mirror's threads waited for one.
    own_waiting: Duration,
    /// How long some process waited for memory.
    memory: Duration,
}

/// Ticks of all processors since boot.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Ticks {
    all: u64,
    /// Idle, or in user space for processes of low priority.
    spare: u64,
    /// In software interrupts.
    softirq: u64,
}

impl HostMeter {
    pub(super) fn new(now: Duration) -> Self {
        let cgroups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let cgroup = cgroup_of(&cgroups)
            .map(|path| PathBuf::from(format!("/sys/fs/cgroup{path}/cpu.pressure")));
        let mut meter = Self { cgroup, last: Totals::default() };
        meter.last = meter.totals(now);
        meter
    }

    /// The load since the last call; `None` if the kernel does not tell.
    pub(super) fn since_last(&mut self, now: Duration) -> Option<Host> {
        let totals = self.totals(now);
        let last = std::mem::replace(&mut self.last, totals.clone());
        totals.since(&last)
    }

    fn totals(&self, now: Duration) -> Totals {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let (processors, ticks) = ticks(&read("/proc/stat"));
        let cgroup = self.cgroup.as_ref().and_then(|path| fs::read_to_string(path).ok());
        Totals {
            now,
            processors,
            ticks,
            own_ticks: user_ticks(),
            waiting: some(&read("/proc/pressure/cpu")),
            cgroup_waiting: some(&cgroup.unwrap_or_default()),
            own_waiting: own_waiting(),
            memory: some(&read("/proc/pressure/memory")),
        }
    }
}

impl Totals {
    fn since(&self, last: &Self) -> Option<Host> {
        let span = self.now.checked_sub(last.now).filter(|span| !span.is_zero())?.as_secs_f64();
        let came = |now: Duration, last: Duration| now.saturating_sub(last).as_secs_f64() / span;
        let ticks = |pick: fn(&Totals) -> u64| pick(self).saturating_sub(pick(last)) as f64;
        let all = ticks(|totals| totals.ticks.all);
        let spare = ticks(|totals| totals.ticks.spare) - ticks(|totals| totals.own_ticks);
        if all == 0.0 || self.processors == 0 {
            return None;
        }
        let own = came(self.own_waiting, last.own_waiting);
        let anybody =
            came(self.waiting, last.waiting).max(came(self.cgroup_waiting, last.cgroup_waiting));
        Some(Host {
            processors: f64::from(self.processors),
            idle: spare.max(0.0) / all,
            waiting: (anybody - own).max(0.0),
            softirq: ticks(|totals| totals.ticks.softirq) / all,
            memory: came(self.memory, last.memory),
        })
    }
}

/// How many processors there are, and their ticks.
fn ticks(stat: &str) -> (u32, Ticks) {
    let lines = stat.lines().map_while(|line| line.strip_prefix("cpu"));
    let processors = lines.clone().filter(|line| !line.starts_with(' ')).count();
    let all: Vec<u64> = lines
        .take(1)
        .flat_map(str::split_ascii_whitespace)
        // user, nice, system, idle, iowait, irq, softirq, steal; guest time is in user's.
        .take(8)
        .map(|field| field.parse().unwrap_or(0))
        .collect();
    let field = |n: usize| all.get(n).copied().unwrap_or(0);
    let spare = [1, 3, 4].map(field).into_iter().fold(0, u64::saturating_add);
    let ticks = Ticks { all: all.iter().sum(), spare, softirq: field(6) };
    (u32::try_from(processors).unwrap_or(0), ticks)
}

/// The total of the line `some` of a pressure file.
fn some(pressure: &str) -> Duration {
    let line = pressure.lines().find_map(|line| line.strip_prefix("some "));
    let total = line.and_then(|line| line.split("total=").nth(1));
    Duration::from_micros(total.and_then(|total| total.trim().parse().ok()).unwrap_or(0))
}

/// How long all threads of this process together waited for a processor.
fn own_waiting() -> Duration {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let waited = threads.map(|thread| {
        let schedstat = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        schedstat
            .split_ascii_whitespace()
            .nth(1)
            .and_then(|waited| waited.parse().ok())
            .unwrap_or(0)
    });
    Duration::from_nanos(waited.fold(0, u64::saturating_add))
}

/// The path of a process in the unified hierarchy (cgroups(7)), unless it is the root.
fn cgroup_of(cgroups: &str) -> Option<&str> {
    let path = cgroups.lines().find_map(|line| line.strip_prefix("0::"))?;
    (path != "/").then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "cpu  100 10 50 700 40 0 100 0 5 0\ncpu0 50 5 25 350 20 0 50 0 0 0\n\
                        cpu1 50 5 25 350 20 0 50 0 5 0\nintr 7 0 0\nctxt 1\n";

    #[test]
    fn ticks_are_those_of_all_processors() {
        assert_eq!(ticks(STAT), (2, Ticks { all: 1000, spare: 750, softirq: 100 }));
        assert_eq!(ticks(""), (0, Ticks::default()));
        assert_eq!(ticks("cpu  x y"), (0, Ticks::default()));
    }

    #[test]
    fn pressure_is_the_total_of_some() {
        let text = "some avg10=80.03 avg60=36.20 avg300=12.00 total=7186086597\n\
                    full avg10=0.00 avg60=0.00 avg300=0.00 total=12\n";
        assert_eq!(some(text), Duration::from_micros(7_186_086_597));
        assert_eq!(some("full total=12"), Duration::ZERO);
    }

    #[test]
    fn what_mirror_waits_is_not_productions() {
        let last = Totals { processors: 4, ..Totals::default() };
        let now = Totals {
            now: Duration::from_secs(2),
            processors: 4,
            ticks: Ticks { all: 800, spare: 300, softirq: 80 },
            own_ticks: 100,
            waiting: Duration::from_millis(1200),
            cgroup_waiting: Duration::from_millis(1400),
            own_waiting: Duration::from_millis(1000),
            memory: Duration::from_millis(20),
        };
        let load = Host { processors: 4.0, idle: 0.25, waiting: 0.2, softirq: 0.1, memory: 0.01 };
        let found = now.since(&last).unwrap();
        assert!((found.waiting - load.waiting).abs() < 1e-9, "{found:?}");
        assert_eq!(Host { waiting: load.waiting, ..found }, load);
        assert_eq!(now.since(&now), None, "no time has passed");
    }

    #[test]
    fn the_root_is_the_host_itself() {
        assert_eq!(cgroup_of("1:cpu:/\n0::/\n"), None);
        assert_eq!(cgroup_of("0::/kubepods/x\n"), Some("/kubepods/x"));
    }

    #[test]
    fn this_host_has_processors() {
        let mut meter = HostMeter::new(Duration::ZERO);
        // Until at least one tick has passed.
        let load = (1..).find_map(|second| meter.since_last(Duration::from_secs(second)));
        assert!(
            load.is_some_and(|load| load.processors >= 1.0 && (0.0..=1.0).contains(&load.idle))
        );
    }
}
