//! Reads the bytes of a target's response and says when it is complete. Keeps nothing except an
//! incomplete head, so that a response of any length is read and dropped in bounded memory.
//!
//! Heads, framing and chunks are parsed by `http`; this module only puts them in order.

use crate::http::message::BodyLength;
use crate::http::{Chunks, Piece, ResponseHeads, Unreadable};

/// The longest response head, in bytes: sixteen times nginx's default for a proxied response. A
/// longer one is invalid.
pub(in crate::sink::replay) const MAX_HEAD_BYTES: usize = 64 * 1024;

/// The bytes are not an HTTP/1 response, or not one that fits the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sink::replay) struct InvalidResponse;

impl From<Unreadable> for InvalidResponse {
    fn from(_: Unreadable) -> Self {
        Self
    }
}

/// How much of the response has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sink::replay) enum Progress {
    /// More bytes are needed.
    NeedMore,
    /// The response is complete.
    Complete {
        /// Its status code.
        status: u16,
        /// True if the connection can take another request.
        reusable: bool,
    },
}

/// Reads one response at a time.
pub(in crate::sink::replay) struct ResponseReader {
    is_head: bool,
    heads: ResponseHeads,
    /// The bytes of a head that is not complete yet.
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
    Complete,
}

impl ResponseReader {
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

    /// Prepares for the response to the next request.
    pub(in crate::sink::replay) fn expect(&mut self, is_head: bool) {
        self.is_head = is_head;
        self.partial.clear();
        self.state = State::Head;
        self.status = 0;
    }

    /// Reads the next bytes.
    pub(in crate::sink::replay) fn push(
        &mut self,
        mut bytes: &[u8],
    ) -> Result<Progress, InvalidResponse> {
        loop {
            bytes = match &mut self.state {
                State::Head => match self.push_head(bytes)? {
                    Some(rest) => rest,
                    None => return Ok(Progress::NeedMore),
                },
                State::Length(left) => {
                    let here = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left = left.saturating_sub(here as u64);
                    if *left > 0 {
                        return Ok(Progress::NeedMore);
                    }
                    self.state = State::Complete;
                    bytes.get(here..).unwrap_or_default()
                }
                State::Chunked(chunks) => match to_end(chunks, bytes)? {
                    Some(rest) => {
                        self.state = State::Complete;
                        rest
                    }
                    None => return Ok(Progress::NeedMore),
                },
                State::UntilClose => return Ok(Progress::NeedMore),
                // There is only one request in flight, so bytes after its response are unexpected.
                State::Complete => return Ok(self.complete(self.keep_alive && bytes.is_empty())),
            };
        }
    }

    /// The target closed the connection. This completes a response that is framed by close; any
    /// other response is lost, and the result is `None`.
    pub(in crate::sink::replay) fn end(&self) -> Option<Progress> {
        matches!(self.state, State::UntilClose).then(|| self.complete(false))
    }

    /// True once any byte of the response has been read.
    pub(in crate::sink::replay) fn has_begun(&self) -> bool {
        self.status != 0 || !self.partial.is_empty()
    }

    fn complete(&self, reusable: bool) -> Progress {
        Progress::Complete { status: self.status, reusable }
    }

    /// Returns the bytes after the head, once the head is complete.
    fn push_head<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<&'a [u8]>, InvalidResponse> {
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
            return if is_full { Err(InvalidResponse) } else { Ok(None) };
        };
        self.partial = Vec::new(); // free it: long heads on many connections add up
        self.status = head.status;
        self.keep_alive = head.keep_alive;
        self.state = match (head.status, head.body) {
            // mirror never sends `Upgrade`.
            (101, _) => return Err(InvalidResponse),
            (100..200, _) => State::Head,
            (_, BodyLength::None | BodyLength::Length(0)) => State::Complete,
            (_, BodyLength::Length(length)) => State::Length(length),
            (_, BodyLength::Chunked) => State::Chunked(Chunks::default()),
            (_, BodyLength::UntilClose) => State::UntilClose,
        };
        Ok(bytes.get(head.len.saturating_sub(before)..))
    }

    /// Buffers bytes that may belong to the head. Bytes beyond the limit are body, or the head is
    /// too long anyway.
    fn keep(&mut self, bytes: &[u8]) {
        let space = MAX_HEAD_BYTES.saturating_sub(self.partial.len());
        self.partial.extend_from_slice(bytes.get(..space).unwrap_or(bytes));
    }
}

