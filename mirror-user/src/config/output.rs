//! Where things go: what each output needs of the http room, and how it is opened.

use std::io::{self, IsTerminal};
use std::sync::Arc;

use crate::descriptors;
use crate::files::rotate::Series;
use crate::files::{self, Destination};
use crate::http::{BodyKeep, HttpOptions, KeepLimits};
use crate::progress::Progress;
use crate::recorder::{Recorder, SNAPLEN_BYTES};
use crate::rules::redact::{MAX_BODY_BYTES, Redactor};
use crate::rules::route::TargetId;
use crate::shutdown::Stop;
use crate::sink::Sink;
use crate::sink::findings::Findings;
use crate::sink::jsonl::JsonLines;
use crate::sink::lines::{Form, Lines};
use crate::sink::packets::Packets;
use crate::sink::replay::{MAX_ANSWER_BYTES, ReplayOptions, ReplaySink, Target};
use crate::sink::routed::Routed;
use crate::sink::table::Table;

/// Bodies up to this length are part of a JSON line; longer ones are told by length and digest.
const MAX_JSON_BODY: u64 = 1 << 20;

/// Where they go.
pub(super) enum Output {
    /// With the bytes of the longest request body that is sent, and of all that may wait on disk.
    Replay {
        targets: Vec<To>,
        max_body: u64,
        max_spool: u64,
    },
    /// Packets as they were seen.
    RawPackets(Destination),
    /// Cleared exchanges as packets.
    Packets(Destination),
    JsonLines {
        file: Option<Destination>,
        bodies: bool,
    },
    Table,
    Counts,
    /// Where secrets and personal data were seen.
    Findings {
        json: bool,
        /// What finds them; set with the redaction flags.
        redactor: Option<Arc<Redactor>>,
    },
}

/// A target and how it is replayed to.
pub(super) struct To {
    /// What rules and summaries call it; `None` where it is the only one.
    pub(super) name: Option<String>,
    pub(super) target: Target,
    pub(super) options: ReplayOptions,
}

impl To {
    /// Its sink, running; for what the rules send to `id`, where it has a name.
    ///
    /// # Errors
    /// When no thread could be started.
    pub(super) fn start(self, id: Option<TargetId>, stop: &Stop) -> anyhow::Result<Box<dyn Sink>> {
        if self.target.is_unverified() {
            let target = self.name.as_deref().unwrap_or_else(|| self.target.authority());
            eprintln!(
                "mirror: {target}: its certificate is not verified, so that whoever answers there gets the requests"
            );
        }
        let sink = Box::new(ReplaySink::start(self.target, self.options, stop.flag())?);
        Ok(match (self.name, id) {
            (Some(name), Some(id)) => Box::new(Routed::new(id, &name, sink)),
            _ => sink,
        })
    }
}

/// An output's rooms, opened.
#[derive(Default)]
pub(super) struct Opened {
    pub(super) recorder: Option<Recorder>,
    pub(super) sinks: Vec<Box<dyn Sink>>,
    pub(super) progress: Progress,
}

impl Output {
    /// True when requests go out at the times of the capture, so that waiting would shift them.
    pub(super) fn keeps_pace(&self) -> bool {
        match self {
            Self::Replay { targets, .. } => {
                targets.iter().any(|to| to.options.pace.has_deadlines())
            }
            Self::RawPackets(_) | Self::Packets(_) | Self::JsonLines { .. } => false,
            Self::Table | Self::Counts | Self::Findings { .. } => false,
        }
    }

    /// True when a target learns from production's answers.
    pub(super) fn correlates(&self) -> bool {
        match self {
            Self::Replay { targets, .. } => targets.iter().any(|to| to.options.correlate),
            _ => false,
        }
    }

    /// What the http room has to keep for this output.
    pub(super) fn http_options(&self) -> HttpOptions {
        let counted = HttpOptions::default();
        match self {
            Self::Replay { max_body, max_spool, .. } => {
                let keep = |total| BodyKeep::Keep(KeepLimits { total, ..KeepLimits::default() });
                let response_body = match self.correlates() {
                    true => keep(MAX_ANSWER_BYTES as u64),
                    false => counted.response_body,
                };
                HttpOptions {
                    request_body: keep(*max_body),
                    response_body,
                    max_spooled: *max_spool,
                    ..counted
                }
            }
            Self::RawPackets(_) | Self::Counts => HttpOptions { heads: false, ..counted },
            // No more of a body is kept than redaction reads.
            Self::Packets(_) | Self::Findings { .. } => {
                let total = MAX_BODY_BYTES as u64;
                let keep = BodyKeep::Keep(KeepLimits { total, ..KeepLimits::default() });
                HttpOptions { request_body: keep, response_body: keep, ..counted }
            }
            Self::Table => counted,
            Self::JsonLines { bodies: false, .. } => HttpOptions {
                request_body: BodyKeep::Digest,
                response_body: BodyKeep::Digest,
                ..counted
            },
            Self::JsonLines { bodies: true, .. } => {
                let keep = KeepLimits { digest: true, memory: MAX_JSON_BODY, total: MAX_JSON_BODY };
                HttpOptions {
                    request_body: BodyKeep::Keep(keep),
                    response_body: BodyKeep::Keep(keep),
                    ..counted
                }
            }
        }
    }

