//! Reads capture files: pcap and pcapng, distinguished by their first bytes; also in gzip or zstd.
//!
//! A file or stream (`-`) is read in large chunks; packets are slices of those chunks. A file that
//! is not a capture is refused, and so is one in which all packets have a link type that `decode`
//! does not support. If a file ends within a record or is corrupt, the packets before that are
//! delivered, with a warning. Keeps one chunk and the names of interfaces.

mod chunk;
mod classic;
mod ng;
mod pipe;
#[cfg(test)]
mod tests;
mod unpack;

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use enum_map::Enum;
use pcap_file::DataLink;
use strum::IntoStaticStr;

use self::chunk::Chunks;
use self::classic::Classic;
use self::ng::Ng;
use self::pipe::{Pipe, patiently};
use self::unpack::{Flaw, MAGIC_BYTES, unpacked};
use super::{Next, PacketSource};
use crate::packet::{InterfaceId, LinkType, Packet, Timestamp};
use crate::stats::{Account, Seam, Tally};

/// The longest valid packet, in bytes. Linux's largest is 512 KiB (BIG TCP, `GSO_MAX_SIZE`); a
/// larger length means that the file is corrupt there.
pub const MAX_PACKET_BYTES: usize = 16 * 1024 * 1024;

/// Why a record gave no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
enum Lost {
    /// The link type of its interface is not supported.
    UnsupportedLink,
    /// Its section does not describe its interface.
    UnknownInterface,
    /// The file ended within the record.
    CutShort,
    /// The record is invalid; the file cannot be read any further.
    Corrupt,
}

/// An empty account with every reason.
pub(super) fn no_packets() -> Account {
    Account { dropped: Tally::<Lost>::default().counts(), ..Account::new(Seam::Packets) }
}

/// One packet record of a file.
struct Record {
    interface: u32,
    /// `None` for Simple Packet Blocks, which have no time: they get the time of the previous
    /// packet.
    at: Option<Timestamp>,
    wire_len: u32,
    data: Bytes,
}

/// The next item of a file.
enum Step {
    Packet(Record),
    /// A new section; interface numbers start at 0 again.
    Section,
    /// An interface description.
    Interface,
    /// A packet of an undescribed interface.
    UnknownInterface,
    Stop(Stop),
}

/// Why a file has no more records.
#[derive(Clone, Copy)]
enum Stop {
    End,
    CutShort,
    Corrupt,
}

enum Format {
    Classic(Classic),
    Ng(Ng),
}

/// One interface: its id among all names, and its link type.
#[derive(Clone, Copy)]
struct Known {
    id: InterfaceId,
    link: Option<LinkType>,
}

/// The packets of one capture file.
pub struct FileSource {
    name: String,
    chunks: Chunks,
    format: Format,
    /// Indexed by the interface numbers of the current section.
    known: Vec<Known>,
    interfaces: Vec<String>,
    unsupported: Option<u16>,
    latest: Timestamp,
    delivered: u64,
    lost: Tally<Lost>,
    warnings: Vec<String>,
    ended: bool,
}

impl FileSource {
    /// Opens a capture file; `-` is the standard input. Waits for the first bytes.
    ///
    /// # Errors
    /// If it cannot be read, is not a capture, or has an unsupported link type. The message names
    /// the file.
    pub fn open(path: impl AsRef<Path>) -> anyhow::Result<Self> {
        let path = path.as_ref();
        if path == Path::new("-") {
            // Bypasses `Stdin`'s buffer: poll(2) would not see the bytes in it.
            let stdin = std::io::stdin().as_fd().try_clone_to_owned();
            let stdin = File::from(stdin.context("standard input: it is closed")?);
            return Self::from_reader("standard input", Box::new(Pipe(stdin)));
        }
        let file = File::open(path).map_err(|error| anyhow!("{}: {error}", path.display()))?;
        Self::from_reader(&path.display().to_string(), Box::new(file))
    }

