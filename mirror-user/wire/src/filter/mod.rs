//! Which packets are wanted, and how much of each.
//!
//! A [`Choice`] is what was asked for; it becomes the kernel program's settings for live
//! interfaces, and `decode` asks it for every segment of capture files, both by the same functions
//! of `mirror_common`, so that both choose alike. [`Watch`] is the choice that holds at the moment,
//! shared between who changes it and who asks.

mod networks;
mod ports;

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mirror_common::flow::{Address, End, Ends, Way};
use mirror_common::settings::{Listed, SAMPLE_ALL, flag};
use mirror_common::{Direction, Outcome, Settings};
use strum::{EnumIter, EnumMessage, IntoStaticStr};

pub use self::networks::{Contradiction, Nets, NetworkRule};
pub use self::ports::Ports;

/// What is wanted. The default is everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// The ports that servers listen on.
    pub ports: Ports,
    /// The networks of clients and servers.
    pub nets: Nets,
    /// What comes in or what goes out alone. Not on `lo`, where each packet does both, nor in
    /// capture files, which do not tell.
    pub direction: Option<Direction>,
    /// Connections of which this host is the server, or the client, alone; where there is a
    /// direction.
    pub side: Option<Side>,
    /// Which part of the connections.
    pub sample: Sample,
    /// Only packets to the server.
    pub requests_only: bool,
    /// How much of each packet.
    pub snaplen: Snaplen,
    /// No more than [`BRIEF_BYTES`] of a packet to the client: nobody wants bodies of responses, and their heads say where
    /// they end.
    pub brief_responses: bool,
    /// Packets that carry no stream, too: those that are not TCP, and bare acknowledgments. Live
    /// alone; nothing but `doctor` looks at them.
    pub every_kind: bool,
}

/// What this host is in a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, EnumMessage, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Side {
    /// This host listens on the port
    Server,
    /// This host connects to a server on the port
    Client,
}

/// Which part of the connections is wanted, chosen by [`Ends::hash`]: a threshold out of 2³². A
/// smaller sample is a part of a larger one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sample(u64);

impl Sample {
    /// All connections.
    pub const ALL: Self = Self(SAMPLE_ALL);

    /// So many out of 2³²; more than that is all.
    #[must_use]
    pub const fn out_of_2_32(threshold: u64) -> Self {
        Self(if threshold < SAMPLE_ALL { threshold } else { SAMPLE_ALL })
    }

    /// So many out of a hundred, 0 to 100.
    #[must_use]
    pub fn percent(percent: f64) -> Self {
        Self::out_of_2_32((percent / 100.0 * SAMPLE_ALL as f64).round() as u64)
    }

    /// The threshold.
    #[must_use]
    pub const fn threshold(self) -> u64 {
        self.0
    }
}

impl Default for Sample {
    fn default() -> Self {
        Self::ALL
    }
}

/// How many bytes of a packet are wanted, from its link header on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snaplen {
    /// Of packets to the server.
    pub to_server: u32,
    /// Of packets to the client.
    pub to_client: u32,
}

impl Snaplen {
    /// All bytes.
    pub const WHOLE: u32 = u32::MAX;
}

/// What is copied of a packet to the client where nobody wants bodies: common heads of responses whole, from the link header
/// on, and 6 % of a packet of 64 KiB as segmentation offload makes them.
pub const BRIEF_BYTES: u32 = 4096;

impl Default for Snaplen {
    fn default() -> Self {
        Self { to_server: Self::WHOLE, to_client: Self::WHOLE }
    }
}

impl Choice {
    /// Everything between these ports.
    #[must_use]
    pub fn of_ports(ports: Ports) -> Self {
        Self { ports, ..Self::default() }
    }

    /// The same with [`brief_responses`](Self::brief_responses), unless how much of a packet to the client is wanted was said.
    #[must_use]
    pub fn with_brief_responses(&self) -> Self {
        let brief_responses = self.snaplen.to_client == Snaplen::WHOLE;
        Self { brief_responses, ..self.clone() }
    }

    /// How many bytes are wanted of a segment's packet, which was seen where directions are not
    /// known.
    ///
    /// # Errors
    /// The kernel program's name for a segment that is not wanted.
    #[inline]
    pub fn judge(&self, source: SocketAddr, destination: SocketAddr) -> Result<u32, Outcome> {
        let ports = [source.port(), destination.port()];
        let [from_server, to_server] =
            ports.map(|port| self.ports.is_empty() || self.ports.contains(port));
        let ends = Ends { source: end(source), destination: end(destination) };
        let Some(way) = ends.way(from_server, to_server) else { return Err(Outcome::NotWatched) };
        self.settings().judge(&self.nets, &ends, way, None)?;
        Ok(match way {
            Way::ToServer => self.snaplen.to_server,
            Way::ToClient => self.snaplen_to_client(),
        })
    }

    fn snaplen_to_client(&self) -> u32 {
        match self.brief_responses {
            true => self.snaplen.to_client.min(BRIEF_BYTES),
            false => self.snaplen.to_client,
        }
    }

