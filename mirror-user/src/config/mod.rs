//! Turns the command line and the configuration file into a [`Config`], checked as a whole before
//! anything is opened or attached. `run` executes it.

pub(crate) mod admin;
mod beside;
mod capture;
mod collaborators;
pub mod command;
pub(crate) mod compare;
pub(crate) mod compared;
pub mod convert;
mod dashboard;
pub(crate) mod demo;
pub mod file;
pub(crate) mod filter;
mod hooks;
pub(crate) mod outputs;
pub(crate) mod preflight;
pub mod redact;
mod replay;
pub(crate) mod routes;
mod run;
pub(crate) mod source;
pub(crate) mod start;
mod store;
pub(crate) mod stream;
pub(crate) mod stub;
mod stub_file;
pub(crate) mod target;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use anyhow::ensure;

use self::outputs::OutputPlan;
pub use self::preflight::Preflight;
use self::source::Source;
use self::start::Followed;
use crate::cli::{DoctorArgs, InspectArgs, SourceArgs};
use crate::filter::{Choice, Ports, Watch};
use crate::guard;
use crate::origin::Labels;
use crate::otlp;
use crate::report::ReportFile;
use crate::rules::Rules;
use crate::rules::redact::Preset;
use crate::settings::{AdminSettings, RedactSettings, SourceSettings, over};
use crate::sink::compare::Shared;
use crate::sink::compare::store::Store;

/// The checked configuration of one run.
pub struct Config {
    pub(crate) source: Source,
    pub(crate) watch: Watch,
    pub(crate) output: OutputPlan,
    pub(crate) rules: Rules,
    /// How long to run; `None`: until stopped.
    pub(crate) run_for: Option<Duration>,
    /// Resource limits on a production host.
    pub(crate) guard: guard::Limits,
    pub(crate) summary: SummaryForm,
    /// The file that the summary is also written to.
    pub(crate) report: Option<ReportFile>,
    /// The configuration file, watched for changes.
    pub(crate) followed: Option<Followed>,
    /// Where metrics and health are served.
    pub(crate) admin: Option<crate::admin::Options>,
    /// What the metrics of shadow requests tell apart.
    pub(crate) labels: Labels,
    /// The comparison of a target that is compared, which the summary and the dashboard show.
    pub(crate) comparison: Option<Shared>,
    /// Where it is shown.
    pub(crate) dashboard: Option<crate::dashboard::Options>,
    /// Where traces and metrics are exported.
    pub(crate) telemetry: Option<otlp::Plan>,
    /// What is run at its turning points.
    pub(crate) hooks: Option<crate::hooks::Plan>,
}

/// How the summary is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SummaryForm {
    /// As text on standard output.
    Text,
    /// As text on standard error, because standard output carries data.
    TextOnStderr,
    /// As one JSON object on standard output.
    Json,
}

impl Config {
    /// The configuration of `mirror inspect`.
    ///
    /// # Errors
    /// As [`for_capture`](Self::for_capture).
    pub fn for_inspect(args: &InspectArgs) -> anyhow::Result<Self> {
        if let Some(output) = collaborators::output(args)? {
            let form = if args.json { SummaryForm::TextOnStderr } else { SummaryForm::Text };
            let redact = (&args.redact, Preset::Credentials);
            return Self::shown(&args.source, output, form, redact, None);
        }
        if args.find_personal_data {
            let form = if args.json { SummaryForm::TextOnStderr } else { SummaryForm::Text };
            let output = outputs::shown::findings(args.json);
            return Self::shown(&args.source, output, form, (&args.redact, Preset::Pii), None);
        }
        let (output, summary) = match (args.summary, args.json) {
            (true, true) => (outputs::shown::counts(), SummaryForm::Json),
            (true, false) => (outputs::shown::counts(), SummaryForm::Text),
            (false, true) => {
                (outputs::files::json_lines(None, !args.no_bodies), SummaryForm::TextOnStderr)
            }
            (false, false) => (outputs::shown::table(), SummaryForm::Text),
        };
        Self::shown(&args.source, output, summary, (&args.redact, Preset::Credentials), None)
    }

