//! What mirror may take of its host, as typed.

use std::path::PathBuf;

use clap::Args;

use crate::units::{Bytes, parse_bytes};

/// What mirror may take of a host on which it is live.
#[derive(Clone, Debug, Default, PartialEq, Args)]
#[command(next_help_heading = "Guard")]
pub struct GuardArgs {
    /// Sample fewer connections while mirror takes more of one processor, its kernel program included (interfaces only)
    #[arg(long, value_name = "PERCENT", value_parser = parse_share)]
    pub cpu_limit: Option<f64>,
    /// Sample fewer connections while mirror holds more memory than this (interfaces only)
    #[arg(long, value_name = "SIZE", value_parser = parse_memory)]
    pub memory_limit: Option<u64>,
    /// Copy nothing while this file is there (interfaces only). SIGUSR1 pauses, too, and SIGUSR2 goes on
    #[arg(long, value_name = "FILE")]
    pub pause_file: Option<PathBuf>,
}

impl GuardArgs {
    /// These, and what they do not say as `other` says it.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            cpu_limit: self.cpu_limit.or(other.cpu_limit),
            memory_limit: self.memory_limit.or(other.memory_limit),
            pause_file: self.pause_file.or(other.pause_file),
        }
    }
}

/// Percents of one processor; of several there may be more than a hundred.
pub(crate) fn parse_share(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('%').parse::<f64>() {
        Ok(percent) if percent > 0.0 && percent.is_finite() => Ok(percent),
        _ => Err("a part of one processor above 0, such as 20%".into()),
    }
}

/// What a run of a few connections takes: with less, every run would be one at the smallest sample.
const MIN_MEMORY: u64 = 32 << 20;

pub(crate) fn parse_memory(text: &str) -> Result<u64, String> {
    match parse_bytes(text)? {
        bytes if bytes >= MIN_MEMORY => Ok(bytes),
        _ => Err(format!("{} or more", Bytes(MIN_MEMORY))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_shares_and_sizes() {
        assert_eq!(parse_share("20%"), Ok(20.0));
        assert_eq!(parse_share("150"), Ok(150.0));
        assert!(["0", "-1", "nan", "much"].iter().all(|bad| parse_share(bad).is_err()));
        assert_eq!(parse_memory("256MiB"), Ok(256 << 20));
        assert!(parse_memory("1MiB").is_err());
    }
}
