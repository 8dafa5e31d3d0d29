//! A file that is written beside its place and gets its name when it is whole.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tempfile::TempPath;

use super::rotate::Rotation;
use super::{Existing, folder_of};
use crate::packet::Timestamp;

/// The largest number of files that start in the same second.
const MAX_PER_SECOND: u32 = 10_000;

/// A file that is being written, under a name that ends in `.part`.
#[derive(Debug)]
pub struct Part {
    path: PathBuf,
    begun: Instant,
    /// The time of its first record.
    first: Option<Timestamp>,
    bytes: u64,
}

impl Part {
    /// Starts a file beside `path`, as `day-….pcap.part`.
    ///
    /// # Errors
    /// When it cannot be created; the message names the folder.
    pub fn begin(path: &Path) -> anyhow::Result<(Self, File)> {
        Self::with_prefix(path, "")
    }

    /// The same, hidden as `.day-….pcap.part`: who reads all files of a folder leaves it out.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub fn hidden(path: &Path) -> anyhow::Result<(Self, File)> {
        Self::with_prefix(path, ".")
    }

    fn with_prefix(path: &Path, prefix: &str) -> anyhow::Result<(Self, File)> {
        let (stem, ending) = name_of(path);
        let folder = folder_of(path);
        let part = tempfile::Builder::new()
            .prefix(&format!("{prefix}{stem}-"))
            .suffix(&format!(".{ending}.part"))
            .tempfile_in(&folder)
            .with_context(|| {
                format!("{}: no file can be created; choose another folder", folder.display())
            })?;
        let (file, path) = part.keep()?;
        Ok((Self { path, begun: now(), first: None, bytes: 0 }, file))
    }

    /// True if no record was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// True if a record of this time belongs in the next file; without a record, if this one is old
    /// enough.
    #[must_use]
    pub fn is_due(&self, rotation: Rotation, at: Option<Timestamp>) -> bool {
        let Some(passed) = self.age(at) else { return false };
        rotation.bytes.is_some_and(|bytes| self.bytes >= bytes)
            || rotation.span.is_some_and(|span| passed >= span)
    }

    /// The time from its first record to a record of this time, or else to now; `None` without a first record.
    #[must_use]
    pub fn age(&self, at: Option<Timestamp>) -> Option<Duration> {
        let first = self.first?;
        Some(at.map_or_else(|| self.begun.elapsed(), |at| at.since(first)))
    }

    /// The time of its first record.
    #[must_use]
    pub fn first(&self) -> Option<Timestamp> {
        self.first
    }

    /// Counts a record that was written.
    pub fn wrote(&mut self, at: Timestamp, bytes: u64) {
        self.first.get_or_insert(at);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Removes it.
    ///
    /// # Errors
    /// When that cannot be done; the message names it.
    pub fn remove(self) -> anyhow::Result<()> {
        fs::remove_file(&self.path).with_context(|| self.path.display().to_string())
    }

    /// Gives it this name.
    ///
    /// # Errors
    /// When that cannot be done, or when another file has the name by now and must stay. What was written stays
    /// under its present name, which the message gives.
    pub fn named(self, path: &Path, existing: Existing) -> anyhow::Result<()> {
        // An empty file holds nothing that could be lost.
        let may_replace = existing == Existing::Overwrite
            || fs::metadata(path).is_ok_and(|there| there.is_file() && there.len() == 0);
        let told =
            || format!("{}: it cannot be renamed to {}", self.path.display(), path.display());
        let part = TempPath::try_from_path(&self.path)?;
        let refused = match may_replace {
            true => part.persist(path).err(),
            false => part.persist_noclobber(path).err(),
        };
        match refused {
            None => Ok(()),
            Some(refused) => {
                let _ = refused.path.keep();
                Err(refused.error).with_context(told)
            }
        }
    }

    /// Names it after `path` and the time of its first record, or now: `day-20261128T212149Z.pcap`.
    ///
    /// # Errors
    /// As [`named`](Self::named).
    pub fn named_by_time(self, path: &Path) -> anyhow::Result<PathBuf> {
        let (stem, ending) = name_of(path);
        let at = self.first.unwrap_or_else(|| Timestamp::from_nanos(since_epoch()));
        let time = utc(at);
        for n in 1..=MAX_PER_SECOND {
            let again = if n == 1 { String::new() } else { format!("_{n}") };
            let name = folder_of(path).join(format!("{stem}-{time}{again}.{ending}"));
            let kept = TempPath::try_from_path(&self.path)?;
            match kept.persist_noclobber(&name) {
                Ok(()) => return Ok(name),
                Err(refused) => {
                    let _ = refused.path.keep();
                    if refused.error.kind() != std::io::ErrorKind::AlreadyExists {
                        return Err(refused.error).with_context(|| {
                            format!("{}: it cannot be renamed", self.path.display())
                        });
                    }
                }
            }
        }
        bail!(
            "{}: too many files begin in the same second; give a larger size",
            self.path.display()
        )
    }
}

/// `day` and `pcap` of `day.pcap`.
pub(super) fn name_of(path: &Path) -> (String, String) {
    let text =
        |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    (text(path.file_stem()), text(path.extension()))
}

#[expect(clippy::disallowed_methods, reason = "a file ends in time when no record comes")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "the name of a file without a record")]
fn since_epoch() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.ok().and_then(|now| u64::try_from(now.as_nanos()).ok()).unwrap_or_default()
}

/// `20261128T212149Z`.
fn utc(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_nanosecond(i128::from(at.as_nanos()));
    at.unwrap_or(jiff::Timestamp::UNIX_EPOCH).strftime("%Y%m%dT%H%M%SZ").to_string()
}
