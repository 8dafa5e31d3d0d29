//! The bytes of a target's answer in, whether it is whole out. Keeps nothing but a head that came
//! in pieces, so that an answer of any length is read and dropped in bounded memory.
//!
//! Heads, framing and chunks are read by the http room; this adds their order.

use crate::http::message::BodyLength;
use crate::http::{Chunks, Piece, ResponseHeads, Unreadable};

/// A head longer than this is no answer: sixteen times nginx's default for a proxied one.
pub(in crate::sink::replay) const MAX_HEAD_BYTES: usize = 64 * 1024;

/// It was not an HTTP/1 answer, or not one to this request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sink::replay) struct BadAnswer;

impl From<Unreadable> for BadAnswer {
    fn from(_: Unreadable) -> Self {
        Self
    }
}

/// How far an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sink::replay) enum Progress {
    /// More bytes are needed.
    Wanting,
    /// It is whole.
    Whole {
        /// Its status code.
        status: u16,
        /// True when another request may follow on the connection.
        reusable: bool,
    },
}

/// Reads one answer.
pub(in crate::sink::replay) struct AnswerReader {
    is_head: bool,
    heads: ResponseHeads,
    /// A head that came in pieces.
    partial: Vec<u8>,
    state: State,
    status: u16,
    keep_alive: bool,
}

enum State {
    Head,
    Length(u64),
    Chunked(Chunks),
    UntilClose,
    Whole,
}

impl AnswerReader {
    pub(in crate::sink::replay) fn new() -> Self {
        Self {
            is_head: false,
            heads: ResponseHeads::default(),
            partial: Vec::new(),
            state: State::Head,
            status: 0,
            keep_alive: false,
        }
    }

    /// Makes it ready for the answer to the next request.
    pub(in crate::sink::replay) fn expect(&mut self, is_head: bool) {
        self.is_head = is_head;
        self.partial.clear();
        self.state = State::Head;
        self.status = 0;
    }

    /// Takes the bytes that came next.
    pub(in crate::sink::replay) fn push(
        &mut self,
        mut bytes: &[u8],
    ) -> Result<Progress, BadAnswer> {
        loop {
            bytes = match &mut self.state {
                State::Head => match self.push_head(bytes)? {
                    Some(rest) => rest,
                    None => return Ok(Progress::Wanting),
                },
                State::Length(left) => {
                    let here = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left = left.saturating_sub(here as u64);
                    if *left > 0 {
                        return Ok(Progress::Wanting);
                    }
                    self.state = State::Whole;
                    bytes.get(here..).unwrap_or_default()
                }
                State::Chunked(chunks) => match to_end(chunks, bytes)? {
                    Some(rest) => {
                        self.state = State::Whole;
                        rest
                    }
                    None => return Ok(Progress::Wanting),
                },
                State::UntilClose => return Ok(Progress::Wanting),
                // Bytes behind an answer to the only request that was sent answer nothing.
                State::Whole => return Ok(self.whole(self.keep_alive && bytes.is_empty())),
            };
        }
    }

    /// The target closed the connection: the end of some answers, the loss of others.
    pub(in crate::sink::replay) fn end(&self) -> Option<Progress> {
        matches!(self.state, State::UntilClose).then(|| self.whole(false))
    }

    /// True once any byte of the answer was read.
    pub(in crate::sink::replay) fn has_begun(&self) -> bool {
        self.status != 0 || !self.partial.is_empty()
    }

    fn whole(&self, reusable: bool) -> Progress {
        Progress::Whole { status: self.status, reusable }
    }

    /// The bytes behind the head, once that is whole.
    fn push_head<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<&'a [u8]>, BadAnswer> {
        let before = self.partial.len();
        let parsed = if before == 0 {
            self.heads.parse(bytes, self.is_head)?
        } else {
            self.keep(bytes);
            self.heads.parse(&self.partial, self.is_head)?
        };
        let Some(head) = parsed else {
            if before == 0 {
                self.keep(bytes);
            }
            let is_full = self.partial.len() >= MAX_HEAD_BYTES;
            return if is_full { Err(BadAnswer) } else { Ok(None) };
        };
        self.partial = Vec::new(); // many connections with one long head each add up
        self.status = head.status;
        self.keep_alive = head.keep_alive;
        self.state = match (head.status, head.body) {
            // Nobody asked for another protocol.
            (101, _) => return Err(BadAnswer),
            (100..200, _) => State::Head,
            (_, BodyLength::None | BodyLength::Length(0)) => State::Whole,
            (_, BodyLength::Length(length)) => State::Length(length),
            (_, BodyLength::Chunked) => State::Chunked(Chunks::default()),
            (_, BodyLength::UntilClose) => State::UntilClose,
        };
        Ok(bytes.get(head.len.saturating_sub(before)..))
    }

    /// Keeps what may belong to the head; what lies beyond the limit is body or never used.
    fn keep(&mut self, bytes: &[u8]) {
        let room = MAX_HEAD_BYTES.saturating_sub(self.partial.len());
        self.partial.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }
}

