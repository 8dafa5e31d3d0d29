//! What the command line means: checked as a whole before anything is opened or attached, then
//! turned into the rooms of one run.

use std::fs::OpenOptions;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, IsTerminal, Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use crate::cli::{
    AmbiguousArg, CaptureArgs, HookArg, InspectArgs, ModeArg, ReplayArgs, SourceArgs, Speed,
};
use crate::decode::{self, Decoder};
use crate::http::{BodyKeep, HttpOptions, HttpTable, KeepLimits};
use crate::pipeline::Pipeline;
use crate::progress::Progress;
use crate::rules::tag::{Ambiguous, HostPolicy, Marks, Mode};
use crate::rules::{Rules, Shadows};
use crate::shutdown::Stop;
use crate::sink::Sink;
use crate::sink::jsonl::JsonLines;
use crate::sink::replay::{Limits, Pace, ReplayOptions, ReplaySink, Target, Timeouts, WhenFull};
use crate::sink::table::Table;
use crate::source::PacketSource;
use crate::source::folder;
use crate::source::live::{self, DEFAULT_RING_BYTES, Hook, LiveOptions, LiveSource};
use crate::source::pcap::FileSource;
use crate::source::recorder::Recorder;
use crate::tcp::{FlowTable, TcpLimits};
use crate::watch::Ports;

/// The longest packet that a packet file declares: the kernel's largest GRO packet of 64 KiB and
/// its headers fit four times.
const SNAPLEN: u32 = 256 * 1024;

/// Bodies up to this length are part of a JSON line; longer ones are told by length and digest.
const MAX_JSON_BODY: u64 = 1 << 20;

/// One run, checked.
pub struct Config {
    source: Source,
    ports: Ports,
    output: Output,
    rules: Rules,
    run_for: Option<Duration>,
    summary: SummaryForm,
}

/// Where packets come from.
enum Source {
    Live { interfaces: Vec<String>, hook: HookArg, ring_bytes: Option<u64> },
    Files(Vec<PathBuf>),
    Reader { name: &'static str, reader: Box<dyn Read + Send> },
}

/// Where they go.
enum Output {
    Replay { target: Target, options: ReplayOptions },
    Packets(PathBuf),
    JsonLines { file: Option<PathBuf>, bodies: bool },
    Table,
    Counts,
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
    /// What `mirror replay` means.
    ///
    /// # Errors
    /// As [`for_capture`](Self::for_capture).
    pub fn for_replay(args: &ReplayArgs) -> anyhow::Result<Self> {
        let target = Target::parse(&args.to)?;
        let host = match args.host.as_str() {
            "keep" => HostPolicy::Keep,
            "suffix" => HostPolicy::Suffix { ip_literals: args.suffix_addresses },
            "target" => HostPolicy::Target,
            name => {
                let plain = |c: char| c.is_ascii_alphanumeric() || "-._~:[]".contains(c);
                ensure!(
                    !name.is_empty() && name.chars().all(plain),
                    "--host: {name:?} is no host name"
                );
                HostPolicy::Name(name.to_owned())
            }
        };
        let mode = if args.mode == Some(ModeArg::Rollback) { Mode::Rollback } else { Mode::Replay };
        let ambiguous = match args.ambiguous {
            AmbiguousArg::Drop => Ambiguous::Hold,
            AmbiguousArg::Send => Ambiguous::Send,
        };
        let marks = Marks { host, mode, run: run_name(), ambiguous };
        let limits = Limits {
            connections: args.max_connections,
            queue_bytes: usize::try_from(args.max_queue).unwrap_or(usize::MAX),
            ..Limits::default()
        };
        ensure!(
            limits.connections > 0,
            "--max-connections 0: nothing could be sent; give 1 or more"
        );
        let timeouts = Timeouts {
            connect: args.connect_timeout,
            first_byte: args.answer_timeout,
            total: args.answer_timeout.saturating_mul(3),
            ..Timeouts::default()
        };
        let pace = match args.speed {
            Speed::Times(speed) => Pace::Recorded { speed },
            Speed::Max => Pace::Max,
        };
        let options = ReplayOptions { marks, pace, when_full: WhenFull::Wait, limits, timeouts };
        let summary = if args.report.json { SummaryForm::Json } else { SummaryForm::Text };
        Self::new(&args.source, Output::Replay { target, options }, summary)
    }

