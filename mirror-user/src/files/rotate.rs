//! File rotation by size and time: `--rotate 100MiB,1h,keep=24`.
//!
//! A file is written as `day-….pcap.part`. When it is complete, it is renamed to
//! `day-20261128T212149Z.pcap`, the time of its first record, and does not change any more. No existing
//! file is replaced, and only files of this run are removed, unless overwriting was requested.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context;

use super::part::{Part, name_of};
use super::{Destination, Existing, folder_of};
use crate::packet::Timestamp;
use crate::units::{parse_bytes, parse_duration};

/// When a file is complete, and how many are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Once it has this many bytes; the record that reaches them is still in the file.
    pub bytes: Option<u64>,
    /// This long after its first record.
    pub span: Option<Duration>,
    /// The number of complete files that are kept; older ones are removed.
    pub keep: Option<usize>,
}

impl FromStr for Rotation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut rotation = Self::default();
        for part in text.split(',').map(str::trim) {
            let is_twice = if let Some(number) = part.strip_prefix("keep=") {
                let keep = number.parse().ok().filter(|keep| *keep > 0);
                let keep = keep.ok_or("keep= takes a number of files from 1 on")?;
                rotation.keep.replace(keep).is_some()
            } else if let (true, Ok(bytes)) = (is_size(part), parse_bytes(part)) {
                if bytes == 0 {
                    return Err("a size from 1 byte on, such as 100MiB".into());
                }
                rotation.bytes.replace(bytes).is_some()
            } else if let Ok(span) = parse_duration(part) {
                if span < Duration::from_secs(1) {
                    return Err("a time of 1s or more, such as 1h".into());
                }
                rotation.span.replace(span).is_some()
            } else {
                return Err("a size, a time and a number, such as 100MiB,1h,keep=24".into());
            };
            if is_twice {
                return Err("one size, one time and one number, such as 100MiB,1h,keep=24".into());
            }
        }
        if rotation.bytes.is_none() && rotation.span.is_none() {
            return Err("a size or a time after which a new file begins, such as 100MiB".into());
        }
        Ok(rotation)
    }
}

/// Sizes and times share the letter m: `5m` is a time, `5M` and `5MiB` are sizes.
fn is_size(part: &str) -> bool {
    part.ends_with(|last: char| last.is_ascii_digit() || "bBkKMgG".contains(last))
}

/// The complete files of a run, of which the last ones are kept.
#[derive(Debug, Default)]
pub struct Complete {
    files: VecDeque<PathBuf>,
    keep: Option<usize>,
}

impl Complete {
    /// None so far, of which `keep` will be kept; `None`: all.
    #[must_use]
    pub fn keeping(keep: Option<usize>) -> Self {
        Self { files: VecDeque::new(), keep }
    }

    /// None so far; those of earlier runs count where they may be overwritten.
    #[must_use]
    pub fn of(destination: &Destination, rotation: Rotation) -> Self {
        let files = match destination.existing {
            Existing::Refuse => VecDeque::new(),
            Existing::Overwrite => complete_ones(&destination.path),
        };
        Self { files, keep: rotation.keep }
    }

    /// Adds a file, and removes those that are too many.
    ///
    /// # Errors
    /// When one cannot be removed; the message names it.
    pub fn push(&mut self, file: PathBuf) -> anyhow::Result<()> {
        self.files.push_back(file);
        while self.keep.is_some_and(|keep| self.files.len() > keep) {
            if let Some(oldest) = self.files.pop_front() {
                fs::remove_file(&oldest)
                    .with_context(|| format!("{}: it cannot be removed", oldest.display()))?;
            }
        }
        Ok(())
    }
}

/// The files of a run, one of which is being written.
#[derive(Debug)]
pub struct Series {
    /// The path that the names of the files are derived from.
    path: PathBuf,
    rotation: Rotation,
    part: Option<Part>,
    complete: Complete,
}

impl Series {
    /// Files with names derived from `destination`, none of which is started.
    #[must_use]
    pub fn new(destination: &Destination, rotation: Rotation) -> Self {
        let complete = Complete::of(destination, rotation);
        Self { path: destination.path.clone(), rotation, part: None, complete }
    }

