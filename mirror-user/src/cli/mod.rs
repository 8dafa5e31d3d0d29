//! The command line. [`config`](crate::config) turns it into a configuration.

mod capture;
mod collaborators;
mod compare;
mod convert;
mod fleet;
mod generate;
mod log;
mod outcome;
mod replay;
mod run;
mod source;
mod stub;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::settings::{FilterSettings, RedactSettings};
use crate::units::parse_duration;
use crate::version;

pub use self::capture::{CaptureArgs, CaptureFormat};
pub use self::collaborators::CollaboratorArgs;
pub use self::compare::{CompareArgs, StoreArgs};
pub use self::convert::{ConvertArgs, Origin, SubsetUrl};
pub use self::fleet::{FleetArgs, FleetCommand, FleetReportArgs};
pub use self::generate::{CompletionsArgs, ManArgs, completions, man};
pub use self::log::LogArgs;
pub use self::outcome::OutcomeArgs;
pub use self::replay::ReplayArgs;
pub use self::run::{ConfigArgs, ConfigCommand, PlanArgs, RunArgs};
pub use self::source::SourceArgs;
pub use self::stub::{AnswerArgs, MatchingArgs, ServerTlsArgs, StubArgs};

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "mirror",
    version,
    about = "Shadows production HTTP traffic without standing in its path",
    long_about = "Shadows production HTTP traffic without standing in its path.\n\n\
        A small kernel program copies the packets of chosen TCP ports. mirror reassembles the streams, \
        parses HTTP/1.x, marks each request as a shadow and sends it to a test endpoint, or writes it to files. \
        Capture files are processed in the same way.",
    after_help = "Try `mirror demo` first: it needs no setup and no privileges.\n\
        Exit codes: 0 success, 1 a --fail-on bound was crossed or no request was seen, 2 error.",
    disable_help_subcommand = true
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Logging.
    #[command(flatten)]
    pub log: LogArgs,
}

impl Cli {
    /// Reads the command line of this process; ends it where clap does, for help, a version or a mistake.
    #[must_use]
    pub fn read() -> Self {
        // To hash the kernel object takes longer than everything else at a start.
        let asks_for_version = std::env::args_os().any(|arg| arg == "--version");
        let command = if asks_for_version { complete() } else { Self::command() };
        Self::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
    }
}

/// The command with its whole version.
fn complete() -> clap::Command {
    Cli::command().long_version(version::long())
}

/// The subcommands.
#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is only one per run")]
pub enum Command {
    /// Send a marked copy of every request to a test endpoint
    #[command(after_help = "Examples:\n  \
        mirror replay --from eth0 --port 8080 --to http://staging:8080\n  \
        mirror replay --from day.pcap --to http://staging:8080 --speed 2\n  \
        mirror replay --from day.pcap --to http://staging:8080 --rate 100..2000/10m --fail-on 'p99>200ms'\n  \
        mirror replay --from eth0 --port 8080 --to nats://nats:4222/prod\n  \
        mirror replay --from nats://nats:4222/prod --to http://staging:8080\n  \
        tcpdump -U --immediate-mode -w - port 8080 | mirror replay --from - --to http://staging:8080")]
    Replay(ReplayArgs),
    /// Compare production's responses with a candidate's, by endpoint and field
    #[command(after_help = "Examples:\n  \
        mirror compare --from prod.pcap --with candidate.pcap\n  \
        mirror compare --from eth0 --port 8080 --to http://candidate:8080 --control http://control:8080 --for 10m\n  \
        mirror compare --from day.pcap --to http://candidate:8080 --html report.html\n  \
        mirror compare --from prod.pcap --with candidate.pcap --rules rules.yaml --gate 'failing_fields=0,min_requests=50'\n  \
        mirror compare --store day.db --report --rules other.yaml --gate failing_fields=0\n  \
        mirror compare --from prod.pcap --with candidate.pcap --html report.html --junit report.xml\n\n\
        docs/compare.md describes rules, noise and verdicts. \
        Exit codes: 0 passed, 1 the gate failed, 2 error, 3 not enough data.")]
    Compare(CompareArgs),
    /// Write captured traffic to a file: .pcap, .pcapng, .jsonl, .har or .parquet, or as stubs for Hoverfly, WireMock, Microcks or OpenAPI
    #[command(after_help = "Examples:\n  \
        mirror capture --from eth0 --port 8080 --to day.pcap\n  \
        mirror capture --from day.pcap --to day.jsonl\n  \
        mirror capture --from eth0 --port 8080 --to day.pcap --rotate 100MiB,1h,keep=24\n  \
        mirror capture --from eth0 --port 8080 --to - | tshark -r - -Y http.request\n  \
        mirror capture --from eth0 --port 8080 --to day.har\n  \
        mirror capture --from eth0 --port 8080 --to log --format parquet --fields time,header:x-user,path-template,status\n  \
        mirror capture --from eth0 --side client --port 9000 --to stubs --format wiremock\n\n\
        Credentials are replaced by tokens (--redact). Packet files therefore hold rebuilt packets with the \
        redacted HTTP of each connection; --raw writes the original packets, including credentials and \
        personal data. Files are created readable only by their owner.")]
    Capture(CaptureArgs),
    /// Show what was captured, what was skipped, and why
    #[command(after_help = "Examples:\n  \
        mirror inspect --from day.pcap\n  \
        mirror inspect --from day.pcap --json | jq .request.target\n  \
        mirror inspect --from eth0 --port 8080 --summary\n  \
        mirror inspect --from day.pcap --collaborators --pod-address 10.0.0.5 --stub-config stub.yaml")]
    Inspect(InspectArgs),
    /// Answer requests as recorded: the collaborators of a shadow, without reaching them
    #[command(after_help = "Examples:\n  \
        mirror stub --from day.pcap\n  \
        mirror stub --from day.jsonl --listen 0.0.0.0:9100 --alias stub.test.svc --fail-on 'misses>0'\n  \
        mirror stub --from day.har --tls-authority authority/   # https, too: clients trust authority/ca.pem\n  \
        mirror stub --from recordings/ --template '/orders/{id}' --ignore-query ts --latency 0.5\n  \
        http_proxy=http://127.0.0.1:9100 curl http://users.internal:8080/v1/users/42\n\n\
        A request that was not recorded gets 502 with the nearest recorded one, and leaves for no other server. \
        docs/stub.md says how requests are recognized. Exit codes: 0 success, 1 a --fail-on bound was crossed, \
        2 error.")]
    Stub(StubArgs),
    /// Run from a configuration file: several targets, rules, sampling
    #[command(after_help = "Examples:\n  \
        mirror run --config mirror.yaml\n  \
        mirror run --config mirror.yaml --plan new.yaml --against day.pcap\n\n\
        docs/configuration.md describes every key. Changes of the file take effect within a second, or at \
        SIGHUP; an invalid file is rejected, and the last valid one stays in effect.")]
    Run(RunArgs),
    /// Ask a broker what many hosts did together
    Fleet(FleetArgs),
    /// Check a configuration file, convert one, or print the schema
    Config(ConfigArgs),
    /// Check whether this host can capture and what is missing, find out why no request is seen on a port, or whether a target could harm production
    #[command(after_help = "Examples:\n  \
        mirror doctor\n  \
        mirror doctor --watch eth0 --port 8080\n  \
        mirror doctor --target http://shadow:8080 --port 8080 --database 'host=test-db dbname=run' --probe /orders\n\n\
        Give --watch the same filters as the capture that shows nothing. For a limited time it also samples the \
        first bytes of all packets on all interfaces. Exit code 1: no request was seen, or the target could harm production.")]
    Doctor(DoctorArgs),
    /// Self-contained demonstration: a small production server, a shadow, real packets between them, and a candidate whose responses are compared
    Demo(DemoArgs),
    /// Print a script that completes commands and flags in a shell
    #[command(after_help = "Examples:\n  \
        mirror completions bash > /usr/share/bash-completion/completions/mirror\n  \
        source <(mirror completions zsh)")]
    Completions(CompletionsArgs),
    /// Print the manual page, or write those of all commands into a directory
    #[command(after_help = "Examples:\n  \
        mirror man | man -l -\n  \
        mirror man --to /usr/share/man/man1")]
    Man(ManArgs),
    /// Run the hooks of the process that has started this one
    #[command(name = crate::hooks::HELPER, hide = true)]
    HooksHelper,
}

