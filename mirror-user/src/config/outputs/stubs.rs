//! Output as stubs for other servers.

use super::{Opened, OutputPlan, for_redaction};
use crate::files::Destination;
use crate::sink::stubs::{Place, StubOptions, StubSink};

/// Exchanges as stubs, which are written at the end.
///
/// # Errors
/// If a directory cannot be made, or is not empty.
pub(crate) fn stubs(to: Destination, options: StubOptions) -> anyhow::Result<OutputPlan> {
    let is_folder = options.format.is_folder();
    // A confined run may write to a directory that is there.
    let folder = if is_folder { Some(Place::folder(&to)?) } else { None };
    let plan = OutputPlan::new(for_redaction(), {
        let to = to.clone();
        move |_| {
            let place = folder.map_or_else(|| Place::file(&to), Ok)?;
            Ok(Opened::of(StubSink::new(options, place)))
        }
    });
    let path = is_folder.then(|| to.path.clone());
    Ok(OutputPlan { folder: path, file: (!is_folder).then_some(to), ..plan })
}
