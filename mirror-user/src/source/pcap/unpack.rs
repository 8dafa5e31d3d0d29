//! Decompresses captures in gzip and zstd while they are read. Other formats are refused by name.
//!
//! Both are read frame by frame, so that trailing data or a wrong checksum does not lose what was
//! decompressed before.

use std::fmt;
use std::io::{self, BufRead, BufReader, Cursor, ErrorKind, Read};

use flate2::{Crc, Decompress, FlushDecompress, Status};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::pipe::patiently;

/// The largest window of a zstd frame in bytes: the default limit of `zstd -d`.
const ZSTD_WINDOW_BYTES: u64 = 128 << 20;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Other formats, by their magic numbers.
const FOREIGN: [(&[u8], &str); 9] = [
    (b"\xfd7zXZ\0", "compressed with xz; unpack it first, such as by `xz -d`"),
    (b"BZh", "compressed with bzip2; unpack it first, such as by `bzip2 -d`"),
    (b"\x04\x22\x4d\x18", "compressed with lz4; unpack it first, such as by `lz4 -d`"),
    (b"\x1f\x9d", "compressed with compress; unpack it first, such as by `uncompress`"),
    (b"PK\x03\x04", "a zip archive; unpack it first"),
    (b"snoop\0\0\0", "a snoop capture; make a pcap of it, such as by `editcap -F pcap`"),
    (b"GMBU", "a Network Monitor capture; make a pcap of it, such as by `editcap -F pcap`"),
    (b"RTSS", "a Network Monitor capture; make a pcap of it, such as by `editcap -F pcap`"),
    (b"\x05VNF", "an EyeSDN or OmniPeek capture; make a pcap of it, such as by `editcap -F pcap`"),
];

/// How many bytes at the start of a file identify its format.
pub(super) const MAGIC_BYTES: usize = 16;

/// What is wrong with a compressed file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// It ends within a frame.
    CutShort,
    /// The rest cannot be decompressed.
    Damaged,
    /// It was decompressed, but the checksum is wrong.
    Checksum,
    /// There is other data after the last frame.
    Trailing,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CutShort => "it ends too early",
            Self::Damaged => "it cannot be unpacked further",
            Self::Checksum => "its checksum is wrong, so some of it may be damaged",
            Self::Trailing => "something that is not compressed stands behind the capture",
        })
    }
}

impl std::error::Error for Flaw {}

impl Flaw {
    /// The flaw that caused this error, if any.
    pub(super) fn of(error: &io::Error) -> Option<Self> {
        match error.kind() {
            ErrorKind::UnexpectedEof => Some(Self::CutShort),
            _ => error.get_ref()?.downcast_ref().copied(),
        }
    }
}

impl From<Flaw> for io::Error {
    fn from(flaw: Flaw) -> Self {
        Self::new(ErrorKind::InvalidData, flaw)
    }
}

/// Wraps the reader of a gzip or zstd file in a decompressor. Other readers are unchanged.
pub(super) fn unpacked(mut reader: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
    let mut first = Vec::new();
    patiently(|| {
        let missing = (ZSTD.len() as u64).saturating_sub(first.len() as u64);
        reader.by_ref().take(missing).read_to_end(&mut first)
    })?;
    let packing = (first.starts_with(&GZIP), first == ZSTD || is_skippable(&first));
    let whole = Cursor::new(first).chain(reader);
    Ok(match packing {
        (true, _) => Box::new(Gzip {
            source: BufReader::new(Patient(whole)),
            at: Member::Head,
            is_later: false,
        }),
        (_, true) => {
            let mut decoder = FrameDecoder::new();
            decoder.set_max_window_size(ZSTD_WINDOW_BYTES);
            Box::new(Zstd { source: BufReader::new(Patient(whole)), decoder, is_open: false })
        }
        _ => Box::new(whole),
    })
}

/// Names the format of a file that cannot be read; `None` if it is unknown.
pub(super) fn foreign(first: &[u8], name: &str) -> Option<&'static str> {
    let known = FOREIGN.iter().find(|(magic, _)| first.starts_with(magic)).map(|(_, what)| *what);
    known.or_else(|| {
        (name.ends_with(".erf") || is_erf(first))
            .then_some("an ERF capture; make a pcap of it, such as by `editcap -F pcap`")
    })
}

/// ERF files have no magic number, so their first record is checked (Endace, "ERF types
/// reference").
fn is_erf(first: &[u8]) -> bool {
    let &[_, _, _, _, s0, s1, s2, s3, kind, _, r0, r1, ..] = first else { return false };
    let seconds = u32::from_le_bytes([s0, s1, s2, s3]);
    let record = u16::from_be_bytes([r0, r1]);
    let (after_1990, known) = (seconds > 631_152_000, (1..=27).contains(&(kind & 0x7f)));
    after_1990 && known && record >= 24 && record.is_multiple_of(8)
}

/// Waits for a pipe: decompression cannot be resumed within a frame.
struct Patient<R>(R);

impl<R: Read> Read for Patient<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        patiently(|| self.0.read(into))
    }
}

/// The reader's position in a gzip file.
enum Member {
    Head,
    Body(Decompress, Crc),
    Tail(Crc),
}

