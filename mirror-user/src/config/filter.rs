//! Which packets are wanted, and what that may cost: what the settings of "Filter" and "Guard" mean.

use anyhow::ensure;

use crate::filter::{Choice, Nets, Ports, Sample};
use crate::guard::Limits;
use crate::settings::{FilterSettings, GuardSettings, SnaplenPart};

/// The packets that the settings ask for.
pub(crate) fn choice(args: &FilterSettings) -> anyhow::Result<Choice> {
    Ok(Choice {
        ports: Ports::of_ranges(args.ports.iter().map(|range| range.first..=range.last)),
        nets: Nets::new(&args.nets, &args.client_nets, &args.server_nets)?,
        direction: args.direction,
        side: args.side,
        sample: args.sample.map(|share| Sample::percent(share.0)).unwrap_or_default(),
        requests_only: args.requests_only,
        snaplen: SnaplenPart::joined(&args.snaplen),
        every_kind: false,
    })
}

/// True when nothing is kept back.
pub(super) fn is_open(choice: &Choice) -> bool {
    // Lists without networks let all addresses through, and say so.
    Nets::new(&[], &[], &[]).is_ok_and(|nets| *choice == Choice { nets, ..Choice::default() })
}

/// The limits that the settings ask for.
pub(super) fn guard(args: &GuardSettings) -> Limits {
    Limits {
        cpu: args.cpu_limit.map(|percent| percent.0 / 100.0),
        memory: args.memory_limit.map(|bytes| bytes.0),
        pause_file: args.pause_file.clone(),
    }
}

/// Refuses what capture files do not record.
pub(crate) fn ensure_of_files(choice: &Choice) -> anyhow::Result<()> {
    let why = "capture files do not record which way packets went; leave it out";
    ensure!(choice.direction.is_none(), "--direction: {why}, or use --requests-only");
    ensure!(choice.side.is_none(), "--side: {why}, or use --server-net");
    Ok(())
}