    /// The file that is written.
    pub(super) fn destination(&self) -> Option<&Destination> {
        match self {
            Self::RawPackets(file) | Self::Packets(file) => Some(file),
            Self::JsonLines { file, .. } => file.as_ref(),
            Self::Replay { .. } | Self::Table | Self::Counts | Self::Findings { .. } => None,
        }
    }

    /// The ports that are connected to.
    pub(super) fn connects(&self) -> Vec<u16> {
        match self {
            Self::Replay { targets, .. } => {
                targets.iter().filter_map(|to| to.target.port()).collect()
            }
            _ => vec![],
        }
    }

    /// Opens the files, reaches the target.
    ///
    /// # Errors
    /// When it cannot be written or reached; the message names it.
    pub(super) fn open(self, stop: &Stop) -> anyhow::Result<Opened> {
        let mut opened = Opened::default();
        let mut prints = false;
        match self {
            Self::Replay { mut targets, .. } => {
                let wanted = targets.iter_mut().map(|to| &mut to.options.limits.connections);
                if let Some(bounded) =
                    descriptors::raise().and_then(|room| descriptors::fit(room, wanted))
                {
                    eprintln!("mirror: {bounded}");
                }
                probe(&targets)?;
                for (place, to) in targets.into_iter().enumerate() {
                    opened.sinks.push(to.start(TargetId::new(place), stop)?);
                }
            }
            Self::RawPackets(file) => {
                opened.recorder = Some(Recorder::create(file, SNAPLEN_BYTES)?);
            }
            Self::Packets(file) => {
                let recorder = Recorder::create(file, SNAPLEN_BYTES)?;
                opened.sinks.push(Box::new(Packets::new(recorder)));
            }
            Self::JsonLines { file, bodies } => {
                prints = file.is_none();
                let form = Box::new(JsonLines { bodies });
                opened.sinks.push(Box::new(lines(form, file)?));
            }
            Self::Table => {
                prints = true;
                opened.sinks.push(Box::new(lines(Box::new(Table), None)?));
            }
            Self::Findings { json, redactor: Some(redactor) } => {
                let sink = Findings::new(redactor, json, Box::new(io::stdout()));
                opened.sinks.push(Box::new(sink));
            }
            Self::Counts | Self::Findings { redactor: None, .. } => {}
        }
        // Exchanges on the same terminal would tear the line, and show that it runs.
        if !(prints && io::stdout().is_terminal()) {
            let monitors = opened.sinks.iter().filter_map(|sink| sink.monitor());
            opened.progress = Progress::on_terminal(monitors.collect());
        }
        Ok(opened)
    }
}

/// Lines to a file, or to the standard output.
fn lines(form: Box<dyn Form>, file: Option<Destination>) -> anyhow::Result<Lines> {
    let Some(file) = file else {
        return Ok(Lines::new(form, Box::new(io::stdout())));
    };
    let name = file.path.display().to_string();
    match file.rotation {
        Some(rotation) => Lines::to_series(form, Series::new(&file, rotation), name),
        None => Ok(Lines::to_file(form, files::create(&file.path, file.existing)?, name)),
    }
}

/// Reaches every target before any engine runs. One that is down among several is told: the others
/// lose nothing by it.
///
/// # Errors
/// When none can be reached.
fn probe(targets: &[To]) -> anyhow::Result<()> {
    let probed = targets.iter().map(|to| to.target.probe(to.options.timeouts.connect));
    let (reached, failed): (Vec<_>, Vec<_>) = probed.partition(Result::is_ok);
    let mut failed = failed.into_iter().filter_map(Result::err);
    if reached.is_empty()
        && let Some(first) = failed.next()
    {
        return Err(first);
    }
    for why in failed {
        eprintln!("mirror: {why:#}; the other targets get theirs");
    }
    Ok(())
}
