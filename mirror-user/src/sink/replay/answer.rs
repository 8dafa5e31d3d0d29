//! The bytes of a target's answer in, whether it is whole out. Keeps nothing but a head that came
//! in pieces, so that an answer of any length is read and dropped in bounded memory.
//!
//! Framing is RFC 9112 §6.3. [`Head::parse`] and [`Chunks`] are all that is needed of the http room.

use std::mem::MaybeUninit;

/// A head longer than this is no answer: sixteen times nginx's default for a proxied one.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Header lines of one answer; Apache and nginx accept 100 of a request.
const MAX_HEADERS: usize = 128;

/// Digits of a chunk size; sixteen hold any 64-bit number.
const MAX_CHUNK_SIZE_DIGITS: u8 = 16;

/// Chunk extensions and trailers that are read before an answer is taken for garbage.
const MAX_CHUNK_LINE_BYTES: u32 = 64 * 1024;

/// It was not an HTTP/1 answer, or not one to this request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadAnswer;

/// How far an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
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
pub(super) struct AnswerReader {
    is_head: bool,
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
    pub(super) fn new() -> Self {
        Self {
            is_head: false,
            partial: Vec::new(),
            state: State::Head,
            status: 0,
            keep_alive: false,
        }
    }

    /// Makes it ready for the answer to the next request.
    pub(super) fn expect(&mut self, is_head: bool) {
        self.is_head = is_head;
        self.partial.clear();
        self.state = State::Head;
        self.status = 0;
    }

