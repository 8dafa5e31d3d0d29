//! A conversation of two ends, segment by segment.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use crate::packet::{InterfaceId, Timestamp};
use crate::segment::SeqNumber;
use crate::segment::{Flags, Segment, Tag};
use crate::tcp::event::{Change, Side, StreamEvent};
use crate::tcp::{FlowTable, TcpLimits};

pub(super) const CLIENT: &str = "10.0.0.2:40000";
pub(super) const SERVER: &str = "10.0.0.1:8080";

/// Writes segments with the right numbers; nothing is sent until a table takes them.
pub(super) struct Talk {
    pub(super) client: SocketAddr,
    pub(super) server: SocketAddr,
    pub(super) next: [u32; 2],
    pub(super) at: Timestamp,
}

impl Talk {
    pub(super) fn new(client_isn: u32, server_isn: u32) -> Self {
        Self {
            client: CLIENT.parse().unwrap(),
            server: SERVER.parse().unwrap(),
            next: [client_isn, server_isn],
            at: Timestamp::from_nanos(1_000_000_000),
        }
    }

    pub(super) fn segment(&mut self, side: Side, flags: Flags, payload: &[u8]) -> Segment {
        let (source, destination, own, other) = match side {
            Side::Client => (self.client, self.server, 0, 1),
            Side::Server => (self.server, self.client, 1, 0),
        };
        self.at = Timestamp::from_nanos(self.at.as_nanos() + 1000);
        let segment = Segment {
            at: self.at,
            interface: InterfaceId(0),
            source: source.into(),
            destination: destination.into(),
            seq: SeqNumber(self.next[own]),
            ack: SeqNumber(self.next[other]),
            window: 65535,
            flags,
            payload: Bytes::copy_from_slice(payload),
            tag: Tag::NONE,
            cut: 0,
        };
        let controls =
            u32::from(flags.contains(Flags::SYN)) + u32::from(flags.contains(Flags::FIN));
        self.next[own] = self.next[own].wrapping_add(payload.len() as u32 + controls);
        segment
    }

    pub(super) fn client(&mut self, payload: &[u8]) -> Segment {
        self.segment(Side::Client, Flags::ACK, payload)
    }

    pub(super) fn server(&mut self, payload: &[u8]) -> Segment {
        self.segment(Side::Server, Flags::ACK, payload)
    }

    pub(super) fn fin(&mut self, side: Side, payload: &[u8]) -> Segment {
        self.segment(side, Flags::FIN.with(Flags::ACK), payload)
    }

    pub(super) fn handshake(&mut self) -> Vec<Segment> {
        vec![
            self.segment(Side::Client, Flags::SYN, b""),
            self.segment(Side::Server, Flags::SYN.with(Flags::ACK), b""),
            self.client(b""),
        ]
    }

    pub(super) fn later(&mut self, by: Duration) {
        self.at = Timestamp::from_nanos(self.at.as_nanos() + by.as_nanos() as u64);
    }
}

/// A table and what it observer.
pub(super) struct Observer {
    pub(super) table: FlowTable,
    pub(super) events: Vec<StreamEvent>,
}

impl Observer {
    pub(super) fn new(limits: TcpLimits) -> Self {
        Self { table: FlowTable::new(limits), events: Vec::new() }
    }

    pub(super) fn push(&mut self, segments: impl IntoIterator<Item = Segment>) -> &mut Self {
        for segment in segments {
            self.table.push(segment, &mut self.events);
        }
        self
    }

    /// The events since the last call, one word each; adjacent data of a side joined.
    pub(super) fn story(&mut self) -> String {
        let mut words: Vec<(Option<Side>, String)> = Vec::new();
        for event in self.events.drain(..) {
            match event.change {
                Change::Data(side, bytes) => {
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    match words.last_mut() {
                        Some((Some(last), word)) if *last == side => word.push_str(&text),
                        _ => words.push((Some(side), format!("{}:{text}", letter(side)))),
                    }
                }
                Change::Opened { midstream, .. } => {
                    words.push((None, if midstream { "open~" } else { "open" }.to_owned()));
                }
                Change::Gap(side, n) => words.push((None, format!("{}-{n}", letter(side)))),
                Change::Omitted(side, n) => words.push((None, format!("{}~{n}", letter(side)))),
                Change::Finished(side) => words.push((None, format!("{}.", letter(side)))),
                Change::Closed(why) => words.push((None, <&str>::from(why).to_owned())),
            }
        }
        words.into_iter().map(|(_, word)| word).collect::<Vec<_>>().join(" ")
    }

    /// Ends the input and checks that nothing is left and the sums hold.
    pub(super) fn end(&mut self) -> String {
        self.table.finish(&mut self.events);
        assert_eq!(self.table.len(), 0);
        assert_eq!(self.table.held(), 0);
        let stats = self.table.stats();
        assert_eq!(stats.bytes_held, 0);
        assert!(stats.bytes().is_settled(), "{}", stats.bytes());
        assert!(stats.connections().is_settled(), "{}", stats.connections());
        self.story()
    }
}

fn letter(side: Side) -> char {
    match side {
        Side::Client => 'c',
        Side::Server => 's',
    }
}
