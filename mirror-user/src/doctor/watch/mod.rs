//! `mirror doctor --watch`: why nothing is seen on a port, or that all is well.
//!
//! Two captures run beside each other for a bounded time: the one that was asked for, through all
//! rooms, which counts the requests that `inspect` would have shown; and the survey, which looks at
//! the headers and first bytes of everything that passes every interface. The judge draws
//! findings from the counts of both.

mod evidence;
mod first_bytes;
mod judge;
mod reason;
mod survey;
#[cfg(test)]
mod survey_tests;

use std::fmt;
use std::io::Write;
use std::thread;

use anyhow::{Context, anyhow, ensure};
use serde::Serialize;

use self::evidence::{Capture, Evidence};
use self::judge::judge;
use self::reason::{Finding, Level};
use self::survey::{Survey, Surveyed};
use crate::config::Config;
use crate::priority;
use crate::run;
use crate::shutdown::Stop;
use crate::source::live::Device;
use crate::summary::Summary;

/// What was watched, and what came of it.
#[derive(Debug, Serialize)]
struct Report {
    interface: String,
    port: String,
    /// Requests are captured.
    well: bool,
    findings: Vec<Finding>,
}

/// Watches `interface` as `capture` is set up to, and tells `out`; true when requests were seen.
///
/// # Errors
/// When the interface cannot be captured on.
pub fn run(
    interface: &str,
    capture: Config,
    json: bool,
    out: &mut dyn Write,
) -> anyhow::Result<bool> {
    ensure!(
        interface != "any",
        "--watch any: name one interface; the others are looked at beside it"
    );
    let up = Device::all()?.iter().any(|device| device.name == interface && device.up);
    let ports = capture.ports();
    let stop = Stop::on_signals()?;
    stop.on_hangup()?;
    // Before any thread is started.
    priority::give_way();
    run::confine(&capture)?;
    let survey = Survey::attach(ports.clone())?;
    let capture = run::start(capture, &stop)?;
    let surveying = thread::spawn({
        let stop = stop.clone();
        move || survey.run(&stop)
    });
    let (summary, outcome) = capture.to_end(&stop);
    // Also where the capture ended by an error.
    stop.request();
    let surveyed = surveying.join().map_err(|_| anyhow!("the survey ended early"))?;
    outcome?;
    let surveyed = surveyed.context("the survey of all interfaces")?;
    let findings = judge(&evidence(interface, up, &summary, surveyed), &ports);
    let well = findings.iter().any(|finding| finding.level == Level::Good);
    let report =
        Report { interface: interface.to_owned(), port: ports.to_string(), well, findings };
    if json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    } else {
        write!(out, "{report}")?;
    }
    Ok(well)
}

/// What both captures counted.
fn evidence(interface: &str, up: bool, summary: &Summary, surveyed: Surveyed) -> Evidence {
    let Surveyed { mut places, overlooked } = surveyed;
    let here = places.remove(interface).unwrap_or_default();
    Evidence { up, capture: Capture::of(summary), here, elsewhere: places, overlooked }
}

impl Capture {
    /// From the sums of a run.
    fn of(summary: &Summary) -> Self {
        let account = |name: &str| summary.accounts.iter().find(|account| account.name == name);
        let seen = |name: &str| account(name).map_or(0, |account| account.seen);
        let kernel = account("kernel").map_or(&[][..], |account| account.dropped.as_slice());
        let filtered = kernel.iter().filter_map(|(why, n)| Some((filter_of(why)?, *n))).collect();
        let dropped =
            |name: &str| kernel.iter().filter(|(why, _)| *why == name).map(|(_, n)| n).sum();
        let (own, lost) = (dropped("own_replay"), dropped("ring_full"));
        let http = summary.notes.iter().filter(|note| note.name == "http");
        let connections = http
            .flat_map(|note| &note.counts)
            .filter(|(name, _)| name == "connections")
            .map(|(_, n)| n)
            .sum();
        let (requests, responses) = (seen("requests"), seen("responses"));
        Self { connections, requests, responses, filtered, own, lost }
    }
}

/// The flags whose segments the kernel program counts under this name.
fn filter_of(outcome: &str) -> Option<&'static str> {
    Some(match outcome {
        "other_direction" => "--direction",
        "other_side" => "--side",
        "other_network" => "a network filter (--net, --client-net, --server-net)",
        "sampled_out" => "--sample",
        "not_request" => "--requests-only",
        _ => return None,
    })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { interface, port, well, findings } = self;
        let verdict = if *well { "all is well" } else { "no HTTP/1 request was seen" };
        writeln!(f, "{interface}, port {port}: {verdict}\n")?;
        for Finding { reason, level } in findings {
            let mark = match level {
                Level::Good => "ok   ",
                Level::Note => "note ",
                Level::Hint => "hint ",
                Level::Cause => "CAUSE",
            };
            writeln!(f, "{mark}  {reason}")?;
            if let Some(advice) = reason.advice() {
                writeln!(f, "       → {advice}")?;
            }
        }
        Ok(())
    }
}
