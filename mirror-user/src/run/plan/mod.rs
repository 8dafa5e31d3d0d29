//! `mirror run --plan`: what a new configuration file would send that the present one does not, against a
//! capture, or against live traffic for some time. Nothing is sent. With a capture nothing is attached or
//! opened for writing, and no privileges are needed.
//!
//! In: two files, both valid, and capture files or what the source of the present file sees. Out: a [`Report`]: the settings that differ, and for each
//! target how many requests it gets by either file. Both files judge the same exchanges, as a run would
//! after a reload: the new rules keep the seed of random samples, and the new redactor the key. What
//! depends on time and load is not looked at: ramps, breakers, queues, limits of rates and connections. Nor
//! is what captures do not tell: directions, snap lengths; live, these are captured as far as both files agree.
//!
//! It remembers counts by target and rule, and what reassembly remembers.

mod differences;
mod judge;
mod live;
mod report;

use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use self::judge::Judge;
pub use self::report::Report;
use crate::cli::RunArgs;
use crate::config::command;
use crate::config::file::File;
use crate::config::source::{self, Input};
use crate::decode::{Decoder, Limits};
use crate::filter::{Ports, Watch};
use crate::http::{BodyKeep, HttpOptions, HttpTable, KeepLimits};
use crate::pipeline::{Front, HarFront, Packets, Reading};
use crate::shutdown::Stop;
use crate::tcp::{FlowTable, TcpLimits};

/// A file's reader never waits; what is passed on is what it has.
const WAIT: Duration = Duration::from_millis(20);

/// Compares the two files against the capture.
///
/// # Errors
/// All problems of a file, or a capture that cannot be read.
pub fn run(args: &RunArgs) -> anyhow::Result<Report> {
    let plan = &args.plan;
    let new = plan.plan.as_deref().context("--plan: which file?")?;
    let (present, next) = (read(&args.config)?, read(new)?);
    let mut now = Judge::new(&present, None)?;
    let mut then = Judge::new(&next, Some(&now))?;
    let mut report = Report::new(&present, &next);
    let stop = Stop::default();
    let mut front = match plan.live {
        Some(time) => live::front(&present, &next, time, &stop)?,
        None => {
            let input = source::recorded(&plan.against)?;
            stages(&present, &next, input, TcpLimits::for_files())
        }
    };
    let mut exchanges = Vec::new();
    loop {
        let reading = front.read(WAIT, &mut exchanges)?;
        if stop.requested() {
            front.stop();
        }
        if reading == Reading::End {
            front.finish(&mut exchanges)?;
        }
        for exchange in exchanges.drain(..).filter(|exchange| exchange.is_first_moment()) {
            report.count(&now.sends(&exchange), &then.sends(&exchange));
        }
        if reading == Reading::End {
            return Ok(report);
        }
    }
}

fn read(path: &Path) -> anyhow::Result<File> {
    command::parse_for_run(path, &command::text(path)?)
}

/// The ports of both files.
fn ports(present: &File, next: &File) -> Ports {
    let ports = [present, next].map(|file| &file.source.filter.ports);
    match ports.iter().any(|ports| ports.is_empty()) {
        true => Ports::default(),
        false => {
            let ranges = ports.into_iter().flatten();
            Ports::of_ranges(ranges.map(|range| range.first..=range.last))
        }
    }
}

/// The stages that find everything in the source that either file could want.
fn stages(present: &File, next: &File, input: Input, limits: TcpLimits) -> Box<dyn Front> {
    let files = [present, next];
    let server_ports = ports(present, next);
    let total = files.map(File::longest_body).into_iter().max().unwrap_or_default();
    let request_body = BodyKeep::Keep(KeepLimits { total, ..KeepLimits::default() });
    let http = HttpTable::new(HttpOptions { request_body, ..HttpOptions::default() });
    match input {
        Input::Packets(source) => {
            let flows = FlowTable::new(TcpLimits { server_ports, ..limits });
            Box::new(Packets::new(source, Decoder::new(Limits::default()), flows, http))
        }
        Input::Har(reader) => Box::new(HarFront::new(reader, Watch::default(), http)),
        Input::Stream(stream) => stream.into_front(Watch::default(), http),
    }
}
