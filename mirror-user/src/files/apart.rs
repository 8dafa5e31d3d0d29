//! Checks that no file that a run writes is also read or written twice.
//!
//! Files are compared by device and inode, so that links of either kind and different spellings of a path
//! are recognized. A file that does not exist yet is identified by its folder and its name.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::bail;

use super::folder_of;

/// The number of symbolic links in a row that Linux follows (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// The files of a run.
#[derive(Debug, Default)]
pub struct Apart {
    reads: Vec<Named>,
    writes: Vec<Named>,
}

/// A file with the flag that names it, for messages.
#[derive(Debug)]
struct Named {
    name: String,
    identity: Identity,
}

/// What a path or a descriptor leads to.
#[derive(Debug, PartialEq, Eq)]
enum Identity {
    /// A regular file: its device and inode.
    Existing(u64, u64),
    /// A file that will be created.
    New(PathBuf),
}

impl Apart {
    /// The run reads this file, or the files of this folder; `-` is the standard input.
    pub fn reads(&mut self, flag: &str, path: &Path) {
        let entries = fs::read_dir(path).into_iter().flatten();
        for entry in entries.filter_map(Result::ok) {
            self.reads.extend(named(flag, &entry.path()));
        }
        self.reads.extend(match path == Path::new("-") {
            true => of_descriptor(io::stdin().as_fd())
                .map(|identity| Named { name: "the standard input".to_owned(), identity }),
            false => named(flag, path),
        });
    }

    /// The run writes this file. The standard output, `-`, is not added: every run writes its summary
    /// there.
    pub fn writes(&mut self, flag: &str, path: &Path) {
        if path != Path::new("-") {
            self.writes.extend(named(flag, path));
        }
    }

    /// Checks that no file is written and also read, or written twice.
    ///
    /// # Errors
    /// When one is; the message names both flags.
    pub fn ensure(mut self) -> anyhow::Result<()> {
        let stdout = of_descriptor(io::stdout().as_fd());
        self.writes.extend(
            stdout.map(|identity| Named { name: "the standard output".to_owned(), identity }),
        );
        for (place, Named { name, identity }) in self.writes.iter().enumerate() {
            if let Some(read) = self.reads.iter().find(|read| read.identity == *identity) {
                bail!("{name}: it is the file that {} reads; write to another one", read.name);
            }
            if let Some(other) = self.writes.iter().take(place).find(|o| o.identity == *identity) {
                bail!("{name}: {} is written to the same file; give each its own", other.name);
            }
        }
        Ok(())
    }
}

fn named(flag: &str, path: &Path) -> Option<Named> {
    Some(Named { name: format!("{flag} {}", path.display()), identity: of_path(path)? })
}

fn of_descriptor(descriptor: BorrowedFd<'_>) -> Option<Identity> {
    let file = File::from(descriptor.try_clone_to_owned().ok()?);
    regular(&file.metadata().ok()?)
}

fn of_path(path: &Path) -> Option<Identity> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        if let Ok(there) = fs::metadata(&path) {
            return regular(&there);
        }
        // A link to a file that does not exist yet.
        let Ok(next) = fs::read_link(&path) else {
            let folder = fs::canonicalize(folder_of(&path)).ok()?;
            return Some(Identity::New(folder.join(path.file_name()?)));
        };
        path = folder_of(&path).join(next);
    }
    None
}

/// Devices, pipes and sockets may be used twice.
fn regular(there: &Metadata) -> Option<Identity> {
    there.is_file().then(|| Identity::Existing(there.dev(), there.ino()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn refusal(reads: &[&Path], writes: &[&Path]) -> Option<String> {
        let mut files = Apart::default();
        reads.iter().for_each(|path| files.reads("--from", path));
        writes.iter().for_each(|path| files.writes("--to", path));
        files.ensure().err().map(|error| error.to_string())
    }

    #[test]
    fn a_file_is_known_under_every_name_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let day = at("day.pcap");
        fs::write(&day, "packets").unwrap();
        fs::create_dir(at("sub")).unwrap();
        symlink(&day, at("soft.pcap")).unwrap();
        symlink("soft.pcap", at("softer.pcap")).unwrap();
        fs::hard_link(&day, at("hard.pcap")).unwrap();
        let names = ["day.pcap", "soft.pcap", "softer.pcap", "hard.pcap", "sub/../day.pcap"];
        for name in names {
            let refused = refusal(&[&day], &[&at(name)]).unwrap_or_default();
            assert!(refused.contains("day.pcap reads; write to another"), "{name}: {refused}");
            // A file in a folder that is read.
            assert!(refusal(&[folder.path()], &[&at(name)]).is_some(), "{name}");
            assert!(refusal(&[], &[&day, &at(name)]).is_some(), "{name}");
        }
        assert_eq!(refusal(&[&day], &[&at("other.pcap"), &at("another.pcap")]), None);
    }

    #[test]
    fn files_that_do_not_exist_yet_are_identified_by_their_path() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("sub")).unwrap();
        symlink("new.json", at("dangling.json")).unwrap();
        let new = at("new.json");
        assert!(refusal(&[], &[&new, &at("sub/../new.json")]).is_some());
        assert!(refusal(&[], &[&new, &at("dangling.json")]).is_some());
        assert_eq!(refusal(&[], &[&new, &at("sub/new.json")]), None);
    }

    #[test]
    fn a_device_may_be_written_twice() {
        let null = Path::new("/dev/null");
        assert_eq!(refusal(&[null], &[null, null]), None);
    }
}
