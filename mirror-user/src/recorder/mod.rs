//! Packets as they were seen, written to a capture file that tcpdump and Wireshark read.
//!
//! In come the packets that `decode` made segments of, and the fragments; out goes a `.pcap` or
//! `.pcapng` file. For `capture --raw` this is at the source, before any rule has looked at them;
//! without it, the packets are those of [`sink::packets`](crate::sink::packets). What is written is
//! byte for byte what was seen, except for checksums and lengths that the network card would have
//! filled in. Refuses packets of two link types in one `.pcap`, which has room for one. A file
//! that can be written no more, as on a full disk, costs the packets after that, which are counted.

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

/// The longest packet that is written whole, and what files declare: what Wireshark reads at most,
/// and more than Linux hands over by default (GRO and BIG TCP together below 192 KiB).
pub const SNAPLEN_BYTES: u32 = 262_144;

/// What a record takes besides its packet, for `--rotate`: pcap's header.
const RECORD_BYTES: u64 = 16;

/// Why a packet was not written: "it was …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum NotWritten {
    /// Of another link type than the packets before, in a format that has one for all.
    OtherLinkType,
    /// Refused by the file: the disk is full, the pipe closed.
    WriteFailed,
}

/// Writes packets to a capture file.
pub struct Recorder {
    destination: Destination,
    snaplen: u32,
    /// The files, where one follows the other.
    series: Option<Series>,
    file: CaptureFile,
    written: u64,
    lost: Tally<NotWritten>,
    failure: Option<String>,
}

impl Recorder {
    /// Creates the file: pcapng when its name ends so, else pcap; `-` is the
    /// standard output, as pcap. Packets longer than `snaplen` bytes are cut.
    ///
    /// # Errors
    /// When it cannot be created, is there and may not be overwritten, or its name has another
    /// extension.
    pub fn create(file: impl Into<Destination>, snaplen: u32) -> anyhow::Result<Self> {
        let destination = file.into();
        let mut series = destination.rotation.map(|rotation| Series::new(&destination, rotation));
        let file = CaptureFile::create(&destination, series.as_mut(), snaplen)?;
        let (written, lost, failure) = (0, Tally::default(), None);
        Ok(Self { destination, snaplen, series, file, written, lost, failure })
    }

    /// Writes a packet. `interfaces` are the source's, which [`Packet::interface`] counts.
    ///
    /// # Errors
    /// When it could not be written, and why; it is counted. Later ones may be tried again.
    pub fn write(&mut self, packet: &Packet, interfaces: &[String]) -> anyhow::Result<()> {
        // What follows half a record would be read as nonsense.
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

    /// Hands over what is buffered.
    ///
    /// # Errors
    /// When the file takes no more.
    pub fn flush(&mut self) -> anyhow::Result<()> {
        if self.failure.is_some() {
            return Ok(());
        }
        self.rotate(None)?;
        self.file.flush().map_err(|error| self.fail(&error))
    }

    /// Goes on to the next file when it is time.
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

    /// Ends the file: all that was written is in it. A file without packets is readable too.
    ///
    /// # Errors
    /// When not all of it could be written.
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

    /// Packets given, written, and the others by reason. What is buffered counts as written until
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
        let failure =
            format!("{}: {error:#}; the packets from there on are lost", self.file.name());
        // Those that were still buffered did not arrive either.
        let buffered = self.file.buffered().min(self.written);
        self.written = self.written.saturating_sub(buffered);
        self.lost.add(NotWritten::WriteFailed, buffered);
        self.failure = Some(failure.clone());
        anyhow::Error::msg(failure)
    }
}
