//! The bytes of a body.

use std::sync::Arc;

use bytes::Bytes;

use super::{Met, Reader, State};
use crate::http::Room;
use crate::http::h1::chunk::Piece;
use crate::http::h1::fields;
use crate::http::message::Flaw;
use crate::tcp::event::Side;

impl Reader {
    pub(super) fn chunked(&mut self, data: &mut &[u8], room: &mut Room<'_>) -> Met {
        while let State::Chunked(chunks) = &mut self.state {
            match chunks.next(data) {
                Piece::Content(framing, n) => self.take(data, framing, n, room),
                Piece::Framing(n) => self.take(data, n, 0, room),
                Piece::End(n) => {
                    self.take(data, n, 0, room);
                    return self.end_of_chunks(room);
                }
                Piece::Bad(n, flaw) => {
                    self.take(data, n, 0, room);
                    return Met::Bad(flaw);
                }
            }
            if data.is_empty() {
                break;
            }
        }
        Met::Nothing
    }

    /// Takes bytes of the body: so many of framing, then so many of content.
    pub(super) fn take(
        &mut self,
        data: &mut &[u8],
        framing: usize,
        content: usize,
        room: &mut Room<'_>,
    ) {
        let taken = framing + content;
        self.length += content as u64;
        self.finished = room.at;
        room.read(self.side, taken);
        let (body, rest) = data.split_at_checked(taken).unwrap_or((data, &[]));
        *data = rest;
        if let Some(keeper) = &mut self.keeper {
            keeper.content(body.get(framing..).unwrap_or_default());
            keeper.wire(body, room.budget);
        }
    }

    pub(super) fn end_of_chunks(&mut self, room: &mut Room<'_>) -> Met {
        let State::Chunked(chunks) = std::mem::replace(&mut self.state, State::Start) else {
            return Met::End;
        };
        if chunks.spaced {
            self.flaws.add(Flaw::ChunkSpace);
        }
        if chunks.bare_lf {
            self.flaws.add(Flaw::BareLf);
        }
        if chunks.trailer.is_empty() {
            return Met::End;
        }
        room.lines.clear();
        let flaws = fields::split(self.side, &chunks.trailer, 0, room.lines);
        if flaws.refuse(Side::Client) {
            return Met::Bad(Flaw::BadTrailer);
        }
        self.flaws.join(flaws);
        if room.options.heads
            && let Some(message) = self.message.as_mut().and_then(Arc::get_mut)
        {
            message.body.trailers = room.lines.clone();
            message.body.trailer_bytes = Bytes::from(chunks.trailer);
        }
        Met::End
    }
}
