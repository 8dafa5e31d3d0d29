//! Snapshot lengths: how many bytes of which packets are copied.

use std::fmt;
use std::str::FromStr;

use crate::filter::Snaplen;
use crate::units::{Bytes, parse_bytes};

/// A snapshot length in bytes, for all packets or for one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnaplenPart {
    /// For all packets.
    All(u32),
    /// For packets to the server.
    Requests(u32),
    /// For packets to the client.
    Responses(u32),
}

impl SnaplenPart {
    /// Combines all parts; for the same direction, the last one wins.
    #[must_use]
    pub fn joined(parts: &[Self]) -> Snaplen {
        let mut snaplen = Snaplen::default();
        for part in parts {
            match *part {
                Self::All(bytes) => snaplen = Snaplen { to_server: bytes, to_client: bytes },
                Self::Requests(bytes) => snaplen.to_server = bytes,
                Self::Responses(bytes) => snaplen.to_client = bytes,
            }
        }
        snaplen
    }
}

/// Room for an Ethernet header with a VLAN tag, and IPv6 and TCP headers with all options. Less would cut
/// the headers of ordinary packets.
const MIN_SNAPLEN: u64 = 128;

/// `SIZE`, `requests=SIZE` or `responses=SIZE`; `answers=` is the former name of `responses=`.
impl FromStr for SnaplenPart {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (what, size) = match text.split_once('=') {
            Some((what, size)) => (Some(what), size),
            None => (None, text),
        };
        let bytes = parse_bytes(size)?;
        if bytes < MIN_SNAPLEN {
            return Err(format!("at least {MIN_SNAPLEN}, so that no headers are cut"));
        }
        let bytes = u32::try_from(bytes).unwrap_or(Snaplen::WHOLE);
        match what {
            None => Ok(Self::All(bytes)),
            Some("requests") => Ok(Self::Requests(bytes)),
            Some("responses" | "answers") => Ok(Self::Responses(bytes)),
            Some(_) => Err("a size, such as 256, or requests=64KiB, or responses=256".into()),
        }
    }
}

impl fmt::Display for SnaplenPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, bytes) = match *self {
            Self::All(bytes) => ("", bytes),
            Self::Requests(bytes) => ("requests=", bytes),
            Self::Responses(bytes) => ("responses=", bytes),
        };
        write!(f, "{what}{}", Bytes(bytes.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snap_lengths_are_for_all_or_for_one_way() {
        for (text, read) in [
            ("256", SnaplenPart::All(256)),
            ("requests=64KiB", SnaplenPart::Requests(65536)),
            ("responses=128", SnaplenPart::Responses(128)),
        ] {
            assert_eq!(text.parse(), Ok(read));
            assert_eq!(read.to_string(), text);
        }
        assert_eq!("answers=128".parse(), Ok(SnaplenPart::Responses(128)), "the former name");
        for bad in ["64", "both=256", "responses"] {
            assert!(bad.parse::<SnaplenPart>().is_err(), "{bad}");
        }
    }
}
