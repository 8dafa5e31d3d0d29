//! One connection in the file, from its handshake to its end, and its packets.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use enum_map::{EnumMap, enum_map};
use etherparse::PacketBuilder;
use etherparse::err::packet::BuildWriteError;

use super::content::Stretch;
use crate::packet::{LinkType, Packet, Timestamp};
use crate::recorder::Recorder;
use crate::tcp::event::{Peers, Side};

/// Payload of one packet in bytes: fits every link with IPv6 and options.
const SEGMENT_BYTES: usize = 1_400;
/// Payload of one truncated packet in bytes: the limit of the IPv4 and IPv6 length fields, minus
/// headers.
const CUT_SEGMENT_BYTES: usize = 65_000;
const WINDOW: u16 = u16::MAX;
const TTL: u8 = 64;

/// A synthesized connection in the file.
pub(super) struct Stream {
    peers: Arc<Peers>,
    /// The next sequence number of each side.
    next: EnumMap<Side, u32>,
    /// Sides that have sent their FIN.
    finished: EnumMap<Side, bool>,
    /// Its end was not captured, so none is written.
    endless: bool,
    /// Requests without a response yet, oldest first.
    pending: VecDeque<PendingRequest>,
    /// Readers pair by time and not by order, until a response is paired.
    by_time: bool,
    /// Readers know from the status line that follows that the last response has no content.
    needs_status_line: bool,
}

struct PendingRequest {
    index: u32,
    started: Timestamp,
    /// It ended without a response.
    given_up: bool,
}

/// How a reader would pair a response with the pending requests.
pub(super) enum ResponseOrder {
    /// With its request, or with none.
    Next,
    /// The same, once the reader knows that responses were lost.
    AfterLost,
    /// With a wrong request, or its request is not on this connection.
    Unreadable,
}

/// A segment to be written.
#[derive(Clone, Copy)]
struct Segment<'a> {
    from: Side,
    flags: Flags,
    payload: &'a [u8],
    /// Number of further bytes that were sent and are not in the file.
    cut: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Flags {
    Syn,
    SynAck,
    Ack,
    Data,
    Fin,
    Reset,
}

/// Writes the packets of all connections.
pub(super) struct PacketWriter {
    pub(super) recorder: Recorder,
    pub(super) interfaces: Vec<String>,
    pub(super) latest: Timestamp,
    pub(super) buffer: Vec<u8>,
}

impl Stream {
    /// Opens a connection whose sequence numbers start at `first`.
    pub(super) fn open(
        peers: &Arc<Peers>,
        first: u32,
        at: Timestamp,
        writer: &mut PacketWriter,
    ) -> anyhow::Result<Self> {
        let mut stream = Self {
            peers: Arc::clone(peers),
            next: enum_map! { Side::Client => first, Side::Server => !first },
            finished: EnumMap::default(),
            endless: false,
            pending: VecDeque::new(),
            by_time: false,
            needs_status_line: false,
        };
        for (from, flags) in
            [(Side::Client, Flags::Syn), (Side::Server, Flags::SynAck), (Side::Client, Flags::Ack)]
        {
            stream.control(from, flags, at, writer)?;
        }
        Ok(stream)
    }

    /// True while `side` can send more.
    pub(super) fn is_open(&self, side: Side) -> bool {
        !self.finished[side]
    }

    /// True if a reader would pair the next response with a request that has none.
    pub(super) fn has_only_lost_requests(&self) -> bool {
        !self.pending.is_empty() && self.pending.iter().all(|pending| pending.given_up)
    }

    /// Records that the request with this index on its connection was written.
    pub(super) fn request_written(&mut self, index: u32, started: Timestamp) {
        self.pending.push_back(PendingRequest { index, started, given_up: false });
    }

    /// Records that the request will get no response.
    pub(super) fn give_up(&mut self, index: u32) {
        let pending = self.pending.iter_mut().find(|pending| pending.index == index);
        pending.into_iter().for_each(|pending| pending.given_up = true);
    }

