//! Content codings (RFC 9110 §8.4.1) undone and done again, within limits.

use std::borrow::Cow;
use std::io::{self, Read, Write};

use brotli::enc::BrotliEncoderParams;
use flate2::bufread::GzDecoder;
use flate2::write::{GzEncoder, ZlibEncoder};
use flate2::{Compression, Decompress, FlushDecompress, Status};
use ruzstd::decoding::StreamingDecoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::h1::fields;

/// Codings one inside another; nobody sends more than one on purpose.
const MAX_CODINGS: usize = 3;
/// Bytes that any body may have decoded, whatever its ratio.
const FREE_BYTES: usize = 1 << 20;
/// Beyond them, decoded bytes for each encoded one. Repetitive JSON reaches 100, bombs 1,000.
const MAX_RATIO: usize = 256;
/// What RFC 9659 has senders of zstd over HTTP stay below.
const ZSTD_WINDOW: u64 = 8 << 20;
/// What RFC 7932 §9.1 has at most.
const BROTLI_WINDOW_BITS: i32 = 22;
/// Brotli's quality from 0 to 11: 5 is about as fast as gzip.
const BROTLI_QUALITY: i32 = 5;
/// Bytes that are decoded at once.
const BLOCK: usize = 16 * 1024;

/// Why content could not be had: "it was …".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undecodable {
    /// Longer than the limit when it was decoded.
    TooLarge,
    /// Far longer decoded than on the wire, as a decompression bomb is.
    Bomb,
    /// In a coding that is not gzip, deflate, br or zstd.
    Unknown,
    /// In a coding that could not be undone.
    Broken,
}

/// One content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// RFC 1952.
    Gzip,
    /// zlib's format, or bare deflate as some senders have it.
    Deflate,
    /// RFC 7932.
    Brotli,
    /// RFC 8878.
    Zstd,
}

/// The codings of a `Content-Encoding`, in the order in which they were applied.
pub fn codings<'a>(values: impl Iterator<Item = &'a [u8]>) -> Result<Vec<Coding>, Undecodable> {
    let mut codings = Vec::new();
    for name in values.flat_map(|value| value.split(|byte| *byte == b',')).map(fields::trim) {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        match name {
            _ if name.is_empty() || is("identity") => {}
            _ if is("gzip") || is("x-gzip") => codings.push(Coding::Gzip),
            _ if is("deflate") => codings.push(Coding::Deflate),
            _ if is("br") => codings.push(Coding::Brotli),
            _ if is("zstd") => codings.push(Coding::Zstd),
            _ => return Err(Undecodable::Unknown),
        }
    }
    if codings.len() > MAX_CODINGS { Err(Undecodable::Unknown) } else { Ok(codings) }
}

/// Undoes several, in the order in which they were applied, each up to this number of bytes.
pub fn undo<'a>(
    codings: &[Coding],
    mut content: Cow<'a, [u8]>,
    max: usize,
) -> Result<Cow<'a, [u8]>, Undecodable> {
    for coding in codings.iter().rev() {
        content = decode(*coding, &content, max)?.into();
    }
    Ok(content)
}

/// Undoes one coding, up to this number of bytes. All of `bytes` must belong to it: what is behind its end
/// would not have been looked at.
pub fn decode(coding: Coding, bytes: &[u8], max_bytes: usize) -> Result<Vec<u8>, Undecodable> {
    let ratio = bytes.len().saturating_mul(MAX_RATIO).max(FREE_BYTES);
    let mut out = Limited { bytes: Vec::new(), limit: ratio.min(max_bytes), over: false };
    let outcome = match coding {
        Coding::Gzip => members(bytes, &mut out),
        Coding::Deflate => deflate(bytes, &mut out),
        Coding::Brotli => brotli(bytes, &mut out),
        Coding::Zstd => frames(bytes, &mut out),
    };
    match (outcome, out.over) {
        (_, true) if out.limit == max_bytes => Err(Undecodable::TooLarge),
        (_, true) => Err(Undecodable::Bomb),
        (Err(_), false) => Err(Undecodable::Broken),
        (Ok(()), false) => Ok(out.bytes),
    }
}

