//! The configuration of `mirror capture`.

use std::path::Path;

use anyhow::{bail, ensure};

use super::outputs::rows::RowFiles;
use super::outputs::{self, Messages, OutputPlan};
use super::{Config, SummaryForm};
use crate::cli::{CaptureArgs, CaptureFormat};
use crate::files::{Destination, Existing};
use crate::rules::redact::Preset;
use crate::sink::behaviour::Fields;
use crate::sink::har::HarOptions;
use crate::sink::stubs::{Format, StubOptions};

impl Config {
    /// The configuration of `mirror capture`.
    ///
    /// # Errors
    /// What is wrong with the command line, and how to fix it.
    pub fn for_capture(args: &CaptureArgs) -> anyhow::Result<Self> {
        let output = output(args)?;
        ensure!(
            !args.raw || output.messages == Messages::Untouched,
            "--raw: applies to .pcap and .pcapng only; leave it out, or use --redact none"
        );
        let to_stdout = args.to.as_os_str() == "-";
        ensure!(
            !(to_stdout && args.rotate.is_some()),
            "--rotate: standard output cannot be rotated; write to a file"
        );
        ensure!(
            !(to_stdout && args.report.json),
            "--json: standard output carries the packets; write them to a file"
        );
        let summary = match (args.report.json, to_stdout) {
            (true, _) => SummaryForm::Json,
            (false, true) => SummaryForm::TextOnStderr,
            (false, false) => SummaryForm::Text,
        };
        let (source, redact) = (&args.source, &args.redact);
        let redact = (redact, Preset::Credentials);
        let config = Self::shown(source, output, summary, redact, Some(&args.admin))?;
        ensure!(
            !(args.raw && config.source.has_no_packets()),
            "--raw: a HAR holds no packets; leave it out, or use --redact none"
        );
        Ok(config)
    }
}

/// The output that the file's name and the flags select.
fn output(args: &CaptureArgs) -> anyhow::Result<OutputPlan> {
    let (file, written) = (&args.to, Destination::from(args));
    ensure!(
        args.comment.is_none() || file.extension().is_some_and(|ending| ending == "har"),
        "--comment: applies to .har files only; leave it out"
    );
    match format(args) {
        None => {}
        Some(Written::Stubs(format)) => return stubs(args, format, written),
        Some(Written::Hours) => return hours(args),
    }
    ensure!(!args.delays, "--delays: applies to stubs only; add --format, or leave it out");
    let ending = file.extension().and_then(|ending| ending.to_str());
    ensure!(
        args.fields.is_none() || matches!(ending, Some("jsonl" | "parquet")),
        "--fields: applies to .jsonl and .parquet files, and to --format parquet; leave it out"
    );
    Ok(match ending {
        Some("pcap" | "pcapng") => packets(args)?,
        Some("jsonl") if args.fields.is_some() => outputs::rows::lines(written, &fields(args)?),
        Some("parquet") => outputs::rows::parquet(RowFiles::File(written), fields(args)?)?,
        Some("jsonl") => outputs::files::json_lines(Some(written), !args.no_bodies),
        Some("har") => {
            let options = HarOptions { no_bodies: args.no_bodies, comment: args.comment.clone() };
            outputs::har::har(written, options)
        }
        _ if file.as_os_str() == "-" => packets(args)?,
        _ => bail!(
            "{}: the extension names no known format; use .pcap, .pcapng, .jsonl, .har, .parquet, .hoverfly.json or \
             .openapi.json, `-` for pcap on standard output, or --format for a directory",
            file.display()
        ),
    })
}

/// What `--format` stands for.
enum Written {
    Stubs(Format),
    Hours,
}

/// What the flag or the name of the file says of it.
fn format(args: &CaptureArgs) -> Option<Written> {
    if let Some(format) = args.format {
        return Some(match format {
            CaptureFormat::Hoverfly => Written::Stubs(Format::Hoverfly),
            CaptureFormat::Wiremock => Written::Stubs(Format::Wiremock),
            CaptureFormat::Openapi => Written::Stubs(Format::Openapi),
            CaptureFormat::Microcks => Written::Stubs(Format::Microcks),
            CaptureFormat::Parquet => Written::Hours,
        });
    }
    let name = args.to.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let endings = [(".hoverfly.json", Format::Hoverfly), (".openapi.json", Format::Openapi)];
    let named = endings.into_iter().find(|(ending, _)| name.ends_with(ending));
    named.map(|(_, format)| Written::Stubs(format))
}

/// The fields of rows, which hold no bodies.
fn fields(args: &CaptureArgs) -> anyhow::Result<Fields> {
    ensure!(!args.no_bodies, "--no-bodies: rows hold none; leave it out");
    Ok(args.fields.clone().unwrap_or_default())
}

/// Rows in a directory by hours.
fn hours(args: &CaptureArgs) -> anyhow::Result<OutputPlan> {
    ensure!(args.to != Path::new("-"), "--to -: rows by hours are a directory; give one");
    ensure!(!args.delays, "--delays: applies to stubs only; leave it out");
    ensure!(
        !args.overwrite,
        "--overwrite: files are added to the directory, and none is replaced; leave it out"
    );
    let files = RowFiles::Hours(args.to.clone(), args.rotate);
    outputs::rows::parquet(files, fields(args)?)
}

fn stubs(args: &CaptureArgs, format: Format, written: Destination) -> anyhow::Result<OutputPlan> {
    ensure!(
        written.rotation.is_none(),
        "--rotate: stubs are written once, at the end; leave it out"
    );
    ensure!(args.fields.is_none(), "--fields: stubs have no rows; leave it out");
    ensure!(!args.no_bodies, "--no-bodies: stubs answer with bodies; leave it out");
    ensure!(args.to != Path::new("-"), "--to -: stubs are files; give a file or a directory");
    ensure!(
        !args.delays || matches!(format, Format::Hoverfly | Format::Wiremock),
        "--delays: a description of an API has no times; leave it out"
    );
    let options = StubOptions { format, delays: args.delays };
    outputs::stubs::stubs(written, options)
}

/// The output of a packet file. Original packets are written only with an explicit `--raw`.
fn packets(args: &CaptureArgs) -> anyhow::Result<OutputPlan> {
    let name = args.to.display();
    ensure!(
        args.raw || args.redact.preset != Some(Preset::None),
        "{name}: --redact none would write the original packets; add --raw to confirm"
    );
    ensure!(
        !args.raw || matches!(args.redact.preset, None | Some(Preset::None)),
        "{name}: --raw writes the original packets and redacts nothing; leave out --raw or --redact"
    );
    let file = args.into();
    Ok(if args.raw { outputs::files::raw_packets(file) } else { outputs::files::packets(file) })
}

impl From<&CaptureArgs> for Destination {
    fn from(args: &CaptureArgs) -> Self {
        let existing = if args.overwrite { Existing::Overwrite } else { Existing::Refuse };
        Self { path: args.to.clone(), existing, rotation: args.rotate }
    }
}