/// Reads one gzip member after the other (RFC 1952 §2.2).
struct Gzip<R> {
    source: R,
    at: Member,
    /// A member was read, so further data need not be one.
    is_later: bool,
}

impl<R: BufRead> Gzip<R> {
    /// Reads a member's header; false at the end of the file, which zeros may precede, as for
    /// gzip(1).
    fn head(&mut self) -> io::Result<bool> {
        let mut magic = [0; 2];
        if self.is_later {
            loop {
                let zeros = self.source.fill_buf()?;
                if zeros.is_empty() {
                    return Ok(false);
                }
                let n = zeros.iter().take_while(|byte| **byte == 0).count();
                let is_all = n == zeros.len();
                self.source.consume(n);
                if !is_all {
                    break;
                }
            }
        }
        let behind = |error: io::Error| match self.is_later {
            true => Flaw::Trailing.into(),
            false => error,
        };
        self.source.read_exact(&mut magic).map_err(behind)?;
        if magic != GZIP {
            return Err(Flaw::Trailing.into());
        }
        let [method, flags, ..] = self.bytes::<8>()?;
        if method != 8 {
            return Err(Flaw::Damaged.into());
        }
        if flags & 4 != 0 {
            let length = u16::from_le_bytes(self.bytes()?);
            io::copy(&mut (&mut self.source).take(u64::from(length)), &mut io::sink())?;
        }
        for name in [8, 16] {
            if flags & name != 0 {
                while self.bytes::<1>()? != [0] {}
            }
        }
        if flags & 2 != 0 {
            self.bytes::<2>()?;
        }
        Ok(true)
    }

    fn bytes<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.source.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match &mut self.at {
                Member::Head => {
                    if !self.head()? {
                        return Ok(0);
                    }
                    self.is_later = true;
                    self.at = Member::Body(Decompress::new(false), Crc::new());
                }
                Member::Body(state, crc) => {
                    let input = self.source.fill_buf()?;
                    let is_last = input.is_empty();
                    let (used, made) = (state.total_in(), state.total_out());
                    let status = state
                        .decompress(input, into, FlushDecompress::None)
                        .map_err(|_| Flaw::Damaged)?;
                    let used = state.total_in().saturating_sub(used) as usize;
                    let made = state.total_out().saturating_sub(made) as usize;
                    crc.update(into.get(..made).unwrap_or_default());
                    self.source.consume(used);
                    if status == Status::StreamEnd {
                        self.at = Member::Tail(std::mem::take(crc));
                    } else if is_last && made == 0 {
                        return Err(ErrorKind::UnexpectedEof.into());
                    }
                    if made > 0 {
                        return Ok(made);
                    }
                }
                Member::Tail(crc) => {
                    let expected = [crc.sum().to_le_bytes(), crc.amount().to_le_bytes()].concat();
                    if self.bytes::<8>()?[..] != expected {
                        return Err(Flaw::Checksum.into());
                    }
                    self.at = Member::Head;
                }
            }
        }
    }
}

/// Reads one zstd frame after the other (RFC 8878 §3).
struct Zstd<R> {
    source: R,
    decoder: FrameDecoder,
    /// A frame is being read.
    is_open: bool,
}

/// True for the start of a skippable frame (RFC 8878 §3.1.2).
fn is_skippable(first: &[u8]) -> bool {
    matches!(first, [0x50..=0x5f, 0x2a, 0x4d, 0x18])
}

impl<R: BufRead> Zstd<R> {
    /// Starts the next frame with content; false at the end of the file.
    fn begin(&mut self) -> io::Result<bool> {
        loop {
            if self.source.fill_buf()?.is_empty() {
                return Ok(false);
            }
            let mut magic = [0; 4];
            self.source.read_exact(&mut magic).map_err(|_| Flaw::Trailing)?;
            if magic == ZSTD {
                let frame = (&magic[..]).chain(&mut self.source);
                self.decoder.reset(frame).map_err(|_| Flaw::Damaged)?;
                self.is_open = true;
                return Ok(true);
            }
            if !is_skippable(&magic) {
                return Err(Flaw::Trailing.into());
            }
            let mut length = [0; 4];
            self.source.read_exact(&mut length)?;
            let length = u64::from(u32::from_le_bytes(length));
            io::copy(&mut (&mut self.source).take(length), &mut io::sink())?;
        }
    }
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let n = self.decoder.read(into)?;
            if n > 0 {
                return Ok(n);
            }
            if self.is_open && self.decoder.is_finished() {
                self.is_open = false;
                let (told, found) =
                    (self.decoder.get_checksum_from_data(), self.decoder.get_calculated_checksum());
                if told.is_some() && told != found {
                    return Err(Flaw::Checksum.into());
                }
            }
            if !self.is_open && !self.begin()? {
                return Ok(0);
            }
            let one = BlockDecodingStrategy::UptoBlocks(1);
            let at_end = self.source.fill_buf()?.is_empty();
            let decoded = self.decoder.decode_blocks(&mut self.source, one);
            decoded.map_err(|_| if at_end { Flaw::CutShort } else { Flaw::Damaged })?;
        }
    }
}
