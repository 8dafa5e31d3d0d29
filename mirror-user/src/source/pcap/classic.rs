//! The pcap format (draft-ietf-opsawg-pcap): a file header, then records. Also the "modified"
//! format of old Red Hat and Suse kernels, whose record header is eight bytes longer.

use anyhow::{Context, bail};
use pcap_file::pcap::{PcapHeader, PcapParser};
use pcap_file::{DataLink, PcapError, TsResolution};

use super::chunk::Chunks;
use super::pipe::patiently;
use super::{MAX_PACKET_BYTES, Record, Step, Stop};
use crate::packet::Timestamp;

const FILE_HEADER_BYTES: usize = 24;
const RECORD_HEADER_BYTES: usize = 16;

/// Bytes between the record header and the packet in the modified format: interface index,
/// protocol, packet type.
const MODIFIED_EXTRA_BYTES: usize = 8;

/// The header of a pcap file.
pub(super) struct Classic {
    parser: PcapParser,
    link: u16,
    extra: usize,
}

/// True if this is the magic number of a pcap file.
pub(super) fn is_pcap(magic: [u8; 4]) -> bool {
    matches!(
        u32::from_le_bytes(magic),
        0xa1b2_c3d4 | 0xd4c3_b2a1 | 0xa1b2_3c4d | 0x4d3c_b2a1 | 0xa1b2_cd34 | 0x34cd_b2a1
    )
}

impl Classic {
    /// Reads the file header.
    pub(super) fn open(chunks: &mut Chunks) -> anyhow::Result<Self> {
        if !patiently(|| chunks.want(FILE_HEADER_BYTES))? {
            bail!("it ends within its file header");
        }
        let header = chunks.take(FILE_HEADER_BYTES);
        // The modified format differs only in its records, so the parser is given the usual magic
        // number.
        let (header, extra) = match header.first_chunk::<4>() {
            Some([0x34, 0xcd, 0xb2, 0xa1]) => {
                (with_magic(&header, [0xd4, 0xc3, 0xb2, 0xa1]), MODIFIED_EXTRA_BYTES)
            }
            Some([0xa1, 0xb2, 0xcd, 0x34]) => {
                (with_magic(&header, [0xa1, 0xb2, 0xc3, 0xd4]), MODIFIED_EXTRA_BYTES)
            }
            _ => (header.to_vec(), 0),
        };
        let (_, parser) = PcapParser::new(&header).context("its file header is not valid")?;
        let link = link_number(parser.header());
        Ok(Self { parser, link, extra })
    }

    /// The link type of all its packets.
    pub(super) fn link(&self) -> u16 {
        self.link
    }

    /// Reads the next record.
    pub(super) fn next(&self, chunks: &mut Chunks) -> std::io::Result<Step> {
        if self.extra > 0 {
            return self.next_modified(chunks);
        }
        loop {
            // `PcapPacket` refuses records that real files contain (packets longer than the
            // snaplen, 10⁶ µs and more), so the raw record is used.
            let (at, len, wire_len) = match self.parser.next_raw_packet(chunks.window()) {
                Ok((_, record)) => {
                    let at = self.time(record.ts_sec, record.ts_frac);
                    (Some(at), record.incl_len as usize, record.orig_len)
                }
                Err(PcapError::IncompleteBuffer) => match self.missing(chunks)? {
                    Some(step) => return Ok(step),
                    None => continue,
                },
                Err(_) => return Ok(Step::Stop(Stop::Corrupt)),
            };
            chunks.skip_window(RECORD_HEADER_BYTES);
            let data = chunks.take(len);
            return Ok(Step::Packet(Record { interface: 0, at, wire_len, data }));
        }
    }

    /// Reads until the next record is complete in the window, or returns why it never will be.
    fn missing(&self, chunks: &mut Chunks) -> std::io::Result<Option<Step>> {
        let header_bytes = RECORD_HEADER_BYTES.saturating_add(self.extra);
        if !chunks.want(header_bytes)? {
            return Ok(Some(Step::Stop(chunks.stop())));
        }
        let Some(len) = self.field(chunks.window(), 8) else {
            return Ok(Some(Step::Stop(Stop::CutShort)));
        };
        let len = len as usize;
        if len > MAX_PACKET_BYTES {
            return Ok(Some(Step::Stop(Stop::Corrupt)));
        }
        if !chunks.want(header_bytes.saturating_add(len))? {
            return Ok(Some(Step::Stop(Stop::CutShort)));
        }
        Ok(None)
    }

    fn next_modified(&self, chunks: &mut Chunks) -> std::io::Result<Step> {
        if let Some(step) = self.missing(chunks)? {
            return Ok(step);
        }
        let window = chunks.window();
        let field = |at| self.field(window, at).unwrap_or_default();
        let (at, len, wire_len) = (Some(self.time(field(0), field(4))), field(8), field(12));
        chunks.skip_window(RECORD_HEADER_BYTES.saturating_add(self.extra));
        let data = chunks.take(len as usize);
        Ok(Step::Packet(Record { interface: 0, at, wire_len, data }))
    }

    fn field(&self, window: &[u8], at: usize) -> Option<u32> {
        let bytes = *window.get(at..)?.first_chunk::<4>()?;
        Some(if self.parser.header().endianness.is_big() {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        })
    }

    fn time(&self, seconds: u32, fraction: u32) -> Timestamp {
        let unit = match self.parser.header().ts_resolution {
            TsResolution::MicroSecond => 1_000,
            TsResolution::NanoSecond => 1,
        };
        // 2³² s and 2³² µs together are below 2⁶³ ns.
        let seconds = u64::from(seconds).saturating_mul(1_000_000_000);
        Timestamp::from_nanos(seconds.saturating_add(u64::from(fraction).saturating_mul(unit)))
    }
}

fn with_magic(header: &[u8], magic: [u8; 4]) -> Vec<u8> {
    magic.iter().chain(header.iter().skip(4)).copied().collect()
}

/// The upper half of the field describes frame check sequences, not the link type.
fn link_number(header: PcapHeader) -> u16 {
    let number: u32 = DataLink::into(header.datalink);
    (number & 0xffff) as u16
}