    /// What `mirror capture` means.
    ///
    /// # Errors
    /// What is wrong with the command line, and what to do.
    pub fn for_capture(args: &CaptureArgs) -> anyhow::Result<Self> {
        let file = args.to.clone();
        let output = match file.extension().and_then(|ending| ending.to_str()) {
            Some("pcap" | "pcapng") => Output::Packets(file),
            Some("jsonl") => Output::JsonLines { file: Some(file), bodies: !args.no_bodies },
            _ if file.as_os_str() == "-" => Output::Packets(file),
            _ => bail!(
                "{}: its ending names no format; give .pcap, .pcapng or .jsonl, or `-` for pcap on standard output",
                file.display()
            ),
        };
        let to_stdout = args.to.as_os_str() == "-";
        ensure!(
            !(to_stdout && args.report.json),
            "--json: standard output holds the packets; write them to a file"
        );
        Self::new(
            &args.source,
            output,
            match (args.report.json, to_stdout) {
                (true, _) => SummaryForm::Json,
                (false, true) => SummaryForm::TextBeside,
                (false, false) => SummaryForm::Text,
            },
        )
    }

    /// What `mirror inspect` means.
    ///
    /// # Errors
    /// As [`for_capture`](Self::for_capture).
    pub fn for_inspect(args: &InspectArgs) -> anyhow::Result<Self> {
        let (output, summary) = match (args.summary, args.json) {
            (true, true) => (Output::Counts, SummaryForm::Json),
            (true, false) => (Output::Counts, SummaryForm::Text),
            (false, true) => {
                (Output::JsonLines { file: None, bodies: !args.no_bodies }, SummaryForm::TextBeside)
            }
            (false, false) => (Output::Table, SummaryForm::Text),
        };
        Self::new(&args.source, output, summary)
    }

    fn new(source: &SourceArgs, output: Output, summary: SummaryForm) -> anyhow::Result<Self> {
        ensure!(!source.ports.contains(&0), "--port 0: there is no such TCP port; give 1 to 65535");
        let ports = Ports::new(source.ports.clone());
        let run_for = source.run_for;
        let source = Source::new(source)?;
        let mut output = output;
        if let Source::Live { interfaces, .. } = &source {
            if let Output::Replay { target, options } = &mut output {
                live::refuse_captured(target, &ports)?;
                options.pace = Pace::Live;
                options.when_full = WhenFull::Drop;
            }
            ensure!(
                !ports.as_slice().is_empty(),
                "{}: which ports? add --port, such as --port 8080 (repeat it for more)",
                interfaces.join(", ")
            );
        } else {
            ensure!(run_for.is_none(), "--for: a file ends by itself; leave it out");
        }
        let rules = Rules {
            shadows: match &output {
                Output::Replay { .. } => Shadows::Drop,
                _ => Shadows::Keep,
            },
        };
        Ok(Self { source, ports, output, rules, run_for, summary })
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
        let source =
            Source::Live { interfaces: vec!["lo".to_owned()], hook: HookArg::Tc, ring_bytes: None };
        Self::for_demo(source, Ports::new(vec![port]), shadow, Pace::Live, WhenFull::Drop)
    }

    fn for_demo(
        source: Source,
        ports: Ports,
        shadow: SocketAddr,
        pace: Pace,
        when_full: WhenFull,
    ) -> anyhow::Result<Self> {
        let target = Target::parse(&format!("http://{shadow}"))?;
        let marks = Marks { run: run_name(), ..Marks::default() };
        let (limits, timeouts) = (Limits::default(), Timeouts::default());
        let options = ReplayOptions { marks, pace, when_full, limits, timeouts };
        Ok(Self {
            source,
            ports,
            output: Output::Replay { target, options },
            rules: Rules::default(),
            run_for: None,
            summary: SummaryForm::Text,
        })
    }

    /// How the summary is to be told.
    #[must_use]
    pub fn summary_form(&self) -> SummaryForm {
        self.summary
    }

    /// When the run is to end by itself.
    #[must_use]
    pub fn run_for(&self) -> Option<Duration> {
        self.run_for
    }

