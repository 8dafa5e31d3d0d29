//! `mirror doctor --watch`: why no request is seen on a port.
//!
//! Two captures run side by side for a limited time. One is the capture that was asked for, with
//! all stages; it counts the requests that `inspect` would show. The other is the survey, which
//! reads the headers and first bytes of all packets on all interfaces. `diagnose` turns the counts
//! of both into findings.

mod diagnose;
mod evidence;
mod reason;
mod survey;
#[cfg(test)]
mod survey_tests;

use std::fmt;
use std::io::Write;
use std::thread;

use anyhow::{Context, anyhow, ensure};
use mirror_common::Outcome;
use serde::Serialize;

use self::diagnose::diagnose;
use self::evidence::{Capture, Evidence};
use self::reason::{Finding, Level};
use self::survey::{Survey, Surveyed};
use crate::config::Config;
use crate::http::HttpCount;
use crate::priority;
use crate::run;
use crate::shutdown::Stop;
use crate::source::live::Device;
use crate::stats::{Seam, Snapshot, Topic};

/// The result of a watch.
#[derive(Debug, Serialize)]
struct Report {
    interface: String,
    port: String,
    /// Requests were captured.
    well: bool,
    findings: Vec<Finding>,
}

/// Watches `interface` with the filters of `capture` and writes the findings to `out`; true when
/// requests were seen.
///
/// # Errors
/// When the interface cannot be captured.
pub fn run(
    interface: &str,
    capture: Config,
    json: bool,
    out: &mut dyn Write,
) -> anyhow::Result<bool> {
    ensure!(interface != "any", "--watch any: name one interface; the others are surveyed as well");
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
    // Also when the capture ended with an error.
    stop.request();
    let surveyed = surveying.join().map_err(|_| anyhow!("the survey ended early"))?;
    outcome?;
    let surveyed = surveyed.context("the survey of all interfaces")?;
    let findings = diagnose(&evidence(interface, up, &summary.snapshot, surveyed), &ports);
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

/// Joins the counts of both captures.
fn evidence(interface: &str, up: bool, snapshot: &Snapshot, surveyed: Surveyed) -> Evidence {
    let Surveyed { mut places, overlooked } = surveyed;
    let here = places.remove(interface).unwrap_or_default();
    Evidence { up, capture: Capture::of(snapshot), here, elsewhere: places, overlooked }
}

impl Capture {
    /// From the counters of a run.
    fn of(snapshot: &Snapshot) -> Self {
        let seen = |seam| snapshot.account(seam).map_or(0, |account| account.seen);
        let kernel = snapshot.account(Seam::Kernel);
        let dropped = |why: Outcome| kernel.map_or(0, |account| account.dropped_for(why.name()));
        let http = snapshot.note(Topic::Http);
        Self {
            connections: http.map_or(0, |note| note.count(HttpCount::Connections)),
            requests: seen(Seam::Requests),
            responses: seen(Seam::Responses),
            filtered: FILTERS.map(|(why, by)| (by, dropped(why))).into(),
            own: dropped(Outcome::OwnReplay),
            lost: dropped(Outcome::RingFull),
        }
    }
}

/// The kernel's counters for packets that a filter excludes, and the flags that set the filter.
const FILTERS: [(Outcome, &str); 5] = [
    (Outcome::OtherDirection, "--direction"),
    (Outcome::OtherSide, "--side"),
    (Outcome::OtherNetwork, "a network filter (--net, --client-net, --server-net)"),
    (Outcome::SampledOut, "--sample"),
    (Outcome::NotRequest, "--requests-only"),
];

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { interface, port, well, findings } = self;
        let verdict = if *well { "requests are captured" } else { "no HTTP/1 request was seen" };
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
