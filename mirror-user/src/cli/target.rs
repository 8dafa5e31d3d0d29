//! Where shadow requests go, and when a target is left alone, as typed.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;

use super::either;
use super::load::{LoadArgs, ShareArg};
use super::marks::MarkArgs;
use crate::rules::edit::{PathPrefix, field_line};
use crate::units::parse_duration;

/// How a target is reached, and what it gets. In a configuration file each target has its own.
#[derive(Clone, Debug, Default, PartialEq, Args)]
#[command(next_help_heading = "Target")]
pub struct TargetArgs {
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
    /// Do not verify the target's certificate: whoever answers at its address is taken for it
    #[arg(long, conflicts_with = "tls_ca")]
    pub tls_insecure: bool,
    /// Give each request this field in place of the captured ones of its name; repeat for more
    #[arg(long, value_name = "NAME: VALUE", value_parser = field_line)]
    pub header: Vec<(String, String)>,
    /// Send what was asked for below FROM below TO: /api=/v2
    #[arg(long, value_name = "FROM=TO")]
    pub path_prefix: Option<PathPrefix>,
    /// Leave a target alone once so many of its requests fail within 10 s; `auto` is 50% for interfaces and off for files
    /// [default: auto]
    #[arg(long, value_name = "auto|off|PERCENT")]
    pub breaker: Option<BreakerArg>,
    /// Count an answer that takes longer as a failure
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub breaker_latency: Option<Duration>,
    /// How long a target is left alone before one request asks whether it is well again [default: 5s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub breaker_rest: Option<Duration>,
    /// Learn which of the target's values stand for which of production's (cookies, tokens, ids), and replace them in what follows
    #[arg(long)]
    pub correlate: bool,
    /// How long a connection to the target may take to be made [default: 2s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub connect_timeout: Option<Duration>,
    /// How long the target may take none of a request, and how long it may take to begin its answer; it
    /// has three times that to end it [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub answer_timeout: Option<Duration>,
    /// How much it gets.
    #[command(flatten)]
    pub load: LoadArgs,
    /// What marks a request.
    #[command(flatten)]
    pub marks: MarkArgs,
}

impl TargetArgs {
    /// These, and what they do not say as `other` says it.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            tls_ca: self.tls_ca.or(other.tls_ca),
            tls_cert: self.tls_cert.or(other.tls_cert),
            tls_key: self.tls_key.or(other.tls_key),
            tls_server_name: self.tls_server_name.or(other.tls_server_name),
            tls_insecure: self.tls_insecure || other.tls_insecure,
            header: either(self.header, other.header),
            path_prefix: self.path_prefix.or(other.path_prefix),
            breaker: self.breaker.or(other.breaker),
            breaker_latency: self.breaker_latency.or(other.breaker_latency),
            breaker_rest: self.breaker_rest.or(other.breaker_rest),
            correlate: self.correlate || other.correlate,
            connect_timeout: self.connect_timeout.or(other.connect_timeout),
            answer_timeout: self.answer_timeout.or(other.answer_timeout),
            load: self.load.or(other.load),
            marks: self.marks.or(other.marks),
        }
    }
}

/// When a target is left alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BreakerArg {
    /// As usual for the source.
    Auto,
    /// From this share of failures on.
    At(ShareArg),
}

impl FromStr for BreakerArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            _ => text.parse().map(Self::At).map_err(|why| format!("`auto`, {why}")),
        }
    }
}

impl fmt::Display for BreakerArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::At(share) => share.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_breaker_is_a_share_or_a_word() {
        assert_eq!("auto".parse(), Ok(BreakerArg::Auto));
        assert_eq!("off".parse(), Ok(BreakerArg::At(ShareArg::Off)));
        assert_eq!("25%".parse(), Ok(BreakerArg::At(ShareArg::Share(0.25))));
        for bad in ["0", "101%", "nan", "on", ""] {
            assert!(bad.parse::<BreakerArg>().is_err(), "{bad}");
        }
    }
}
