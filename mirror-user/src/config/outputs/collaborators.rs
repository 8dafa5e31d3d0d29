//! The output that lists collaborators.

use std::io;
use std::path::PathBuf;

use super::{Opened, OutputPlan, for_counts};
use crate::files::{self, Existing};
use crate::http::HttpOptions;
use crate::sink::collaborators::{CollaboratorOptions, Collaborators, Report, Written};

/// Makes a file of the report.
pub(crate) type Text = Box<dyn Fn(&Report) -> String + Send>;

/// The list on standard output, and these files.
pub(crate) fn collaborators(
    options: CollaboratorOptions,
    files: Vec<(PathBuf, Text)>,
) -> OutputPlan {
    let writes = files.iter().map(|(path, _)| path.clone()).collect();
    let http = HttpOptions { heads: true, ..for_counts() };
    let plan = OutputPlan::new(http, move |_| {
        let files = files.into_iter().map(|(name, text)| {
            let file = files::create(&name, Existing::Refuse)?;
            Ok(Written { file, name, text })
        });
        let files = files.collect::<anyhow::Result<_>>()?;
        Ok(Opened::of(Collaborators::new(options, files, Box::new(io::stdout()))))
    });
    OutputPlan { beginnings: true, writes, ..plan }
}