    /// Reads a capture from a stream, which messages call `name`.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_reader(name: &str, reader: Box<dyn Read + Send>) -> anyhow::Result<Self> {
        let mut chunks =
            Chunks::new(unpacked(reader).with_context(|| format!("{name}: it cannot be read"))?);
        let whole =
            patiently(|| chunks.want(4)).with_context(|| format!("{name}: it cannot be read"))?;
        let magic = match chunks.window().first_chunk::<4>() {
            Some(magic) => *magic,
            None if chunks.window().is_empty() => bail!("{name}: it is empty; nothing to read"),
            None => [0; 4],
        };
        let format = if whole && classic::is_pcap(magic) {
            Classic::open(&mut chunks).map(Format::Classic)
        } else if whole && magic == ng::MAGIC {
            Ng::open(&mut chunks).map(Format::Ng)
        } else {
            patiently(|| chunks.want(MAGIC_BYTES)).with_context(|| name.to_owned())?;
            if let Some(what) = unpack::foreign(chunks.window(), name) {
                bail!("{name}: it is {what}");
            }
            bail!(
                "{name}: it is neither pcap nor pcapng; give a file that `tcpdump -w` or Wireshark wrote"
            );
        };
        let format = format.with_context(|| name.to_owned())?;
        let mut source = Self {
            name: name.to_owned(),
            chunks,
            format,
            known: Vec::new(),
            interfaces: Vec::new(),
            unsupported: None,
            latest: Timestamp::default(),
            delivered: 0,
            lost: Tally::default(),
            warnings: Vec::new(),
            ended: false,
        };
        if let Format::Classic(classic) = &source.format {
            let link = classic.link();
            source.describe(link, None);
            source.refuse_unsupported()?;
        }
        Ok(source)
    }

    /// True if the file is corrupt.
    pub(super) fn is_damaged(&self) -> bool {
        self.lost.get(Lost::Corrupt) > 0
    }

    /// Registers an interface. The same name is the same interface, in every section.
    fn describe(&mut self, number: u16, name: Option<&str>) {
        let link = LinkType::from_number(number);
        if link.is_none() {
            self.unsupported = Some(number);
        }
        let name = name.unwrap_or_default();
        let place = self.interfaces.iter().position(|known| known == name);
        let place = place.unwrap_or_else(|| {
            self.interfaces.push(name.to_owned());
            self.interfaces.len().saturating_sub(1)
        });
        let id = InterfaceId(u32::try_from(place).unwrap_or(u32::MAX));
        self.known.push(Known { id, link });
    }

    /// Returns an error if no packet of this file can be decoded.
    fn refuse_unsupported(&self) -> anyhow::Result<()> {
        let Some(number) = self.unsupported else { return Ok(()) };
        if self.delivered > 0 || self.known.iter().any(|known| known.link.is_some()) {
            return Ok(());
        }
        bail!(
            "{}: link type {number} ({:?}) is not supported; {}",
            self.name,
            DataLink::from(u32::from(number)),
            remedy(number),
        )
    }

    fn step(&mut self) -> std::io::Result<Step> {
        let step = match &mut self.format {
            Format::Classic(classic) => classic.next(&mut self.chunks)?,
            Format::Ng(ng) => ng.next(&mut self.chunks)?,
        };
        if let (Step::Interface, Format::Ng(ng)) = (&step, &self.format)
            && let Some(interface) = ng.interfaces().last().cloned()
        {
            self.describe(interface.link, interface.name.as_deref());
        }
        Ok(step)
    }

    fn packet(&mut self, record: Record) -> Option<Packet> {
        let Some(known) = self.known.get(record.interface as usize) else {
            self.lost.count(Lost::UnknownInterface);
            return None;
        };
        let Some(link) = known.link else {
            self.lost.count(Lost::UnsupportedLink);
            return None;
        };
        self.delivered = self.delivered.saturating_add(1);
        // Some writers omit the length on the wire, or leave a header out of it.
        let wire_len = record.wire_len.max(u32::try_from(record.data.len()).unwrap_or(u32::MAX));
        self.latest = record.at.unwrap_or(self.latest);
        Some(Packet { at: self.latest, link, interface: known.id, wire_len, data: record.data })
    }

    fn end(&mut self, stop: Stop) -> anyhow::Result<()> {
        self.ended = true;
        let (name, offset, delivered) = (&self.name, self.chunks.offset(), self.delivered);
        match stop {
            Stop::End => {}
            Stop::CutShort => {
                self.lost.count(Lost::CutShort);
                self.warnings.push(format!(
                    "{name}: cut short in its last record, at byte {offset}; \
                     the {delivered} packets before were read"
                ));
            }
            Stop::Corrupt => {
                self.lost.count(Lost::Corrupt);
                self.warnings.push(format!(
                    "{name}: damaged at byte {offset}; the {delivered} packets before were read, \
                     what comes after cannot be"
                ));
            }
        }
        if let Some(flaw @ (Flaw::Checksum | Flaw::Trailing)) = self.chunks.flaw() {
            self.warnings.push(format!("{name}: {flaw}; {delivered} packets were read"));
        }
        let unsupported = self.lost.get(Lost::UnsupportedLink);
        if unsupported > 0 {
            if delivered == 0 {
                self.known.retain(|known| known.link.is_none());
                self.refuse_unsupported()?;
            }
            self.warnings.push(format!(
                "{name}: {unsupported} packets of interfaces with an unsupported link type left out"
            ));
        }
        Ok(())
    }
}

/// Advice for an unsupported link type.
fn remedy(number: u16) -> &'static str {
    match number {
        252 => {
            "it has messages that Wireshark exported, without the TCP that carried them; \
             give the capture that they were exported from (TLS in it cannot be read)"
        }
        _ => "capture on an Ethernet, loopback, tunnel or `any` interface",
    }
}

impl PacketSource for FileSource {
    fn next(&mut self, _wait: Duration) -> anyhow::Result<Next> {
        while !self.ended {
            let step = match self.step() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Next::Idle),
                step => step.with_context(|| {
                    format!("{}: reading failed at byte {}", self.name, self.chunks.offset())
                })?,
            };
            match step {
                Step::Packet(record) => {
                    if let Some(packet) = self.packet(record) {
                        return Ok(Next::Packet(packet));
                    }
                }
                Step::Section => self.known.clear(),
                Step::Interface => {}
                Step::UnknownInterface => self.lost.count(Lost::UnknownInterface),
                Step::Stop(stop) => self.end(stop)?,
            }
        }
        Ok(Next::End)
    }

    fn interfaces(&self) -> &[String] {
        &self.interfaces
    }

    fn account(&self) -> Account {
        Account {
            seen: self.delivered.saturating_add(self.lost.total()),
            delivered: self.delivered,
            dropped: self.lost.counts(),
            ..Account::new(Seam::Packets)
        }
    }

    fn stop(&mut self) {
        self.ended = true;
    }

    fn warnings(&self) -> Vec<String> {
        self.warnings.clone()
    }
}
