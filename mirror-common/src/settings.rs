//! What user space tells the kernel program: which packets are wanted, and how much of each.
//!
//! There are two slots of everything, and a packet reads once which of them holds
//! ([`Switch`]). User space writes the other one and then turns the switch by a single store, so
//! that no packet sees half of a change.

use crate::counter::Outcome;
use crate::flow::{Address, Ends, Way};
use crate::record::Direction;

/// Slots of settings, ports and networks.
pub const SLOTS: u32 = 2;

/// 64-bit words of the bitmap that says which ports are watched, one bit for each.
pub const PORT_WORDS: usize = 1024;

/// A sample of all connections, out of 2³².
pub const SAMPLE_ALL: u64 = 1 << 32;

/// Where in the bitmap a port's bit is: the word, and the bit within it.
#[must_use]
#[inline(always)]
pub const fn port_bit(port: u16) -> (usize, u64) {
    ((port >> 6) as usize, 1 << (port & 63))
}

/// The word that every packet reads first. Its values differ in one byte alone, so that no way of
/// writing it can be seen half done.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Switch(pub u32);

impl Switch {
    const SLOT: u32 = 1;
    const PAUSED: u32 = 2;

    /// The word for this slot, 0 or 1.
    #[must_use]
    pub const fn new(slot: u32, paused: bool) -> Self {
        Self(slot & Self::SLOT | if paused { Self::PAUSED } else { 0 })
    }

    /// The slot that holds.
    #[must_use]
    #[inline(always)]
    pub const fn slot(self) -> u32 {
        self.0 & Self::SLOT
    }

    /// True when packets are counted and nothing else.
    #[must_use]
    #[inline(always)]
    pub const fn is_paused(self) -> bool {
        self.0 & Self::PAUSED != 0
    }
}

/// One slot.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// A connection is wanted when its [hash](Ends::hash) is below this, out of [`SAMPLE_ALL`].
    pub sample: u64,
    /// The part of the sample that is copied at the moment, by the same hash: no more than `sample`, and less while
    /// the guard sheds load.
    pub copied: u64,
    /// The reader is woken when the bytes that wait in the ring pass this number.
    pub wake_bytes: u32,
    /// So many bytes are copied of a packet to the server, from its link header on.
    pub snaplen_to_server: u32,
    /// The same for a packet to the client.
    pub snaplen_to_client: u32,
    /// What is not wanted, and which lists of networks there are: bits of [`flag`].
    pub flags: u32,
}

/// Bits of [`Settings::flags`].
pub mod flag {
    /// Packets to the client are not wanted.
    pub const REQUESTS_ONLY: u32 = 1;
    /// Packets that come in are not wanted.
    pub const NO_INGRESS: u32 = 1 << 1;
    /// Packets that go out are not wanted.
    pub const NO_EGRESS: u32 = 1 << 2;
    /// Connections of which this host is the server are not wanted.
    pub const NOT_AS_SERVER: u32 = 1 << 3;
    /// Connections of which this host is the client are not wanted.
    pub const NOT_AS_CLIENT: u32 = 1 << 4;
    /// There are networks of [`List::Either`](super::List::Either).
    pub const EITHER_LISTED: u32 = 1 << 5;
    /// There are networks of [`List::Client`](super::List::Client).
    pub const CLIENT_LISTED: u32 = 1 << 6;
    /// There are networks of [`List::Server`](super::List::Server).
    pub const SERVER_LISTED: u32 = 1 << 7;
    /// An address of no listed network is wanted: the list names only what is not.
    pub const EITHER_OPEN: u32 = 1 << 8;
    /// The same for clients.
    pub const CLIENT_OPEN: u32 = 1 << 9;
    /// The same for servers.
    pub const SERVER_OPEN: u32 = 1 << 10;
    /// Packets that are not TCP and bare acknowledgments are wanted, too.
    pub const EVERY_KIND: u32 = 1 << 11;
    /// Mirror has sockets of its own, whose packets are passed over.
    pub const OWN_SOCKETS: u32 = 1 << 12;
}

const _: () = assert!(size_of::<Settings>() == 32 && align_of::<Settings>() == 8);

/// Settings and the ports that are watched: what one look-up gives.
#[repr(C)]
pub struct Slot {
    /// The settings.
    pub settings: Settings,
    /// One bit for each watched port; see [`port_bit`].
    pub ports: [u64; PORT_WORDS],
}

const _: () = assert!(size_of::<Slot>() == size_of::<Settings>() + 8 * PORT_WORDS);

/// Which addresses a list of networks is about.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// The client's or the server's.
    Either = 0,
    /// The client's.
    Client = 1,
    /// The server's.
    Server = 2,
}

/// What a list says of the longest network that an address is in.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// Wanted.
    Included = 1,
    /// Not wanted.
    Excluded = 2,
}

impl Listed {
    /// From its number in the map.
    #[must_use]
    #[inline(always)]
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::Included),
            2 => Some(Self::Excluded),
            _ => None,
        }
    }
}

/// Networks of one slot, of all its lists together: more than any host needs by hand, and few
/// enough that the look-up stays short.
pub const MAX_NETWORKS: u32 = 4096;

/// Bytes of a key of the networks' map: slot and list in four, the address in sixteen.
pub const NET_KEY_BYTES: usize = 20;
/// Bits of such a key in front of the address, all of which count.
pub const NET_KEY_TAG_BITS: u32 = 32;