    /// As the kernel program gets it, without what is not of the choice.
    #[must_use]
    #[inline]
    pub fn settings(&self) -> Settings {
        let requests_only = if self.requests_only { flag::REQUESTS_ONLY } else { 0 };
        let every_kind = if self.every_kind { flag::EVERY_KIND } else { 0 };
        let direction = match self.direction {
            Some(Direction::Ingress) => flag::NO_EGRESS,
            Some(Direction::Egress) => flag::NO_INGRESS,
            None => 0,
        };
        let side = match self.side {
            Some(Side::Server) => flag::NOT_AS_CLIENT,
            Some(Side::Client) => flag::NOT_AS_SERVER,
            None => 0,
        };
        Settings {
            sample: self.sample.0,
            copied: self.sample.0,
            snaplen_to_server: self.snaplen.to_server,
            snaplen_to_client: self.snaplen_to_client(),
            flags: requests_only | every_kind | direction | side | self.nets.flags(),
            ..Settings::default()
        }
    }
}

fn end(address: SocketAddr) -> End {
    End { address: as_address(address.ip()), port: address.port() }
}

fn as_address(ip: IpAddr) -> Address {
    match ip {
        IpAddr::V4(ip) => Address::v4(ip.to_bits()),
        IpAddr::V6(ip) => Address::v6((ip.to_bits() >> 64) as u64, ip.to_bits() as u64),
    }
}

/// The choice that holds. Cheap to clone; all clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Watch(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// How often the choice was changed: whoever keeps a copy looks here whether it still holds.
    changes: AtomicU64,
    choice: Mutex<Arc<Choice>>,
}

impl Watch {
    /// One that begins with this choice.
    #[must_use]
    pub fn new(choice: Choice) -> Self {
        Self(Arc::new(Shared { changes: AtomicU64::new(0), choice: Mutex::new(choice.into()) }))
    }

    /// The choice that holds now.
    #[must_use]
    pub fn choice(&self) -> Arc<Choice> {
        Arc::clone(&self.0.choice.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets another choice hold from now on.
    pub fn set(&self, choice: Arc<Choice>) {
        *self.0.choice.lock().unwrap_or_else(PoisonError::into_inner) = choice;
        self.0.changes.fetch_add(1, Ordering::Release);
    }
}

/// A copy of the choice that holds, for callers that ask for every packet.
pub struct Watcher {
    watch: Watch,
    changes: u64,
    choice: Arc<Choice>,
}

impl Watcher {
    /// Follows the choice of `watch`.
    #[must_use]
    pub fn new(watch: Watch) -> Self {
        let changes = watch.0.changes.load(Ordering::Acquire);
        Self { changes, choice: watch.choice(), watch }
    }

    /// The choice that holds: one load, unless it was changed.
    #[inline]
    pub fn choice(&mut self) -> &Choice {
        let changes = self.watch.0.changes.load(Ordering::Acquire);
        if changes != self.changes {
            self.changes = changes;
            self.choice = self.watch.choice();
        }
        &self.choice
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn everything_is_wanted_by_default() {
        let judged = Choice::default().judge(socket("10.0.0.1:1"), socket("[::1]:2"));
        assert_eq!(judged, Ok(Snaplen::WHOLE));
    }

    #[test]
    fn ports_networks_sample_and_snap_lengths_choose() {
        let (client, server) = (socket("10.1.0.1:40000"), socket("10.2.0.1:80"));
        let web = Choice::of_ports(Ports::new(vec![80]));
        assert_eq!(web.judge(client, server), Ok(Snaplen::WHOLE));
        assert_eq!(web.judge(client, socket("10.2.0.1:81")), Err(Outcome::NotWatched));
        let rule = |text: &str| text.parse::<NetworkRule>().unwrap();
        let nets = Nets::new(&[], &[rule("10.2.0.0/16")], &[]).unwrap();
        let other = Choice { nets, ..web.clone() };
        assert_eq!(other.judge(client, server), Err(Outcome::OtherNetwork));
        let none = Choice { sample: Sample::percent(0.0), ..web.clone() };
        assert_eq!(none.judge(client, server), Err(Outcome::SampledOut));
        let requests = Choice { requests_only: true, ..web.clone() };
        assert_eq!(requests.judge(client, server), Ok(Snaplen::WHOLE));
        assert_eq!(requests.judge(server, client), Err(Outcome::NotRequest));
        let snaplen = Snaplen { to_server: 2000, to_client: 128 };
        let short = Choice { snaplen, ..web };
        assert_eq!(short.judge(client, server), Ok(2000));
        assert_eq!(short.judge(server, client), Ok(128));
    }

    #[test]
    fn a_changed_choice_reaches_every_copy() {
        let watch = Watch::default();
        let mut watcher = Watcher::new(watch.clone());
        assert!(watcher.choice().ports.is_empty());
        watch.set(Choice::of_ports(Ports::new(vec![80])).into());
        assert!(watcher.choice().ports.contains(80));
    }

    #[test]
    fn percents_are_thresholds() {
        assert_eq!(Sample::percent(100.0), Sample::ALL);
        assert_eq!(Sample::percent(50.0).threshold(), 1 << 31);
        assert_eq!(Sample::percent(0.0).threshold(), 0);
    }
}