    /// Takes the bytes that came next.
    pub(super) fn push(&mut self, mut bytes: &[u8]) -> Result<Progress, BadAnswer> {
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
                State::Chunked(chunks) => match chunks.push(bytes)? {
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
    pub(super) fn end(&self) -> Option<Progress> {
        matches!(self.state, State::UntilClose).then(|| self.whole(false))
    }

    /// True once any byte of the answer was read.
    pub(super) fn has_begun(&self) -> bool {
        self.status != 0 || !self.partial.is_empty()
    }

    fn whole(&self, reusable: bool) -> Progress {
        Progress::Whole { status: self.status, reusable }
    }

    /// The bytes behind the head, once that is whole.
    fn push_head<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<&'a [u8]>, BadAnswer> {
        let before = self.partial.len();
        let parsed = if before == 0 {
            Head::parse(bytes)?
        } else {
            self.keep(bytes);
            Head::parse(&self.partial)?
        };
        let Some((head, length)) = parsed else {
            if before == 0 {
                self.keep(bytes);
            }
            let is_full = self.partial.len() >= MAX_HEAD_BYTES;
            return if is_full { Err(BadAnswer) } else { Ok(None) };
        };
        self.partial = Vec::new(); // many connections with one long head each add up
        self.begin_body(&head)?;
        Ok(bytes.get(length.saturating_sub(before)..))
    }

    /// Keeps what may belong to the head; what lies beyond the limit is body or never used.
    fn keep(&mut self, bytes: &[u8]) {
        let room = MAX_HEAD_BYTES.saturating_sub(self.partial.len());
        self.partial.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    /// RFC 9112 §6.3, in its order.
    fn begin_body(&mut self, head: &Head) -> Result<(), BadAnswer> {
        self.state = match head.status {
            // Nobody asked for another protocol.
            101 => return Err(BadAnswer),
            100..200 => State::Head,
            204 | 304 => State::Whole,
            _ if self.is_head => State::Whole,
            _ => match head.body {
                AnswerBody::Length(0) => State::Whole,
                AnswerBody::Length(length) => State::Length(length),
                AnswerBody::Chunked => State::Chunked(Chunks::default()),
                AnswerBody::UntilClose => State::UntilClose,
            },
        };
        self.status = head.status;
        self.keep_alive = head.keep_alive;
        Ok(())
    }
}

/// What an answer's head says of its end.
#[derive(Clone, Copy)]
enum AnswerBody {
    Length(u64),
    Chunked,
    UntilClose,
}

struct Head {
    status: u16,
    body: AnswerBody,
    keep_alive: bool,
}

impl Head {
    /// The head and its length; `None` while it is not whole.
    fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, BadAnswer> {
        let mut headers = [const { MaybeUninit::<httparse::Header<'_>>::uninit() }; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut []);
        let parsed = httparse::ParserConfig::default()
            .parse_response_with_uninit_headers(&mut response, bytes, &mut headers)
            .map_err(|_| BadAnswer)?;
        let httparse::Status::Complete(length) = parsed else { return Ok(None) };
        let status = response.code.ok_or(BadAnswer)?;
        if !(100..600).contains(&status) {
            return Err(BadAnswer);
        }
        let mut content_length = None;
        let mut transfer_encoding = None;
        let mut keep_alive = response.version == Some(1);
        for header in response.headers.iter() {
            if header.name.eq_ignore_ascii_case("content-length") {
                let value = parse_length(header.value).ok_or(BadAnswer)?;
                if content_length.is_some_and(|other| other != value) {
                    return Err(BadAnswer);
                }
                content_length = Some(value);
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                transfer_encoding = Some(ends_in_chunked(header.value));
            } else if header.name.eq_ignore_ascii_case("connection") {
                for option in header.value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                    if option.eq_ignore_ascii_case(b"close") {
                        keep_alive = false;
                    }
                }
            }
        }
        let body = match (transfer_encoding, content_length) {
            (Some(true), _) => AnswerBody::Chunked,
            (Some(false), _) | (None, None) => AnswerBody::UntilClose,
            (None, Some(length)) => AnswerBody::Length(length),
        };
        Ok(Some((Self { status, body, keep_alive }, length)))
    }
}

/// One number, or the same number several times (RFC 9112 §6.3).
fn parse_length(value: &[u8]) -> Option<u64> {
    let mut numbers = value.split(|byte| *byte == b',').map(|number| {
        let text = std::str::from_utf8(number.trim_ascii()).ok()?;
        if text.starts_with('+') { None } else { text.parse::<u64>().ok() }
    });
    let first = numbers.next()??;
    numbers.all(|other| other == Some(first)).then_some(first)
}

fn ends_in_chunked(value: &[u8]) -> bool {
    value
        .rsplit(|byte| *byte == b',')
        .next()
        .is_some_and(|last| last.trim_ascii().eq_ignore_ascii_case(b"chunked"))
}

/// Reads a chunked body to its end (RFC 9112 §7.1), dropping it.
#[derive(Default)]
struct Chunks {
    at: ChunkAt,
    size: u64,
    digits: u8,
    line_bytes: u32,
}

#[derive(Clone, Copy, Default)]
enum ChunkAt {
    #[default]
    Size,
    Extension,
    SizeLineFeed,
    Data,
    DataCarriageReturn,
    DataLineFeed,
    TrailerStart,
    Trailer,
    LastLineFeed,
}

impl Chunks {
    /// The bytes behind the body, once it has ended.
    fn push<'a>(&mut self, mut bytes: &'a [u8]) -> Result<Option<&'a [u8]>, BadAnswer> {
        while let Some((&byte, rest)) = bytes.split_first() {
            if let ChunkAt::Data = self.at {
                let here = bytes.len().min(usize::try_from(self.size).unwrap_or(usize::MAX));
                self.size = self.size.saturating_sub(here as u64);
                bytes = bytes.get(here..).unwrap_or_default();
                if self.size == 0 {
                    self.at = ChunkAt::DataCarriageReturn;
                }
                continue;
            }
            bytes = rest;
            if let ChunkAt::LastLineFeed = self.at {
                return if byte == b'\n' { Ok(Some(rest)) } else { Err(BadAnswer) };
            }
            if let (ChunkAt::TrailerStart, b'\n') = (self.at, byte) {
                return Ok(Some(rest));
            }
            self.at = self.step(byte)?;
        }
        Ok(None)
    }

    fn step(&mut self, byte: u8) -> Result<ChunkAt, BadAnswer> {
        self.line_bytes = self.line_bytes.saturating_add(1);
        if self.line_bytes > MAX_CHUNK_LINE_BYTES {
            return Err(BadAnswer);
        }
        Ok(match (self.at, byte) {
            (ChunkAt::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                self.digits = self.digits.saturating_add(1);
                if self.digits > MAX_CHUNK_SIZE_DIGITS {
                    return Err(BadAnswer);
                }
                let digit = char::from(byte).to_digit(16).ok_or(BadAnswer)?;
                self.size = (self.size << 4) | u64::from(digit);
                ChunkAt::Size
            }
            (ChunkAt::Size, b'\r' | b'\n' | b';' | b' ' | b'\t') if self.digits > 0 => match byte {
                b'\r' => ChunkAt::SizeLineFeed,
                b'\n' => self.begin_data(),
                _ => ChunkAt::Extension,
            },
            (ChunkAt::Extension, b'\r') => ChunkAt::SizeLineFeed,
            (ChunkAt::Extension | ChunkAt::SizeLineFeed, b'\n') => self.begin_data(),
            (ChunkAt::Extension, _) => ChunkAt::Extension,
            (ChunkAt::DataCarriageReturn, b'\r') => ChunkAt::DataLineFeed,
            (ChunkAt::DataCarriageReturn | ChunkAt::DataLineFeed, b'\n') => {
                self.line_bytes = 0;
                ChunkAt::Size
            }
            (ChunkAt::TrailerStart, b'\r') => ChunkAt::LastLineFeed,
            (ChunkAt::Trailer, b'\n') => ChunkAt::TrailerStart,
            (ChunkAt::TrailerStart | ChunkAt::Trailer, _) => ChunkAt::Trailer,
            _ => return Err(BadAnswer),
        })
    }

    fn begin_data(&mut self) -> ChunkAt {
        self.digits = 0;
        if self.size == 0 { ChunkAt::TrailerStart } else { ChunkAt::Data }
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
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n00000000000000001\r\na",
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
