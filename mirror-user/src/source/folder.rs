//! Several capture files as one source, such as `tcpdump -C` and `-G` leave them.
//!
//! The files are read one after another, in the order of their first packets' times, which is
//! the order in which they were written whatever their names. Refuses a folder without captures;
//! files of a folder that are none are left out with a warning. Remembers the names of the files
//! and of the interfaces.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{anyhow, bail};

use super::pcap::FileSource;
use super::{Next, PacketSource};
use crate::packet::{InterfaceId, Packet, Timestamp};
use crate::stats::Account;

/// All captures of a folder, or of several files and folders.
pub struct FolderSource {
    /// Still to be read; the next one last.
    waiting: Vec<PathBuf>,
    current: Option<FileSource>,
    interfaces: Vec<String>,
    /// Where the present file's interfaces stand among all.
    places: Vec<InterfaceId>,
    account: Account,
    warnings: Vec<String>,
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
    /// When a file or folder cannot be read, or a folder holds no capture.
    pub fn open(paths: &[impl AsRef<Path>]) -> anyhow::Result<Self> {
        let mut captures = Vec::new();
        let mut warnings = Vec::new();
        for path in paths.iter().map(AsRef::as_ref) {
            if path == Path::new("-") {
                bail!("-: the standard input cannot be put in order with others; give it alone");
            } else if path.is_dir() {
                captures.extend(captures_in(path, &mut warnings)?);
            } else {
                captures.push((first_time(path)?, path.to_owned()));
            }
        }
        // The names decide between files that begin at the same time.
        captures.sort_by(|a, b| b.cmp(a));
        // The same file, named twice or also found in a folder, is read once.
        captures.dedup();
        warnings.sort();
        Ok(Self {
            waiting: captures.into_iter().map(|(_, file)| file).collect(),
            current: None,
            interfaces: Vec::new(),
            places: Vec::new(),
            account: Account { name: "packets", ..Account::default() },
            warnings,
        })
    }

    /// The present file, or the next one, or `None` when all were read.
    fn current(&mut self) -> anyhow::Result<Option<&mut FileSource>> {
        if self.current.is_none() {
            let Some(file) = self.waiting.pop() else { return Ok(None) };
            self.current = Some(FileSource::open(&file)?);
            self.places.clear();
        }
        Ok(self.current.as_mut())
    }

    fn close_current(&mut self) {
        let Some(mut file) = self.current.take() else { return };
        self.warnings.extend(file.warnings());
        self.account.add(file.account());
    }

    /// Gives a packet's interface its place among those of all files; the same name is the same.
    fn place(&mut self, mut packet: Packet) -> Packet {
        let local = packet.interface.0 as usize;
        if let Some(file) = &self.current {
            for name in file.interfaces().iter().skip(self.places.len()) {
                let place = self.interfaces.iter().position(|known| known == name);
                let place = place.unwrap_or_else(|| {
                    self.interfaces.push(name.clone());
                    self.interfaces.len().saturating_sub(1)
                });
                self.places.push(InterfaceId(u32::try_from(place).unwrap_or(u32::MAX)));
            }
        }
        packet.interface = self.places.get(local).copied().unwrap_or_default();
        packet
    }
}

/// The captures of one folder with the times of their first packets.
fn captures_in(
    folder: &Path,
    warnings: &mut Vec<String>,
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
            Err(error) => warnings.push(format!("left out: {error:#}")),
        }
    }
    if captures.is_empty() {
        bail!("{name}: no capture in this folder; give one with pcap or pcapng files");
    }
    Ok(captures)
}

/// When the first packet of a capture was seen; those without packets come last.
fn first_time(file: &Path) -> anyhow::Result<Timestamp> {
    match FileSource::open(file)?.next(Duration::ZERO)? {
        Next::Packet(packet) => Ok(packet.at),
        Next::Idle | Next::Again(_) | Next::End => Ok(Timestamp::from_nanos(u64::MAX)),
    }
}

