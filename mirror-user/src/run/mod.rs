//! Starts a run from its configuration, in this order:
//!
//! 1. The configuration is complete and checked; only the files that it names are open. The helper of hooks is started,
//!    and runs `before-run` ([`carry_out`]).
//! 2. [`confine`]: this thread is restricted to its output files and targets (Landlock). Threads
//!    inherit the restriction when they start, so no other thread runs before.
//! 3. The ports of the admin endpoint and the dashboard are taken, so that one that is taken already is reported before
//!    anything else.
//! 4. This thread lowers its priority, hides its memory, and keeps only the capabilities for
//!    opening.
//! 5. With a live source the outputs are opened first: targets are probed and their threads
//!    started. Then the source is attached, so that its packets can be processed at once. With files
//!    the source is opened first, so that unreadable input is reported before a file is written or a
//!    target contacted.
//! 6. The guard, the watcher of the configuration file, the admin endpoint and the dashboard start.
//! 7. This thread keeps only the capabilities for reading.
//! 8. `on-ready` is run. The timer of `--for` starts; then the first packet is read ([`Run::to_end`]).
//! 9. However the run has ended, `after-run` is run.

mod memory;
pub mod plan;
mod reload;
mod replays;
mod self_capture;
pub mod stub;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use self::reload::Handles;
pub(crate) use self::replays::Replays;
use crate::admin::{Admin, Serving};
use crate::config::Config;
use crate::config::outputs::{Opened, Opening, WatchOutcomes};
use crate::config::source::{self, Input, Live, Source};
use crate::confine::Bounds;
use crate::dashboard::{self, Dashboard, Watched};
use crate::decode::{self, Decoder};
use crate::files::Destination;
use crate::filter::Ports;
use crate::guard::Guard;
use crate::hooks::Hooks;
use crate::http::HttpTable;
use crate::logging;
use crate::metrics::Sources;
use crate::origin::Origins;
use crate::otlp::{Exporting, Plan, Telemetry};
use crate::pipeline::{Beside, Front, HarFront, Packets, Pipeline};
use crate::priority;
use crate::privileges::{self, Duty};
use crate::progress::Progress;
use crate::report::ReportFile;
use crate::shutdown::Stop;
use crate::sink::compare::Shared;
use crate::sink::replay::{OnConnect, SpanSink};
use crate::source::live::{Namespace, OwnSockets};
use crate::stats::SnapshotSlot;
use crate::summary::{Compared, Summary};
use crate::tcp::{FlowTable, TcpLimits};

/// A run that is ready to read its first packet.
pub struct Run {
    pipeline: Pipeline,
    replays: Replays,
    run_for: Option<Duration>,
    /// The admin endpoint, which answers until the end.
    _admin: Option<Serving>,
    /// The page that shows a comparison, which does, too.
    dashboard: Option<dashboard::Serving>,
    /// What exports traces and metrics, until the end.
    _telemetry: Option<Exporting>,
    /// The comparison of a target that is compared, if there is or was one.
    comparison: Option<Shared>,
    counters: Arc<SnapshotSlot>,
}

/// Confines this process, starts the run and carries it to its end, with its hooks before, between and after. The second
/// result is how the run ended; the summary holds even if that is an error.
///
/// # Errors
/// If the run could not be started.
pub fn carry_out(mut config: Config, stop: &Stop) -> anyhow::Result<(Summary, anyhow::Result<()>)> {
    let hooks = config.hooks.take().map(Hooks::start).transpose()?;
    let goes_on = || !stop.requested();
    hooks.iter().try_for_each(|hooks| hooks.begin_pass(goes_on))?;
    let ran = confined(config, hooks.as_ref(), stop);
    let after = hooks.map_or(Ok(()), |hooks| hooks.end_pass(|| true));
    match ran {
        Ok((summary, outcome)) => Ok((summary, outcome.and(after))),
        Err(error) => {
            if let Err(after) = after {
                logging::failed(&after);
            }
            Err(error)
        }
    }
}

fn confined(
    config: Config,
    hooks: Option<&Hooks>,
    stop: &Stop,
) -> anyhow::Result<(Summary, anyhow::Result<()>)> {
    confine(&config)?;
    let mut run = start(config, stop)?;
    run.pipeline = run.pipeline.with_hooks(hooks.cloned());
    hooks.map_or(Ok(()), |hooks| hooks.ready(|| !stop.requested()))?;
    Ok(run.to_end(stop))
}