    /// Opens the outputs, then the source, and joins the rooms between them.
    ///
    /// # Errors
    /// When something cannot be opened, attached or reached; the message names it.
    pub fn pipeline(self, stop: &Stop) -> anyhow::Result<Pipeline> {
        let http = self.output.http_options();
        let prints = matches!(self.output, Output::Table | Output::JsonLines { file: None, .. });
        let (recorder, sinks) = self.output.open(stop)?;
        Ok(Pipeline {
            source: self.source.open(&self.ports)?,
            decoder: Decoder::new(decode::Limits::default()).watching(self.ports.clone()),
            recorder,
            flows: FlowTable::new(TcpLimits {
                server_ports: self.ports.clone(),
                ..TcpLimits::default()
            }),
            http: HttpTable::new(http),
            rules: self.rules,
            sinks,
            progress: Progress::new(!(prints && io::stdout().is_terminal())),
        })
    }
}

impl Source {
    fn new(args: &SourceArgs) -> anyhow::Result<Self> {
        let (files, interfaces): (Vec<&String>, Vec<&String>) =
            args.from.iter().partition(|from| is_file(from));
        match (files.as_slice(), interfaces.as_slice()) {
            ([], _) => Ok(Self::Live {
                interfaces: interfaces.into_iter().cloned().collect(),
                hook: args.hook,
                ring_bytes: args.ring_size,
            }),
            (_, []) => Ok(Self::Files(files.iter().map(PathBuf::from).collect())),
            ([file, ..], [interface, ..]) => {
                bail!(
                    "--from: {file} is a file and {interface} an interface; give one kind at a time"
                )
            }
        }
    }

    fn open(self, ports: &Ports) -> anyhow::Result<Box<dyn PacketSource>> {
        match self {
            Self::Live { interfaces, hook, ring_bytes } => {
                let ring_bytes = match ring_bytes {
                    Some(bytes) => u32::try_from(bytes).unwrap_or(u32::MAX),
                    None => DEFAULT_RING_BYTES,
                };
                let hook = match hook {
                    HookArg::Tc => Hook::Tc,
                    HookArg::Clsact => Hook::Clsact,
                    HookArg::Xdp => Hook::Xdp,
                };
                let ports = ports.clone();
                let source =
                    LiveSource::attach(&LiveOptions { interfaces, ports, hook, ring_bytes })?;
                eprintln!("mirror: attached to {source}; Ctrl-C ends it");
                Ok(Box::new(source))
            }
            Self::Files(files) => folder::open(files.first().expect("one")),
            Self::Reader { name, reader } => Ok(Box::new(FileSource::from_reader(name, reader)?)),
        }
    }
}

/// Whether `--from` names a file, not an interface: it is there, or it looks like a path.
fn is_file(from: &str) -> bool {
    let path = Path::new(from);
    let endings = ["pcap", "pcapng", "cap"];
    from == "-"
        || from.contains('/')
        || path
            .extension()
            .and_then(|ending| ending.to_str())
            .is_some_and(|ending| endings.contains(&ending))
        || path.exists()
}

impl Output {
    /// What the http room has to keep for this output.
    fn http_options(&self) -> HttpOptions {
        let counted = HttpOptions::default();
        match self {
            Self::Replay { .. } => {
                HttpOptions { request_body: BodyKeep::Keep(KeepLimits::default()), ..counted }
            }
            Self::Packets(_) | Self::Counts => HttpOptions { heads: false, ..counted },
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

    fn open(self, stop: &Stop) -> anyhow::Result<(Option<Recorder>, Vec<Box<dyn Sink>>)> {
        let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
        let mut recorder = None;
        match self {
            Self::Replay { target, options } => {
                target.probe(options.timeouts.connect)?;
                sinks.push(Box::new(ReplaySink::start(target, options, stop.flag())?));
            }
            Self::Packets(file) => recorder = Some(Recorder::create(file, SNAPLEN)?),
            Self::JsonLines { file, bodies } => {
                let out: Box<dyn Write + Send> = match file {
                    Some(file) => create(&file)?,
                    None => Box::new(io::stdout()),
                };
                sinks.push(Box::new(JsonLines::new(out, bodies)));
            }
            Self::Table => sinks.push(Box::new(Table::new(Box::new(io::stdout())))),
            Self::Counts => {}
        }
        Ok((recorder, sinks))
    }
}

/// What tells the shadows of this run from those of others: eight digits from the hasher's random seed.
fn run_name() -> String {
    let random = RandomState::new().build_hasher().finish();
    format!("{:08x}", random >> 32)
}

/// A new file that its owner alone may read: captured traffic holds credentials.
fn create(path: &Path) -> anyhow::Result<Box<dyn Write + Send>> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("{}: cannot be written", path.display()))?;
    Ok(Box::new(file))
}