    /// The configuration of `mirror doctor --watch`, which counts what passes the filters; `None` without
    /// `--watch`.
    ///
    /// # Errors
    /// As [`for_capture`](Self::for_capture).
    pub fn for_watch(args: &DoctorArgs) -> anyhow::Result<Option<Self>> {
        let file = args.config.as_deref().map(command::read).transpose()?;
        let filter = file.map(|file| file.source.filter).unwrap_or_default();
        let choice = filter::choice(&over(args.filter.clone(), &filter))?;
        let Some(interface) = &args.watch else {
            ensure!(
                filter::is_open(&choice) || args.target.is_some(),
                "doctor: filters apply to --watch and --target only; add --watch IFACE, such as --watch eth0"
            );
            return Ok(None);
        };
        ensure!(
            !choice.ports.is_empty(),
            "{interface}: which ports? add --port, such as --port 8080, or --config"
        );
        let source = Source::live(interface.clone());
        let config = Self::of_parts(source, choice, outputs::shown::counts());
        Ok(Some(Self { run_for: Some(args.run_for), ..config }))
    }

    /// A run that shows or writes messages, with the settings of `--config`.
    fn shown(
        args: &SourceArgs,
        output: OutputPlan,
        summary: SummaryForm,
        (redact, preset): (&RedactSettings, Preset),
        admin: Option<&AdminSettings>,
    ) -> anyhow::Result<Self> {
        let file = file::File::beside(args.config.as_deref())?;
        let beside = file.clone().unwrap_or_default();
        let source = over(args.settings.clone(), &beside.source);
        let redact = over(redact.clone(), &beside.redact);
        let admin = admin.map(|admin| over(admin.clone(), &beside.admin)).unwrap_or_default();
        let run = file::File { source, redact, admin, ..file::File::default() };
        let mut apart = run.reads();
        args.reads(&mut apart);
        output.file.iter().for_each(|file| apart.writes("--to", &file.path));
        apart.ensure()?;
        let mut config = Self::new(&run.source, output, summary)?;
        if let Some(file) = &file {
            config = config.ruled_by(file)?;
        }
        config.admin = admin::options(&run, &config.ports())?;
        config.redacting(run.redact, preset)
    }

    fn new(
        source: &SourceSettings,
        output: OutputPlan,
        summary: SummaryForm,
    ) -> anyhow::Result<Self> {
        Self::with_passes(source, 1, output, summary)
    }

    /// Reads files `passes` times.
    fn with_passes(
        source: &SourceSettings,
        passes: u32,
        output: OutputPlan,
        summary: SummaryForm,
    ) -> anyhow::Result<Self> {
        let choice = filter::choice(&source.filter)?;
        let run_for = source.run_for;
        let guard = filter::guard(&source.guard);
        let source = Source::new(source, passes)?;
        if let Source::Live { interfaces, .. } = &source {
            ensure!(
                !choice.ports.is_empty(),
                "{}: which ports? add --port, such as --port 8080 (repeat for more)",
                interfaces.join(", ")
            );
        } else {
            ensure!(
                run_for.is_none() || source.is_stream(),
                "--for: applies to interfaces only; a file ends by itself; leave it out"
            );
            ensure!(
                guard == guard::Limits::default(),
                "--cpu-limit, --memory-limit, --shed-load, --min-sample, --pause-file: apply to interfaces only; leave them out"
            );
            filter::ensure_of_files(&choice)?;
        }
        Ok(Self { run_for, guard, summary, ..Self::of_parts(source, choice, output) })
    }

    /// A run without limits, rules of a user, an endpoint or a page.
    fn of_parts(source: Source, choice: Choice, output: OutputPlan) -> Self {
        let rules = if output.sends { Rules::for_targets() } else { Rules::for_reports() };
        Self {
            source,
            watch: Watch::new(choice),
            output,
            rules,
            run_for: None,
            guard: guard::Limits::default(),
            summary: SummaryForm::Text,
            report: None,
            followed: None,
            admin: None,
            labels: Labels::default(),
            comparison: None,
            dashboard: None,
            telemetry: None,
            hooks: None,
        }
    }

    /// How the summary is printed.
    #[must_use]
    pub fn summary_form(&self) -> SummaryForm {
        self.summary
    }

    /// The file that the summary is also written to, if any.
    #[must_use]
    pub fn report_file(&self) -> Option<ReportFile> {
        self.report.clone()
    }

    /// Where compared pairs are kept, if they are.
    #[must_use]
    pub fn store(&self) -> Option<Store> {
        self.comparison.as_ref().and_then(Shared::store).cloned()
    }

    /// The captured ports; empty: all.
    #[must_use]
    pub fn ports(&self) -> Ports {
        self.watch.choice().ports.clone()
    }
}

/// An identifier that distinguishes this run's shadows: eight hex digits from the hasher's random seed.
pub(crate) fn run_name() -> String {
    format!("{:08x}", random() >> 32)
}

/// 64 bits that no other run has, of the hasher's random seed.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
