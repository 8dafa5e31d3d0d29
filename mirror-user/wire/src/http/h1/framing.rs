//! Where a body ends (RFC 9112 §6.3, in its order).

use super::fields::{Coding, Facts};
use crate::http::message::{BodyLength, Flaw, Version};

/// What the request asked, as far as it decides how its response is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// HEAD: the response has no body.
    Head,
    /// CONNECT: a 2xx response begins a tunnel.
    Connect,
    /// Any other method, or a request that was not seen.
    Other,
}

/// The framing of a request. Adds to the flaws.
pub(super) fn request(facts: &mut Facts, version: Version) -> BodyLength {
    coding_flaws(facts, version);
    match facts.coding {
        Coding::Chunked => {
            if facts.has_bad_coding() {
                facts.flaws.add(Flaw::BadTransferEncoding);
            }
            BodyLength::Chunked
        }
        Coding::Other => {
            facts.flaws.add(Flaw::BadTransferEncoding);
            BodyLength::None
        }
        Coding::None => facts.length.map_or(BodyLength::None, BodyLength::Length),
    }
}

/// The framing of a final response. Adds to the flaws.
pub(super) fn response(facts: &mut Facts, version: Version, code: u16, asked: Asked) -> BodyLength {
    let tunnel = asked == Asked::Connect && (200..300).contains(&code);
    if asked == Asked::Head || tunnel || matches!(code, 100..=199 | 204 | 304) {
        // Lengths and codings say what a GET would have brought: nothing depends on them.
        facts.flaws.remove_framing();
        return BodyLength::None;
    }
    coding_flaws(facts, version);
    match facts.coding {
        Coding::Chunked => BodyLength::Chunked,
        Coding::Other => BodyLength::UntilClose,
        Coding::None => facts.length.map_or(BodyLength::UntilClose, BodyLength::Length),
    }
}

/// How else the body of a response may be framed that says `chunked` in a way that not every server
/// means and not every client heeds: in HTTP/1.0, with a space before the colon, or with a
/// length. Its first bytes decide. `None` also where there are lengths and none can be read.
pub(super) fn unless_chunked(facts: &Facts) -> Option<BodyLength> {
    const DOUBTS: [Flaw; 3] =
        [Flaw::TransferEncodingInHttp10, Flaw::SpaceBeforeColon, Flaw::LengthAndTransferEncoding];
    let in_doubt = DOUBTS.iter().any(|flaw| facts.flaws.contains(*flaw));
    if facts.coding != Coding::Chunked || !in_doubt {
        return None;
    }
    match facts.length {
        Some(length) => Some(BodyLength::Length(length)),
        None if facts.flaws.contains(Flaw::LengthAndTransferEncoding) => None,
        None => Some(BodyLength::UntilClose),
    }
}

fn coding_flaws(facts: &mut Facts, version: Version) {
    if facts.coding == Coding::None {
        return;
    }
    if facts.has_length() {
        // The coding overrides every length (RFC 9112 §6.3), those that contradict each other, too.
        const UNREADABLE: [Flaw; 2] = [Flaw::ConflictingLengths, Flaw::BadLength];
        if UNREADABLE.iter().any(|flaw| facts.flaws.contains(*flaw)) {
            facts.length = None;
            facts.flaws.remove(&UNREADABLE);
        }
        facts.flaws.add(Flaw::LengthAndTransferEncoding);
    }
    if version == Version::Http10 {
        facts.flaws.add(Flaw::TransferEncodingInHttp10);
    }
}
