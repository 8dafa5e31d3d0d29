//! What the command line means: checked as a whole before anything is opened or attached, then
//! turned into the rooms of one run.

mod beside;
mod change;
pub mod command;
pub mod convert;
pub mod file;
mod filter;
mod marks;
mod output;
pub mod redact;
mod reload;
mod replay;
mod run;
mod source;
mod target;
mod yaml;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Read;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{bail, ensure};

use self::change::Force;
use self::output::{Opened, Output, To};
use self::redact::RedactSpec;
use self::reload::Watcher;
use self::source::Source;
use crate::cli::{CaptureArgs, DoctorArgs, InspectArgs, PresetArg, SourceArgs};
use crate::confine::{Bounds, confine};
use crate::decode::{self, Decoder};
use crate::files::{Destination, Existing};
use crate::filter::{Choice, Ports, Watch};
use crate::guard::{self, Guard};
use crate::http::{HttpOptions, HttpTable, KeepLimits};
use crate::pipeline::Pipeline;
use crate::priority;
use crate::privileges::{self, Duty};
use crate::report::ReportFile;
use crate::rules::Rules;
use crate::rules::redact::Preset;
use crate::rules::tag::Marks;
use crate::run::self_capture;
use crate::shutdown::Stop;
use crate::sink::replay::{OnConnect, Pace, ReplayOptions, Target, Victim, WhenFull};
use crate::source::live;
use crate::tcp::{FlowTable, TcpLimits};

/// One run, checked.
pub struct Config {
    source: Source,
    watch: Watch,
    output: Output,
    rules: Rules,
    run_for: Option<Duration>,
    /// What it may take of a host on which it is live.
    guard: guard::Limits,
    summary: SummaryForm,
    report: Option<ReportFile>,
    /// Looks after the file that this run was made from.
    watcher: Option<Watcher>,
}

/// How the summary is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SummaryForm {
    /// As text on standard output.
    Text,
    /// As text on standard error, because standard output holds data.
    TextBeside,
    /// As one JSON object on standard output.
    Json,
}

impl Config {
    /// What `mirror capture` means.
    ///
    /// # Errors
    /// What is wrong with the command line, and what to do.
    pub fn for_capture(args: &CaptureArgs) -> anyhow::Result<Self> {
        let (file, written) = (&args.to, args.into());
        let output = match file.extension().and_then(|ending| ending.to_str()) {
            Some("pcap" | "pcapng") => packets(args)?,
            Some("jsonl") => Output::JsonLines { file: Some(written), bodies: !args.no_bodies },
            _ if file.as_os_str() == "-" => packets(args)?,
            _ => bail!(
                "{}: its ending names no format; give .pcap, .pcapng or .jsonl, or `-` for pcap on standard output",
                file.display()
            ),
        };
        ensure!(
            !args.raw || matches!(output, Output::RawPackets(_)),
            "--raw: packets are written to .pcap and .pcapng; leave it out, or say --redact none"
        );
        let to_stdout = args.to.as_os_str() == "-";
        ensure!(
            !(to_stdout && args.rotate.is_some()),
            "--rotate: the standard output is one stream; write to a file"
        );
        ensure!(
            !(to_stdout && args.report.json),
            "--json: standard output holds the packets; write them to a file"
        );
        let summary = match (args.report.json, to_stdout) {
            (true, _) => SummaryForm::Json,
            (false, true) => SummaryForm::TextBeside,
            (false, false) => SummaryForm::Text,
        };
        Self::shown(&args.source, output, summary, (&args.redact).into(), Preset::Credentials)
    }

    /// What `mirror inspect` means.
    ///
    /// # Errors
    /// As [`for_capture`](Self::for_capture).
    pub fn for_inspect(args: &InspectArgs) -> anyhow::Result<Self> {
        if args.find_personal_data {
            let form = if args.json { SummaryForm::TextBeside } else { SummaryForm::Text };
            let output = Output::Findings { json: args.json, redactor: None };
            return Self::shown(&args.source, output, form, (&args.redact).into(), Preset::Pii);
        }
        let (output, summary) = match (args.summary, args.json) {
            (true, true) => (Output::Counts, SummaryForm::Json),
            (true, false) => (Output::Counts, SummaryForm::Text),
            (false, true) => {
                (Output::JsonLines { file: None, bodies: !args.no_bodies }, SummaryForm::TextBeside)
            }
            (false, false) => (Output::Table, SummaryForm::Text),
        };
        Self::shown(&args.source, output, summary, (&args.redact).into(), Preset::Credentials)
    }

