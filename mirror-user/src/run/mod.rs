//! A run, put together out of what `config` says is meant, in one order:
//!
//! 1. The configuration is there, checked as a whole; nothing is open yet but the files that it names.
//! 2. [`confine`]: this thread may write where it is to write, and connect to its targets (Landlock). Threads
//!    inherit that at their start, so no other one runs before.
//! 3. This thread gives way to production, hides its memory, and keeps the capabilities that opening takes.
//! 4. Of a live source the outputs are opened first, the targets reached and their threads started, then the
//!    source is attached: what it copies can be taken at once. Of files the source is opened first, so that
//!    what cannot be read is said before a file is written or a target reached.
//! 5. The guard starts, and what follows the configuration file.
//! 6. This thread keeps the capabilities that reading takes.
//! 7. The timer of `--for` starts; then the first packet is read ([`Run::to_end`]).

mod reload;
mod replays;
mod self_capture;

use std::time::Duration;

use self::reload::Handles;
pub(crate) use self::replays::Replays;
use crate::config::Config;
use crate::config::outputs::{Opened, Opening};
use crate::config::source::{self, Source};
use crate::confine::Bounds;
use crate::decode::{self, Decoder};
use crate::files::Destination;
use crate::filter::Ports;
use crate::guard::Guard;
use crate::http::HttpTable;
use crate::pipeline::{Beside, Packets, Pipeline};
use crate::priority;
use crate::privileges::{self, Duty};
use crate::progress::Progress;
use crate::report::ReportFile;
use crate::shutdown::Stop;
use crate::sink::replay::OnConnect;
use crate::source::live::{Namespace, OwnSockets};
use crate::summary::Summary;
use crate::tcp::{FlowTable, TcpLimits};

/// A run that is ready to read its first packet.
pub struct Run {
    pipeline: Pipeline,
    replays: Replays,
    run_for: Option<Duration>,
}

/// Confines this thread, and those that it will start, to what this run needs: for interfaces, where
/// mirror has privileges and strangers choose the bytes. To be called before any thread is started that shall
/// be confined, too.
///
/// # Errors
/// When the kernel refuses it.
pub fn confine(config: &Config) -> anyhow::Result<()> {
    if !config.source.is_live() {
        return Ok(());
    }
    let mut writes: Vec<_> =
        config.output.file.as_ref().map(Destination::writes).into_iter().collect();
    // Long bodies wait there.
    writes.push(std::env::temp_dir());
    writes.extend(config.followed.as_ref().and_then(|followed| followed.source.writes()));
    writes.extend(config.report.as_ref().map(ReportFile::writes));
    // A file that changes may name other targets.
    let connects = config.followed.is_none().then(|| config.output.connects.clone());
    crate::confine::confine(&Bounds { writes, connects }).map(drop)
}

/// Opens the outputs and the source, and joins the stages between them.
///
/// # Errors
/// When something cannot be opened, attached or reached; the message names it.
pub fn start(config: Config, stop: &Stop) -> anyhow::Result<Run> {
    let Config { mut source, watch, output, rules, run_for, guard, followed, .. } = config;
    let reading = match &source {
        Source::Live { namespace, .. } => {
            // Before any thread is started.
            priority::give_way();
            privileges::hide_memory()?;
            privileges::keep_for(Duty::Open)?;
            Some(Duty::Read(namespace.is_other()))
        }
        _ => None,
    };
    let http = output.http.clone();
    let tcp = match source.is_recorded() && !output.keeps_pace {
        true => TcpLimits::for_files(),
        false => TcpLimits::default(),
    };
    let server_ports = watch.choice().ports.clone();
    let targeting = Targeting {
        stop: stop.clone(),
        namespace: source.is_live().then(|| source.namespace()),
        own: if output.sends { source.own_sockets() } else { None },
    };
    let opening = Opening { redactor: rules.redactor.clone(), ..targeting.opening(&server_ports) };
    let persists = followed.is_some();
    let open = |source: Source| source.open(&watch, persists);
    let (opened, output) = if source.is_recorded() {
        let opened = open(source)?;
        (opened, output.open(&opening)?)
    } else {
        let output = output.open(&opening)?;
        (open(source)?, output)
    };
    let Opened { outlets, recorder, monitors, prints } = output;
    let source::Opened { source, live } = opened;
    // Exchanges on the same terminal would tear the line, and show that it runs.
    let progress = if prints { Progress::beside_output() } else { Progress::on_terminal() };
    let replays = Replays::new(monitors, progress.clone());
    let (control, meter) = live.unzip();
    let guard = match (&control, meter) {
        (Some(control), Some(meter)) => {
            Some(Guard::new(guard, control.clone(), meter).start(stop.clone())?)
        }
        _ => None,
    };
    let handover = match followed {
        Some(followed) => {
            let (watch, redactor) = (watch.clone(), rules.redactor.clone());
            let handles = Handles { watch, control, redactor, targeting, replays: replays.clone() };
            Some(reload::follow(followed, handles, stop.clone())?)
        }
        None => None,
    };
    if let Some(reading) = reading {
        privileges::keep_for(reading)?;
    }
    let decoder = Decoder::new(decode::Limits::default()).watching(watch);
    let flows = FlowTable::new(TcpLimits { server_ports, ..tcp });
    let front = Packets::new(source, decoder, flows, HttpTable::new(http)).recorded_by(recorder);
    let beside = Beside { progress, handover, guard, ..Beside::default() };
    let pipeline = Pipeline::new(Box::new(front), rules, outlets, beside);
    Ok(Run { pipeline, replays, run_for })
}

impl Run {
    /// Runs until the source ends, `stop` is requested or the time of the run is over.
    ///
    /// # Errors
    /// When the source or a sink cannot go on. The summary then still holds for what came before.
    pub fn to_end(self, stop: &Stop) -> (Summary, anyhow::Result<()>) {
        let timer = self.run_for.map_or(Ok(()), |time| stop.request_after(time));
        if timer.is_err() {
            stop.request();
        }
        let (mut summary, outcome) = self.pipeline.run(stop);
        summary.replays = self.replays.reports();
        (summary, timer.and(outcome))
    }
}

/// How targets are opened, at the start and later.
pub(crate) struct Targeting {
    stop: Stop,
    /// Of a live source: where it captures, whatever its name means by now.
    namespace: Option<Namespace>,
    /// Of a live source: the sockets whose packets are not captured.
    own: Option<OwnSockets>,
}

impl Targeting {
    /// With what a target is opened while these ports are watched.
    fn opening(&self, ports: &Ports) -> Opening {
        let on_connect = self.own.clone().map(|own| OnConnect::call(move |socket| own.add(socket)));
        let is_captured =
            self.namespace.as_ref().map(|namespace| self_capture::is_captured(ports, namespace));
        Opening { stop: self.stop.clone(), redactor: None, on_connect, is_captured }
    }
}
