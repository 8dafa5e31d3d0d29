//! How much a target gets, how soon, and what gives way, as typed.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::sink::replay::Victim;
use crate::units::{parse_bytes, parse_duration};

/// How much of a target may be used, and how its load begins.
#[derive(Clone, Debug, Default, PartialEq, Args)]
#[command(next_help_heading = "Target")]
pub struct LoadArgs {
    /// Connections to the target at the same time, at most [default: 256]
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub max_connections: Option<usize>,
    /// Bytes of requests that may wait for the target, at most [default: 32MiB]
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    pub max_queue: Option<u64>,
    /// Which request gives way when no more may wait, for interfaces; files wait [default: newest]
    #[arg(long, value_enum, value_name = "WHICH")]
    pub drop: Option<DropArg>,
    /// Try a request again so often, of which not a byte was sent: the target did not take the connection [default: 0]
    #[arg(long, value_name = "N")]
    pub retry_unsent: Option<u32>,
    /// What becomes of a request that meets a connection as the target closes it, without a byte of a
    /// response: GET, HEAD, OPTIONS, TRACE, PUT and DELETE are sent once more on a new one, or none is
    /// [default: resend]
    #[arg(long, value_enum, value_name = "WHAT")]
    pub idle_close: Option<IdleCloseArg>,
    /// Begin with 1% of the connections, and have all of them after so long a time
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub ramp: Option<Duration>,
    /// With --ramp, send nothing more once so many of the target's requests within 10 s are not answered, or with 5xx
    /// [default: 10%]
    #[arg(long, value_name = "off|PERCENT")]
    pub ramp_target_errors: Option<ShareArg>,
    /// With --ramp, send nothing more once so many of production's answers within 10 s are 5xx [default: 10%]
    #[arg(long, value_name = "off|PERCENT")]
    pub ramp_production_errors: Option<ShareArg>,
}

impl LoadArgs {
    /// These, and what they do not say as `other` says it.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            max_connections: self.max_connections.or(other.max_connections),
            max_queue: self.max_queue.or(other.max_queue),
            drop: self.drop.or(other.drop),
            retry_unsent: self.retry_unsent.or(other.retry_unsent),
            idle_close: self.idle_close.or(other.idle_close),
            ramp: self.ramp.or(other.ramp),
            ramp_target_errors: self.ramp_target_errors.or(other.ramp_target_errors),
            ramp_production_errors: self.ramp_production_errors.or(other.ramp_production_errors),
        }
    }
}

/// A count of what there must be some of.
pub(crate) fn parse_count(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|count| *count > 0).ok_or_else(|| "a count, 1 or more".into())
}

/// What becomes of a request that meets a closing connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum IdleCloseArg {
    /// Send it once more if its method is idempotent
    Resend,
    /// Count it
    Drop,
}

/// Which request gives way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DropArg {
    /// The one that comes
    Newest,
    /// The one that has waited longest
    Oldest,
}

impl From<DropArg> for Victim {
    fn from(arg: DropArg) -> Self {
        match arg {
            DropArg::Newest => Self::Newest,
            DropArg::Oldest => Self::Oldest,
        }
    }
}

/// A share of failures that is too much.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ShareArg {
    /// None is.
    Off,
    /// This and more, from 0 to 1.
    Share(f64),
}

impl ShareArg {
    /// The share, if there is one.
    #[must_use]
    pub fn share(self) -> Option<f64> {
        match self {
            Self::Off => None,
            Self::Share(share) => Some(share),
        }
    }
}

impl FromStr for ShareArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.trim_end_matches('%').parse::<f64>()) {
            ("off", _) => Ok(Self::Off),
            (_, Ok(percent)) if percent > 0.0 && percent <= 100.0 => {
                Ok(Self::Share(percent / 100.0))
            }
            _ => Err("`off`, or a part of a hundred such as 5%".into()),
        }
    }
}

impl fmt::Display for ShareArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Share(share) => write!(f, "{}%", share * 100.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_part_of_a_hundred_or_off() {
        assert_eq!("off".parse(), Ok(ShareArg::Off));
        assert_eq!("5%".parse(), Ok(ShareArg::Share(0.05)));
        assert_eq!(ShareArg::Share(0.05).to_string(), "5%");
        for bad in ["0", "101%", "nan", "auto", ""] {
            assert!(bad.parse::<ShareArg>().is_err(), "{bad}");
        }
    }
}
