//! The chunked transfer coding (RFC 9112 §7.1), byte by byte where it must, piece by piece where it can.

use super::start::Likeness;
use crate::http::message::Flaw;

/// Bytes in one chunk-size line with its extensions. Real ones have less than 100.
const MAX_CHUNK_LINE: u32 = 4 * 1024;

/// Bytes of one trailer section.
const MAX_TRAILER: usize = 64 * 1024;

/// Where a chunked body is being read.
#[derive(Debug)]
pub(crate) struct Chunks {
    at: At,
    /// In a size: its value so far. In data: how much of the chunk is to come.
    value: u64,
    /// Bytes of the current chunk-size line.
    line: u32,
    /// A space was seen after a chunk size.
    pub(super) spaced: bool,
    /// A line ended in LF alone.
    pub(super) bare_lf: bool,
    /// The trailer section so far.
    pub(super) trailer: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Size,
    Digits,
    Space,
    Extension,
    SizeCr,
    Data,
    DataEnd,
    DataCr,
    Trailer,
}

/// What the next bytes of a chunked body are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Bytes of framing; nothing follows in the input.
    Framing(usize),
    /// Bytes of framing, then bytes of content.
    Content(usize, usize),
    /// Bytes of framing, and then the body has ended.
    End(usize),
    /// Bytes of framing, and then it cannot be read on.
    Bad(usize, Flaw),
}

/// A chunked body that lies in memory as a whole, taken apart.
pub struct Dechunked<'a> {
    /// The chunks' data.
    pub content: Vec<u8>,
    /// There is a `;` outside of its content: its chunks bear extensions, or its trailers say such a
    /// thing.
    pub extended: bool,
    /// What stands behind the last byte of content: last chunk and trailers.
    pub end: &'a [u8],
}

/// Takes a chunked body apart; `None` where it is none, or ends before its end.
pub fn dechunk(wire: &[u8]) -> Option<Dechunked<'_>> {
    let mut content = Vec::with_capacity(wire.len());
    let mut extended = false;
    let mut chunks = Chunks::default();
    let mut rest = wire;
    loop {
        let (framing, data, ends) = match chunks.next(rest) {
            Piece::Content(framing, data) => (framing, data, false),
            Piece::End(framing) => (framing, 0, true),
            Piece::Framing(_) | Piece::Bad(..) => return None,
        };
        extended |= memchr::memchr(b';', rest.get(..framing)?).is_some();
        if ends {
            return Some(Dechunked { content, extended, end: rest });
        }
        content.extend_from_slice(rest.get(framing..framing + data)?);
        rest = rest.get(framing + data..)?;
    }
}

impl Default for Chunks {
    fn default() -> Self {
        Self { at: At::Size, value: 0, line: 0, spaced: false, bare_lf: false, trailer: Vec::new() }
    }
}

impl Chunks {
    /// Reads on to the next content, the end of the body, or the end of `input`.
    pub(crate) fn next(&mut self, input: &[u8]) -> Piece {
        let mut used = 0;
        while let Some(&byte) = input.get(used) {
            match self.at {
                At::Data => {
                    let rest = input.len() - used;
                    let n = usize::try_from(self.value).map_or(rest, |left| left.min(rest));
                    self.value -= n as u64;
                    if self.value == 0 {
                        self.at = At::DataEnd;
                    }
                    return Piece::Content(used, n);
                }
                At::Trailer => {
                    let rest = input.get(used..).unwrap_or_default();
                    return match self.trailer(rest) {
                        Ok((n, true)) => Piece::End(used + n),
                        Ok((n, false)) => Piece::Framing(used + n),
                        Err((n, flaw)) => Piece::Bad(used + n, flaw),
                    };
                }
                _ => {
                    if let Err(flaw) = self.framing(byte) {
                        return Piece::Bad(used, flaw);
                    }
                    used += 1;
                }
            }
        }
        Piece::Framing(used)
    }