/// How the result is reported.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Print the summary as JSON
    #[arg(long, help_heading = "Output")]
    pub json: bool,
}

/// `mirror inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// Where packets come from.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Print each exchange as one line of JSON
    #[arg(long, help_heading = "Output")]
    pub json: bool,
    /// Print counts only
    #[arg(long, help_heading = "Output")]
    pub summary: bool,
    /// Leave bodies out of the JSON (their length is kept, and with `--redact none` their digest)
    #[arg(long, help_heading = "Output")]
    pub no_bodies: bool,
    /// Report where credentials and personal data occur, and how often; never prints a value
    #[arg(long, help_heading = "Output", conflicts_with_all = ["summary", "no_bodies"])]
    pub find_personal_data: bool,
    /// Which services are called.
    #[command(flatten)]
    pub collaborators: CollaboratorArgs,
    /// What is redacted.
    #[command(flatten)]
    pub redact: RedactSettings,
}

/// `mirror doctor`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("subject").args(["watch", "target"]))]
pub struct DoctorArgs {
    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
    /// Find out why no request is seen on --port of this interface
    #[arg(long, value_name = "IFACE")]
    pub watch: Option<String>,
    /// Find out, before anything is sent to it, whether this target could harm production. With --config it may be a name of the file
    #[arg(long, value_name = "URL", conflicts_with = "watch", help_heading = "Preflight")]
    pub target: Option<String>,
    /// Database of the shadow, as a connection string that psql understands: whether production uses it, and whether replication writes to it
    #[arg(long, value_name = "DSN", requires = "target", value_parser = dsn, help_heading = "Preflight")]
    pub database: Option<String>,
    /// The contract's test endpoint, such as /orders: asked to create something with `X-Shadow-Mode: rollback`, and then whether it is there
    #[arg(long, value_name = "PATH", requires = "target", help_heading = "Preflight")]
    pub probe: Option<String>,
    /// Requests will bear `X-Shadow-Mode: rollback`; with --config its target says so
    #[arg(long, requires = "target", help_heading = "Preflight")]
    pub rollback: bool,
    /// Use the filters, and with --target the targets and rules, of this configuration file; flags override it
    #[arg(long, value_name = "FILE", requires = "subject")]
    pub config: Option<PathBuf>,
    /// How long to watch; Ctrl-C ends it early
    #[arg(long = "for", value_name = "TIME", value_parser = parse_duration, default_value = "10s", requires = "watch")]
    pub run_for: Duration,
    /// The filters of --watch.
    #[command(flatten)]
    pub filter: FilterSettings,
}

/// A connection string, which is seen by all who see command lines.
fn dsn(text: &str) -> Result<String, String> {
    crate::psql::connection_string(text).map(|()| text.to_owned())
}

/// `mirror demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Read the shipped capture file even where live capture is possible
    #[arg(long)]
    pub offline: bool,
    /// Where the page of the comparison listens; it then stays until Ctrl-C, as it does on a terminal [default: a free port of 127.0.0.1]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub dashboard: Option<SocketAddr>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