/// The key of an address in a slot's list.
#[must_use]
#[inline(always)]
pub const fn net_key(slot: u32, list: List, address: Address) -> [u8; NET_KEY_BYTES] {
    let [a, b, c, d] = (slot << 8 | list as u32).to_be_bytes();
    let [high, low] = address.halves();
    let [e, f, g, h, i, j, k, l] = high.to_be_bytes();
    let [m, n, o, p, q, r, s, t] = low.to_be_bytes();
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t]
}

/// Who knows which network an address is in: maps in the kernel, a table in user space.
pub trait Networks {
    /// What `list` says of the longest of its networks with this address.
    fn listed(&self, list: List, address: Address) -> Option<Listed>;
}

impl Settings {
    /// Whether packets of this direction are wanted. On `lo`, where each packet goes out and comes
    /// in, and in capture files, which do not tell, there is no direction.
    #[must_use]
    #[inline(always)]
    pub const fn wants_direction(&self, direction: Option<Direction>) -> bool {
        match direction {
            Some(Direction::Ingress) => self.flags & flag::NO_INGRESS == 0,
            Some(Direction::Egress) => self.flags & flag::NO_EGRESS == 0,
            None => true,
        }
    }

    /// Whether packets that carry no stream are wanted, too: those that are not TCP, of which as
    /// much is copied as of one to the server, and bare acknowledgments.
    #[must_use]
    #[inline(always)]
    pub const fn wants_every_kind(&self) -> bool {
        self.has(flag::EVERY_KIND)
    }

    /// Whether packets of mirror's own sockets are to be looked for.
    #[must_use]
    #[inline(always)]
    pub const fn has_own_sockets(&self) -> bool {
        self.has(flag::OWN_SOCKETS)
    }

    /// Whether a segment between watched ports is wanted, or what became of it if not.
    ///
    /// # Errors
    /// The outcome of a segment that is not wanted.
    #[inline(always)]
    pub fn judge<N: Networks>(
        &self,
        networks: &N,
        ends: &Ends,
        way: Way,
        direction: Option<Direction>,
    ) -> Result<(), Outcome> {
        if matches!(way, Way::ToClient) && self.has(flag::REQUESTS_ONLY) {
            return Err(Outcome::NotRequest);
        }
        if !self.wants_side(way, direction) {
            return Err(Outcome::OtherSide);
        }
        if self.copied < SAMPLE_ALL {
            let hash = u64::from(ends.hash());
            if hash >= self.copied {
                return Err(if hash >= self.sample {
                    Outcome::SampledOut
                } else {
                    Outcome::LoadShed
                });
            }
        }
        if self.wants_addresses(networks, ends, way) { Ok(()) } else { Err(Outcome::OtherNetwork) }
    }

    /// How many bytes are copied of a packet that goes this way.
    #[must_use]
    #[inline(always)]
    pub const fn snaplen(&self, way: Way) -> u32 {
        match way {
            Way::ToServer => self.snaplen_to_server,
            Way::ToClient => self.snaplen_to_client,
        }
    }

    #[inline(always)]
    const fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    #[inline(always)]
    const fn wants_side(&self, way: Way, direction: Option<Direction>) -> bool {
        match (way, direction) {
            (_, None) => true,
            (Way::ToServer, Some(Direction::Ingress))
            | (Way::ToClient, Some(Direction::Egress)) => !self.has(flag::NOT_AS_SERVER),
            (Way::ToServer, Some(Direction::Egress))
            | (Way::ToClient, Some(Direction::Ingress)) => !self.has(flag::NOT_AS_CLIENT),
        }
    }

    #[inline(always)]
    fn wants_addresses<N: Networks>(&self, networks: &N, ends: &Ends, way: Way) -> bool {
        let (client, server) = ends.client_and_server(way);
        if self.has(flag::CLIENT_LISTED) {
            let listed = networks.listed(List::Client, client.address);
            if !wanted(listed, self.has(flag::CLIENT_OPEN)) {
                return false;
            }
        }
        if self.has(flag::SERVER_LISTED) {
            let listed = networks.listed(List::Server, server.address);
            if !wanted(listed, self.has(flag::SERVER_OPEN)) {
                return false;
            }
        }
        if self.has(flag::EITHER_LISTED) {
            // Excluded at one end is excluded; included at one end is enough.
            let one = networks.listed(List::Either, client.address);
            if matches!(one, Some(Listed::Excluded)) {
                return false;
            }
            let other = networks.listed(List::Either, server.address);
            if matches!(other, Some(Listed::Excluded)) {
                return false;
            }
            return one.is_some() || other.is_some() || self.has(flag::EITHER_OPEN);
        }
        true
    }
}

#[inline(always)]
const fn wanted(listed: Option<Listed>, open: bool) -> bool {
    match listed {
        Some(Listed::Included) => true,
        Some(Listed::Excluded) => false,
        None => open,
    }
}

impl Settings {
    /// The bytes as they stand in the map.
    #[must_use]
    pub fn to_bytes(self) -> [u8; size_of::<Self>()] {
        let mut bytes = [0; size_of::<Self>()];
        let words = [self.wake_bytes, self.snaplen_to_server, self.snaplen_to_client, self.flags];
        let words = words.iter().flat_map(|word| word.to_ne_bytes());
        let samples = [self.sample, self.copied];
        let samples = samples.iter().flat_map(|sample| sample.to_ne_bytes());
        for (byte, value) in bytes.iter_mut().zip(samples.chain(words)) {
            *byte = value;
        }
        bytes
    }
}

#[cfg(test)]
mod tests;
