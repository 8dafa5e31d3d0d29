//! The bytes of a body.

use std::sync::Arc;

use bytes::Bytes;

use super::{ReadEvent, Reader, State};
use crate::http::Context;
use crate::http::h1::chunk::Piece;
use crate::http::h1::fields;
use crate::http::message::Flaw;
use crate::tcp::event::Side;

impl Reader {
    pub(super) fn chunked(&mut self, data: &mut &[u8], cx: &mut Context<'_>) -> ReadEvent {
        while let State::Chunked(chunks) = &mut self.state {
            match chunks.next(data) {
                Piece::Content(framing, n) => self.take(data, framing, n, cx),
                Piece::Framing(n) => self.take(data, n, 0, cx),
                Piece::End(n) => {
                    self.take(data, n, 0, cx);
                    return self.end_of_chunks(cx);
                }
                Piece::Bad(n, flaw) => {
                    self.take(data, n, 0, cx);
                    return ReadEvent::Bad(flaw);
                }
            }
            if data.is_empty() {
                break;
            }
        }
        ReadEvent::Nothing
    }

    /// Takes bytes of the body: `framing` of them, then `content`.
    pub(super) fn take(
        &mut self,
        data: &mut &[u8],
        framing: usize,
        content: usize,
        cx: &mut Context<'_>,
    ) {
        let taken = framing + content;
        self.length += content as u64;
        self.finished = cx.at;
        cx.read(self.side, taken);
        let (body, rest) = data.split_at_checked(taken).unwrap_or((data, &[]));
        *data = rest;
        if let Some(keeper) = &mut self.keeper {
            keeper.take(body, framing, cx.budget);
        }
    }

    pub(super) fn end_of_chunks(&mut self, cx: &mut Context<'_>) -> ReadEvent {
        let State::Chunked(chunks) = std::mem::replace(&mut self.state, State::Start) else {
            return ReadEvent::End;
        };
        if chunks.spaced {
            self.flaws.add(Flaw::ChunkSpace);
        }
        if chunks.bare_lf {
            self.flaws.add(Flaw::BareLf);
        }
        if chunks.trailer.is_empty() {
            return ReadEvent::End;
        }
        cx.lines.clear();
        let flaws = fields::split(self.side, &chunks.trailer, 0, cx.lines);
        if flaws.refuse(Side::Client) {
            return ReadEvent::Bad(Flaw::BadTrailer);
        }
        self.flaws.join(flaws);
        if cx.options.heads
            && let Some(message) = self.message.as_mut().and_then(Arc::get_mut)
        {
            message.body.trailers = cx.lines.clone();
            message.body.trailer_bytes = Bytes::from(chunks.trailer);
        }
        ReadEvent::End
    }
}
