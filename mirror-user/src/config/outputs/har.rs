//! Output to HAR files.

use super::{Opened, OutputPlan, for_counts, for_redaction};
use crate::files::Destination;
use crate::http::HttpOptions;
use crate::sink::har::{HarOptions, HarSink};

/// Exchanges as HTTP Archive 1.2.
pub(crate) fn har(file: Destination, options: HarOptions) -> OutputPlan {
    let http = match options.no_bodies {
        true => HttpOptions { heads: true, ..for_counts() },
        false => for_redaction(),
    };
    let plan = OutputPlan::new(http, {
        let file = file.clone();
        move |_| Ok(Opened::of(HarSink::create(&file, options)?))
    });
    OutputPlan { file: Some(file), ..plan }
}
