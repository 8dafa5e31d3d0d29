//! Lists of networks. The only file that knows `ipnet`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use hashbrown::HashMap;
use ipnet::IpNet;
use mirror_common::flow::Address;
use mirror_common::settings::{List, MAX_NETWORKS, Networks, flag};

use super::{Listed, as_address};

/// A network and what is to become of it: `10.0.0.0/8`, `!10.1.0.0/16`, `fd00::1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkRule {
    network: IpNet,
    listed: Listed,
}

impl FromStr for NetworkRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (listed, network) = match text.strip_prefix('!') {
            Some(network) => (Listed::Excluded, network),
            None => (Listed::Included, text),
        };
        let parsed: IpNet =
            network.parse().or_else(|_| network.parse::<IpAddr>().map(IpNet::from)).map_err(
                |_| "a network, such as 10.0.0.0/8, fd00::/8 or 10.1.2.3, or not: !10.0.0.0/8",
            )?;
        if parsed.trunc() != parsed {
            return Err(format!("a network's address ends in zeros: {} is one", parsed.trunc()));
        }
        Ok(Self { network: parsed, listed })
    }
}

impl fmt::Display for NetworkRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let not = if self.listed == Listed::Excluded { "!" } else { "" };
        write!(f, "{not}{}", self.network)
    }
}

/// The three lists of networks: of either end, of the client, of the server. In each the longest
/// network that an address is in decides; an address that is in none is wanted when the list names
/// only what is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nets {
    lists: [Table; 3],
    /// The settings' flags that speak of networks.
    flags: u32,
}

/// A list: by the length of their prefixes, the longest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Table(Vec<(u32, Members)>);

/// Networks of one prefix length, by address. `None`: nothing was said of it.
type Members = HashMap<[u64; 2], Option<Listed>>;

/// All IPv4 addresses as IPv6 has them.
const ALL_OF_IPV4: IpAddr = IpAddr::V6(Ipv4Addr::UNSPECIFIED.to_ipv6_mapped());

/// Bits that all of them have in common (RFC 4291 §2.5.5.2).
const MAPPED_BITS: u32 = 96;

/// Why lists of networks cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contradiction {
    /// This network is wanted and is not.
    Both(IpNet),
    /// There are more than [`MAX_NETWORKS`].
    TooMany(usize),
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Both(network) => {
                write!(f, "{network}: is named both with `!` and without; leave one out")
            }
            Self::TooMany(n) => {
                write!(f, "{n} networks are more than {MAX_NETWORKS}; join some of them")
            }
        }
    }
}

impl std::error::Error for Contradiction {}

impl Nets {
    /// From the networks of either end, of clients and of servers.
    ///
    /// # Errors
    /// When they contradict one another or are too many.
    pub fn new(
        either: &[NetworkRule],
        client: &[NetworkRule],
        server: &[NetworkRule],
    ) -> Result<Self, Contradiction> {
        let n = either.len() + client.len() + server.len();
        if n > MAX_NETWORKS as usize {
            return Err(Contradiction::TooMany(n));
        }
        let lists = [Table::new(either)?, Table::new(client)?, Table::new(server)?];
        let flags = [
            (either, flag::EITHER_LISTED, flag::EITHER_OPEN),
            (client, flag::CLIENT_LISTED, flag::CLIENT_OPEN),
            (server, flag::SERVER_LISTED, flag::SERVER_OPEN),
        ];
        let flags = flags.into_iter().fold(0, |flags, (rules, listed, open)| {
            let is_open = rules.iter().all(|rule| rule.listed == Listed::Excluded);
            flags | if rules.is_empty() { 0 } else { listed } | if is_open { open } else { 0 }
        });
        Ok(Self { lists, flags })
    }

    /// Every network as the kernel program knows it: its list, its address, how many of the
    /// address's 128 bits count, and what is to become of it.
    pub fn entries(&self) -> impl Iterator<Item = (List, Address, u32, Option<Listed>)> + '_ {
        self.lists().flat_map(|(list, table)| {
            table.0.iter().flat_map(move |(bits, networks)| {
                networks.iter().map(move |([high, low], listed)| {
                    (list, Address::v6(*high, *low), *bits, *listed)
                })
            })
        })
    }

    pub(super) fn flags(&self) -> u32 {
        self.flags
    }

    fn lists(&self) -> impl Iterator<Item = (List, &Table)> {
        [List::Either, List::Client, List::Server].into_iter().zip(&self.lists)
    }
}

