//! What a connection emits: its beginning, its bytes and gaps in order, its end.

use std::sync::Arc;

use bytes::Bytes;

use super::event::{Change, CloseReason, ConnId, Peers, Side, StreamEvent};
use super::flow::{Context, Flow, Opening, State};
use super::key::End;
use super::roles;
use super::stats::{Dropped, GapReason};
use super::waiting::Piece;
use crate::packet::Timestamp;

impl Flow {
    pub(super) fn emit(&self, change: Change, cx: &mut Context<'_>) {
        cx.out.push(StreamEvent { conn: self.id(cx), at: cx.at, change });
    }

    fn id(&self, cx: &Context<'_>) -> ConnId {
        ConnId { slot: cx.slot, serial: self.serial }
    }

    /// Reports the connection, unless that was done.
    #[inline]
    pub(super) fn open(&mut self, cx: &mut Context<'_>) {
        if !self.state.is_reported() {
            self.begin(cx);
        }
    }

    /// Reports the connection: once, unless its sides are exchanged later.
    #[cold]
    fn begin(&mut self, cx: &mut Context<'_>) {
        let client = *self.client.get_or_insert_with(|| {
            roles::client_end(&cx.origin.key, &cx.limits.server_ports, None)
        });
        self.serial = *cx.next_serial;
        *cx.next_serial += 1;
        let midstream = self.halves.values().all(|h| h.opening == Opening::Unseen);
        let guessed =
            midstream && roles::by_ports(&cx.origin.key, &cx.limits.server_ports).is_none();
        self.state = if guessed { State::Joined } else { State::Open };
        cx.stats.opened += 1;
        let peers = Arc::new(Peers {
            client: cx.origin.key.address(client),
            server: cx.origin.key.address(client.other()),
            interface: cx.origin.interface,
        });
        self.emit(Change::Opened { peers, midstream }, cx);
        for end in [client, client.other()] {
            if self.halves[end].fin {
                self.emit(Change::Finished(self.side(end)), cx);
            }
        }
    }

    /// Emits the next payload of `end`, captured at `at` (earlier than now if it was held).
    #[inline]
    pub(super) fn emit_data(
        &mut self,
        end: End,
        payload: Bytes,
        at: Timestamp,
        cx: &mut Context<'_>,
    ) {
        if payload.is_empty() {
            return;
        }
        cx.stats.bytes_delivered += payload.len() as u64;
        if self.state != State::Open {
            self.reconsider(end, &payload, cx);
        }
        let change = Change::Data(self.side(end), payload);
        cx.out.push(StreamEvent { conn: self.id(cx), at, change });
    }

    /// Reports the connection before its first bytes. Later, while its sides are a guess, the start
    /// of a message confirms or refutes them; if they were wrong, the connection ends and begins
    /// again with the sides exchanged.
    #[cold]
    fn reconsider(&mut self, end: End, payload: &[u8], cx: &mut Context<'_>) {
        if self.state != State::Joined {
            return self.begin(cx);
        }
        let Some(side) = roles::speaker(payload) else { return };
        if side == self.side(end) {
            self.state = State::Open;
            return;
        }
        cx.stats.closed.count(CloseReason::SidesChanged);
        self.emit(Change::Closed(CloseReason::SidesChanged), cx);
        self.client = self.client.map(End::other);
        self.begin(cx);
    }

    /// Delivers a piece that begins at `next`.
    pub(super) fn deliver(&mut self, end: End, piece: Piece, cx: &mut Context<'_>) {
        if self.recovery.as_ref().is_some_and(|t| t.halves[end].fin_pending) && piece.span() > 0 {
            self.recovery(cx).halves[end].fin_pending = false;
            self.emit_gap(end, 1, GapReason::Acknowledged, cx);
        }
        self.halves[end].next = piece.end();
        self.emit_data(end, piece.payload, piece.at, cx);
        if piece.cut > 0 {
            self.emit_cut(end, piece.cut, cx);
        }
        if piece.fin {
            self.finish_half(end, cx);
        }
        let next = self.halves[end].next;
        if let Some(recovery) = &mut self.recovery {
            let half = &mut recovery.halves[end];
            half.stuck_since = cx.now;
            half.stray = None;
            half.acked = half.acked.filter(|acked| acked.upto.is_after(next));
        }
    }

    /// The FIN of `end` was reached: nothing can follow.
    pub(super) fn finish_half(&mut self, end: End, cx: &mut Context<'_>) {
        self.halves[end].fin = true;
        if self.state.is_reported() {
            self.emit(Change::Finished(self.side(end)), cx);
        }
        while let Some(piece) = self.pop(end, cx) {
            cx.stats.drop_bytes(Dropped::AfterFin, piece.payload.len());
        }
        if let Some(recovery) = &mut self.recovery {
            recovery.halves[end].acked = None;
        }
    }

    pub(super) fn emit_gap(&mut self, end: End, bytes: u32, why: GapReason, cx: &mut Context<'_>) {
        cx.stats.gaps.count(why);
        cx.stats.gap_bytes.add(why, u64::from(bytes));
        self.open(cx);
        self.emit(Change::Gap(self.side(end), u64::from(bytes)), cx);
    }

    /// Bytes that the capture cut off, of which those of responses may not have been wanted.
    fn emit_cut(&mut self, end: End, bytes: u32, cx: &mut Context<'_>) {
        if !(cx.limits.brief_responses && self.side(end) == Side::Server) {
            return self.emit_gap(end, bytes, GapReason::Cut, cx);
        }
        cx.stats.omitted_bytes += u64::from(bytes);
        self.open(cx);
        self.emit(Change::Omitted(Side::Server, u64::from(bytes)), cx);
    }

    /// Ends the connection: emits the held bytes with the gaps before them, then the end.
    pub(super) fn close(&mut self, reason: CloseReason, cx: &mut Context<'_>) {
        self.flush(cx);
        if self.state.is_reported() {
            cx.stats.closed.count(reason);
            self.emit(Change::Closed(reason), cx);
        }
        self.state = State::Closed;
        self.recovery = None;
    }
}
