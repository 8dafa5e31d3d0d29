//! The pcapng format (draft-ietf-opsawg-pcapng): sections of blocks. Each section has its own byte
//! order and interfaces.
//!
//! Parsed here and not with `pcap-file`: its version 2.0 takes every timestamp for nanoseconds,
//! whatever `if_tsresol` says, ignores `if_tsoffset`, swaps the halves of the Packet Block's time
//! in little-endian files, refuses files with `if_tzone` or without an end-of-options mark, and
//! copies the options of each packet.

use anyhow::bail;

use super::chunk::Chunks;
use super::pipe::patiently;
use super::{MAX_PACKET_BYTES, Record, Step, Stop};
use crate::packet::Timestamp;

/// The first bytes of every section, the same in both byte orders.
pub(super) const MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// Type and length before the body, length after it.
const BLOCK_FRAME_BYTES: usize = 12;

/// The longest block that describes an interface or section, in bytes. Other blocks that are not
/// packets are skipped. Wireshark's blocks have some hundred bytes; a comment may have 64 KiB.
const MAX_DESCRIPTION_BYTES: usize = 1024 * 1024;

/// The largest number of interfaces of a section: more than any host has.
const MAX_INTERFACES: usize = 65_536;

/// One interface of the current section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Interface {
    pub(super) link: u16,
    pub(super) name: Option<String>,
    snaplen: u32,
    clock: Clock,
}

/// How an interface's timestamps are interpreted: `if_tsresol` and `if_tsoffset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Clock {
    unit: Unit,
    offset_seconds: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// This number of nanoseconds.
    Nanos(u64),
    /// This fraction of a nanosecond.
    PartOfNano(u64),
    /// 2⁻ⁿ seconds.
    BinarySecond(u32),
}

impl Unit {
    fn from_tsresol(tsresol: u8) -> Self {
        let exponent = u32::from(tsresol & 0x7f);
        if tsresol & 0x80 != 0 {
            // 2⁻⁶⁴ s and finer: every 64-bit number of them is below a second.
            return Self::BinarySecond(exponent.min(64));
        }
        match 9_u32.checked_sub(exponent) {
            Some(more) => Self::Nanos(10_u64.pow(more)),
            None => {
                let finer = exponent.saturating_sub(9);
                Self::PartOfNano(10_u64.checked_pow(finer).unwrap_or(u64::MAX))
            }
        }
    }
}

impl Clock {
    /// Without `if_tsresol`: microseconds.
    const DEFAULT: Self = Self { unit: Unit::Nanos(1_000), offset_seconds: 0 };

    fn read(self, ticks: u64) -> Timestamp {
        let nanos = match self.unit {
            Unit::Nanos(unit) => ticks.saturating_mul(unit),
            Unit::PartOfNano(part) => ticks.checked_div(part).unwrap_or_default(),
            Unit::BinarySecond(exponent) => {
                let nanos = u128::from(ticks).saturating_mul(1_000_000_000) >> exponent;
                u64::try_from(nanos).unwrap_or(u64::MAX)
            }
        };
        let offset = self.offset_seconds.unsigned_abs().saturating_mul(1_000_000_000);
        Timestamp::from_nanos(if self.offset_seconds < 0 {
            nanos.saturating_sub(offset)
        } else {
            nanos.saturating_add(offset)
        })
    }
}

/// The state of reading a pcapng file.
#[derive(Default)]
pub(super) struct Ng {
    big_endian: bool,
    /// The interfaces of the current section.
    interfaces: Vec<Interface>,
}

/// The type and length of a block.
struct Block {
    kind: u32,
    len: usize,
}

impl Ng {
    /// Reads the first section header.
    pub(super) fn open(chunks: &mut Chunks) -> anyhow::Result<Self> {
        let mut ng = Self::default();
        match patiently(|| ng.next(chunks))? {
            Step::Section => Ok(ng),
            _ => bail!("its section header is not valid"),
        }
    }

    /// The interfaces of the current section.
    pub(super) fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    /// Reads the next relevant block; skips the others.
    pub(super) fn next(&mut self, chunks: &mut Chunks) -> std::io::Result<Step> {
        loop {
            let block = match self.block(chunks)? {
                Ok(block) => block,
                Err(stop) => return Ok(Step::Stop(stop)),
            };
            let limit = match block.kind {
                PACKET | SIMPLE_PACKET | ENHANCED_PACKET => {
                    MAX_PACKET_BYTES.saturating_add(MAX_DESCRIPTION_BYTES)
                }
                SECTION_HEADER | INTERFACE_DESCRIPTION => MAX_DESCRIPTION_BYTES,
                _ => {
                    chunks.skip(block.len);
                    continue;
                }
            };
            if block.len > limit {
                return Ok(Step::Stop(Stop::Corrupt));
            }
            if !chunks.want(block.len)? {
                return Ok(Step::Stop(Stop::CutShort));
            }
            let Some(step) = self.read(&block, chunks) else {
                return Ok(Step::Stop(Stop::Corrupt));
            };
            return Ok(step);
        }
    }

