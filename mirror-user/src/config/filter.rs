//! Which packets are wanted, and what that may cost: what the flags of "Filter" and "Guard" mean.

use anyhow::ensure;
use mirror_common::Direction;

use crate::cli::{DirectionArg, FilterArgs, GuardArgs, SideArg, SnaplenArg};
use crate::filter::{Choice, Nets, Ports, Sample, Side, Snaplen};
use crate::guard::Limits;

/// What the flags ask for.
pub(crate) fn choice(args: &FilterArgs) -> anyhow::Result<Choice> {
    let mut snaplen = Snaplen::default();
    for part in &args.snaplen {
        match *part {
            SnaplenArg::All(bytes) => snaplen = Snaplen { to_server: bytes, to_client: bytes },
            SnaplenArg::Requests(bytes) => snaplen.to_server = bytes,
            SnaplenArg::Answers(bytes) => snaplen.to_client = bytes,
        }
    }
    Ok(Choice {
        ports: Ports::of_ranges(args.ports.iter().map(|range| range.first..=range.last)),
        nets: Nets::new(&args.nets, &args.client_nets, &args.server_nets)?,
        direction: args.direction.map(|direction| match direction {
            DirectionArg::In => Direction::Ingress,
            DirectionArg::Out => Direction::Egress,
        }),
        side: args.side.map(|side| match side {
            SideArg::Server => Side::Server,
            SideArg::Client => Side::Client,
        }),
        sample: args.sample.map(Sample::percent).unwrap_or_default(),
        requests_only: args.requests_only,
        snaplen,
        every_kind: false,
    })
}

/// True when nothing is kept back.
pub(super) fn is_open(choice: &Choice) -> bool {
    // Lists without networks let all addresses through, and say so.
    Nets::new(&[], &[], &[]).is_ok_and(|nets| *choice == Choice { nets, ..Choice::default() })
}

/// What the flags of "Guard" mean.
pub(super) fn guard(args: &GuardArgs) -> Limits {
    Limits {
        cpu: args.cpu_limit.map(|percent| percent / 100.0),
        memory: args.memory_limit,
        pause_file: args.pause_file.clone(),
    }
}

/// Refuses what capture files do not tell.
pub(crate) fn ensure_of_files(choice: &Choice) -> anyhow::Result<()> {
    let why = "capture files do not tell which way packets went; leave it out";
    ensure!(choice.direction.is_none(), "--direction: {why}, or use --requests-only");
    ensure!(choice.side.is_none(), "--side: {why}, or use --server-net");
    Ok(())
}