/// Confines this thread, and the threads that it will start, to what this run needs. Only for live
/// capture, where mirror has privileges and reads untrusted bytes. Must be called before any thread
/// is started that is to be confined, too.
///
/// # Errors
/// If the kernel refuses it.
pub fn confine(config: &Config) -> anyhow::Result<()> {
    if !config.source.is_live() {
        return Ok(());
    }
    let mut writes: Vec<_> =
        config.output.file.as_ref().map(Destination::writes).into_iter().collect();
    writes.extend(config.output.folder.clone());
    // Large bodies are spooled there.
    writes.push(std::env::temp_dir());
    writes.extend(config.followed.as_ref().and_then(|followed| followed.source.writes()));
    writes.extend(config.report.as_ref().map(ReportFile::writes));
    // A configuration file that is watched may later name other targets.
    let mut connects = config.followed.is_none().then(|| config.output.connects.clone());
    if let Some(connects) = &mut connects {
        connects.extend(config.source.connects()?);
        connects.extend(config.telemetry.iter().flat_map(Plan::ports));
    }
    writes.extend(config.output.writes.iter().cloned());
    let admin = config.admin.iter().map(|admin| admin.listen.port());
    let dashboard = config.dashboard.iter().map(|dashboard| dashboard.listen.port());
    let listens = admin.chain(dashboard).collect();
    crate::confine::confine(&Bounds { writes, connects, listens }).map(drop)
}

/// Opens the outputs and the source, and connects the stages between them.
///
/// # Errors
/// If something cannot be opened, attached or reached; the message names it.
pub fn start(config: Config, stop: &Stop) -> anyhow::Result<Run> {
    let Config { mut source, watch, output, rules, run_for, guard, followed, admin, .. } = config;
    let (comparison, dashboard, telemetry) =
        (config.comparison, config.dashboard, config.telemetry);
    let config_text = admin.as_ref().map(|admin| admin.config.clone()).unwrap_or_default();
    let admin = admin.map(Admin::bind).transpose()?;
    let dashboard = dashboard.map(Dashboard::bind).transpose()?;
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
    let (mut http, beginnings) = (output.http.clone(), output.beginnings);
    let mut tcp = match source.is_recorded() && !output.keeps_pace {
        true => TcpLimits::for_files(),
        false => TcpLimits::default(),
    };
    if let (Some(limit), Some(ring)) = (guard.memory, source.ring_bytes()) {
        memory::share(limit, ring, &mut http, &mut tcp);
    }
    if source.is_live() && output.wants_no_response_bodies() {
        watch.set(watch.choice().with_brief_responses().into());
    }
    tcp.brief_responses = watch.choice().brief_responses;
    let server_ports = watch.choice().ports.clone();
    let origins = Origins::new(config.labels);
    source.tell(&origins);
    let mut targeting = Targeting {
        stop: stop.clone(),
        namespace: source.is_live().then(|| source.namespace()),
        own: if output.sends { source.own_sockets() } else { None },
        spans: None,
        origins: origins.clone(),
        watch: if output.sends { source.watch_outcomes() } else { None },
    };
    let admitting = targeting.opening(&server_ports);
    let telemetry = telemetry.map(|plan| Telemetry::new(plan, |target| admitting.admit(target)));
    let telemetry = telemetry.transpose()?;
    targeting.spans = telemetry.as_ref().and_then(Telemetry::spans);
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
    let source::Opened { input, live } = opened;
    // Exchanges on the same terminal would break the progress line, and show that the run is alive
    // anyway.
    let progress = if prints { Progress::beside_output() } else { Progress::on_terminal() };
    let replays = Replays::new(monitors, progress.clone());
    let (guard, live) = match live {
        Some(Live { control, meter, health, pause }) => {
            let targets = replays.monitors.clone();
            let guard = Guard::new(guard, control.clone(), meter, targets).paused_by(pause);
            let guard = guard.start(stop.clone())?;
            (Some(guard), Some((health, control)))
        }
        None => (None, None),
    };
    let control = live.as_ref().map(|(_, control)| control.clone());
    let handover = match followed {
        Some(followed) => {
            let (watch, redactor) = (watch.clone(), rules.redactor.clone());
            let replays = replays.clone();
            let handles = Handles { watch, control, redactor, targeting, replays, config_text };
            Some(reload::follow(followed, handles, stop.clone())?)
        }
        None => None,
    };
    let snapshots = Arc::<SnapshotSlot>::default();
    let sources = Sources {
        snapshots: Arc::clone(&snapshots),
        targets: replays.monitors.clone(),
        live,
        guard: guard.clone(),
        handover: handover.clone(),
        origins,
        spans: telemetry.as_ref().map(Telemetry::counts),
        stop: stop.clone(),
    };
    let telemetry = telemetry.map(|telemetry| telemetry.start(sources.clone())).transpose()?;
    let admin = admin.map(|admin| admin.serve(sources)).transpose()?;
    let dashboard = dashboard.zip(comparison.clone()).map(|(dashboard, comparison)| {
        let watched = Watched::new(comparison);
        watched.run(Arc::clone(&snapshots));
        dashboard.serve(watched)
    });
    let dashboard = dashboard.transpose()?;
    if let Some(reading) = reading {
        privileges::keep_for(reading)?;
    }
    let http = HttpTable::new(http);
    let front: Box<dyn Front> = match input {
        Input::Packets(source) => {
            let decoder = Decoder::new(decode::Limits::default()).watching(watch);
            let flows = FlowTable::new(TcpLimits { server_ports, ..tcp });
            let packets = Packets::new(source, decoder, flows, http);
            Box::new(packets.recorded_by(recorder).telling_beginnings(beginnings))
        }
        Input::Har(reader) => Box::new(HarFront::new(reader, watch, http)),
        Input::Stream(stream) => stream.into_front(watch, http),
    };
    let counters = Arc::clone(&snapshots);
    let beside = Beside { progress, handover, guard, snapshots, hooks: None };
    let pipeline = Pipeline::new(front, rules, outlets, beside);
    let (_admin, _telemetry) = (admin, telemetry);
    Ok(Run { pipeline, replays, run_for, _admin, dashboard, _telemetry, comparison, counters })
}