/// Does one coding.
pub fn encode(coding: Coding, bytes: &[u8]) -> Vec<u8> {
    let encoded = || -> io::Result<Vec<u8>> {
        match coding {
            Coding::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(bytes)?;
                encoder.finish()
            }
            Coding::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(bytes)?;
                encoder.finish()
            }
            Coding::Brotli => {
                let mut out = Vec::new();
                let params = BrotliEncoderParams {
                    quality: BROTLI_QUALITY,
                    lgwin: BROTLI_WINDOW_BITS,
                    ..BrotliEncoderParams::default()
                };
                brotli::BrotliCompress(&mut &bytes[..], &mut out, &params)?;
                Ok(out)
            }
            Coding::Zstd => Ok(compress_to_vec(bytes, CompressionLevel::Fastest)),
        }
    };
    encoded().expect("writing to a Vec cannot fail")
}

/// What was decoded, up to a limit.
struct Limited {
    bytes: Vec<u8>,
    limit: usize,
    over: bool,
}

impl Limited {
    /// Reads all that there is.
    fn fill(&mut self, mut from: impl Read) -> io::Result<()> {
        let mut block = vec![0; BLOCK];
        loop {
            match from.read(&mut block)? {
                0 => return Ok(()),
                n => self.push(block.get(..n).unwrap_or_default())?,
            }
        }
    }

    fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.bytes.len().saturating_add(bytes.len()) > self.limit {
            self.over = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

/// One gzip member after the other (RFC 1952 §2.2).
fn members(mut rest: &[u8], out: &mut Limited) -> io::Result<()> {
    loop {
        out.fill(GzDecoder::new(&mut rest))?;
        if rest.is_empty() {
            return Ok(());
        }
    }
}

/// zlib's format (RFC 1950), as RFC 9110 §8.4.1.2 has it, or bare deflate (RFC 1951).
fn deflate(bytes: &[u8], out: &mut Limited) -> io::Result<()> {
    let outcome = inflate(Decompress::new(true), bytes, out);
    if outcome.is_ok() || out.over {
        return outcome;
    }
    out.bytes.clear();
    inflate(Decompress::new(false), bytes, out)
}

/// By hand, as the readers of `flate2` take a stream that breaks off for one that ends.
fn inflate(mut state: Decompress, bytes: &[u8], out: &mut Limited) -> io::Result<()> {
    let mut block = vec![0; BLOCK];
    let mut rest = bytes;
    loop {
        let (used, made) = (state.total_in(), state.total_out());
        let status = state.decompress(rest, &mut block, FlushDecompress::None)?;
        let (used, made) = (state.total_in() - used, state.total_out() - made);
        rest = rest.get(used as usize..).unwrap_or_default();
        out.push(block.get(..made as usize).unwrap_or_default())?;
        match status {
            Status::StreamEnd => return nothing_behind(rest),
            _ if used == 0 && made == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            Status::Ok | Status::BufError => {}
        }
    }
}

fn nothing_behind(rest: &[u8]) -> io::Result<()> {
    if rest.is_empty() { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// One zstd frame after the other (RFC 8878 §3).
fn frames(mut rest: &[u8], out: &mut Limited) -> io::Result<()> {
    loop {
        let decoder = StreamingDecoder::new_with_max_window_size(&mut rest, ZSTD_WINDOW);
        out.fill(decoder.map_err(io::Error::other)?)?;
        if rest.is_empty() {
            return Ok(());
        }
    }
}

fn brotli(mut rest: &[u8], out: &mut Limited) -> io::Result<()> {
    let mut decoder = brotli::Decompressor::new(&mut rest, BLOCK);
    out.fill(&mut decoder)?;
    // Once more behind the end: an error when it has read what does not belong to the stream.
    let _ = decoder.read(&mut [0])?;
    drop(decoder);
    nothing_behind(rest)
}