/// The bytes behind a chunked body, once it has ended.
fn to_end<'a>(chunks: &mut Chunks, mut bytes: &'a [u8]) -> Result<Option<&'a [u8]>, BadAnswer> {
    loop {
        let taken = match chunks.next(bytes) {
            Piece::Framing(_) => return Ok(None),
            Piece::Content(framing, content) => framing.saturating_add(content),
            Piece::End(framing) => return Ok(bytes.get(framing..)),
            Piece::Bad(..) => return Err(BadAnswer),
        };
        bytes = bytes.get(taken..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::{AnswerReader, BadAnswer, Progress};

    /// Reads `wire` cut at every byte, and then whole; all must agree.
    fn read(wire: &[u8], is_head: bool) -> Result<Progress, BadAnswer> {
        let whole = read_in(&[wire], is_head);
        for cut in 0..wire.len() {
            let (a, b) = wire.split_at(cut);
            let parts = read_in(&[a, b], is_head);
            // What follows an answer is only known once it has come.
            if let (Ok(Progress::Whole { status, .. }), Ok(Progress::Whole { status: other, .. })) =
                (whole, parts)
            {
                assert_eq!(status, other);
            } else {
                assert_eq!(whole, parts, "cut at {cut}");
            }
        }
        whole
    }

    fn read_in(parts: &[&[u8]], is_head: bool) -> Result<Progress, BadAnswer> {
        let mut reader = AnswerReader::new();
        reader.expect(is_head);
        let mut last = Progress::Wanting;
        for part in parts {
            last = reader.push(part)?;
            if last != Progress::Wanting {
                break;
            }
        }
        Ok(if last == Progress::Wanting { reader.end().unwrap_or(last) } else { last })
    }

    const OK: Result<Progress, BadAnswer> = Ok(Progress::Whole { status: 200, reusable: true });
    const LAST: Result<Progress, BadAnswer> = Ok(Progress::Whole { status: 200, reusable: false });

    #[test]
    fn answer_ends_where_its_framing_says() {
        for (wire, wanted) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", OK),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\nabc", OK),
            ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", OK),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", Ok(Progress::Wanting)),
            ("HTTP/1.1 200 OK\r\nConnection: a, Close\r\nContent-Length: 0\r\n\r\n", LAST),
            ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", LAST),
            ("HTTP/1.1 200 OK\r\n\r\nuntil close", LAST),
            ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nmore", LAST),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nT: 1\r\n\r\n",
                OK,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n",
                OK,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
                Ok(Progress::Wanting),
            ),
            (
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                OK,
            ),
        ] {
            assert_eq!(read(wire.as_bytes(), false), wanted, "{wire:?}");
        }
    }

    #[test]
    fn answer_to_head_has_no_body() {
        assert_eq!(read(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", true), OK);
        assert_eq!(
            read(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", false),
            Ok(Progress::Whole { status: 304, reusable: true })
        );
    }

    #[test]
    fn garbage_is_named() {
        for wire in [
            "SSH-2.0-OpenSSH\r\n",
            "HTTP/1.1 999 No\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
            "HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\na",
        ] {
            assert_eq!(read(wire.as_bytes(), false), Err(BadAnswer), "{wire:?}");
        }
    }

    #[test]
    fn head_without_end_is_bounded() {
        let mut reader = AnswerReader::new();
        reader.expect(false);
        assert_eq!(reader.push(b"HTTP/1.1 200 OK\r\nX: "), Ok(Progress::Wanting));
        let long = vec![b'x'; super::MAX_HEAD_BYTES];
        assert_eq!(reader.push(&long), Err(BadAnswer));
    }

    #[test]
    fn end_of_a_head_may_come_with_much_of_the_body() {
        let mut reader = AnswerReader::new();
        reader.expect(false);
        assert_eq!(reader.push(b"HTTP/1.1 200 OK\r\nContent-Length: 70000"), Ok(Progress::Wanting));
        let rest = [b"\r\n\r\n".to_vec(), vec![b'x'; 70_000]].concat();
        assert_eq!(reader.push(&rest), OK);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_safe(bytes in proptest::collection::vec(0_u8.., 0..300)) {
            let _ = read_in(&[&bytes], false);
            let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            let _ = read_in(&[chunked, &bytes], false);
        }
    }
}
