//! The two capture formats, in little-endian byte order and with nanoseconds.

use std::borrow::Cow;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{anyhow, bail};
use pcap_file::pcap::PcapHeader;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::{DataLink, Endianness, PcapError, TsResolution};

use super::checksum;
use crate::files::rotate::Series;
use crate::files::{self, Destination};
use crate::packet::{InterfaceId, LinkType, Packet};

/// Write buffer in bytes: one system call for some hundred packets.
const BUFFER_BYTES: usize = 256 * 1024;

/// `if_tsresol` of nanoseconds.
const NANOSECONDS: u8 = 9;

/// A buffered output that counts the packets since the buffer was last emptied.
struct Output {
    inner: BufWriter<Box<dyn Write + Send>>,
    packets: u64,
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let before = self.inner.buffer().len();
        let written = self.inner.write(bytes)?;
        // The buffer shrank, so all packets before this one were written out.
        if self.inner.buffer().len() < before {
            self.packets = 0;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()?;
        self.packets = 0;
        Ok(())
    }
}

enum Format {
    /// The header contains the link type, so it is written with the first packet.
    Pcap(Output, Option<LinkType>),
    /// The interfaces that have been described, in the order of their ids.
    PcapNg(PcapNgWriter<Output>, Vec<(InterfaceId, LinkType)>),
}

/// A capture file that is being written.
pub(super) struct CaptureFile {
    name: String,
    format: Format,
    snaplen: u32,
    /// Buffer for a packet whose checksum is completed.
    copy: Vec<u8>,
}

impl CaptureFile {
    /// Creates the file, or the next one of a series.
    pub(super) fn create(
        file: &Destination,
        series: Option<&mut Series>,
        snaplen: u32,
    ) -> anyhow::Result<Self> {
        let path = file.path.as_path();
        let name = path.display().to_string();
        let is_stdout = path == Path::new("-");
        let extension = path.extension().and_then(|extension| extension.to_str());
        let is_pcapng = match extension {
            _ if is_stdout => false,
            Some("pcap") => false,
            Some("pcapng") => true,
            _ => {
                bail!("{name}: packets are written to .pcap or .pcapng; give it one of these names")
            }
        };
        let inner: Box<dyn Write + Send> = if is_stdout {
            Box::new(io::stdout())
        } else {
            Box::new(match series {
                Some(series) => series.begin()?,
                None => files::create(path, file.existing)?,
            })
        };
        Self::with_output(name, inner, is_pcapng, snaplen)
    }

    pub(super) fn with_output(
        name: String,
        inner: Box<dyn Write + Send>,
        is_pcapng: bool,
        snaplen: u32,
    ) -> anyhow::Result<Self> {
        let inner = BufWriter::with_capacity(BUFFER_BYTES, inner);
        let output = Output { inner, packets: 0 };
        let format = if is_pcapng {
            let writer =
                PcapNgWriter::with_endianness(output, Endianness::Little).map_err(reason)?;
            Format::PcapNg(writer, Vec::new())
        } else {
            Format::Pcap(output, None)
        };
        Ok(Self { name, format, snaplen, copy: Vec::new() })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Packets that may not be in the file yet.
    pub(super) fn buffered(&self) -> u64 {
        match &self.format {
            Format::Pcap(output, _) => output.packets,
            Format::PcapNg(writer, _) => writer.get_ref().packets,
        }
    }

    /// False if the file already has another link type.
    pub(super) fn takes(&self, link: LinkType) -> bool {
        !matches!(self.format, Format::Pcap(_, Some(known)) if known != link)
    }

    pub(super) fn other_link_type(&self) -> anyhow::Error {
        anyhow!(
            "{}: a .pcap holds packets of one link type and these have several; \
             write a .pcapng instead",
            self.name
        )
    }

    pub(super) fn write(&mut self, packet: &Packet, interfaces: &[String]) -> anyhow::Result<()> {
        let data = checksum::complete(packet, &mut self.copy).unwrap_or(&packet.data);
        let data = data.get(..self.snaplen as usize).unwrap_or(data);
        match &mut self.format {
            Format::Pcap(output, link) => {
                if link.replace(packet.link).is_none() {
                    write_header(output, packet.link, self.snaplen)?;
                }
                let nanos = packet.at.as_nanos();
                // Seconds are unsigned, so they last until 2106.
                let seconds = u32::try_from(nanos / 1_000_000_000).unwrap_or(u32::MAX);
                let fraction = (nanos % 1_000_000_000) as u32;
                for field in [seconds, fraction, data.len() as u32, packet.wire_len] {
                    output.write_all(&field.to_le_bytes())?;
                }
                output.write_all(data)?;
                output.packets = output.packets.saturating_add(1);
            }
            Format::PcapNg(writer, known) => {
                let described = (packet.interface, packet.link);
                let index = known.iter().position(|interface| *interface == described);
                if index.is_none() {
                    let name = interfaces.get(packet.interface.0 as usize);
                    let block = describe(packet.link, name, self.snaplen);
                    writer.write_pcapng_block(block).map_err(reason)?;
                    known.push(described);
                }
                let index = index.unwrap_or(known.len().saturating_sub(1));
                let block = EnhancedPacketBlock {
                    interface_id: u32::try_from(index).unwrap_or(u32::MAX),
                    timestamp: Duration::from_nanos(packet.at.as_nanos()),
                    original_len: packet.wire_len,
                    data: Cow::Borrowed(data),
                    options: Vec::new(),
                };
                writer.write_pcapng_block(block).map_err(reason)?;
                let output = writer.get_mut();
                output.packets = output.packets.saturating_add(1);
            }
        }
        Ok(())
    }

    /// Completes the file. A pcap file without packets gets its header, so that it is valid.
    pub(super) fn finish(&mut self) -> anyhow::Result<()> {
        if let Format::Pcap(output, link @ None) = &mut self.format {
            write_header(output, LinkType::Ethernet, self.snaplen)?;
            *link = Some(LinkType::Ethernet);
        }
        self.flush()
    }

    /// Writes out what is buffered.
    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        match &mut self.format {
            Format::Pcap(output, _) => output.flush()?,
            Format::PcapNg(writer, _) => writer.get_mut().flush()?,
        }
        Ok(())
    }
}

/// Headers and records are written directly, because `pcap-file`'s writer cannot be flushed.
fn write_header(output: &mut Output, link: LinkType, snaplen: u32) -> anyhow::Result<()> {
    let header = PcapHeader {
        snaplen,
        datalink: DataLink::from(u32::from(link.number())),
        ts_resolution: TsResolution::NanoSecond,
        endianness: Endianness::Little,
        ..PcapHeader::default()
    };
    header.write_to(output).map_err(reason)?;
    Ok(())
}

fn describe(
    link: LinkType,
    name: Option<&String>,
    snaplen: u32,
) -> InterfaceDescriptionBlock<'static> {
    let name = name.map(|name| InterfaceDescriptionOption::IfName(Cow::Owned(name.clone())));
    let resolution = InterfaceDescriptionOption::IfTsResol(NANOSECONDS);
    InterfaceDescriptionBlock {
        linktype: DataLink::from(u32::from(link.number())),
        snaplen,
        options: name.into_iter().chain([resolution]).collect(),
    }
}

/// The operating system's error, if there is one.
fn reason(error: PcapError) -> anyhow::Error {
    match error {
        PcapError::IoError(error) => error.into(),
        other => other.into(),
    }
}