    /// How a reader would pair a response with this start time, whose request is `request` or was
    /// not captured.
    pub(super) fn response_order(&self, request: Option<u32>, started: Timestamp) -> ResponseOrder {
        let Some(index) = request else {
            return match self.pending.is_empty() {
                true => ResponseOrder::Next,
                // Without an order, readers pair by time.
                false if self.pending.iter().all(|w| w.started > started && !w.given_up) => {
                    ResponseOrder::AfterLost
                }
                false => ResponseOrder::Unreadable,
            };
        };
        let mut behind = self.pending.iter().skip_while(|pending| pending.index != index);
        let Some(request) = behind.next() else { return ResponseOrder::Unreadable };
        let is_oldest = self.pending.front().is_some_and(|pending| pending.index == index);
        // An incomplete request is written only when it has ended, and would be taken for the
        // newest.
        let is_out_of_order = behind.any(|pending| pending.started < request.started);
        let mut before = self.pending.iter().take_while(|pending| pending.index != index);
        if is_out_of_order && (self.by_time || !is_oldest) {
            ResponseOrder::Unreadable
        } else if is_oldest {
            ResponseOrder::Next
        } else if before.all(|pending| pending.given_up) {
            ResponseOrder::AfterLost
        } else {
            ResponseOrder::Unreadable
        }
    }

    /// Records the response to a request. Those before it will get none.
    pub(super) fn response_written(&mut self, index: u32) {
        if let Some(position) = self.pending.iter().position(|pending| pending.index == index) {
            self.pending.drain(..=position);
            self.by_time = false;
        }
    }

    /// Records whether readers need a status line behind the last response, to know that it has no
    /// content.
    pub(super) fn needs_status_line(&mut self, needs: bool) {
        self.needs_status_line = needs;
    }

    /// Writes the beginning of a status line if readers need one: that of a response of which no
    /// more was captured.
    fn begin_status_line(
        &mut self,
        at: Timestamp,
        writer: &mut PacketWriter,
    ) -> anyhow::Result<()> {
        if !std::mem::take(&mut self.needs_status_line) {
            return Ok(());
        }
        let (from, payload) = (Side::Server, &b"HTTP/1."[..]);
        self.segment(Segment { from, flags: Flags::Data, payload, cut: 1 }, at, writer)
    }

    /// The end of the connection is unknown: it is neither closed nor reset.
    pub(super) fn leave_open(&mut self) {
        self.endless = true;
    }

    /// Makes readers pair by time: adds a gap of one byte from the server, unless there is one
    /// already.
    pub(super) fn add_gap(
        &mut self,
        at: Timestamp,
        writer: &mut PacketWriter,
    ) -> anyhow::Result<()> {
        if std::mem::replace(&mut self.by_time, true) {
            return Ok(());
        }
        let from = Side::Server;
        self.segment(Segment { from, flags: Flags::Data, payload: &[], cut: 1 }, at, writer)
    }

    /// Writes a message: its last packet at the time of its last byte, earlier ones at the time of
    /// its first byte. Missing bytes look like the part of a packet beyond the snaplen.
    pub(super) fn write_message(
        &mut self,
        from: Side,
        stretches: &[Stretch],
        (started, finished): (Timestamp, Timestamp),
        writer: &mut PacketWriter,
    ) -> anyhow::Result<()> {
        let mut segments = stretches.iter().flat_map(segments).peekable();
        let mut is_first = true;
        while let Some((payload, cut)) = segments.next() {
            let segment = Segment { from, flags: Flags::Data, payload, cut };
            if segments.peek().is_some() {
                self.segment(segment, started, writer)?;
            } else if is_first && started != finished && payload.len().saturating_add(cut) > 1 {
                let (most, last) = segment.before_last();
                self.segment(most, started, writer)?;
                self.segment(last, finished, writer)?;
            } else {
                self.segment(segment, finished, writer)?;
            }
            is_first = false;
        }
        Ok(())
    }

    /// Closes one side.
    pub(super) fn finish(
        &mut self,
        side: Side,
        at: Timestamp,
        writer: &mut PacketWriter,
    ) -> anyhow::Result<()> {
        if std::mem::replace(&mut self.finished[side], true) {
            return Ok(());
        }
        if side == Side::Server {
            self.begin_status_line(at, writer)?;
        }
        self.control(side, Flags::Fin, at, writer)
    }

    /// Resets the connection.
    pub(super) fn reset(mut self, at: Timestamp, writer: &mut PacketWriter) -> anyhow::Result<()> {
        self.begin_status_line(at, writer)?;
        self.control(Side::Client, Flags::Reset, at, writer)
    }

    /// Closes the connection, unless its end was not captured.
    pub(super) fn close(mut self, writer: &mut PacketWriter) -> anyhow::Result<()> {
        let at = writer.latest;
        if self.endless {
            return self.begin_status_line(at, writer);
        }
        self.finish(Side::Client, at, writer)?;
        self.finish(Side::Server, at, writer)?;
        self.control(Side::Client, Flags::Ack, at, writer)
    }

