//! Outputs to files: original packets, exchanges as packets, exchanges as JSON lines.

use std::io;

use super::{Messages, Opened, OutputPlan, both, for_counts, for_redaction};
use crate::files::rotate::Series;
use crate::files::{self, Destination};
use crate::http::{BodyKeep, DigestOf, KeepLimits};
use crate::recorder::{Recorder, SNAPLEN_BYTES};
use crate::sink::jsonl::JsonLines;
use crate::sink::lines::{Form, Lines};
use crate::sink::packets::Packets;

/// Bodies up to this many bytes are included in a JSON line; of longer ones, only length and digest.
const MAX_JSON_BODY: u64 = 1 << 20;

/// The original packets.
pub(crate) fn raw_packets(file: Destination) -> OutputPlan {
    let plan = OutputPlan::new(for_counts(), {
        let file = file.clone();
        move |_| {
            let recorder = Some(Recorder::create(file, SNAPLEN_BYTES)?);
            Ok(Opened { recorder, ..Opened::default() })
        }
    });
    OutputPlan { messages: Messages::Untouched, file: Some(file), ..plan }
}

/// Cleared exchanges as packets.
pub(crate) fn packets(file: Destination) -> OutputPlan {
    let plan = OutputPlan::new(for_redaction(), {
        let file = file.clone();
        move |_| Ok(Opened::of(Packets::new(Recorder::create(file, SNAPLEN_BYTES)?)))
    });
    OutputPlan { file: Some(file), ..plan }
}

/// One JSON object per line, to a file or to standard output.
pub(crate) fn json_lines(file: Option<Destination>, bodies: bool) -> OutputPlan {
    let keep = match bodies {
        false => BodyKeep::Digest,
        true => {
            let (memory, total) = (MAX_JSON_BODY, MAX_JSON_BODY);
            BodyKeep::Keep(KeepLimits { digest: DigestOf::All, memory, total })
        }
    };
    let plan = OutputPlan::new(both(keep), {
        let file = file.clone();
        move |_| {
            let prints = file.is_none();
            let lines = lines(Box::new(JsonLines { bodies }), file)?;
            Ok(Opened { prints, ..Opened::of(lines) })
        }
    });
    OutputPlan { file, ..plan }
}

/// Lines to a file or to standard output.
pub(super) fn lines(form: Box<dyn Form>, file: Option<Destination>) -> anyhow::Result<Lines> {
    let Some(file) = file else {
        return Ok(Lines::new(form, Box::new(io::stdout())));
    };
    let name = file.path.display().to_string();
    match file.rotation {
        Some(rotation) => Lines::to_series(form, Series::new(&file, rotation), name),
        None => Ok(Lines::to_file(form, files::create(&file.path, file.existing)?, name)),
    }
}
