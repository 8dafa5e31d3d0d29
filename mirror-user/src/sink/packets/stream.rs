//! One connection in the file, from its handshake to its end.

use std::collections::VecDeque;
use std::sync::Arc;

use enum_map::{EnumMap, enum_map};

use super::content::Stretch;
use super::segment::{Flags, PacketWriter, Segment, segments};
use crate::packet::Timestamp;
use crate::tcp::event::{Peers, Side};

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
        writer.write(&segment, &self.peers, &self.next, at)?;
        let next = &mut self.next[segment.from];
        *next = next.wrapping_add(segment.consumed());
        Ok(())
    }
}
