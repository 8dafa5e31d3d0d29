//! Where shadow requests go, and when a target is left alone, as typed.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;

use super::values::parse_duration;

/// The targets of a replay.
#[derive(Debug, Args)]
#[command(next_help_heading = "Target")]
pub struct TargetArgs {
    /// The test endpoint: http://HOST:PORT, https://HOST:PORT or unix:/PATH; repeat for more, each with a queue and connections of its own. Those of --config otherwise
    #[arg(long, value_name = "URL", required_unless_present = "config")]
    pub to: Vec<String>,
    /// Trust the authorities whose certificates are in this PEM file, and no others
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// Show this certificate (PEM, with its chain) to a target that asks for one
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The key of --tls-cert (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// The name that the target's certificate must have, sent as SNI; the URL's host unless given
    #[arg(long, value_name = "NAME")]
    pub tls_server_name: Option<String>,
    /// Leave a target alone once so many of its requests fail within 10 s; `auto` is 50% for interfaces and off for files
    #[arg(long, value_name = "auto|off|PERCENT", default_value = "auto")]
    pub breaker: BreakerArg,
    /// Count an answer that takes longer as a failure
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub breaker_latency: Option<Duration>,
    /// How long a target is left alone before one request asks whether it is well again
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_duration)]
    pub breaker_rest: Duration,
}

/// When a target is left alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BreakerArg {
    /// As usual for the source.
    Auto,
    /// Never.
    Off,
    /// From this share of failures on, from 0 to 1.
    Share(f64),
}

impl FromStr for BreakerArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.trim_end_matches('%').parse::<f64>()) {
            ("auto", _) => Ok(Self::Auto),
            ("off", _) => Ok(Self::Off),
            (_, Ok(percent)) if percent > 0.0 && percent <= 100.0 => {
                Ok(Self::Share(percent / 100.0))
            }
            _ => Err("`auto`, `off`, or a part of a hundred such as 50%".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_breaker_is_a_share_or_a_word() {
        assert_eq!("auto".parse(), Ok(BreakerArg::Auto));
        assert_eq!("off".parse(), Ok(BreakerArg::Off));
        assert_eq!("25%".parse(), Ok(BreakerArg::Share(0.25)));
        for bad in ["0", "101%", "nan", "on", ""] {
            assert!(bad.parse::<BreakerArg>().is_err(), "{bad}");
        }
    }
}