impl Networks for Nets {
    fn listed(&self, list: List, address: Address) -> Option<Listed> {
        self.lists.get(list as usize)?.longest(address.halves())
    }
}

impl Table {
    fn new(rules: &[NetworkRule]) -> Result<Self, Contradiction> {
        let mut table = Self::default();
        for NetworkRule { network, listed } in rules {
            let mapped = if network.addr().is_ipv4() { MAPPED_BITS } else { 0 };
            let bits = mapped + u32::from(network.prefix_len());
            let before = table.insert(bits, network.addr(), Some(*listed));
            if before.flatten().is_some_and(|before| before != *listed) {
                return Err(Contradiction::Both(*network));
            }
        }
        // Whoever says `::/0` means IPv6, although IPv4's addresses are mapped into it.
        if rules.iter().any(|rule| rule.network.contains(&ALL_OF_IPV4))
            && table.get(MAPPED_BITS, as_address(ALL_OF_IPV4).halves()).is_none()
        {
            table.insert(MAPPED_BITS, ALL_OF_IPV4, None);
        }
        Ok(table)
    }

    /// Says what was there before.
    fn insert(&mut self, bits: u32, ip: IpAddr, listed: Option<Listed>) -> Option<Option<Listed>> {
        let place = self.0.binary_search_by(|(known, _)| bits.cmp(known)).unwrap_or_else(|place| {
            self.0.insert(place, (bits, Members::new()));
            place
        });
        self.0.get_mut(place)?.1.insert(as_address(ip).halves(), listed)
    }

    fn get(&self, bits: u32, address: [u64; 2]) -> Option<Option<Listed>> {
        let place = self.0.binary_search_by(|(known, _)| bits.cmp(known)).ok()?;
        self.0.get(place)?.1.get(&address).copied()
    }

    fn longest(&self, [high, low]: [u64; 2]) -> Option<Listed> {
        let address = u128::from(high) << 64 | u128::from(low);
        let longest = self.0.iter().find_map(|(bits, networks)| {
            let kept = u128::MAX.checked_shl(128 - bits).unwrap_or(0) & address;
            networks.get(&[(kept >> 64) as u64, kept as u64]).copied()
        });
        longest.flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(texts: &[&str]) -> Vec<NetworkRule> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn listed(nets: &Nets, address: &str) -> Option<Listed> {
        nets.listed(List::Client, as_address(address.parse().unwrap()))
    }

    #[test]
    fn the_longest_network_decides() {
        let client = rules(&["10.0.0.0/8", "!10.1.0.0/16", "10.1.2.3", "fd00::/8", "0.0.0.0/1"]);
        let nets = Nets::new(&[], &client, &[]).unwrap();
        assert_eq!(listed(&nets, "10.2.0.1"), Some(Listed::Included));
        assert_eq!(listed(&nets, "10.1.0.1"), Some(Listed::Excluded));
        assert_eq!(listed(&nets, "10.1.2.3"), Some(Listed::Included));
        assert_eq!(listed(&nets, "fd00::1"), Some(Listed::Included));
        assert_eq!(listed(&nets, "200.0.0.1"), None);
        assert_eq!(listed(&nets, "fe80::1"), None);
        assert_eq!(nets.flags(), flag::CLIENT_LISTED | flag::EITHER_OPEN | flag::SERVER_OPEN);
        assert_eq!(nets.entries().count(), 5);
    }

    #[test]
    fn all_of_ipv4_is_not_all_of_ipv6() {
        let nets = Nets::new(&[], &rules(&["0.0.0.0/0"]), &[]).unwrap();
        assert_eq!(listed(&nets, "1.2.3.4"), Some(Listed::Included));
        assert_eq!(listed(&nets, "::1"), None);
        let nets = Nets::new(&[], &rules(&["!::/0"]), &[]).unwrap();
        assert_eq!(listed(&nets, "::1"), Some(Listed::Excluded));
        assert_eq!(listed(&nets, "1.2.3.4"), None);
    }

    #[test]
    fn contradictions_and_bits_beyond_the_prefix_are_refused() {
        let both = rules(&["10.0.0.0/8", "!10.0.0.0/8"]);
        let error = Nets::new(&both, &[], &[]).unwrap_err();
        assert_eq!(error, Contradiction::Both("10.0.0.0/8".parse().unwrap()));
        let error = "10.1.0.0/8".parse::<NetworkRule>().unwrap_err();
        assert!(error.contains("10.0.0.0/8 is one"), "{error}");
        assert!("10/8".parse::<NetworkRule>().is_err());
    }
}
