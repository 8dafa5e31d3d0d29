//! Which packets are wanted, as typed.

use std::fmt;
use std::str::FromStr;

use clap::{Args, ValueEnum};

use crate::filter::{NetworkRule, Snaplen};
use crate::rules::select::PortRange;
use crate::units::{Bytes, parse_bytes};

/// Which packets are wanted. What is not costs production a look at its headers and no copy.
#[derive(Clone, Debug, Default, PartialEq, Args)]
#[command(next_help_heading = "Filter")]
pub struct FilterArgs {
    /// TCP port that production listens on, or a range such as 9000-9010; repeat for more. Needed for interfaces, optional for files
    #[arg(long = "port", value_name = "PORT", value_delimiter = ',')]
    pub ports: Vec<PortRange>,
    /// Only connections whose client or server has an address of this network; `!` before it: only others. Repeat for more; of networks within one another the smallest decides
    #[arg(long = "net", value_name = "[!]CIDR", value_delimiter = ',')]
    pub nets: Vec<NetworkRule>,
    /// The same for the client's address alone
    #[arg(long = "client-net", value_name = "[!]CIDR", value_delimiter = ',')]
    pub client_nets: Vec<NetworkRule>,
    /// The same for the server's address alone
    #[arg(long = "server-net", value_name = "[!]CIDR", value_delimiter = ',')]
    pub server_nets: Vec<NetworkRule>,
    /// Only packets that come in, or that go out (interfaces only; not on lo, where each does both)
    #[arg(long, value_enum, value_name = "WAY")]
    pub direction: Option<DirectionArg>,
    /// Only connections of which this host is the server, or the client (interfaces only; not on lo)
    #[arg(long, value_enum, value_name = "SIDE")]
    pub side: Option<SideArg>,
    /// Only so many of a hundred connections, the same ones on every host and in every run [default: 100]
    #[arg(long, value_name = "PERCENT", value_parser = parse_percent)]
    pub sample: Option<f64>,
    /// Only packets to the server: requests without their answers
    #[arg(long)]
    pub requests_only: bool,
    /// Only so many bytes of each packet, or so many of each packet with requests or answers
    #[arg(long, value_name = "SIZE|requests=SIZE|answers=SIZE", value_delimiter = ',')]
    pub snaplen: Vec<SnaplenArg>,
}

/// Which way packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DirectionArg {
    /// What comes in
    In,
    /// What goes out
    Out,
}

/// What this host is in a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SideArg {
    /// It listens on the port
    Server,
    /// It asks a server on the port
    Client,
}

/// How many bytes of which packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnaplenArg {
    /// Of all.
    All(u32),
    /// Of those to the server.
    Requests(u32),
    /// Of those to the client.
    Answers(u32),
}

impl FilterArgs {
    /// These, and what they do not say as `other` says it.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            ports: either(self.ports, other.ports),
            nets: either(self.nets, other.nets),
            client_nets: either(self.client_nets, other.client_nets),
            server_nets: either(self.server_nets, other.server_nets),
            direction: self.direction.or(other.direction),
            side: self.side.or(other.side),
            sample: self.sample.or(other.sample),
            requests_only: self.requests_only || other.requests_only,
            snaplen: either(self.snaplen, other.snaplen),
        }
    }
}

/// The list that was given, or the other one.
pub(crate) fn either<T>(given: Vec<T>, other: Vec<T>) -> Vec<T> {
    if given.is_empty() { other } else { given }
}

pub(crate) fn parse_percent(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('%').parse::<f64>() {
        Ok(percent) if percent > 0.0 && percent <= 100.0 => Ok(percent),
        _ => Err("a part of a hundred, above 0 and up to 100, such as 5 or 0.1".into()),
    }
}

/// An Ethernet header with a VLAN tag, IPv6 and TCP headers with all options: with fewer bytes
/// ordinary packets would lose their headers.
const MIN_SNAPLEN: u64 = 128;

impl FromStr for SnaplenArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (what, size) = match text.split_once('=') {
            Some((what, size)) => (Some(what), size),
            None => (None, text),
        };
        let bytes = parse_bytes(size)?;
        if bytes < MIN_SNAPLEN {
            return Err(format!("at least {MIN_SNAPLEN}, so that headers are whole"));
        }
        let bytes = u32::try_from(bytes).unwrap_or(Snaplen::WHOLE);
        match what {
            None => Ok(Self::All(bytes)),
            Some("requests") => Ok(Self::Requests(bytes)),
            Some("answers") => Ok(Self::Answers(bytes)),
            Some(_) => Err("a size, such as 256, or requests=64KiB, or answers=256".into()),
        }
    }
}

impl fmt::Display for SnaplenArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, bytes) = match *self {
            Self::All(bytes) => ("", bytes),
            Self::Requests(bytes) => ("requests=", bytes),
            Self::Answers(bytes) => ("answers=", bytes),
        };
        write!(f, "{what}{}", Bytes(bytes.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_a_part_of_a_hundred() {
        assert_eq!(parse_percent("0.5"), Ok(0.5));
        assert_eq!(parse_percent("10%"), Ok(10.0));
        for bad in ["0", "101", "nan", "-1", "half"] {
            assert!(parse_percent(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn snap_lengths_are_for_all_or_for_one_way() {
        for (text, read) in [
            ("256", SnaplenArg::All(256)),
            ("requests=64KiB", SnaplenArg::Requests(65536)),
            ("answers=128", SnaplenArg::Answers(128)),
        ] {
            assert_eq!(text.parse(), Ok(read));
            assert_eq!(read.to_string(), text);
        }
        for bad in ["64", "both=256", "answers"] {
            assert!(bad.parse::<SnaplenArg>().is_err(), "{bad}");
        }
    }
}
