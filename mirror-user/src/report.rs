//! The summary as a file.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::source::recorder::create_private;
use crate::summary::Summary;

/// A file that gets the summary. It is opened before the run, so that a wrong path is found at once.
pub struct ReportFile {
    path: PathBuf,
    file: File,
}

impl ReportFile {
    /// Creates the file, or empties one.
    ///
    /// # Errors
    /// When it cannot be written; the message names it.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let file = create_private(path)
            .with_context(|| format!("{}: cannot be written", path.display()))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Writes the summary.
    ///
    /// # Errors
    /// When the disk takes no more; the message names the file.
    pub fn write(self, summary: &Summary) -> anyhow::Result<()> {
        let mut out = BufWriter::new(self.file);
        serde_json::to_writer_pretty(&mut out, summary)
            .map_err(std::io::Error::from)
            .and_then(|()| out.write_all(b"\n"))
            .and_then(|()| out.flush())
            .with_context(|| format!("{}: the report could not be written", self.path.display()))
    }
}
