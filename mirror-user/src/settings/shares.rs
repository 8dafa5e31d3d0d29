//! Percentages and limits.

use std::fmt;
use std::str::FromStr;

use crate::units::{Bytes, parse_bytes};

/// A percentage above 0 and up to 100.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Percent(pub f64);

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim_end_matches('%').parse::<f64>() {
            Ok(percent) if percent > 0.0 && percent <= 100.0 => Ok(Self(percent)),
            _ => Err("a percentage above 0 and up to 100, such as 5 or 0.1".into()),
        }
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Percentage of one processor; above 100 on several processors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CpuLimit(pub f64);

impl FromStr for CpuLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim_end_matches('%').parse::<f64>() {
            Ok(percent) if percent > 0.0 && percent.is_finite() => Ok(Self(percent)),
            _ => Err("a percentage of one processor above 0, such as 20%".into()),
        }
    }
}

impl fmt::Display for CpuLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

/// A limit on resident memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimit(pub u64);

/// A run with a few connections needs this much; with a lower limit, every run would sample at the minimum.
const MIN_MEMORY: u64 = 32 << 20;

impl FromStr for MemoryLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match parse_bytes(text)? {
            bytes if bytes >= MIN_MEMORY => Ok(Self(bytes)),
            _ => Err(format!("{} or more", Bytes(MIN_MEMORY))),
        }
    }
}

impl fmt::Display for MemoryLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Bytes(self.0).fmt(f)
    }
}

/// The share of failures at which something stops.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FailureShare {
    /// No share of failures is too large.
    Off,
    /// This share or more, from 0 to 1.
    Share(f64),
}

impl FailureShare {
    /// The share; `None` if off.
    #[must_use]
    pub fn share(self) -> Option<f64> {
        match self {
            Self::Off => None,
            Self::Share(share) => Some(share),
        }
    }
}

impl FromStr for FailureShare {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse()) {
            ("off", _) => Ok(Self::Off),
            (_, Ok(Percent(percent))) => Ok(Self::Share(percent / 100.0)),
            _ => Err("`off`, or a percentage such as 5%".into()),
        }
    }
}

impl fmt::Display for FailureShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Share(share) => write!(f, "{}%", share * 100.0),
        }
    }
}

/// When a circuit breaker opens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Threshold {
    /// The default for the kind of source.
    Auto,
    /// At this share of failures or above.
    At(FailureShare),
}

impl FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            _ => text.parse().map(Self::At).map_err(|why| format!("`auto`, {why}")),
        }
    }
}

impl fmt::Display for Threshold {
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
    fn a_percentage_is_above_0_and_up_to_100() {
        assert_eq!("0.5".parse(), Ok(Percent(0.5)));
        assert_eq!("10%".parse(), Ok(Percent(10.0)));
        for bad in ["0", "101", "nan", "-1", "half"] {
            assert!(bad.parse::<Percent>().is_err(), "{bad}");
        }
    }

    #[test]
    fn limits_are_shares_of_a_processor_and_sizes() {
        assert_eq!("20%".parse(), Ok(CpuLimit(20.0)));
        assert_eq!("150".parse(), Ok(CpuLimit(150.0)));
        assert!(["0", "-1", "nan", "much"].iter().all(|bad| bad.parse::<CpuLimit>().is_err()));
        assert_eq!("256MiB".parse(), Ok(MemoryLimit(256 << 20)));
        assert!("1MiB".parse::<MemoryLimit>().is_err());
    }

    #[test]
    fn a_share_of_failures_is_a_percentage_or_off() {
        assert_eq!("off".parse(), Ok(FailureShare::Off));
        assert_eq!("5%".parse(), Ok(FailureShare::Share(0.05)));
        assert_eq!(FailureShare::Share(0.05).to_string(), "5%");
        for bad in ["0", "101%", "nan", "auto", ""] {
            assert!(bad.parse::<FailureShare>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_threshold_is_a_share_or_a_word() {
        assert_eq!("auto".parse(), Ok(Threshold::Auto));
        assert_eq!("off".parse(), Ok(Threshold::At(FailureShare::Off)));
        assert_eq!("25%".parse(), Ok(Threshold::At(FailureShare::Share(0.25))));
        for bad in ["0", "101%", "nan", "on", ""] {
            assert!(bad.parse::<Threshold>().is_err(), "{bad}");
        }
    }
}
