//! Several capture files as one source: what `tcpdump -C` and `-G` leave, and several taps of the
//! same traffic.
//!
//! Packets come in the order of their times, whichever file they are in (a k-way merge); those of
//! one file stay in its order. A file is opened when its first packet's turn comes, so that of
//! files that follow one another one or two are open. A file that cannot be read does not cost
//! those that can: the run's end says it. Refuses a folder without captures; files of a folder that
//! are none are left out with a warning. Remembers the names of the files and of the interfaces, and
//! one packet of each open file.

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{anyhow, bail};

use super::pcap::{FileSource, no_packets};
use super::{Next, PacketSource};
use crate::packet::{InterfaceId, Packet, Timestamp};
use crate::stats::Account;

/// Files whose packets are put in order at the same time, at most; each holds a chunk or two of
/// 512 KiB, and a descriptor. Of more that overlap, the later ones come behind the others.
pub const MAX_MERGED: usize = 64;

/// All captures of a folder, or of several files and folders.
pub struct FolderSource {
    /// Still to be opened; the one that begins next is last.
    waiting: Vec<(Timestamp, PathBuf)>,
    open: Vec<Merged>,
    interfaces: Vec<String>,
    account: Account,
    warnings: Vec<String>,
    /// What could not be read, and why.
    failures: Vec<String>,
    captures: usize,
    is_crowded: bool,
}

/// A file with its next packet.
struct Merged {
    file: FileSource,
    next: Packet,
    /// Where its interfaces stand among all.
    places: Vec<InterfaceId>,
}

/// Opens what `--from` names, each a file, a folder, or `-` for the standard input.
///
/// # Errors
/// When there is nothing that can be read, or the standard input is not alone. The message names
/// it.
pub fn open(paths: &[impl AsRef<Path>]) -> anyhow::Result<Box<dyn PacketSource>> {
    if let [path] = paths
        && !path.as_ref().is_dir()
    {
        return Ok(Box::new(FileSource::open(path)?));
    }
    Ok(Box::new(FolderSource::open(paths)?))
}

impl FolderSource {
    /// Looks at each of these files, and for captures in each of these folders, not in those
    /// within it.
    ///
    /// # Errors
    /// When none of the files can be read, or a folder cannot be or holds no capture.
    pub fn open(paths: &[impl AsRef<Path>]) -> anyhow::Result<Self> {
        let mut captures = Vec::new();
        let (mut warnings, mut failures) = (Vec::new(), Vec::new());
        for path in paths.iter().map(AsRef::as_ref) {
            if path == Path::new("-") {
                bail!("-: the standard input cannot be put in order with others; give it alone");
            } else if path.is_dir() {
                captures.extend(captures_in(path, &mut warnings, &mut failures)?);
            } else {
                match first_time(path) {
                    Ok(time) => captures.push((time, path.to_owned())),
                    Err(error) => failures.push(format!("{error:#}")),
                }
            }
        }
        if let ([], [first, ..]) = (captures.as_slice(), failures.as_slice()) {
            bail!("{first}");
        }
        // The names decide between files that begin at the same time.
        captures.sort_by(|a, b| b.cmp(a));
        // The same file, named twice or also found in a folder, is read once.
        captures.dedup();
        warnings.sort();
        Ok(Self {
            captures: captures.len().saturating_add(failures.len()),
            waiting: captures,
            open: Vec::new(),
            interfaces: Vec::new(),
            account: no_packets(),
            warnings,
            failures,
            is_crowded: false,
        })
    }

    /// Opens the files whose first packets come before all of those that are open.
    fn open_due(&mut self) {
        loop {
            let earliest = self.open.iter().map(|merged| merged.next.at).min();
            let Some((first, _)) = self.waiting.last() else { return };
            if earliest.is_some_and(|earliest| earliest < *first) {
                return;
            }
            if self.open.len() >= MAX_MERGED {
                if !std::mem::replace(&mut self.is_crowded, true) {
                    self.warnings.push(format!(
                        "more than {MAX_MERGED} captures overlap in time; the packets of some come behind later ones"
                    ));
                }
                return;
            }
            let Some((_, path)) = self.waiting.pop() else { return };
            match FileSource::open(&path) {
                Ok(mut file) => match file.next(Duration::ZERO) {
                    Ok(Next::Packet(next)) => {
                        self.open.push(Merged { file, next, places: Vec::new() });
                    }
                    end => self.close(file, end),
                },
                Err(error) => self.failures.push(format!("{error:#}")),
            }
        }
    }