impl PacketSource for FolderSource {
    fn next(&mut self, wait: Duration) -> anyhow::Result<Next> {
        while let Some(file) = self.current()? {
            match file.next(wait)? {
                Next::Packet(packet) => return Ok(Next::Packet(self.place(packet))),
                Next::End => self.close_current(),
                next => return Ok(next),
            }
        }
        Ok(Next::End)
    }

    fn interfaces(&self) -> &[String] {
        &self.interfaces
    }

    fn account(&mut self) -> Account {
        let mut account = self.account.clone();
        if let Some(file) = &mut self.current {
            account.add(file.account());
        }
        account
    }

    fn stop(&mut self) {
        self.waiting.clear();
        if let Some(file) = &mut self.current {
            file.stop();
        }
    }

    fn warnings(&self) -> Vec<String> {
        let of_current = self.current.iter().flat_map(FileSource::warnings);
        self.warnings.iter().cloned().chain(of_current).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::LinkType;
    use crate::source::recorder::{Recorder, SNAPLEN_BYTES};

    fn capture(path: PathBuf, times: &[u8]) {
        let mut recorder = Recorder::create(path, SNAPLEN_BYTES).unwrap();
        for time in times {
            let packet = Packet {
                at: Timestamp::from_nanos(u64::from(*time)),
                link: LinkType::Ethernet,
                interface: InterfaceId(0),
                wire_len: 1,
                data: vec![*time].into(),
            };
            recorder.write(&packet, &["eth0".to_owned()]).unwrap();
        }
        recorder.finish().unwrap();
    }

    #[test]
    fn files_are_read_in_the_order_of_their_first_packets() {
        let folder = tempfile::tempdir().unwrap();
        capture(folder.path().join("a.pcap"), &[30, 31]);
        capture(folder.path().join("b.pcapng"), &[10, 40]);
        capture(folder.path().join("c.pcapng"), &[20]);
        capture(folder.path().join("d.pcapng"), &[]);
        std::fs::write(folder.path().join("notes.txt"), "no capture").unwrap();
        let mut source = FolderSource::open(&[folder.path()]).unwrap();
        let mut seen = Vec::new();
        while let Next::Packet(packet) = source.next(Duration::ZERO).unwrap() {
            let name = source.interfaces()[packet.interface.0 as usize].clone();
            seen.push((packet.data[0], name));
        }
        let expected = [(10, "eth0"), (40, "eth0"), (20, "eth0"), (30, ""), (31, "")];
        assert_eq!(seen, expected.map(|(n, name)| (n, name.to_owned())));
        assert!(source.account().balances());
        assert_eq!(source.account().seen, 5);
        assert_eq!(source.warnings().len(), 1);
    }

    #[test]
    fn a_folder_without_captures_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = open(&[folder.path()]).err().unwrap().to_string();
        assert!(error.contains("no capture in this folder"), "{error}");
    }

    #[test]
    fn files_and_folders_are_put_in_order_together() {
        let folder = tempfile::tempdir().unwrap();
        let alone = tempfile::tempdir().unwrap();
        capture(folder.path().join("a.pcap"), &[30]);
        capture(folder.path().join("b.pcap"), &[10]);
        let between = alone.path().join("c.pcap");
        capture(between.clone(), &[20]);
        let again = folder.path().join("a.pcap");
        let mut source = open(&[between.as_path(), folder.path(), again.as_path()]).unwrap();
        let mut seen = Vec::new();
        while let Next::Packet(packet) = source.next(Duration::ZERO).unwrap() {
            seen.push(packet.data[0]);
        }
        assert_eq!(seen, [10, 20, 30]);
    }

    #[test]
    fn the_standard_input_is_read_alone() {
        let error = open(&["-", "a.pcap"]).err().unwrap().to_string();
        assert!(error.contains("give it alone"), "{error}");
    }
}