    /// What `mirror doctor --watch` captures: counts of what the filters let through; `None` without
    /// `--watch`.
    ///
    /// # Errors
    /// As [`for_capture`](Self::for_capture).
    pub fn for_watch(args: &DoctorArgs) -> anyhow::Result<Option<Self>> {
        let file = args.config.as_deref().map(command::read).transpose()?;
        let filter = file.map(|file| file.source.filter).unwrap_or_default();
        let choice = filter::choice(&args.filter.clone().or(filter))?;
        let Some(interface) = &args.watch else {
            ensure!(
                filter::is_open(&choice),
                "doctor: filters say what --watch looks for; add --watch IFACE, such as --watch eth0"
            );
            return Ok(None);
        };
        ensure!(
            !choice.ports.is_empty(),
            "{interface}: which ports? add --port, such as --port 8080, or --config"
        );
        Ok(Some(Self {
            source: Source::live(interface.clone()),
            watch: Watch::new(choice),
            output: Output::Counts,
            rules: Rules::for_reports(),
            run_for: Some(args.run_for),
            guard: guard::Limits::default(),
            summary: SummaryForm::Text,
            report: None,
            watcher: None,
        }))
    }

    /// A run whose output is for reading, with what `--config` adds.
    fn shown(
        source: &SourceArgs,
        output: Output,
        summary: SummaryForm,
        redact: RedactSpec,
        preset: Preset,
    ) -> anyhow::Result<Self> {
        let file = file::File::beside(source)?;
        let beside = file.clone().unwrap_or_default();
        let source = source.clone().or(beside.source);
        let redact = redact.or(beside.redact);
        let run = file::File { source, redact, ..file::File::default() };
        let mut apart = run.reads();
        output.destination().into_iter().for_each(|file| apart.writes("--to", &file.path));
        apart.ensure()?;
        let mut config = Self::new(&run.source, output, summary)?;
        if let Some(file) = &file {
            config = config.ruled_by(file)?;
        }
        config.redacting(run.redact, preset)
    }

    fn new(source: &SourceArgs, output: Output, summary: SummaryForm) -> anyhow::Result<Self> {
        Self::with_passes(source, 1, output, summary)
    }

    /// Files are read `passes` times.
    fn with_passes(
        source: &SourceArgs,
        passes: u32,
        mut output: Output,
        summary: SummaryForm,
    ) -> anyhow::Result<Self> {
        let choice = filter::choice(&source.filter)?;
        let run_for = source.run_for;
        let guard = filter::guard(&source.guard);
        let mut source = Source::new(source, passes)?;
        if let Output::Replay { targets, .. } = &mut output
            && let Some(own) = source.own_sockets()
        {
            for To { target, .. } in targets {
                target.on_connect(note_in(&own));
            }
        }
        if let Source::Live { interfaces, namespace, .. } = &source {
            if let Output::Replay { targets, .. } = &mut output {
                for To { target, .. } in targets {
                    self_capture::refuse_captured(target, &choice.ports, namespace)?;
                }
            }
            ensure!(
                !choice.ports.is_empty(),
                "{}: which ports? add --port, such as --port 8080 (repeat it for more)",
                interfaces.join(", ")
            );
        } else {
            ensure!(run_for.is_none(), "--for: a file ends by itself; leave it out");
            ensure!(
                guard == guard::Limits::default(),
                "--cpu-limit, --memory-limit, --pause-file: a file has no production beside it; leave them out"
            );
            filter::ensure_of_files(&choice)?;
        }
        let rules = match &output {
            Output::Replay { .. } => Rules::for_targets(),
            _ => Rules::for_reports(),
        };
        Ok(Self {
            source,
            watch: Watch::new(choice),
            output,
            rules,
            run_for,
            guard,
            summary,
            report: None,
            watcher: None,
        })
    }

    /// A replay of the built-in capture to `shadow`, as fast as it goes.
    pub(crate) fn for_recorded_demo(
        reader: Box<dyn Read + Send>,
        shadow: SocketAddr,
    ) -> anyhow::Result<Self> {
        let source = Source::Reader { name: "the built-in capture", reader };
        Self::for_demo(source, Ports::default(), shadow, Pace::Max, WhenFull::Wait)
    }

    /// A replay of what passes `port` on `lo` to `shadow`.
    pub(crate) fn for_live_demo(port: u16, shadow: SocketAddr) -> anyhow::Result<Self> {
        let source = Source::live("lo".to_owned());
        Self::for_demo(
            source,
            Ports::new(vec![port]),
            shadow,
            Pace::Live,
            WhenFull::Drop(Victim::Newest),
        )
    }

    fn for_demo(
        mut source: Source,
        ports: Ports,
        shadow: SocketAddr,
        pace: Pace,
        when_full: WhenFull,
    ) -> anyhow::Result<Self> {
        let mut target = Target::parse(&format!("http://{shadow}"))?;
        if let Some(own) = source.own_sockets() {
            target.on_connect(note_in(&own));
        }
        let marks = Marks { run: run_name(), ..Marks::default() };
        let options = ReplayOptions::new(marks, pace, when_full);
        Ok(Self {
            source,
            watch: Watch::new(Choice::of_ports(ports)),
            output: Output::Replay {
                targets: vec![To { name: None, target, options }],
                max_body: KeepLimits::default().total,
                max_spool: HttpOptions::default().max_spooled,
            },
            rules: Rules::for_targets(),
            run_for: None,
            guard: guard::Limits::default(),
            summary: SummaryForm::Text,
            report: None,
            watcher: None,
        })
    }