    /// Starts the next file.
    ///
    /// # Errors
    /// When it cannot be created; the message names the folder.
    pub fn begin(&mut self) -> anyhow::Result<File> {
        let (part, file) = Part::begin(&self.path)?;
        self.part = Some(part);
        Ok(file)
    }

    /// True if a record of this time belongs in the next file; without a record, if the current file is
    /// old enough.
    #[must_use]
    pub fn is_due(&self, at: Option<Timestamp>) -> bool {
        self.part.as_ref().is_some_and(|part| part.is_due(self.rotation, at))
    }

    /// Counts a record that was written.
    pub fn wrote(&mut self, at: Timestamp, bytes: u64) {
        if let Some(part) = &mut self.part {
            part.wrote(at, bytes);
        }
    }

    /// Gives the file that was written its name, and removes those that are too many. One without a
    /// record stays only if there is no other.
    ///
    /// # Errors
    /// When that cannot be done; what was written stays under its present name, which the message
    /// gives.
    pub fn complete(&mut self) -> anyhow::Result<()> {
        let Some(part) = self.part.take() else { return Ok(()) };
        if part.is_empty() && !self.complete.files.is_empty() {
            return part.remove();
        }
        self.complete.push(part.named_by_time(&self.path)?)
    }
}

/// Complete files of the same name, oldest first.
fn complete_ones(path: &Path) -> VecDeque<PathBuf> {
    let (stem, ending) = name_of(path);
    let is_one = |file: &str| {
        let time = file.strip_prefix(&format!("{stem}-"))?.strip_suffix(&format!(".{ending}"))?;
        let time = time.split_once('_').map_or(time, |(time, _)| time);
        let shape = time.bytes().map(|byte| if byte.is_ascii_digit() { b'0' } else { byte });
        shape.eq(*b"00000000T000000Z").then_some(())
    };
    let entries = fs::read_dir(folder_of(path)).into_iter().flatten().filter_map(Result::ok);
    let mut found: Vec<_> = entries
        .filter(|entry| is_one(&entry.file_name().to_string_lossy()).is_some())
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    found.sort();
    found.into_iter().map(|(_, path)| path).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_rotation_is_read_in_any_order() {
        let hour = Duration::from_secs(3_600);
        let all = Rotation { bytes: Some(100 << 20), span: Some(hour), keep: Some(24) };
        assert_eq!("100MiB,1h,keep=24".parse(), Ok(all));
        assert_eq!("keep=24, 1h, 100M".parse(), Ok(all));
        let span = Some(Duration::from_secs(300));
        assert_eq!("5m".parse(), Ok(Rotation { span, ..Rotation::default() }));
        for wrong in ["", "keep=3", "keep=0,1h", "1h,2h", "0", "1ms", "often"] {
            assert!(wrong.parse::<Rotation>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_complete_files_bear_their_names_and_only_own_ones_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("day.jsonl");
        let earlier = folder.path().join("day-19991231T235959Z.jsonl");
        fs::write(&earlier, "earlier").unwrap();
        fs::write(folder.path().join("day-notes.jsonl"), "notes").unwrap();
        let run = |existing: Existing| {
            let rotation = "4,keep=2".parse().unwrap();
            let destination = Destination { existing, ..Destination::from(&path) };
            let mut series = Series::new(&destination, rotation);
            for n in 0..4_u64 {
                let mut file = series.begin().unwrap();
                file.write_all(b"line\n").unwrap();
                let at = Timestamp::from_nanos(n / 2 * 1_000_000_000);
                assert!(!series.is_due(Some(at)));
                series.wrote(at, 5);
                assert!(series.is_due(Some(at)));
                series.complete().unwrap();
            }
            let _ = series.begin().unwrap();
            series.complete().unwrap();
        };
        let names = || {
            let entries = fs::read_dir(folder.path()).unwrap();
            let mut names: Vec<_> =
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        };
        run(Existing::Refuse);
        let own = ["day-19700101T000001Z.jsonl", "day-19700101T000001Z_2.jsonl"];
        let others = ["day-19991231T235959Z.jsonl", "day-notes.jsonl"];
        assert_eq!(names(), [&own[..], &others].concat());
        run(Existing::Overwrite);
        assert_eq!(names().len(), 3, "{:?}", names());
        assert!(!earlier.exists());
    }
}
