//! `mirror fleet`: what many hosts did together, as their broker knows it.

use std::io::Write;

use crate::cli::{FleetArgs, FleetCommand, FleetReportArgs};
use crate::config::stream;

/// Runs a subcommand of `mirror fleet`.
///
/// # Errors
/// If the broker cannot be reached, or does not know what is asked about.
pub fn run(args: &FleetArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let FleetCommand::Report(FleetReportArgs { from, stream, report }) = &args.command;
    stream::fleet_report(from, stream, report.json, out)
}
