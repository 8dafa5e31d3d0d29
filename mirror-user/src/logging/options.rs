//! What is written, and how.

use std::env;
use std::str::FromStr;

use anyhow::{Context, anyhow};
use clap::ValueEnum;
use tracing_subscriber::filter::{LevelFilter, Targets};

/// The environment variable that says what is written where no flag does.
const VARIABLE: &str = "MIRROR_LOG";

/// Where this crate's modules begin.
const CRATE: &str = env!("CARGO_CRATE_NAME");

/// The target of the kernel program's events, whose level is `--kernel-log`'s.
pub(crate) const KERNEL: &str = concat!(env!("CARGO_CRATE_NAME"), "::source::live::log");

/// How a line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// As a person reads it: `mirror: ` and the message.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Which events are written: a level for all of them, levels for modules, or both.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter(Targets);

impl Default for Filter {
    fn default() -> Self {
        Self::of(Targets::new().with_target(CRATE, LevelFilter::INFO))
    }
}

impl Filter {
    fn of(targets: Targets) -> Self {
        // What the kernel program emits was asked for by a flag of its own.
        let named = targets.iter().any(|(target, _)| target == KERNEL);
        Self(if named { targets } else { targets.with_target(KERNEL, LevelFilter::TRACE) })
    }

    /// The filter as `tracing_subscriber` has it.
    pub(super) fn targets(self) -> Targets {
        self.0
    }
}

impl FromStr for Filter {
    type Err = anyhow::Error;

    /// Reads `warn`, `source::live=debug` or `warn,guard=info`.
    fn from_str(text: &str) -> anyhow::Result<Self> {
        let mut targets = Targets::new();
        for part in text.split(',').map(str::trim) {
            let (module, level) = part
                .rsplit_once('=')
                .map_or((None, part), |(module, level)| (Some(module.trim()), level.trim()));
            let level = read_level(level)?;
            targets = match module {
                None | Some(CRATE) => targets.with_target(CRATE, level),
                Some(module) if is_path(module) => {
                    targets.with_target(format!("{CRATE}::{module}"), level)
                }
                Some(module) => return Err(anyhow!("{module:?} is not the path of a module")),
            };
        }
        Ok(Self::of(targets))
    }
}

fn read_level(text: &str) -> anyhow::Result<LevelFilter> {
    let names = ["off", "error", "warn", "info", "debug", "trace"];
    // `LevelFilter` also reads numbers and the empty text.
    let level = names.contains(&text).then(|| text.parse().ok()).flatten();
    level.ok_or_else(|| anyhow!("{text:?} is not a level: {}", names.join(", ")))
}

fn is_path(module: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    module.split("::").all(is_name)
}

/// How the log of a process is written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    pub(super) format: Format,
    pub(super) filter: Filter,
}

impl Options {
    /// What flags say; where they say nothing of what is written, what the environment says.
    ///
    /// # Errors
    /// When the environment's filter cannot be read.
    pub fn new(format: Format, filter: Option<Filter>) -> anyhow::Result<Self> {
        let filter = match (filter, env::var(VARIABLE)) {
            (Some(filter), _) => filter,
            (None, Ok(text)) if !text.trim().is_empty() => text.parse().context(VARIABLE)?,
            (None, _) => Filter::default(),
        };
        Ok(Self { format, filter })
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    fn enabled(filter: &str, module: &str) -> String {
        let targets = filter.parse::<Filter>().unwrap().targets();
        let levels = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];
        let on = levels
            .iter()
            .filter(|level| targets.would_enable(&format!("mirror_user::{module}"), level));
        on.map(|level| level.as_str().chars().next().unwrap()).collect()
    }

    #[test]
    fn a_filter_is_a_level_or_one_for_each_module() {
        assert_eq!(enabled("warn", "guard"), "EW");
        assert_eq!(enabled("off", "guard"), "");
        assert_eq!(enabled("warn,guard=debug", "guard"), "EWID");
        assert_eq!(enabled("guard=debug, warn", "sink::replay"), "EW");
        assert_eq!(enabled("guard=info", "sink::replay"), "");
        assert_eq!(enabled("sink::replay=info", "sink::replay::engine"), "EWI");
        for wrong in
            ["", "loud", "guard=", "=info", "guard=loud", "gu ard=info", "guard", "3", "a,,b"]
        {
            assert!(wrong.parse::<Filter>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_kernel_program_has_a_flag_of_its_own_unless_the_filter_names_it() {
        assert_eq!(enabled("warn", "source::live::log"), "EWIDT");
        assert_eq!(enabled("debug,source::live::log=warn", "source::live::log"), "EW");
    }

    #[test]
    fn what_libraries_report_is_not_written() {
        let targets = "trace".parse::<Filter>().unwrap().targets();
        assert!(!targets.would_enable("hyper_util::client", &Level::ERROR));
    }
}