    /// A segment without payload.
    fn control(
        &mut self,
        from: Side,
        flags: Flags,
        at: Timestamp,
        writer: &mut PacketWriter,
    ) -> anyhow::Result<()> {
        self.segment(Segment { from, flags, payload: &[], cut: 0 }, at, writer)
    }

    fn segment(
        &mut self,
        segment: Segment<'_>,
        at: Timestamp,
        writer: &mut PacketWriter,
    ) -> anyhow::Result<()> {
        writer.latest = writer.latest.max(at);
        let length = segment.payload.len().saturating_add(segment.cut);
        writer.buffer.clear();
        self.build(&segment, &mut writer.buffer)?;
        let wire_len = writer.buffer.len();
        writer.buffer.truncate(wire_len.saturating_sub(segment.cut));
        let consumed = match segment.flags {
            Flags::Syn | Flags::SynAck | Flags::Fin => 1,
            Flags::Ack | Flags::Reset => 0,
            Flags::Data => length as u32,
        };
        let next = &mut self.next[segment.from];
        *next = next.wrapping_add(consumed);
        let packet = Packet {
            at,
            link: LinkType::RawIp,
            interface: self.peers.interface,
            wire_len: wire_len as u32,
            data: bytes::Bytes::copy_from_slice(&writer.buffer),
        };
        writer.recorder.write(&packet, &writer.interfaces)
    }

    /// Builds one packet, starting at its IP header. Bytes to be cut off are zeros.
    fn build(&self, segment: &Segment<'_>, out: &mut Vec<u8>) -> Result<(), BuildWriteError> {
        let (sequence, acknowledged) = (self.next[segment.from], self.next[segment.from.other()]);
        let (from, to) = match segment.from {
            Side::Client => (self.peers.client, self.peers.server),
            Side::Server => (self.peers.server, self.peers.client),
        };
        let ip = match (from.ip(), to.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                PacketBuilder::ipv4(from.octets(), to.octets(), TTL)
            }
            (from, to) => PacketBuilder::ipv6(octets(from), octets(to), TTL),
        };
        let tcp = ip.tcp(from.port(), to.port(), sequence, WINDOW);
        let tcp = match segment.flags {
            Flags::Syn => tcp.syn(),
            Flags::SynAck => tcp.syn().ack(acknowledged),
            Flags::Ack => tcp.ack(acknowledged),
            Flags::Data => tcp.ack(acknowledged).psh(),
            Flags::Fin => tcp.ack(acknowledged).fin(),
            Flags::Reset => tcp.ack(acknowledged).rst(),
        };
        if segment.cut == 0 {
            return tcp.write(out, segment.payload);
        }
        let mut payload = segment.payload.to_vec();
        payload.resize(payload.len().saturating_add(segment.cut), 0);
        tcp.write(out, &payload)
    }
}

impl<'a> Segment<'a> {
    /// Splits off the last byte.
    fn before_last(self) -> (Self, Self) {
        if let Some(cut) = self.cut.checked_sub(1) {
            return (Self { cut, ..self }, Self { payload: &[], cut: 1, ..self });
        }
        let (most, last): (&'a [u8], &'a [u8]) =
            self.payload.split_at(self.payload.len().saturating_sub(1));
        (Self { payload: most, ..self }, Self { payload: last, ..self })
    }
}

/// A stretch as packets: the payload of each, and how many bytes are cut off it. Missing bytes
/// begin in the packet of the bytes before them, so that a reader that reassembles knows that they
/// will not arrive.
fn segments(stretch: &Stretch) -> impl Iterator<Item = (&[u8], usize)> {
    let mut rest = &stretch.bytes[..];
    let mut missing = stretch.missing;
    std::iter::from_fn(move || {
        if rest.is_empty() && missing == 0 {
            return None;
        }
        let (payload, behind) = rest.split_at_checked(SEGMENT_BYTES).unwrap_or((rest, &[]));
        rest = behind;
        let fits = CUT_SEGMENT_BYTES.saturating_sub(payload.len());
        let fits = if rest.is_empty() { fits } else { 0 };
        let cut = usize::try_from(missing).map_or(fits, |missing| missing.min(fits));
        missing = missing.saturating_sub(cut as u64);
        Some((payload, cut))
    })
}

fn octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}
