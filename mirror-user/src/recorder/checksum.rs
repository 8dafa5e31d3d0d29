//! Completes checksums and lengths that the network card would have filled in.
//!
//! A packet that was captured before the card, or that GRO assembled after it, has only the folded
//! sum of its pseudo-header in its TCP checksum field (Linux's `CHECKSUM_PARTIAL`), and sometimes
//! an IPv4 total length of 0. Readers that verify checksums would take it for damaged. Only these
//! values are completed; any other wrong checksum was wrong on the wire and stays as it is.

use std::net::IpAddr;

use crate::decode::Plain;
use crate::packet::Packet;

const TCP: u64 = 6;

/// Offset of the checksum in the TCP header.
const TCP_CHECKSUM: usize = 16;

/// The completed packet, in `copy`; `None` if there was nothing to complete.
pub(super) fn complete<'a>(packet: &Packet, copy: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    let plain = Plain::read(packet)?;
    let segment = plain.segment()?;
    let (network, transport) = (plain.network, plain.transport);
    let pseudo_header = pseudo_header(plain.addresses(), segment.len());
    let field = segment.get(TCP_CHECKSUM..)?.first_chunk::<2>()?;
    let completed = (u16::from_be_bytes(*field) == fold(pseudo_header))
        // The field contains the pseudo-header's sum, so the segment's sum is the final checksum.
        .then(|| !fold(sum(segment)))
        // In one of 65,536 cases the partial sum is already the right checksum.
        .filter(|right| right.to_be_bytes() != *field);
    let total = packet.data.len().checked_sub(network)?;
    let ip = packet.data.get(network..transport)?;
    let lacks_total = matches!(ip, [first, _, 0, 0, ..] if first >> 4 == 4);
    let total = u16::try_from(total).ok().filter(|_| lacks_total);
    if completed.is_none() && total.is_none() {
        return None;
    }
    copy.clear();
    copy.extend_from_slice(&packet.data);
    if let Some(right) = completed {
        let field = transport.checked_add(TCP_CHECKSUM)?;
        copy.get_mut(field..)?.first_chunk_mut::<2>()?.copy_from_slice(&right.to_be_bytes());
    }
    if let Some(total) = total {
        let header = copy.get_mut(network..transport)?;
        header.get_mut(2..4)?.copy_from_slice(&total.to_be_bytes());
        header.get_mut(10..12)?.fill(0);
        let checksum = !fold(sum(header));
        header.get_mut(10..12)?.copy_from_slice(&checksum.to_be_bytes());
    }
    Some(copy)
}

/// RFC 9293 §3.1 and RFC 8200 §8.1.
fn pseudo_header((source, destination): (IpAddr, IpAddr), len: usize) -> u64 {
    let addresses = [source, destination].map(|ip| match ip {
        IpAddr::V4(ip) => sum(&ip.octets()),
        IpAddr::V6(ip) => sum(&ip.octets()),
    });
    addresses.iter().sum::<u64>().saturating_add(TCP).saturating_add(len as u64)
}

/// RFC 1071, before folding. Overflow would need 2⁴⁸ bytes.
fn sum(bytes: &[u8]) -> u64 {
    let (words, last) = bytes.as_chunks::<2>();
    let sum: u64 = words.iter().map(|word| u64::from(u16::from_be_bytes(*word))).sum();
    sum.saturating_add(last.first().map_or(0, |byte| u64::from(*byte) << 8))
}

fn fold(mut sum: u64) -> u16 {
    while sum > u64::from(u16::MAX) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}
