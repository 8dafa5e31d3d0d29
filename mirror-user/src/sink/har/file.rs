//! A HAR on disk that is whole at any time: each write puts new entries over the end of the log, and the end behind
//! them.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

use serde::Serialize;

/// What closes the list of entries, the log and the file.
const END: &[u8] = b"\n]}}\n";

/// Bytes of entries that are written at once.
const BATCH: usize = 64 * 1024;

/// A HAR that grows.
#[derive(Debug)]
pub(super) struct HarFile {
    file: File,
    /// Where [`END`] stands.
    end: u64,
    /// Entries that are not written yet.
    pending: Vec<u8>,
    has_entries: bool,
}

impl HarFile {
    /// Writes a HAR without entries.
    ///
    /// # Errors
    /// If it cannot be written at any place, as a pipe cannot.
    pub(super) fn begin(file: File, comment: Option<&str>) -> io::Result<Self> {
        let mut head = br#"{"log":{"version":"1.2","creator":"#.to_vec();
        let creator = Creator { name: "mirror", version: env!("CARGO_PKG_VERSION") };
        serde_json::to_writer(&mut head, &creator)?;
        if let Some(comment) = comment {
            head.extend_from_slice(br#","comment":"#);
            serde_json::to_writer(&mut head, comment)?;
        }
        head.extend_from_slice(br#","entries":["#);
        let end = head.len() as u64;
        head.extend_from_slice(END);
        file.write_all_at(&head, 0)?;
        Ok(Self { file, end, pending: Vec::new(), has_entries: false })
    }

    /// Adds an entry; how many bytes it takes.
    ///
    /// # Errors
    /// If the disk takes no more. The file is then as it was after the last write.
    pub(super) fn push(&mut self, entry: &impl Serialize) -> io::Result<u64> {
        let before = self.pending.len();
        let between: &[u8] =
            if std::mem::replace(&mut self.has_entries, true) { b",\n" } else { b"\n" };
        self.pending.write_all(between)?;
        serde_json::to_writer(&mut self.pending, entry)?;
        let bytes = self.pending.len().saturating_sub(before) as u64;
        if self.pending.len() >= BATCH {
            self.flush()?;
        }
        Ok(bytes)
    }

    /// Writes what is pending.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let length = self.pending.len() as u64;
        self.pending.extend_from_slice(END);
        let written = self.file.write_all_at(&self.pending, self.end);
        self.pending = Vec::new();
        match written {
            Ok(()) => {
                self.end = self.end.saturating_add(length);
                Ok(())
            }
            Err(error) => {
                // There was space for the end, and is again.
                self.file.set_len(self.end)?;
                self.file.write_all_at(END, self.end)?;
                Err(error)
            }
        }
    }
}

#[derive(Serialize)]
struct Creator {
    name: &'static str,
    version: &'static str,
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_file_is_whole_after_every_step() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.har");
        let read = || serde_json::from_slice::<Value>(&fs::read(&path).unwrap()).unwrap();
        let entries = || read()["log"]["entries"].as_array().unwrap().len();
        let mut file = HarFile::begin(File::create(&path).unwrap(), Some("a \"b\"")).unwrap();
        assert_eq!((entries(), read()["log"]["comment"].as_str()), (0, Some("a \"b\"")));
        for n in 1..4 {
            file.push(&json!({"n": n})).unwrap();
            assert_eq!(entries(), n - 1);
            file.flush().unwrap();
            assert_eq!(entries(), n);
        }
        file.push(&json!({"long": "x".repeat(BATCH)})).unwrap();
        assert_eq!(entries(), 4);
        file.flush().unwrap();
        assert_eq!(read()["log"]["creator"]["name"], "mirror");
    }

    #[test]
    fn a_pipe_is_refused() {
        let (_reader, writer) = std::io::pipe().unwrap();
        let file = File::from(std::os::fd::OwnedFd::from(writer));
        assert_eq!(HarFile::begin(file, None).unwrap_err().kind(), io::ErrorKind::NotSeekable);
    }
}