    /// How the summary is to be told.
    #[must_use]
    pub fn summary_form(&self) -> SummaryForm {
        self.summary
    }

    /// The file that gets the summary, if one is to.
    #[must_use]
    pub fn report_file(&self) -> Option<ReportFile> {
        self.report.clone()
    }

    /// The ports that are watched; none: all of them.
    #[must_use]
    pub fn ports(&self) -> Ports {
        self.watch.choice().ports.clone()
    }

    /// When the run is to end by itself.
    #[must_use]
    pub fn run_for(&self) -> Option<Duration> {
        self.run_for
    }

    /// Confines this thread, and those that it will start, to what a run of this needs: for interfaces,
    /// where mirror has privileges and strangers choose the bytes. To be called before any thread is
    /// started that shall be confined, too.
    ///
    /// # Errors
    /// When the kernel refuses it.
    pub fn confine(&self) -> anyhow::Result<()> {
        if let Source::Live { .. } = &self.source {
            let mut writes: Vec<_> =
                self.output.destination().map(Destination::writes).into_iter().collect();
            // Long bodies wait there.
            writes.push(std::env::temp_dir());
            writes.extend(self.watcher.as_ref().and_then(Watcher::writes));
            writes.extend(self.report.as_ref().map(ReportFile::writes));
            // A file that changes may name other targets.
            let connects = self.watcher.is_none().then(|| self.output.connects());
            confine(&Bounds { writes, connects })?;
        }
        Ok(())
    }

    /// Opens the outputs, then the source, and joins the rooms between them.
    ///
    /// # Errors
    /// When something cannot be opened, attached or reached; the message names it.
    pub fn pipeline(self, stop: &Stop) -> anyhow::Result<Pipeline> {
        let reader = match &self.source {
            Source::Live { namespace, .. } => {
                // Before any thread is started.
                priority::give_way();
                privileges::hide_memory()?;
                privileges::keep_for(Duty::Open)?;
                Some(Duty::Read(namespace.is_other()))
            }
            _ => None,
        };
        let http = self.output.http_options();
        let tcp = match self.source.is_recorded() && !self.output.keeps_pace() {
            true => TcpLimits::for_files(),
            false => TcpLimits::default(),
        };
        let server_ports = self.watch.choice().ports.clone();
        let namespace = self.source.namespace();
        let follows = self.watcher.is_some();
        let open = |source: Source| source.open(&self.watch, follows);
        let (opened, output);
        if self.source.is_recorded() {
            // What cannot be read is said before a file is written or a target reached.
            opened = open(self.source)?;
            output = self.output.open(stop)?;
        } else {
            output = self.output.open(stop)?;
            opened = open(self.source)?;
        }
        let Opened { recorder, sinks, progress } = output;
        let source::Opened { source, live } = opened;
        let (control, meter) = live.unzip();
        let guard = match (&control, meter) {
            (Some(control), Some(meter)) => {
                Some(Guard::new(self.guard, control.clone(), meter).start(stop.clone())?)
            }
            _ => None,
        };
        let handover = self.watcher.as_ref().map(Watcher::handover);
        if let Some(watcher) = self.watcher {
            let redactor = self.rules.redactor.clone();
            watcher.start(
                Force { watch: self.watch.clone(), control, namespace, redactor },
                stop.clone(),
            )?;
        }
        if let Some(duty) = reader {
            privileges::keep_for(duty)?;
        }
        Ok(Pipeline {
            source,
            handover,
            guard,
            decoder: Decoder::new(decode::Limits::default()).watching(self.watch),
            recorder,
            flows: FlowTable::new(TcpLimits { server_ports, ..tcp }),
            http: HttpTable::new(http),
            rules: self.rules,
            sinks,
            progress,
        })
    }
}

/// What a packet file holds: the packets as they were seen only if that is said in so many words.
fn packets(args: &CaptureArgs) -> anyhow::Result<Output> {
    let name = args.to.display();
    ensure!(
        args.raw || args.redact.redact != Some(PresetArg::None),
        "{name}: --redact none writes packets as they were seen; say --raw"
    );
    ensure!(
        !args.raw || matches!(args.redact.redact, None | Some(PresetArg::None)),
        "{name}: --raw writes packets as they were seen and redacts nothing; leave out --raw or --redact"
    );
    let file = args.into();
    Ok(if args.raw { Output::RawPackets(file) } else { Output::Packets(file) })
}

impl From<&CaptureArgs> for Destination {
    fn from(args: &CaptureArgs) -> Self {
        let existing = if args.overwrite { Existing::Overwrite } else { Existing::Refuse };
        Self { path: args.to.clone(), existing, rotation: args.rotate }
    }
}

/// Takes note of each socket as mirror's own.
fn note_in(own: &live::OwnSockets) -> OnConnect {
    let own = own.clone();
    OnConnect::call(move |socket| own.add(socket))
}

/// What tells the shadows of this run from those of others: eight digits from the hasher's random seed.
fn run_name() -> String {
    let random = RandomState::new().build_hasher().finish();
    format!("{:08x}", random >> 32)
}