    /// Says what is to be said of a file at its end.
    fn close(&mut self, file: FileSource, end: anyhow::Result<Next>) {
        match end {
            Ok(_) if file.is_damaged() => self.failures.extend(file.warnings()),
            Ok(_) => self.warnings.extend(file.warnings()),
            Err(error) => self.failures.push(format!("{error:#}")),
        }
        self.account.add(file.account());
    }

    /// The packet that comes first among those of the open files.
    fn take(&mut self) -> Option<Packet> {
        let (place, _) = self.open.iter().enumerate().min_by_key(|(_, merged)| merged.next.at)?;
        let Merged { file, next, places } = self.open.get_mut(place)?;
        let (packet, end) = match file.next(Duration::ZERO) {
            Ok(Next::Packet(packet)) => (std::mem::replace(next, packet), None),
            end => (next.clone(), Some(end)),
        };
        let packet = placed(packet, file.interfaces(), places, &mut self.interfaces);
        if let Some(end) = end {
            let Merged { file, .. } = self.open.remove(place);
            self.close(file, end);
        }
        Some(packet)
    }
}

/// What was handed over of an open file: all but its next packet.
fn handed_over(file: &FileSource) -> Account {
    let mut account = file.account();
    account.seen = account.seen.saturating_sub(1);
    account.delivered = account.delivered.saturating_sub(1);
    account
}

/// Gives a packet's interface its place among those of all files; the same name is the same.
fn placed(
    mut packet: Packet,
    names: &[String],
    places: &mut Vec<InterfaceId>,
    all: &mut Vec<String>,
) -> Packet {
    for name in names.iter().skip(places.len()) {
        let place = all.iter().position(|known| known == name).unwrap_or_else(|| {
            all.push(name.clone());
            all.len().saturating_sub(1)
        });
        places.push(InterfaceId(u32::try_from(place).unwrap_or(u32::MAX)));
    }
    packet.interface = places.get(packet.interface.0 as usize).copied().unwrap_or_default();
    packet
}

/// The captures of one folder with the times of their first packets.
fn captures_in(
    folder: &Path,
    warnings: &mut Vec<String>,
    failures: &mut Vec<String>,
) -> anyhow::Result<Vec<(Timestamp, PathBuf)>> {
    let name = folder.display();
    let mut captures = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| anyhow!("{name}: {e}"))? {
        let file = entry.map_err(|e| anyhow!("{name}: {e}"))?.path();
        if !file.is_file() {
            continue;
        }
        match first_time(&file) {
            Ok(time) => captures.push((time, file)),
            Err(error) if is_named_so(&file) => failures.push(format!("{error:#}")),
            Err(error) => warnings.push(format!("left out: {error:#}")),
        }
    }
    if captures.is_empty() {
        bail!("{name}: no capture in this folder; give one with pcap or pcapng files");
    }
    Ok(captures)
}

/// Whether a file that cannot be read says that it is a capture. One that is still empty, as a
/// writer leaves it for a moment, has lost nothing.
fn is_named_so(file: &Path) -> bool {
    let ending = file.extension().and_then(|ending| ending.to_str());
    let is_empty = file.metadata().is_ok_and(|there| there.len() == 0);
    matches!(ending, Some("pcap" | "pcapng" | "cap")) && !is_empty
}

/// When the first packet of a capture was seen; those without packets come last.
fn first_time(file: &Path) -> anyhow::Result<Timestamp> {
    match FileSource::open(file)?.next(Duration::ZERO)? {
        Next::Packet(packet) => Ok(packet.at),
        Next::Idle | Next::Again(_) | Next::End => Ok(Timestamp::from_nanos(u64::MAX)),
    }
}

impl PacketSource for FolderSource {
    fn next(&mut self, _wait: Duration) -> anyhow::Result<Next> {
        self.open_due();
        Ok(self.take().map_or(Next::End, Next::Packet))
    }

    fn interfaces(&self) -> &[String] {
        &self.interfaces
    }

    fn account(&self) -> Account {
        let mut account = self.account.clone();
        for Merged { file, .. } in &self.open {
            account.add(handed_over(file));
        }
        account
    }

    fn stop(&mut self) {
        self.waiting.clear();
        for Merged { file, .. } in self.open.drain(..) {
            self.account.add(handed_over(&file));
        }
    }

    fn verdict(&self) -> anyhow::Result<()> {
        let failed = self.failures.len();
        match self.failures.as_slice() {
            [] => Ok(()),
            failures => bail!(
                "{failed} of {} captures could not be read whole:\n  {}",
                self.captures,
                failures.join("\n  ")
            ),
        }
    }

    fn warnings(&self) -> Vec<String> {
        self.warnings.clone()
    }
}
