//! Turns the settings of "Filter" and "Guard" into packet filters and resource limits.

use anyhow::ensure;

use crate::filter::{Choice, Nets, Ports, Sample};
use crate::guard::Limits;
use crate::settings::{FilterSettings, GuardSettings, SnaplenPart};

/// The packet filter of the settings.
pub(crate) fn choice(args: &FilterSettings) -> anyhow::Result<Choice> {
    Ok(Choice {
        ports: Ports::of_ranges(args.ports.iter().map(|range| range.first..=range.last)),
        nets: Nets::new(&args.nets, &args.client_nets, &args.server_nets)?,
        direction: args.direction,
        side: args.side,
        sample: args.sample.map(|share| Sample::percent(share.0)).unwrap_or_default(),
        requests_only: args.requests_only,
        snaplen: SnaplenPart::joined(&args.snaplen),
        brief_responses: false,
        every_kind: false,
    })
}

/// True if the filter excludes nothing.
pub(super) fn is_open(choice: &Choice) -> bool {
    // Lists without networks accept all addresses, and are marked so.
    Nets::new(&[], &[], &[]).is_ok_and(|nets| *choice == Choice { nets, ..Choice::default() })
}

/// The resource limits of the settings.
pub(super) fn guard(args: &GuardSettings) -> Limits {
    Limits {
        cpu: args.cpu_limit.map(|percent| percent.0 / 100.0),
        memory: args.memory_limit.map(|bytes| bytes.0),
        shed_load: args.shed_load.unwrap_or_default(),
        min_sample: args.min_sample.map(|percent| percent.0 / 100.0),
        pause_file: args.pause_file.clone(),
    }
}

/// Refuses filters on what capture files do not record.
pub(crate) fn ensure_of_files(choice: &Choice) -> anyhow::Result<()> {
    let why = "capture files do not record the direction of packets; leave it out";
    ensure!(choice.direction.is_none(), "--direction: {why}, or use --requests-only");
    ensure!(choice.side.is_none(), "--side: {why}, or use --server-net");
    Ok(())
}