    /// Reads the next block's type and length. At the start of a section, switches to its byte
    /// order.
    fn block(&mut self, chunks: &mut Chunks) -> std::io::Result<Result<Block, Stop>> {
        if !chunks.want(BLOCK_FRAME_BYTES)? {
            return Ok(Err(chunks.stop()));
        }
        let window = chunks.window();
        if window.starts_with(&MAGIC) {
            match window.get(8..12) {
                Some([0x1a, 0x2b, 0x3c, 0x4d]) => self.big_endian = true,
                Some([0x4d, 0x3c, 0x2b, 0x1a]) => self.big_endian = false,
                _ => return Ok(Err(Stop::Corrupt)),
            }
        }
        let (Some(kind), Some(len)) = (self.u32(window, 0), self.u32(window, 4)) else {
            return Ok(Err(Stop::CutShort));
        };
        // Some writers do not pad lengths to multiples of four; readers round up.
        let len = (len as usize).next_multiple_of(4);
        if len < BLOCK_FRAME_BYTES {
            return Ok(Err(Stop::Corrupt));
        }
        Ok(Ok(Block { kind, len }))
    }

    /// Reads a complete block from the window. `None`: the block is inconsistent.
    fn read(&mut self, block: &Block, chunks: &mut Chunks) -> Option<Step> {
        let body_len = block.len.checked_sub(BLOCK_FRAME_BYTES)?;
        let body = chunks.window().get(8..)?.get(..body_len)?;
        let step = match block.kind {
            SECTION_HEADER => {
                self.interfaces.clear();
                Step::Section
            }
            INTERFACE_DESCRIPTION => {
                let interface = self.interface(body)?;
                if self.interfaces.len() >= MAX_INTERFACES {
                    return None;
                }
                self.interfaces.push(interface);
                Step::Interface
            }
            ENHANCED_PACKET => {
                let interface = self.u32(body, 0)?;
                return self.packet(chunks, block, interface, Some(self.ticks(body)?));
            }
            PACKET => {
                let interface = u32::from(self.u16(body, 0)?);
                return self.packet(chunks, block, interface, Some(self.ticks(body)?));
            }
            _ => return self.packet(chunks, block, 0, None),
        };
        chunks.skip_window(block.len);
        Some(step)
    }

    /// Reads a packet block. With a time it has the layout of the Enhanced Packet Block (§4.3, or
    /// the obsolete Packet Block of appendix A), without one that of the Simple Packet Block
    /// (§4.4).
    fn packet(
        &self,
        chunks: &mut Chunks,
        block: &Block,
        interface: u32,
        ticks: Option<u64>,
    ) -> Option<Step> {
        let Some(known) = self.interfaces.get(interface as usize) else {
            chunks.skip_window(block.len);
            return Some(Step::UnknownInterface);
        };
        let body = chunks.window().get(8..)?;
        let (at, start, len, wire_len) = if let Some(ticks) = ticks {
            (Some(known.clock.read(ticks)), 20, self.u32(body, 12)? as usize, self.u32(body, 16)?)
        } else {
            let wire_len = self.u32(body, 0)?;
            let snaplen = if known.snaplen == 0 { u32::MAX } else { known.snaplen };
            (None, 4, wire_len.min(snaplen) as usize, wire_len)
        };
        let body_len = block.len.checked_sub(BLOCK_FRAME_BYTES)?;
        let after = body_len.checked_sub(start)?.checked_sub(len)?;
        if len > MAX_PACKET_BYTES {
            return None;
        }
        chunks.skip_window(start.checked_add(8)?);
        let data = chunks.take(len);
        chunks.skip_window(after.checked_add(4)?);
        Some(Step::Packet(Record { interface, at, wire_len, data }))
    }

    fn interface(&self, body: &[u8]) -> Option<Interface> {
        let (link, snaplen) = (self.u16(body, 0)?, self.u32(body, 4)?);
        let mut interface = Interface { link, name: None, snaplen, clock: Clock::DEFAULT };
        let mut options = body.get(8..)?;
        // The end mark is often missing, and an invalid option is no reason to lose the packets.
        while let (Some(code @ 1..), Some(len)) = (self.u16(options, 0), self.u16(options, 2)) {
            let len = usize::from(len);
            let Some(value) = options.get(4..).and_then(|rest| rest.get(..len)) else {
                break;
            };
            match (code, value) {
                (2, name) => {
                    let name = String::from_utf8_lossy(name);
                    interface.name = Some(name.trim_end_matches('\0').to_owned());
                }
                (9, &[tsresol, ..]) => interface.clock.unit = Unit::from_tsresol(tsresol),
                (14, offset) => {
                    if let Some(&bytes) = offset.first_chunk::<8>() {
                        interface.clock.offset_seconds = if self.big_endian {
                            i64::from_be_bytes(bytes)
                        } else {
                            i64::from_le_bytes(bytes)
                        };
                    }
                }
                _ => {}
            }
            options = options.get(len.next_multiple_of(4).saturating_add(4)..).unwrap_or_default();
        }
        interface.name = interface.name.filter(|name| !name.is_empty());
        Some(interface)
    }

    fn ticks(&self, body: &[u8]) -> Option<u64> {
        Some(u64::from(self.u32(body, 4)?) << 32 | u64::from(self.u32(body, 8)?))
    }

    fn u16(&self, bytes: &[u8], at: usize) -> Option<u16> {
        let field = *bytes.get(at..)?.first_chunk()?;
        Some(if self.big_endian { u16::from_be_bytes(field) } else { u16::from_le_bytes(field) })
    }

    fn u32(&self, bytes: &[u8], at: usize) -> Option<u32> {
        let field = *bytes.get(at..)?.first_chunk()?;
        Some(if self.big_endian { u32::from_be_bytes(field) } else { u32::from_le_bytes(field) })
    }
}
