//! What the kernel says of this process: time, memory, descriptors (proc(5)). What cannot be read is
//! `None`: a process whose memory is hidden may not list its own descriptors without privilege.

use std::fs;
use std::time::Duration;

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, Timespec, clock_gettime};

/// The figures of this process at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Process {
    /// User and system time of all threads.
    pub cpu: Duration,
    /// Resident memory, in bytes.
    pub resident_bytes: Option<u64>,
    /// Virtual memory, in bytes.
    pub virtual_bytes: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
    /// When it was started, since 1970.
    pub started: Option<Duration>,
    /// Open descriptors.
    pub open_fds: Option<u64>,
    /// How many it may open; `None`: no limit.
    pub max_fds: Option<u64>,
}

impl Process {
    /// Reads them.
    #[must_use]
    pub fn now() -> Self {
        let Stat { threads, started_ticks, virtual_bytes, resident_pages, .. } = Stat::now();
        let descriptors = fs::read_dir("/proc/self/fd").ok();
        Self {
            cpu: time(ClockId::ProcessCPUTime),
            resident_bytes: resident_pages.map(bytes),
            virtual_bytes,
            threads,
            started: started_ticks.and_then(since_1970),
            // One of them is that of the listing.
            open_fds: descriptors.map(|entries| (entries.count() as u64).saturating_sub(1)),
            max_fds: getrlimit(Resource::Nofile).current,
        }
    }
}

/// CPU time of all threads so far.
#[must_use]
pub fn cpu_time() -> Duration {
    time(ClockId::ProcessCPUTime)
}

/// Clock ticks that all threads spent in user space; 0 if it cannot be read.
#[must_use]
pub fn user_ticks() -> u64 {
    Stat::now().user_ticks.unwrap_or(0)
}

/// Resident memory, in bytes; 0 if it cannot be read.
#[must_use]
pub fn resident_bytes() -> u64 {
    Stat::now().resident_pages.map_or(0, bytes)
}

fn bytes(pages: u64) -> u64 {
    pages.saturating_mul(page_size() as u64)
}

/// The fields of `/proc/self/stat` that are needed.
#[derive(Debug, Default, PartialEq)]
struct Stat {
    user_ticks: Option<u64>,
    threads: Option<u64>,
    started_ticks: Option<u64>,
    virtual_bytes: Option<u64>,
    resident_pages: Option<u64>,
}

impl Stat {
    fn now() -> Self {
        Self::parse(&fs::read_to_string("/proc/self/stat").unwrap_or_default())
    }

    fn parse(text: &str) -> Self {
        // The second field is the name in parentheses, which may contain anything. State, the third,
        // comes first here.
        let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3).and_then(|field| field.parse().ok());
        Self {
            user_ticks: field(14),
            threads: field(20),
            started_ticks: field(22),
            virtual_bytes: field(23),
            resident_pages: field(24),
        }
    }
}

/// The wall time of a moment that is given in clock ticks since boot.
fn since_1970(ticks: u64) -> Option<Duration> {
    let after_boot = ticks as f64 / clock_ticks_per_second().max(1) as f64;
    let age = time(ClockId::Boottime).saturating_sub(Duration::from_secs_f64(after_boot));
    time(ClockId::Realtime).checked_sub(age)
}

fn time(clock: ClockId) -> Duration {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(clock);
    Duration::new(u64::try_from(tv_sec).unwrap_or(0), u32::try_from(tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_look_like_fields() {
        let text = "7 (a) b 1) S 1 7 7 0 -1 4194560 1 0 0 0 23 3 0 0 20 0 5 0 1234 5678 90 1844";
        let stat = Stat::parse(text);
        let wanted = Stat {
            user_ticks: Some(23),
            threads: Some(5),
            started_ticks: Some(1234),
            virtual_bytes: Some(5678),
            resident_pages: Some(90),
        };
        assert_eq!(stat, wanted);
        assert_eq!(Stat::parse("7 (a"), Stat::default());
    }

    #[test]
    fn this_process_has_memory_threads_and_descriptors() {
        let Process { resident_bytes, threads, started, open_fds, .. } = Process::now();
        assert!(resident_bytes > Some(1 << 20) && threads > Some(0) && open_fds > Some(2));
        let now = time(ClockId::Realtime);
        assert!(
            started.is_some_and(|start| start < now && now - start < Duration::from_secs(86400))
        );
    }
}
