//! The two ends of a connection: which of them is the server, and a hash that is the same whichever
//! way a packet goes. Used by the kernel program and for capture files alike, so that both choose
//! the same packets.

/// An IP address as IPv6 has it; IPv4's are mapped (RFC 4291 §2.5.5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    high: u64,
    low: u64,
}

impl Address {
    /// An IPv4 address.
    #[must_use]
    #[inline(always)]
    pub const fn v4(bits: u32) -> Self {
        Self { high: 0, low: 0xffff << 32 | bits as u64 }
    }

    /// An IPv6 address, from its upper and lower 64 bits.
    #[must_use]
    #[inline(always)]
    pub const fn v6(high: u64, low: u64) -> Self {
        Self { high, low }
    }

    /// Its upper and lower 64 bits.
    #[must_use]
    #[inline(always)]
    pub const fn halves(self) -> [u64; 2] {
        [self.high, self.low]
    }
}

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Its address.
    pub address: Address,
    /// Its TCP port.
    pub port: u16,
}

/// Who sent a packet and to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Who sent it.
    pub source: End,
    /// Whom it was sent to.
    pub destination: End,
}

/// Which way a packet goes between client and server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the server: a piece of a request.
    ToServer,
    /// To the client: a piece of an answer.
    ToClient,
}

impl Ends {
    /// Which way the packet goes, where it is known whether each of its ports is watched; `None`
    /// when neither is. With both, the lower port is the server's, and the destination's where they
    /// are equal.
    #[must_use]
    #[inline(always)]
    pub const fn way(&self, source_watched: bool, destination_watched: bool) -> Option<Way> {
        match (source_watched, destination_watched) {
            (false, false) => None,
            (false, true) => Some(Way::ToServer),
            (true, false) => Some(Way::ToClient),
            (true, true) if self.source.port < self.destination.port => Some(Way::ToClient),
            (true, true) => Some(Way::ToServer),
        }
    }

    /// The client and the server of a packet that goes this way.
    #[must_use]
    #[inline(always)]
    pub const fn client_and_server(&self, way: Way) -> (End, End) {
        match way {
            Way::ToServer => (self.source, self.destination),
            Way::ToClient => (self.destination, self.source),
        }
    }

    /// The same number for both directions of a connection, and as good as evenly spread over all
    /// connections: one is in a sample of so many out of 2³² when its hash is below that.
    #[must_use]
    #[inline(always)]
    pub const fn hash(&self) -> u32 {
        // Sums do not see who comes first, and unlike XOR keep what both ends have in common.
        let sum = digest(self.source).wrapping_add(digest(self.destination));
        (mix(sum) >> 32) as u32
    }
}

#[inline(always)]
const fn digest(end: End) -> u64 {
    mix(end.address.low ^ mix(end.address.high ^ (end.port as u64) << 48))
}

/// The finalizer of MurmurHash3 for 64 bits: each bit of the input changes each bit of the output
/// with probability one half.
#[inline(always)]
const fn mix(mut bits: u64) -> u64 {
    bits ^= bits >> 33;
    bits = bits.wrapping_mul(0xff51_afd7_ed55_8ccd);
    bits ^= bits >> 33;
    bits = bits.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    bits ^ bits >> 33
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(address: [u8; 4], port: u16) -> End {
        End { address: Address::v4(u32::from_be_bytes(address)), port }
    }

    fn flipped(ends: Ends) -> Ends {
        Ends { source: ends.destination, destination: ends.source }
    }

    #[test]
    fn ipv4_addresses_are_mapped() {
        assert_eq!(Address::v4(0x0a00_0001), Address::v6(0, 0xffff_0a00_0001));
    }

    #[test]
    fn the_watched_port_is_the_servers() {
        let ends = Ends { source: end([10, 0, 0, 1], 40_000), destination: end([10, 0, 0, 2], 80) };
        assert_eq!(ends.way(false, false), None);
        assert_eq!(ends.way(false, true), Some(Way::ToServer));
        assert_eq!(ends.way(true, false), Some(Way::ToClient));
        assert_eq!(ends.way(true, true), Some(Way::ToServer), "the lower one");
        assert_eq!(flipped(ends).way(true, true), Some(Way::ToClient));
        assert_eq!(ends.client_and_server(Way::ToServer).1.port, 80);
        assert_eq!(flipped(ends).client_and_server(Way::ToClient).1.port, 80);
    }

    #[test]
    fn both_directions_have_the_same_hash_and_connections_different_ones() {
        let server = end([10, 77, 0, 1], 8080);
        let mut below = 0;
        for port in 1024..=u16::MAX {
            let ends = Ends { source: end([10, 77, 0, 2], port), destination: server };
            assert_eq!(ends.hash(), flipped(ends).hash());
            below += u32::from(ends.hash() < u32::MAX / 10);
        }
        let share = f64::from(below) / f64::from(u16::MAX - 1023);
        assert!((0.09..0.11).contains(&share), "{share}");
    }

    #[test]
    fn the_hash_stays_what_it_is() {
        // Whoever samples on several hosts relies on the same choice by every version.
        let ends =
            Ends { source: end([10, 77, 0, 2], 40_000), destination: end([10, 77, 0, 1], 80) };
        assert_eq!(ends.hash(), 2_979_469_617);
    }
}
