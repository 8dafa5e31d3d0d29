//! `mirror capture`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{ReportArgs, SourceArgs};
use crate::files::rotate::Rotation;
use crate::settings::{AdminSettings, RedactSettings};
use crate::sink::behaviour::Fields;

/// `mirror capture`.
#[derive(Debug, Args)]
pub struct CaptureArgs {
    /// Where packets come from.
    #[command(flatten)]
    pub source: SourceArgs,
    /// The file to write; its extension selects the format: .pcap, .pcapng, .jsonl, .har, .parquet, .hoverfly.json or .openapi.json. `-` is standard output, as pcap. With --format, also a directory
    #[arg(long, value_name = "FILE|DIR", help_heading = "Output")]
    pub to: PathBuf,
    /// Start a new file at this size or after this time, whichever comes first, and keep the last N files. Names contain the time of the first record, such as day-20261128T212149Z.pcap
    #[arg(long, value_name = "SIZE,TIME,keep=N", help_heading = "Output")]
    pub rotate: Option<Rotation>,
    /// Overwrite an existing file; without this, a file that is not empty is refused
    #[arg(long, help_heading = "Output")]
    pub overwrite: bool,
    /// Leave bodies out of .jsonl and .har files
    #[arg(long, help_heading = "Output")]
    pub no_bodies: bool,
    /// Write one flat row for each exchange with these fields, to .jsonl or .parquet, or with --format parquet; an unknown field is refused with the list of all [.parquet without it: time, id, client, server, method, host, path, path-template, status, latency, request-bytes, response-bytes, complete]
    #[arg(long, value_name = "FIELD,…", help_heading = "Output")]
    pub fields: Option<Fields>,
    /// Write stubs, from which another server answers in the place of the one that was captured, at the end of the run; or, with parquet, rows by the hour
    #[arg(long, value_enum, value_name = "FORMAT", help_heading = "Output")]
    pub format: Option<CaptureFormat>,
    /// Let stubs take as long for an answer as the recorded response took
    #[arg(long, help_heading = "Output")]
    pub delays: bool,
    /// The comment of a .har file, such as `microcksId: Users API:1.0.0`, without which Microcks imports none
    #[arg(long, value_name = "TEXT", help_heading = "Output")]
    pub comment: Option<String>,
    /// Write packets as they were captured, without redaction (.pcap and .pcapng)
    #[arg(long, help_heading = "Output")]
    pub raw: bool,
    /// What is redacted.
    #[command(flatten)]
    pub redact: RedactSettings,
    /// Metrics and health.
    #[command(flatten)]
    pub admin: AdminSettings,
    /// How the result is reported.
    #[command(flatten)]
    pub report: ReportArgs,
}

/// What is written, where the name of a file does not say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CaptureFormat {
    /// A simulation of Hoverfly, one file
    Hoverfly,
    /// Mappings of WireMock, a directory
    Wiremock,
    /// A description of OpenAPI 3.0 with examples, one file
    Openapi,
    /// Artefacts of Microcks: OpenAPI, APIExamples and a collection of Postman, a directory
    Microcks,
    /// Rows of --fields, in files below date=…/hour=…, a directory
    Parquet,
}