/// Returns the bytes after a chunked body, once it has ended.
fn to_end<'a>(
    chunks: &mut Chunks,
    mut bytes: &'a [u8],
) -> Result<Option<&'a [u8]>, InvalidResponse> {
    loop {
        let taken = match chunks.next(bytes) {
            Piece::Framing(_) => return Ok(None),
            Piece::Content(framing, content) => framing.saturating_add(content),
            Piece::End(framing) => return Ok(bytes.get(framing..)),
            Piece::Bad(..) => return Err(InvalidResponse),
        };
        bytes = bytes.get(taken..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::{InvalidResponse, Progress, ResponseReader};

    /// Reads `wire` split at every byte, and in one piece. All results must agree.
    fn read(wire: &[u8], is_head: bool) -> Result<Progress, InvalidResponse> {
        let whole = read_in(&[wire], is_head);
        for cut in 0..wire.len() {
            let (a, b) = wire.split_at(cut);
            let parts = read_in(&[a, b], is_head);
            // Whether bytes follow the response is known only once they have arrived.
            if let (
                Ok(Progress::Complete { status, .. }),
                Ok(Progress::Complete { status: other, .. }),
            ) = (whole, parts)
            {
                assert_eq!(status, other);
            } else {
                assert_eq!(whole, parts, "cut at {cut}");
            }
        }
        whole
    }

    fn read_in(parts: &[&[u8]], is_head: bool) -> Result<Progress, InvalidResponse> {
        let mut reader = ResponseReader::new();
        reader.expect(is_head);
        let mut last = Progress::NeedMore;
        for part in parts {
            last = reader.push(part)?;
            if last != Progress::NeedMore {
                break;
            }
        }
        Ok(if last == Progress::NeedMore { reader.end().unwrap_or(last) } else { last })
    }

    const OK: Result<Progress, InvalidResponse> =
        Ok(Progress::Complete { status: 200, reusable: true });
    const LAST: Result<Progress, InvalidResponse> =
        Ok(Progress::Complete { status: 200, reusable: false });

    #[test]
    fn response_ends_where_its_framing_says() {
        for (wire, wanted) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", OK),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\nabc", OK),
            ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", OK),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", Ok(Progress::NeedMore)),
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
                Ok(Progress::NeedMore),
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
    fn response_to_head_has_no_body() {
        assert_eq!(read(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", true), OK);
        assert_eq!(
            read(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", false),
            Ok(Progress::Complete { status: 304, reusable: true })
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
            assert_eq!(read(wire.as_bytes(), false), Err(InvalidResponse), "{wire:?}");
        }
    }

    #[test]
    fn head_without_end_is_bounded() {
        let mut reader = ResponseReader::new();
        reader.expect(false);
        assert_eq!(reader.push(b"HTTP/1.1 200 OK\r\nX: "), Ok(Progress::NeedMore));
        let long = vec![b'x'; super::MAX_HEAD_BYTES];
        assert_eq!(reader.push(&long), Err(InvalidResponse));
    }

    #[test]
    fn end_of_a_head_may_come_with_much_of_the_body() {
        let mut reader = ResponseReader::new();
        reader.expect(false);
        assert_eq!(
            reader.push(b"HTTP/1.1 200 OK\r\nContent-Length: 70000"),
            Ok(Progress::NeedMore)
        );
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