impl Run {
    /// Where its counters can be asked for while it runs, and afterwards.
    #[must_use]
    pub fn counters(&self) -> Arc<SnapshotSlot> {
        Arc::clone(&self.counters)
    }

    /// Where the dashboard listens, if there is one.
    #[must_use]
    pub fn dashboard(&self) -> Option<SocketAddr> {
        self.dashboard.as_ref().map(dashboard::Serving::address)
    }

    /// Runs until the source ends, `stop` is requested or the time of the run is over.
    ///
    /// # Errors
    /// If the source or a sink cannot continue. The summary is still valid for what came before.
    pub fn to_end(self, stop: &Stop) -> (Summary, anyhow::Result<()>) {
        let timer = self.run_for.map_or(Ok(()), |time| stop.request_after(time));
        if timer.is_err() {
            stop.request();
        }
        let (mut summary, outcome) = self.pipeline.run(stop);
        summary.replays = self.replays.monitors.reports();
        let comparison = self.comparison.filter(|comparison| comparison.begun() > 0);
        summary.comparison = comparison.map(|comparison| {
            let report = comparison.lock().report();
            let outcome = comparison.gate().map(|gate| gate.judge(&report));
            Box::new(Compared { report, outcome })
        });
        (summary, timer.and(outcome))
    }
}

/// How targets are opened, at the start and after a reload.
pub(crate) struct Targeting {
    stop: Stop,
    /// With a live source: the namespace that it captures in, even if its name has changed its
    /// meaning.
    namespace: Option<Namespace>,
    /// With a live source: the sockets whose packets are not captured.
    own: Option<OwnSockets>,
    /// Who is told of each request that is sent.
    spans: Option<Arc<dyn SpanSink>>,
    /// Where requests come from.
    origins: Origins,
    /// Who is told what becomes of each.
    watch: Option<WatchOutcomes>,
}

impl Targeting {
    /// The context for opening a target while these ports are captured.
    fn opening(&self, ports: &Ports) -> Opening {
        let on_connect = self.own.clone().map(|own| OnConnect::call(move |socket| own.add(socket)));
        let is_captured =
            self.namespace.as_ref().map(|namespace| self_capture::is_captured(ports, namespace));
        Opening {
            stop: self.stop.clone(),
            redactor: None,
            spans: self.spans.clone(),
            origins: self.origins.clone(),
            on_connect,
            is_captured,
            watch: self.watch.clone(),
        }
    }
}