    /// Whether `input` begins a chunked body: with the line of a chunk size.
    pub(super) fn may_begin(input: &[u8]) -> Likeness {
        let lf = memchr::memchr(b'\n', input);
        let line = input.get(..lf.unwrap_or(input.len())).unwrap_or_default();
        match (Self::default().next(line), lf) {
            (Piece::Bad(..), _) | (_, Some(0)) => Likeness::Other,
            (_, Some(_)) => Likeness::Alike,
            (_, None) => Likeness::Open,
        }
    }

    /// True when bytes of the body were read.
    pub(super) fn has_begun(&self) -> bool {
        self.at != At::Size || self.line > 0
    }

    /// One byte that is neither data nor trailer.
    fn framing(&mut self, byte: u8) -> Result<(), Flaw> {
        match (self.at, byte) {
            (At::Size | At::Digits, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                // The top four bits must be free: no size wraps.
                if self.value >> 60 != 0 {
                    return Err(Flaw::BadChunkSize);
                }
                self.value = self.value << 4 | u64::from(digit);
                self.at = At::Digits;
            }
            (At::Digits | At::Space, b';') => self.at = At::Extension,
            (At::Digits | At::Space, b' ' | b'\t') => {
                self.spaced = true;
                self.at = At::Space;
            }
            (At::Digits | At::Space | At::Extension, b'\r') => self.at = At::SizeCr,
            (At::Digits | At::Space | At::Extension, b'\n') => {
                self.bare_lf = true;
                self.end_of_size();
                return Ok(());
            }
            (At::Extension, b'\t' | 0x20..=0x7e | 0x80..) => {}
            (At::SizeCr, b'\n') => {
                self.end_of_size();
                return Ok(());
            }
            (At::DataEnd, b'\r') => {
                self.at = At::DataCr;
                return Ok(());
            }
            (At::DataCr, b'\n') => {
                self.at = At::Size;
                return Ok(());
            }
            (At::DataEnd | At::DataCr, _) => return Err(Flaw::BadChunkEnd),
            _ => return Err(Flaw::BadChunkSize),
        }
        self.line += 1;
        if self.line > MAX_CHUNK_LINE { Err(Flaw::BadChunkSize) } else { Ok(()) }
    }

    fn end_of_size(&mut self) {
        self.line = 0;
        self.at = if self.value == 0 { At::Trailer } else { At::Data };
    }

    /// Takes bytes of the trailer section: how many, and whether it has ended.
    ///
    /// # Errors
    /// How many bytes it can have, when there are more.
    fn trailer(&mut self, input: &[u8]) -> Result<(usize, bool), (usize, Flaw)> {
        let mut used = 0;
        while let Some(rest) = input.get(used..).filter(|rest| !rest.is_empty()) {
            let (n, ended) = match memchr::memchr(b'\n', rest) {
                Some(i) => (i + 1, true),
                None => (rest.len(), false),
            };
            let most = MAX_TRAILER.saturating_sub(self.trailer.len());
            if n > most {
                return Err((used + most, Flaw::BadTrailer));
            }
            self.trailer.extend_from_slice(rest.get(..n).unwrap_or_default());
            used += n;
            if !ended {
                continue;
            }
            let blank = match self.trailer.as_slice() {
                b"\r\n" | [.., b'\n', b'\r', b'\n'] => 2,
                b"\n" | [.., b'\n', b'\n'] => 1,
                _ => continue,
            };
            self.bare_lf |= blank == 1;
            self.trailer.truncate(self.trailer.len() - blank);
            return Ok((used, true));
        }
        Ok((used, false))
    }

    /// Passes over `n` bytes that were never seen: true when they were all data of one chunk, so
    /// that what follows can be read on.
    pub(super) fn skip(&mut self, n: u64) -> bool {
        if self.at != At::Data || n > self.value {
            return false;
        }
        self.value -= n;
        if self.value == 0 {
            self.at = At::DataEnd;
        }
        true
    }
}
