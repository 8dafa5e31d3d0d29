//! Writes packets to capture files that tcpdump and Wireshark can read.
//!
//! The input is packets that `decode` turned into segments, and fragments; the output is a `.pcap`
//! or `.pcapng` file. With `capture --raw` the packets come from the source, before any rule has
//! seen them; otherwise they come from [`sink::packets`](crate::sink::packets). Packets are written
//! byte for byte as they were captured, except for checksums and lengths that the network card
//! would have filled in. A second link type in a `.pcap`, which can hold only one, is refused. If a
//! file cannot be written any more, for example because the disk is full, later packets are dropped
//! and counted.

mod checksum;
mod file;
#[cfg(test)]
mod tests;

use enum_map::Enum;
use strum::IntoStaticStr;

use self::file::CaptureFile;
use crate::files::Destination;
use crate::files::rotate::Series;
use crate::packet::{Packet, Timestamp};
use crate::stats::{Account, Seam, Tally};

/// The longest packet that is written completely, and the snaplen that files declare. It is the
/// most that Wireshark reads, and more than Linux delivers by default (GRO and BIG TCP stay below
/// 192 KiB).
pub const SNAPLEN_BYTES: u32 = 262_144;

/// The size of a pcap record's header in bytes, for `--rotate`.
const RECORD_BYTES: u64 = 16;

/// Why a packet was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum NotWritten {
    /// Its link type differs from that of earlier packets, in a format that allows only one.
    OtherLinkType,
    /// Writing failed: the disk is full, or the pipe is closed.
    WriteFailed,
}

/// Writes packets to a capture file.
pub struct Recorder {
    destination: Destination,
    snaplen: u32,
    /// The files, with rotation.
    series: Option<Series>,
    file: CaptureFile,
    written: u64,
    lost: Tally<NotWritten>,
    failure: Option<String>,
}

impl Recorder {
    /// Creates the file: pcapng if it has that extension, otherwise pcap; `-` is the standard
    /// output, as pcap. Packets longer than `snaplen` bytes are truncated.
    ///
    /// # Errors
    /// If it cannot be created, exists and may not be overwritten, or has another extension.
    pub fn create(file: impl Into<Destination>, snaplen: u32) -> anyhow::Result<Self> {
        let destination = file.into();
        let mut series = destination.rotation.map(|rotation| Series::new(&destination, rotation));
        let file = CaptureFile::create(&destination, series.as_mut(), snaplen)?;
        let (written, lost, failure) = (0, Tally::default(), None);
        Ok(Self { destination, snaplen, series, file, written, lost, failure })
    }

    /// Writes a packet. `interfaces` are the names of the source that [`Packet::interface`]
    /// indexes.
    ///
    /// # Errors
    /// If the packet could not be written; it is counted. Later packets may be given again.
    pub fn write(&mut self, packet: &Packet, interfaces: &[String]) -> anyhow::Result<()> {
        // After a partial record the file could not be parsed.
        if self.failure.is_some() {
            self.lost.count(NotWritten::WriteFailed);
            return Ok(());
        }
        self.rotate(Some(packet.at))?;
        if !self.file.takes(packet.link) {
            self.lost.count(NotWritten::OtherLinkType);
            return Err(self.file.other_link_type());
        }
        match self.file.write(packet, interfaces) {
            Ok(()) => {
                self.written = self.written.saturating_add(1);
                if let Some(series) = &mut self.series {
                    series.wrote(packet.at, RECORD_BYTES.saturating_add(packet.data.len() as u64));
                }
            }
            Err(error) => {
                self.lost.count(NotWritten::WriteFailed);
                return Err(self.fail(&error));
            }
        }
        Ok(())
    }

    /// Writes out what is buffered.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn flush(&mut self) -> anyhow::Result<()> {
        if self.failure.is_some() {
            return Ok(());
        }
        self.rotate(None)?;
        self.file.flush().map_err(|error| self.fail(&error))
    }

    /// Switches to the next file if it is due.
    fn rotate(&mut self, at: Option<Timestamp>) -> anyhow::Result<()> {
        let Some(series) = self.series.as_mut().filter(|series| series.is_due(at)) else {
            return Ok(());
        };
        let completed = self.file.finish().and_then(|()| series.complete());
        let next = completed
            .and_then(|()| CaptureFile::create(&self.destination, Some(series), self.snaplen));
        match next {
            Ok(next) => self.file = next,
            Err(error) => return Err(self.fail(&error)),
        }
        Ok(())
    }

    /// Completes the file. A file without packets is valid, too.
    ///
    /// # Errors
    /// If some of it could not be written.
    pub fn finish(&mut self) -> anyhow::Result<()> {
        if let Some(failure) = &self.failure {
            anyhow::bail!("{failure}");
        }
        let finished = self.file.finish();
        let finished = finished.and_then(|()| match &mut self.series {
            Some(series) => series.complete(),
            None => Ok(()),
        });
        finished.map_err(|error| self.fail(&error))
    }

    /// Packets given, written, and dropped by reason. Buffered packets count as written until
    /// [`flush`](Self::flush) fails.
    #[must_use]
    pub fn account(&self) -> Account {
        Account {
            seen: self.written.saturating_add(self.lost.total()),
            delivered: self.written,
            dropped: self.lost.counts(),
            ..Account::new(Seam::RecordedPackets)
        }
    }

    fn fail(&mut self, error: &anyhow::Error) -> anyhow::Error {
        let failure = format!("{}: {error:#}; the packets after that are lost", self.file.name());
        // Buffered packets were not written either.
        let buffered = self.file.buffered().min(self.written);
        self.written = self.written.saturating_sub(buffered);
        self.lost.add(NotWritten::WriteFailed, buffered);
        self.failure = Some(failure.clone());
        anyhow::Error::msg(failure)
    }
}
