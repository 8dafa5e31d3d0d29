//! What the kernel program reports of single packets, as events of the log. The only file that names
//! `aya_log`.

use anyhow::Context;
use aya::{Ebpf, EbpfLoader};
use aya_log::EbpfLogger;
use log::{Level, Log, Metadata, Record};
use mirror_common::Outcome;
use strum::{EnumIter, EnumMessage, IntoStaticStr};

use crate::logging::emit;

/// How much the kernel program logs.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    EnumIter,
    EnumMessage,
    IntoStaticStr,
)]
#[strum(serialize_all = "snake_case")]
pub enum KernelLog {
    /// No log; costs nothing
    #[default]
    Off,
    /// Packets that matched but could not be copied
    Warn,
    /// Also packets with a payload on the chosen ports
    Debug,
    /// All packets
    Trace,
}

/// The map of log records. Its smallest size is a page.
const MAP: &str = "AYA_LOGS";
const UNUSED_BYTES: u32 = 4096;

impl KernelLog {
    /// The level as a number of `aya_log`; 0 is below every level.
    const fn level(self) -> &'static u8 {
        match self {
            Self::Off => &0,
            Self::Warn => &2,
            Self::Debug => &4,
            Self::Trace => &5,
        }
    }

    /// Sets the level before the program is loaded, so that the verifier removes the code of other levels.
    pub(super) fn prepare(self, loader: &mut EbpfLoader<'_>) {
        loader.override_global(aya_log::LEVEL, self.level(), true);
        if self == Self::Off {
            loader.map_max_entries(MAP, UNUSED_BYTES);
        }
    }

    /// Reads the log of the loaded program.
    pub(super) fn listen(self, object: &mut Ebpf) -> anyhow::Result<Option<Listener>> {
        if self == Self::Off {
            return Ok(None);
        }
        let logger = EbpfLogger::init_with_logger(object, ToLog);
        Ok(Some(Listener(logger.context("the kernel program says nothing")?)))
    }
}

/// Reads the log of the kernel program.
pub(super) struct Listener(EbpfLogger<ToLog>);

impl Listener {
    /// Emits what was logged since the last call.
    pub(super) fn emit(&mut self) {
        self.0.flush();
    }
}

struct ToLog;

impl Log for ToLog {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let line = named(&record.args().to_string());
        let outcome = line.rsplit(' ').next();
        match record.level() {
            Level::Error | Level::Warn => emit!(KernelPacketLost, outcome, "kernel: {line}"),
            Level::Info | Level::Debug => emit!(KernelPacket, outcome, "kernel: {line}"),
            Level::Trace => emit!(KernelPacketIgnored, outcome, "kernel: {line}"),
        }
    }

    fn flush(&self) {}
}

/// A line with the name of the outcome instead of its number, which is the last word.
fn named(line: &str) -> String {
    let Some((rest, number)) = line.rsplit_once(' ') else { return line.to_owned() };
    let outcome = number.parse().ok().and_then(|number: usize| Outcome::ALL.get(number));
    outcome.map_or_else(|| line.to_owned(), |outcome| format!("{rest} {}", outcome.name()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logging::{Event, KERNEL, captured};

    #[test]
    fn a_line_is_an_event_of_its_level_with_the_name_of_the_outcome() {
        // The filter knows the kernel program's events by the module that emits them.
        assert_eq!(module_path!().strip_suffix("::tests"), Some(KERNEL));
        let (lines, ()) = captured(|| {
            for level in [Level::Warn, Level::Debug, Level::Trace] {
                let args = format_args!("interface 3, port 1 to 2, 324 bytes: 6");
                ToLog.log(&Record::builder().level(level).args(args).build());
            }
        });
        let events: Vec<_> = lines.iter().map(|line| line.event).collect();
        let expected = [Event::KernelPacketLost, Event::KernelPacket, Event::KernelPacketIgnored];
        assert_eq!(events, expected);
        assert_eq!(lines[0].message, "kernel: interface 3, port 1 to 2, 324 bytes: ring_full");
        assert!(lines.iter().all(|line| line.fields["outcome"] == "ring_full"), "{lines:?}");
    }

    #[test]
    fn outcomes_have_names() {
        assert_eq!(named("324 bytes: 6"), "324 bytes: ring_full");
        assert_eq!(named("324 bytes: 99"), "324 bytes: 99");
    }
}
