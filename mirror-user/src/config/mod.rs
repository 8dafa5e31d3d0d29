//! What the command line means: checked as a whole before anything is opened or attached, then
//! turned into the rooms of one run.

pub mod command;
pub mod file;
mod output;
pub mod redact;
mod replay;
mod run;
mod source;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Read;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{bail, ensure};

use self::output::{Opened, Output, To};
use self::source::Source;
use crate::cli::{CaptureArgs, HookArg, InspectArgs, PresetArg, SourceArgs};
use crate::decode::{self, Decoder};
use crate::http::{HttpTable, KeepLimits};
use crate::pipeline::Pipeline;
use crate::rules::redact::Preset;
use crate::rules::tag::Marks;
use crate::rules::{Rules, Shadows};
use crate::shutdown::Stop;
use crate::sink::replay::{Limits, Pace, ReplayOptions, Target, Timeouts, WhenFull};
use crate::source::live;
use crate::tcp::{FlowTable, TcpLimits};
use crate::watch::Ports;

/// One run, checked.
pub struct Config {
    source: Source,
    ports: Ports,
    output: Output,
    rules: Rules,
    run_for: Option<Duration>,
    summary: SummaryForm,
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
        let file = args.to.clone();
        let output = match file.extension().and_then(|ending| ending.to_str()) {
            Some("pcap" | "pcapng") => packets(args)?,
            Some("jsonl") => Output::JsonLines { file: Some(file), bodies: !args.no_bodies },
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
        )?
        .redacting((&args.redact).into(), Preset::Credentials)
    }

    /// What `mirror inspect` means.
    ///
    /// # Errors
    /// As [`for_capture`](Self::for_capture).
    pub fn for_inspect(args: &InspectArgs) -> anyhow::Result<Self> {
        if args.find_personal_data {
            let form = if args.json { SummaryForm::TextBeside } else { SummaryForm::Text };
            let output = Output::Findings { json: args.json, redactor: None };
            return Self::new(&args.source, output, form)?
                .redacting((&args.redact).into(), Preset::Pii);
        }
        let (output, summary) = match (args.summary, args.json) {
            (true, true) => (Output::Counts, SummaryForm::Json),
            (true, false) => (Output::Counts, SummaryForm::Text),
            (false, true) => {
                (Output::JsonLines { file: None, bodies: !args.no_bodies }, SummaryForm::TextBeside)
            }
            (false, false) => (Output::Table, SummaryForm::Text),
        };
        Self::new(&args.source, output, summary)?
            .redacting((&args.redact).into(), Preset::Credentials)
    }

    fn new(source: &SourceArgs, output: Output, summary: SummaryForm) -> anyhow::Result<Self> {
        ensure!(!source.ports.contains(&0), "--port 0: there is no such TCP port; give 1 to 65535");
        let ports = Ports::new(source.ports.clone());
        let run_for = source.run_for;
        let source = Source::new(source)?;
        let mut output = output;
        if let Source::Live { interfaces, .. } = &source {
            if let Output::Replay { targets, .. } = &mut output {
                for To { target, options, .. } in targets {
                    live::refuse_captured(target, &ports)?;
                    options.pace = Pace::Live;
                    options.when_full = WhenFull::Drop;
                }
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
            redactor: None,
            routes: None,
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
            output: Output::Replay {
                targets: vec![To { name: None, target, options }],
                max_body: KeepLimits::default().total,
            },
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
        let tcp = match self.source.is_recorded() && !self.output.keeps_pace() {
            true => TcpLimits::for_files(),
            false => TcpLimits::default(),
        };
        let Opened { recorder, sinks, progress } = self.output.open(stop)?;
        Ok(Pipeline {
            source: self.source.open(&self.ports)?,
            decoder: Decoder::new(decode::Limits::default()).watching(self.ports.clone()),
            recorder,
            flows: FlowTable::new(TcpLimits { server_ports: self.ports.clone(), ..tcp }),
            http: HttpTable::new(http),
            rules: self.rules,
            sinks,
            progress,
        })
    }
}

/// What a packet file holds: the packets as they were seen only if that is said in so many words.
fn packets(args: &CaptureArgs) -> anyhow::Result<Output> {
    let file = args.to.clone();
    let name = file.display();
    ensure!(
        args.raw || args.redact.redact != Some(PresetArg::None),
        "{name}: --redact none writes packets as they were seen; say --raw"
    );
    ensure!(
        !args.raw || matches!(args.redact.redact, None | Some(PresetArg::None)),
        "{name}: --raw writes packets as they were seen and redacts nothing; leave out --raw or --redact"
    );
    Ok(if args.raw { Output::RawPackets(file) } else { Output::Packets(file) })
}

/// What tells the shadows of this run from those of others: eight digits from the hasher's random seed.
fn run_name() -> String {
    let random = RandomState::new().build_hasher().finish();
    format!("{:08x}", random >> 32)
}
