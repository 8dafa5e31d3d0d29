//! Where the entries of several HAR files are, in the order of their times.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

use super::dialogue::time;
use super::scan::{Damage, Found, Scanner};
use super::{MAX_ENTRY_BYTES, NotRead};
use crate::packet::Timestamp;
use crate::stats::Tally;

/// Entries of all files of a run: 48 MiB of index, and more than a gigabyte of the shortest that browsers write. Those
/// beyond are [`NotRead::TooMany`].
pub const MAX_ENTRIES: usize = 2 << 20;

/// HAR files that are read in one run; each keeps a descriptor open.
const MAX_FILES: usize = 64;

/// Bytes that are looked through at once.
const BLOCK: usize = 256 * 1024;

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) at: Timestamp,
    /// Its file among those of the index.
    pub(super) file: u16,
    pub(super) offset: u64,
    pub(super) length: u32,
}

const _: () = assert!(size_of::<Place>() == 24, "MAX_ENTRIES is said in bytes");

/// The files, and where their entries are.
#[derive(Debug)]
pub struct Index {
    pub(super) files: Vec<(PathBuf, File)>,
    pub(super) places: Vec<Place>,
    /// Those that will not be read.
    pub(super) dropped: Tally<NotRead>,
    pub(super) warnings: Vec<String>,
}

impl Index {
    /// Looks through these files. One that is cut short is read as far as it goes, with a warning.
    ///
    /// # Errors
    /// If one cannot be read, or is no HAR; the message names it.
    pub fn of(paths: &[impl AsRef<Path>]) -> anyhow::Result<Self> {
        ensure!(paths.len() <= MAX_FILES, "at most {MAX_FILES} HAR files can be read at once");
        let mut index = Self {
            files: Vec::new(),
            places: Vec::new(),
            dropped: Tally::default(),
            warnings: Vec::new(),
        };
        for path in paths {
            index.add(path.as_ref()).with_context(|| path.as_ref().display().to_string())?;
        }
        index.places.sort();
        Ok(index)
    }

    fn add(&mut self, path: &Path) -> anyhow::Result<()> {
        let mut file = File::open(path).context("it cannot be read")?;
        ensure!(
            file.metadata()?.is_file(),
            "a HAR is read twice, so it must be a file; write this to one first"
        );
        let number = u16::try_from(self.files.len()).unwrap_or(u16::MAX);
        let (mut scanner, mut found) = (Scanner::default(), Vec::new());
        let mut block = vec![0; BLOCK];
        let end = loop {
            let read = file.read(&mut block).context("it cannot be read")?;
            if read == 0 {
                break scanner.finish();
            }
            let damage = scanner.push(block.get(..read).unwrap_or_default(), &mut found).err();
            found.drain(..).for_each(|found| self.take(number, &found));
            if let Some(damage) = damage {
                break Err(damage);
            }
        };
        match end {
            Ok(()) => {}
            Err(Damage::CutShort(0)) => bail!("it is empty"),
            Err(damage @ (Damage::OtherEncoding | Damage::NoEntries)) => bail!("{damage}"),
            Err(damage) => {
                let here = self.places.iter().filter(|place| place.file == number).count();
                ensure!(here > 0, "{damage}, before its first entry; is it a HAR?");
                self.warnings.push(format!(
                    "{}: {damage}; the {here} entries before are read",
                    path.display()
                ));
            }
        }
        self.files.push((path.to_owned(), file));
        Ok(())
    }

    fn take(&mut self, file: u16, found: &Found) {
        let at = match time(found.started.as_deref()) {
            _ if found.length > MAX_ENTRY_BYTES => Err(NotRead::TooLarge),
            _ if self.places.len() >= MAX_ENTRIES => Err(NotRead::TooMany),
            at => at,
        };
        match (at, u32::try_from(found.length)) {
            (Ok(at), Ok(length)) => {
                self.places.push(Place { at, file, length, offset: found.offset });
            }
            (Ok(_), Err(_)) => self.dropped.count(NotRead::TooLarge),
            (Err(why), _) => self.dropped.count(why),
        }
    }
}
