//! Outputs of rows: behaviour logs.

use std::path::PathBuf;

use super::{Opened, OutputPlan, for_counts};
use crate::files::Destination;
use crate::files::rotate::Rotation;
use crate::http::HttpOptions;
use crate::sink::behaviour::{Fields, RowLines};

/// Which files hold the rows.
#[cfg_attr(not(feature = "parquet"), allow(dead_code, reason = "nobody rotates them"))]
pub(crate) enum RowFiles {
    /// One file, or a series of files.
    File(Destination),
    /// Files by the hour in this directory.
    Hours(PathBuf, Option<Rotation>),
}

/// What rows are made of: no bodies.
fn for_rows() -> HttpOptions {
    HttpOptions { heads: true, ..for_counts() }
}

/// One flat JSON object per line.
pub(crate) fn lines(file: Destination, fields: &Fields) -> OutputPlan {
    let form = RowLines::new(fields);
    let plan = OutputPlan::new(for_rows(), {
        let file = file.clone();
        move |_| Ok(Opened::of(super::files::lines(Box::new(form), Some(file))?))
    });
    OutputPlan { file: Some(file), ..plan }
}

/// Rows as Parquet.
///
/// # Errors
/// If the directory cannot be made, or this program was built without Parquet.
#[cfg(feature = "parquet")]
pub(crate) fn parquet(files: RowFiles, fields: Fields) -> anyhow::Result<OutputPlan> {
    use crate::files::{folder_of, make_folder};
    use crate::sink::behaviour::parquet::{Layout, ParquetSink};

    // A confined run may write to a directory that is there.
    let (layout, file, folder) = match files {
        RowFiles::File(file) => {
            (Layout::File(file.clone()), Some(file.clone()), folder_of(&file.path))
        }
        RowFiles::Hours(folder, rotation) => {
            make_folder(&folder)?;
            (Layout::Hours(folder.clone(), rotation), None, folder)
        }
    };
    let plan =
        OutputPlan::new(for_rows(), move |_| Ok(Opened::of(ParquetSink::create(&fields, layout)?)));
    Ok(OutputPlan { file, folder: Some(folder), ..plan })
}

/// There is none.
#[cfg(not(feature = "parquet"))]
pub(crate) fn parquet(files: RowFiles, _: Fields) -> anyhow::Result<OutputPlan> {
    let (RowFiles::File(Destination { path, .. }) | RowFiles::Hours(path, _)) = files;
    let name = path.display();
    anyhow::bail!(
        "{name}: this mirror was built without the feature `parquet`; write .jsonl, or build it with \
         --features parquet"
    )
}
