//! IPv4 and IPv6 headers and the headers between them and the transport.

use std::net::IpAddr;

use etherparse::{
    IpAuthHeaderSlice, IpNumber, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice,
    Ipv6RawExtHeaderSlice, err,
};

use super::Skip;
use super::fragment::{self, Fragment};
use super::rest::Rest;

/// Values of the protocol and next header fields (IANA's list).
pub(super) mod protocol {
    pub(in super::super) const HOP_BY_HOP: u8 = 0;
    pub(in super::super) const IPV4: u8 = 4;
    pub(in super::super) const TCP: u8 = 6;
    pub(in super::super) const UDP: u8 = 17;
    pub(in super::super) const IPV6: u8 = 41;
    pub(in super::super) const ROUTING: u8 = 43;
    pub(in super::super) const FRAGMENT: u8 = 44;
    pub(in super::super) const GRE: u8 = 47;
    pub(in super::super) const AUTHENTICATION: u8 = 51;
    pub(in super::super) const DESTINATION_OPTIONS: u8 = 60;
    pub(in super::super) const ETHER_IP: u8 = 97;
    pub(in super::super) const MOBILITY: u8 = 135;
    pub(in super::super) const MPLS: u8 = 137;
    pub(in super::super) const HOST_IDENTITY: u8 = 139;
    pub(in super::super) const SHIM6: u8 = 140;
}

/// The protocol's name in IANA's list.
pub(super) fn protocol_name(protocol: u8) -> Option<&'static str> {
    IpNumber(protocol).keyword_str().filter(|name| !name.is_empty())
}

/// What an IP header says about its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Carrier {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    /// IPv4's identification; 0 for IPv6.
    pub(super) id: u16,
    /// What comes next.
    pub(super) protocol: u8,
}

/// An IP payload, or a part of one.
pub(super) enum Payload<'a> {
    Whole(Carrier, Rest<'a>),
    Part(Fragment<'a>),
}

/// Reads an IPv4 or IPv6 header.
pub(super) fn read(rest: Rest<'_>) -> Result<Payload<'_>, Skip> {
    match rest.u8(0)? >> 4 {
        4 => v4(rest),
        6 => v6(rest).map(|(carrier, rest)| Payload::Whole(carrier, rest)),
        _ => Err(Skip::NotIp),
    }
}

fn v4(rest: Rest<'_>) -> Result<Payload<'_>, Skip> {
    let header = Ipv4HeaderSlice::from_slice(rest.bytes).map_err(|error| match error {
        err::ipv4::HeaderSliceError::Len(_) => Skip::Truncated,
        err::ipv4::HeaderSliceError::Content(_) => Skip::Malformed,
    })?;
    let header_len = header.slice().len();
    // 0 in packets that the network card was still to segment (TSO): the rest of the packet.
    let rest = match usize::from(header.total_len()) {
        0 => rest,
        total => rest.limit(total.max(header_len)),
    };
    if (1..header_len).contains(&usize::from(header.total_len())) {
        return Err(Skip::Malformed);
    }
    let carrier = Carrier {
        source: header.source_addr().into(),
        destination: header.destination_addr().into(),
        id: header.identification(),
        protocol: header.protocol().0,
    };
    let rest = rest.skip(header_len)?;
    if !header.is_fragmenting_payload() {
        return Ok(Payload::Whole(carrier, rest));
    }
    let key = fragment::Key {
        source: carrier.source,
        destination: carrier.destination,
        id: u32::from(carrier.id),
        tag: rest.tag,
        protocol: carrier.protocol,
    };
    let offset = usize::from(header.fragments_offset().byte_offset());
    let more = header.more_fragments();
    Ok(Payload::Part(Fragment { key, carrier, offset, more, rest }))
}

fn v6(rest: Rest<'_>) -> Result<(Carrier, Rest<'_>), Skip> {
    let header = Ipv6HeaderSlice::from_slice(rest.bytes).map_err(|error| match error {
        err::ipv6::HeaderSliceError::Len(_) => Skip::Truncated,
        err::ipv6::HeaderSliceError::Content(_) => Skip::Malformed,
    })?;
    let rest = rest.skip(header.slice().len())?;
    // 0 in jumbograms (RFC 2675; BIG TCP) and before segmentation: the rest of the packet.
    let rest = match usize::from(header.payload_length()) {
        0 => rest,
        len => rest.limit(len),
    };
    let carrier = Carrier {
        source: header.source_addr().into(),
        destination: header.destination_addr().into(),
        id: 0,
        protocol: header.next_header().0,
    };
    Ok((carrier, rest))
}

/// True when the next header is one that `extension` reads.
pub(super) fn is_extension(carrier: &Carrier) -> bool {
    match carrier.protocol {
        protocol::AUTHENTICATION => true,
        protocol::HOP_BY_HOP
        | protocol::ROUTING
        | protocol::FRAGMENT
        | protocol::DESTINATION_OPTIONS
        | protocol::MOBILITY
        | protocol::HOST_IDENTITY
        | protocol::SHIM6 => carrier.source.is_ipv6(),
        _ => false,
    }
}

/// Reads an extension header (RFC 8200 §4) or an authentication header (RFC 4302).
pub(super) fn extension<'a>(carrier: Carrier, rest: Rest<'a>) -> Result<Payload<'a>, Skip> {
    let (next, len) = match carrier.protocol {
        protocol::FRAGMENT => return fragment_header(carrier, rest),
        protocol::AUTHENTICATION => {
            let header = IpAuthHeaderSlice::from_slice(rest.bytes).map_err(|e| match e {
                err::ip_auth::HeaderSliceError::Len(_) => Skip::Truncated,
                err::ip_auth::HeaderSliceError::Content(_) => Skip::Malformed,
            })?;
            (header.next_header(), header.slice().len())
        }
        _ => {
            let header =
                Ipv6RawExtHeaderSlice::from_slice(rest.bytes).map_err(|_| Skip::Truncated)?;
            (header.next_header(), header.slice().len())
        }
    };
    Ok(Payload::Whole(Carrier { protocol: next.0, ..carrier }, rest.skip(len)?))
}

fn fragment_header<'a>(carrier: Carrier, rest: Rest<'a>) -> Result<Payload<'a>, Skip> {
    let header = Ipv6FragmentHeaderSlice::from_slice(rest.bytes).map_err(|_| Skip::Truncated)?;
    let rest = rest.skip(header.slice().len())?;
    let carrier = Carrier { protocol: header.next_header().0, ..carrier };
    // RFC 6946: an atomic fragment is a whole datagram, even if others have the same number.
    if !header.is_fragmenting_payload() {
        return Ok(Payload::Whole(carrier, rest));
    }
    let key = fragment::Key {
        source: carrier.source,
        destination: carrier.destination,
        id: header.identification(),
        tag: rest.tag,
        protocol: protocol::FRAGMENT,
    };
    let offset = usize::from(header.fragment_offset().byte_offset());
    let more = header.more_fragments();
    Ok(Payload::Part(Fragment { key, carrier, offset, more, rest }))
}
