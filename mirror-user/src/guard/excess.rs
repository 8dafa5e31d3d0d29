//! Why the guard lowers the sample: a reason with its figures, as events tell it and metrics count it.

use std::fmt;

use enum_map::Enum;
use strum::IntoStaticStr;

use super::governor::MAX_SHARE;

/// What kind of limit was exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Cause {
    /// mirror's own use of processors, over `--cpu-limit`.
    CpuLimit,
    /// mirror's own memory, over `--memory-limit`.
    MemoryLimit,
    /// Production leaves hardly any processor time idle.
    HostBusy,
    /// Other processes wait for a processor.
    HostWaits,
    /// Network interrupts take much of the processors' time.
    Softirq,
    /// Processes wait for memory.
    HostMemory,
    /// No target takes what is captured.
    Targets,
}

/// A limit that was exceeded, with its figures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Excess {
    /// Shares of one processor: used, allowed.
    Cpu(f64, f64),
    /// Bytes: used, allowed.
    Memory(u64, u64),
    /// Shares of all processors' time: what is idle, what mirror uses.
    HostBusy(f64, f64),
    /// Share of the time in which somebody else waited for a processor; share of the processors that mirror uses.
    HostWaits(f64, f64),
    /// Share of all processors' time that network interrupts take; share that mirror uses.
    Softirq(f64, f64),
    /// Share of the time in which a process waited for memory.
    HostMemory(f64),
    /// Share of the offered requests that the target took which took most.
    Targets(f64),
}

impl Excess {
    /// Its kind.
    pub(super) fn cause(self) -> Cause {
        match self {
            Self::Cpu(..) => Cause::CpuLimit,
            Self::Memory(..) => Cause::MemoryLimit,
            Self::HostBusy(..) => Cause::HostBusy,
            Self::HostWaits(..) => Cause::HostWaits,
            Self::Softirq(..) => Cause::Softirq,
            Self::HostMemory(_) => Cause::HostMemory,
            Self::Targets(_) => Cause::Targets,
        }
    }
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| share * 100.0;
        let may = percent(MAX_SHARE);
        match *self {
            Self::Cpu(used, allowed) => {
                let [used, allowed] = [used, allowed].map(percent);
                write!(f, "{used:.0}% of a processor are more than --cpu-limit {allowed:.0}%")
            }
            Self::Memory(used, allowed) => {
                let [used, allowed] = [used, allowed].map(|bytes| bytes >> 20);
                write!(f, "{used} MiB are more than --memory-limit {allowed}MiB")
            }
            Self::HostBusy(idle, used) => {
                let [idle, used] = [idle, used].map(percent);
                write!(
                    f,
                    "{idle:.0}% of the processors' time is idle, and mirror uses {used:.1}%, more than the {may:.0}% \
                     that it may then"
                )
            }
            Self::HostWaits(waiting, used) => {
                let [waiting, used] = [waiting, used].map(percent);
                write!(
                    f,
                    "others waited for a processor {waiting:.0}% of the time, and mirror uses {used:.1}% of the \
                     processors, more than the {may:.0}% that it may then"
                )
            }
            Self::Softirq(softirq, used) => {
                let [softirq, used] = [softirq, used].map(percent);
                write!(
                    f,
                    "network interrupts take {softirq:.0}% of the processors' time, and mirror uses {used:.1}%, more \
                     than the {may:.0}% that it may then"
                )
            }
            Self::HostMemory(waiting) => {
                write!(f, "processes waited for memory {:.0}% of the time", percent(waiting))
            }
            Self::Targets(taken) => {
                write!(f, "no target took more than {:.0}% of the requests", percent(taken))
            }
        }
    }
}
