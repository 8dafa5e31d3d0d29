//! Several capture files as one source: rotated files of `tcpdump -C` and `-G`, and several taps of
//! the same traffic.
//!
//! Packets of all files are merged in the order of their times (a k-way merge); those of one file
//! keep their order. A file is opened when its first packet is next, so that of consecutive files
//! only one or two are open. An unreadable file does not affect the others; it is reported at the
//! end of the run. A folder without captures is refused; other files in a folder are skipped with a
//! warning. Keeps the names of the files and interfaces, and one packet of each open file.

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{anyhow, bail};

use super::pcap::{FileSource, no_packets};
use super::{Next, PacketSource};
use crate::packet::{InterfaceId, Packet, Timestamp};
use crate::stats::Account;

/// The largest number of files that are merged at the same time. Each holds one or two chunks of
/// 512 KiB and a descriptor. If more overlap, the packets of the later files come after the others.
pub const MAX_MERGED: usize = 64;

/// The captures of a folder, or of several files and folders.
pub struct FolderSource {
    /// Files to be opened; the one that begins next is last.
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
    /// The ids of its interfaces among those of all files.
    places: Vec<InterfaceId>,
}

/// Opens what `--from` names, each a file, a folder, or `-` for the standard input.
///
/// # Errors
/// If nothing can be read, or the standard input is not alone. The message names it.
pub fn open(paths: &[impl AsRef<Path>]) -> anyhow::Result<Box<dyn PacketSource>> {
    if let [path] = paths
        && !path.as_ref().is_dir()
    {
        return Ok(Box::new(FileSource::open(path)?));
    }
    Ok(Box::new(FolderSource::open(paths)?))
}

impl FolderSource {
    /// Opens these files, and the captures in these folders (without subfolders).
    ///
    /// # Errors
    /// If none of the files can be read, or a folder cannot be read or contains no capture.
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
        // Files that begin at the same time are ordered by name.
        captures.sort_by(|a, b| b.cmp(a));
        // A file that is named twice, or also found in a folder, is read once.
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

    /// Opens the files that begin before the next packet of the open ones.
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

    /// Collects the counters, warnings and errors of a file at its end.
    fn close(&mut self, file: FileSource, end: anyhow::Result<Next>) {
        match end {
            Ok(_) if file.is_damaged() => self.failures.extend(file.warnings()),
            Ok(_) => self.warnings.extend(file.warnings()),
            Err(error) => self.failures.push(format!("{error:#}")),
        }
        self.account.add(file.account());
    }

    /// Takes the earliest packet of the open files.
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

/// What was delivered of an open file: all but its buffered packet.
fn handed_over(file: &FileSource) -> Account {
    let mut account = file.account();
    account.seen = account.seen.saturating_sub(1);
    account.delivered = account.delivered.saturating_sub(1);
    account
}

/// Maps a packet's interface to its id among those of all files. The same name is the same
/// interface.
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

/// The captures of one folder, with the times of their first packets.
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

/// Whether an unreadable file has the name of a capture. An empty file, which a writer may have
/// just created, has lost nothing.
fn is_named_so(file: &Path) -> bool {
    let ending = file.extension().and_then(|ending| ending.to_str());
    let is_empty = file.metadata().is_ok_and(|there| there.len() == 0);
    matches!(ending, Some("pcap" | "pcapng" | "cap")) && !is_empty
}

/// When the first packet of these files and folders was captured; `None` if there is none, or none that can be read.
#[must_use]
pub fn begins(paths: &[PathBuf]) -> Option<Timestamp> {
    let files = paths.iter().flat_map(|path| match std::fs::read_dir(path) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
        Err(_) => vec![path.clone()],
    });
    // Standard input can be read once.
    let captures = files.filter(|file| file.is_file());
    let times = captures.filter_map(|file| first_time(&file).ok());
    times.min().filter(|at| at.as_nanos() < u64::MAX)
}

/// The time of the first packet of a capture; captures without packets come last.
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
                "{failed} of {} captures could not be read completely:\n  {}",
                self.captures,
                failures.join("\n  ")
            ),
        }
    }

    fn warnings(&self) -> Vec<String> {
        self.warnings.clone()
    }
}
