//! The summary as a file.

use std::fs::{self, Permissions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use tempfile::NamedTempFile;

use crate::files::{folder_of, open_private};
use crate::summary::Summary;

/// Where the summary is written at the end: whole, or not at all. What the file held before stays
/// until then.
#[derive(Clone, Debug)]
pub struct ReportFile {
    /// Where links lead to, so that a link stays one.
    path: PathBuf,
    how: How,
}

#[derive(Clone, Copy, Debug)]
enum How {
    /// Beside its place, then renamed.
    Beside,
    /// In its place: a device or a pipe, or a file in a folder where nothing can be made.
    InPlace,
}

impl ReportFile {
    /// Finds out whether the file can be written, so that a wrong path is found before the run.
    ///
    /// # Errors
    /// When it cannot; the message names it.
    pub fn prepare(path: &Path) -> anyhow::Result<Self> {
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let is_replaceable = !path.exists() || path.is_file();
        if is_replaceable && beside(&path).is_ok() {
            return Ok(Self { path, how: How::Beside });
        }
        open_private(&path).with_context(|| format!("{}: cannot be written", path.display()))?;
        Ok(Self { path, how: How::InPlace })
    }

    /// What must stay writable until the end: the folder in which files are renamed, or the file.
    #[must_use]
    pub fn writes(&self) -> PathBuf {
        match self.how {
            How::Beside => folder_of(&self.path),
            How::InPlace => self.path.clone(),
        }
    }

    /// Writes the summary.
    ///
    /// # Errors
    /// When the disk takes no more; the message names the file. It then holds what it held before,
    /// unless it could only be written in its place.
    pub fn write(self, summary: &Summary) -> anyhow::Result<()> {
        self.put(summary)
            .with_context(|| format!("{}: the report could not be written", self.path.display()))
    }

    fn put(&self, summary: &Summary) -> anyhow::Result<()> {
        match self.how {
            How::Beside => {
                let mut file = beside(&self.path)?;
                print(summary, &mut file)?;
                if let Ok(there) = fs::metadata(&self.path) {
                    // Whoever could read the last report can read this one.
                    let mode = Permissions::from_mode(there.permissions().mode());
                    file.as_file().set_permissions(mode)?;
                }
                // A file that is mounted by itself, as into a container, cannot be renamed over.
                if let Err(refused) = file.persist(&self.path) {
                    fs::copy(refused.file.path(), &self.path)?;
                }
            }
            How::InPlace => {
                let mut file = open_private(&self.path)?;
                if file.metadata()?.is_file() {
                    file.set_len(0)?;
                }
                print(summary, &mut file)?;
            }
        }
        Ok(())
    }
}

/// A file in the same folder, which goes when it is not renamed.
fn beside(path: &Path) -> std::io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(".mirror-report-").tempfile_in(folder_of(path))
}

fn print(summary: &Summary, out: &mut impl Write) -> anyhow::Result<()> {
    let mut out = BufWriter::new(out);
    serde_json::to_writer_pretty(&mut out, summary).map_err(std::io::Error::from)?;
    out.write_all(b"\n")?;
    out.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_report_replaces_the_last_one_at_the_end_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("report.json"), folder.path().join("latest.json"));
        fs::write(&path, "the last one").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        symlink("report.json", &link).unwrap();
        let report = ReportFile::prepare(&link).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "the last one");
        report.write(&Summary::default()).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with('{') && text.ends_with("}\n"), "{text}");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_report_can_go_to_a_device_and_not_to_a_folder_that_is_missing() {
        ReportFile::prepare(Path::new("/dev/null")).unwrap().write(&Summary::default()).unwrap();
        let error = ReportFile::prepare(Path::new("/nowhere/report.json")).err().unwrap();
        assert!(error.to_string().contains("/nowhere/report.json: cannot be written"), "{error}");
    }
}
