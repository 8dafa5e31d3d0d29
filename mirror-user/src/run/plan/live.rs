//! The plan against live traffic: captures as a run of the present file would, for some time, and sends
//! nothing.

use std::time::Duration;

use anyhow::ensure;

use super::{ports, stages};
use crate::config::file::File;
use crate::config::source::{Opened, Source};
use crate::confine::{self, Bounds};
use crate::filter::{Choice, Watch};
use crate::pipeline::Front;
use crate::priority;
use crate::privileges::{self, Duty};
use crate::shutdown::Stop;
use crate::tcp::TcpLimits;

/// The stages behind the source of the present file. `stop` is requested after `time`, or by a signal.
///
/// # Errors
/// If that source is no live one, or cannot be attached.
pub(super) fn front(
    present: &File,
    next: &File,
    time: Duration,
    stop: &Stop,
) -> anyhow::Result<Box<dyn Front>> {
    let source = Source::new(&present.source, 1)?;
    ensure!(source.is_live(), "--live: --config names capture files; give them with --against");
    // In the order of a run: confined and without the capabilities of others before any thread starts.
    let bounds = Bounds {
        writes: vec![std::env::temp_dir()],
        connects: Some(source.connects()?.into_iter().collect()),
        listens: Vec::new(),
    };
    confine::confine(&bounds)?;
    priority::give_way();
    privileges::hide_memory()?;
    privileges::keep_for(Duty::Open)?;
    let elsewhere = source.namespace().is_other();
    let Opened { input, .. } = source.open(&Watch::new(choice(present, next)), false)?;
    privileges::keep_for(Duty::Read(elsewhere))?;
    stop.request_at_signals()?;
    stop.request_after(time)?;
    Ok(stages(present, next, input, TcpLimits::default()))
}

/// What either file could want.
fn choice(present: &File, next: &File) -> Choice {
    let [one, two] = [present, next].map(|file| &file.source.filter);
    let agreed = one.side == two.side && one.direction == two.direction;
    Choice {
        side: one.side.filter(|_| agreed),
        direction: one.direction.filter(|_| agreed),
        requests_only: one.requests_only && two.requests_only,
        ..Choice::of_ports(ports(present, next))
    }
}
