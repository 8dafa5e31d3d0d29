//! Arguments of `mirror stub`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::settings::{AdminSettings, FilterSettings, RedactSettings};
use crate::stub::canonical::Template;
use crate::stub::{AfterLast, FailOn, Fault, Latency};
use crate::units::{Bytes, parse_duration};

/// `mirror stub`.
#[derive(Debug, Args)]
pub struct StubArgs {
    /// Recordings: capture files, .jsonl files of `mirror capture`, HAR files, or directories of them; repeat for more
    #[arg(
        long,
        value_name = "FILE|DIR",
        required_unless_present = "config",
        help_heading = "Source"
    )]
    pub from: Vec<String>,
    /// File with `from`, `listen`, `aliases` and `filter`, as `mirror inspect --collaborators --stub-config` writes it; flags override it
    #[arg(long, value_name = "FILE", help_heading = "Source")]
    pub config: Option<PathBuf>,
    /// Which connections of capture files.
    #[command(flatten)]
    pub filter: FilterSettings,
    /// Where to listen, as server and as HTTP proxy; port 0 takes a free one [default: 127.0.0.1:9100]
    #[arg(long, value_name = "ADDRESS:PORT", help_heading = "Server")]
    pub listen: Option<SocketAddr>,
    /// Connections that may be open at the same time; others wait
    #[arg(long, value_name = "N", default_value = "1000", value_parser = clap::value_parser!(u32).range(1..=100_000), help_heading = "Server")]
    pub connections: u32,
    /// Time between two requests of a connection, before it is ended
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse_duration, help_heading = "Server")]
    pub idle_timeout: Duration,
    /// Time for a client to send a whole request, to perform the handshake of TLS, or to take the next bytes of a response
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_duration, help_heading = "Server")]
    pub client_timeout: Duration,
    /// The largest request body that is read
    #[arg(long, value_name = "SIZE", default_value = "2MiB", help_heading = "Server")]
    pub max_body: Bytes,
    /// Stop after this time; without it, run until Ctrl-C
    #[arg(long = "for", value_name = "TIME", value_parser = parse_duration, help_heading = "Server")]
    pub run_for: Option<Duration>,
    /// TLS.
    #[command(flatten)]
    pub tls: ServerTlsArgs,
    /// How requests are recognized.
    #[command(flatten)]
    pub matching: MatchingArgs,
    /// How they are answered.
    #[command(flatten)]
    pub answers: AnswerArgs,
    /// What is redacted.
    #[command(flatten)]
    pub redact: RedactSettings,
    /// Metrics and health.
    #[command(flatten)]
    pub admin: AdminSettings,
    /// Print the summary as JSON
    #[arg(long, help_heading = "Output")]
    pub json: bool,
    /// Exit with code 1 if this holds at the end: `misses>0`, or a share of all requests, `misses>1%`; repeat for more
    #[arg(long, value_name = "BOUND", help_heading = "Output")]
    pub fail_on: Vec<FailOn>,
}

/// TLS with clients, at the same port: as a server, and in the tunnels of a proxy (CONNECT).
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "TLS")]
pub struct ServerTlsArgs {
    /// Speak https, too, with a certificate for each host, signed by the authority in this directory. `ca.pem`, for clients to trust, and `ca.key` are made in it if they are not there
    #[arg(long, value_name = "DIR", conflicts_with_all = ["tls_cert", "tls_key"])]
    pub tls_authority: Option<PathBuf>,
    /// Speak https, too, with this certificate and its chain (PEM), whatever the host
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
}

/// How requests are recognized.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Matching")]
pub struct MatchingArgs {
    /// Paths of one kind, such as `/orders/{id}` or `/static/**`: one that was not recorded gets what the first recorded one got
    #[arg(long, value_name = "PATH")]
    pub template: Vec<Template>,
    /// Header that must have the recorded value; without this, no header decides
    #[arg(long, value_name = "NAME")]
    pub match_header: Vec<String>,
    /// Query parameter that does not matter, such as a time
    #[arg(long, value_name = "NAME")]
    pub ignore_query: Vec<String>,
    /// Value of a JSON body, or field of a form, that does not matter, such as `$.requestId` or `$..timestamp`
    #[arg(long, value_name = "JSONPATH")]
    pub ignore_body: Vec<String>,
    /// Another name for a recorded host, or, without `=HOST`, for this server as a whole, such as the name of its Service
    #[arg(long, value_name = "NAME[=HOST]")]
    pub alias: Vec<String>,
}

/// How requests are answered.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Responses")]
pub struct AnswerArgs {
    /// What comes after the last of several recorded responses to a request
    #[arg(long, value_enum, default_value = "repeat")]
    pub after_last: AfterLast,
    /// Give a response that was recorded after a write, such as a POST below the same path, once that write was asked for, and not before
    #[arg(long)]
    pub by_state: bool,
    /// How long responses take: `recorded`, `none`, or a factor of the recorded time, such as 0.5
    #[arg(long, value_name = "TIME", default_value = "recorded")]
    pub latency: Latency,
    /// What goes wrong on purpose: `delay=TIME`, `reset` or `status=CODE`, then perhaps a share, a method and a path, as in `reset 5% POST /payments/**`; repeat for more
    #[arg(long, value_name = "FAULT")]
    pub fault: Vec<Fault>,
    /// Pass requests to this host on that were not recorded, to a server that may be another one. Without this, nothing leaves
    #[arg(long, value_name = "HOST[=HOST:PORT]")]
    pub pass: Vec<String>,
}
