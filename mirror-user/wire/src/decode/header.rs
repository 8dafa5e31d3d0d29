//! The TCP header (RFC 9293 §3.1).

use super::duplicate::{Duplicates, Sighting};
use super::ip::Carrier;
use super::rest::Rest;
use super::{Origin, Skip};
use crate::segment::{Endpoint, Flags, Segment, SeqNumber};

const HEADER_BYTES: usize = 20;

/// Reads a TCP header and what follows it.
#[inline]
pub(super) fn read(
    duplicates: &mut Duplicates,
    origin: Origin<'_>,
    carrier: &Carrier,
    rest: Rest<'_>,
) -> Result<Segment, Skip> {
    let header = rest.bytes.first_chunk::<HEADER_BYTES>().ok_or(Skip::Truncated)?;
    let &[s0, s1, d0, d1, q0, q1, q2, q3, a0, a1, a2, a3, offset, flags, w0, w1, ..] = header;
    let header_len = usize::from(offset >> 4) * 4;
    let wire_len = rest.bytes.len().saturating_add(rest.beyond);
    if header_len < HEADER_BYTES || header_len > wire_len {
        return Err(Skip::Malformed);
    }
    // A capture may be cut within the options; the length of the missing payload is known anyway.
    let payload = rest.bytes.get(header_len..).unwrap_or_default();
    let cut = wire_len.saturating_sub(header_len).saturating_sub(payload.len());
    let segment = Segment {
        at: origin.packet.at,
        interface: origin.packet.interface,
        source: Endpoint::new(carrier.source, u16::from_be_bytes([s0, s1])),
        destination: Endpoint::new(carrier.destination, u16::from_be_bytes([d0, d1])),
        seq: SeqNumber(u32::from_be_bytes([q0, q1, q2, q3])),
        ack: SeqNumber(u32::from_be_bytes([a0, a1, a2, a3])),
        window: u16::from_be_bytes([w0, w1]),
        flags: Flags(flags),
        payload: origin.data.slice_ref(payload),
        tag: rest.tag,
        cut: u32::try_from(cut).unwrap_or(u32::MAX),
    };
    let sighting = Sighting { segment: &segment, id: carrier.id, header: rest.bytes };
    if duplicates.is_known(&sighting) { Err(Skip::Duplicate) } else { Ok(segment) }
}
