//! The summary as a file.

use std::fs::{self, Permissions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use tempfile::NamedTempFile;

use crate::files::{folder_of, open_private};
use crate::summary::Summary;

/// The file that gets the summary at the end, complete or not at all. It keeps its previous content
/// until then.
#[derive(Clone, Debug)]
pub struct ReportFile {
    /// With symbolic links resolved, so that a link is not replaced by a file.
    path: PathBuf,
    method: Method,
}

#[derive(Clone, Copy, Debug)]
enum Method {
    /// Written to a temporary file beside it, which is then renamed.
    Rename,
    /// Written directly: a device, a pipe, or a file in a directory where none can be created.
    InPlace,
}

impl ReportFile {
    /// Checks that the file can be written, so that a wrong path is reported before the run.
    ///
    /// # Errors
    /// When it cannot be written; the message names it.
    pub fn prepare(path: &Path) -> anyhow::Result<Self> {
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let is_replaceable = !path.exists() || path.is_file();
        if is_replaceable && temporary_beside(&path).is_ok() {
            return Ok(Self { path, method: Method::Rename });
        }
        open_private(&path).with_context(|| format!("{}: cannot be written", path.display()))?;
        Ok(Self { path, method: Method::InPlace })
    }

    /// The path that must stay writable until the end: the directory in which the temporary file is
    /// renamed, or the file itself.
    #[must_use]
    pub fn writes(&self) -> PathBuf {
        match self.method {
            Method::Rename => folder_of(&self.path),
            Method::InPlace => self.path.clone(),
        }
    }

    /// Writes the summary.
    ///
    /// # Errors
    /// When writing fails, as on a full disk; the message names the file. It then keeps its previous
    /// content, unless it had to be written directly.
    pub fn write(self, summary: &Summary) -> anyhow::Result<()> {
        self.try_write(summary)
            .with_context(|| format!("{}: the report could not be written", self.path.display()))
    }

    fn try_write(&self, summary: &Summary) -> anyhow::Result<()> {
        match self.method {
            Method::Rename => {
                let mut file = temporary_beside(&self.path)?;
                print(summary, &mut file)?;
                if let Ok(there) = fs::metadata(&self.path) {
                    // Those who could read the previous report can read this one.
                    let mode = Permissions::from_mode(there.permissions().mode());
                    file.as_file().set_permissions(mode)?;
                }
                // A file that is a mount point of its own, as in a container, cannot be replaced.
                if let Err(refused) = file.persist(&self.path) {
                    fs::copy(refused.file.path(), &self.path)?;
                }
            }
            Method::InPlace => {
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

/// A temporary file in the same directory. It is removed unless it is renamed.
fn temporary_beside(path: &Path) -> std::io::Result<NamedTempFile> {
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
    fn a_report_replaces_the_previous_one_at_the_end_and_leaves_no_temporary_file() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("report.json"), folder.path().join("latest.json"));
        fs::write(&path, "the previous one").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        symlink("report.json", &link).unwrap();
        let report = ReportFile::prepare(&link).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "the previous one");
        report.write(&Summary::default()).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with('{') && text.ends_with("}\n"), "{text}");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_report_can_go_to_a_device_but_not_to_a_missing_directory() {
        ReportFile::prepare(Path::new("/dev/null")).unwrap().write(&Summary::default()).unwrap();
        let error = ReportFile::prepare(Path::new("/nowhere/report.json")).err().unwrap();
        assert!(error.to_string().contains("/nowhere/report.json: cannot be written"), "{error}");
    }
}
