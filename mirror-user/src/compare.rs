//! `mirror compare`: production's responses against a candidate's.
//!
//! Two recordings are read one after the other: the candidate's into memory, then production's, whose exchanges are
//! compared as they come. Or requests are replayed to the candidate, and its responses compared. A dashboard shows it
//! meanwhile, and stays at the end. What was compared may be kept in a store, and judged again later without sending
//! anything. The report goes to the terminal and to the files that were asked for; the gate decides the exit code.

use std::io::{BufWriter, Write};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use mirror_compare::gate::Outcome;
use mirror_compare::report::html::Page;
use mirror_compare::report::table::Table;
use mirror_compare::report::{Report, junit};

use crate::cli::CompareArgs;
use crate::config::compare::{CompareConfig, Reports, Stored};
use crate::dashboard::{Dashboard, Serving, Watched};
use crate::logging::{self, emit};
use crate::run;
use crate::shutdown::Stop;
use crate::sink::compare::store::Store;
use crate::sink::compare::{self as sink, Shared};

/// How late Ctrl-C is noticed when there is nothing else to do.
const LOOK: Duration = Duration::from_millis(100);

/// Runs it; the exit code.
///
/// # Errors
/// What is wrong with the command line or the recordings, and what cannot be written.
pub fn run(args: &CompareArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let CompareConfig { runs, comparison, stored, gate, reports, dashboard } =
        CompareConfig::new(args)?;
    let stop = Stop::on_signals()?;
    stop.on_hangup()?;
    // Before it is confined, so that a port that is taken is told before anything else.
    let mut dashboard = dashboard.map(Dashboard::bind).transpose()?;
    let (watched, mut serving) = (Watched::new(comparison.clone()), None);
    for config in runs {
        run::confine(&config)?;
        let run = run::start(config, &stop)?;
        watched.run(run.counters());
        if let Some(dashboard) = dashboard.take() {
            serving = Some(dashboard.serve(Arc::clone(&watched))?);
        }
        let (summary, outcome) = run.to_end(&stop);
        summary.warnings.iter().for_each(|warning| logging::warning(warning));
        outcome?;
    }
    if let Some(stored) = stored {
        stored.store.start()?;
        if let Some(dashboard) = dashboard.take() {
            serving = Some(dashboard.serve(Arc::clone(&watched))?);
        }
        judge(stored, &comparison, &stop)?;
    }
    watched.end();
    let report = comparison.lock().report();
    write(&report, reports, out)?;
    out.flush()?;
    let gate = gate.or_else(|| comparison.gate());
    let outcome = gate.map(|gate| gate.judge(&report));
    if let Some(outcome) = &outcome {
        tell(outcome);
    }
    if let Some(serving) = serving.filter(|_| !stop.requested()) {
        stay(&serving, &stop);
    }
    // What could not be stored is no reason to lose the report.
    comparison.store().map_or(Ok(()), Store::close)?;
    Ok(outcome.map_or(0, |outcome| outcome.exit_code()))
}

/// Judges what is stored.
fn judge(stored: Stored, comparison: &Shared, stop: &Stop) -> anyhow::Result<()> {
    let Stored { mut anew, mut findings, .. } = stored;
    anew.pass(comparison, |finding| {
        sink::write(&mut findings, finding)?;
        Ok(if stop.requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    sink::flush(&mut findings)
}

/// Keeps the dashboard until the stop is requested.
fn stay(serving: &Serving, stop: &Stop) {
    let address = serving.address();
    emit!(
        DashboardStays,
        address = %address,
        "dashboard: all is compared; http://{address}/ stays until Ctrl-C"
    );
    while !stop.requested() {
        thread::park_timeout(LOOK);
    }
}

fn write(report: &Report, to: Reports, out: &mut dyn Write) -> anyhow::Result<()> {
    if let Some(file) = to.junit {
        let mut file = BufWriter::new(file);
        junit::write(report, &mut file)
            .and_then(|()| file.flush())
            .context("--junit: it takes no more")?;
    }
    if let Some(file) = to.html {
        let mut file = BufWriter::new(file);
        write!(file, "{}", Page(report))
            .and_then(|()| file.flush())
            .context("--html: it takes no more")?;
    }
    if to.json {
        writeln!(out, "{}", serde_json::to_string(report)?)?;
    } else {
        write!(out, "{}", Table(report))?;
    }
    Ok(())
}

/// On standard error, beside what a program reads.
fn tell(outcome: &Outcome) {
    match outcome {
        Outcome::Passed => {}
        Outcome::Failed(reasons) => {
            reasons.iter().for_each(|why| logging::warning(&format!("gate: {why}")))
        }
        Outcome::NotEnough(reasons) => {
            reasons
                .iter()
                .for_each(|why| logging::warning(&format!("gate: not enough data: {why}")));
        }
    }
}
