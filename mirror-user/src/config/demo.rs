//! The configurations of `mirror demo`, whose servers are in this process.

use std::io::Read;
use std::net::SocketAddr;

use mirror_compare::comparison::Options;

use super::compared::Comparing;
use super::outputs::compare::Compared;
use super::outputs::replay::{Bodies, ReplayTarget, replay};
use super::source::Source;
use super::{Config, redact, run_name, store};
use crate::admin::Access;
use crate::dashboard;
use crate::filter::{Choice, Ports};
use crate::rules::sample::Portion;
use crate::rules::tag::Marks;
use crate::settings::{DashboardSettings, RedactSettings};
use crate::sink::compare::Shared;
use crate::sink::replay::{Pace, ReplayOptions, Target, Victim, WhenFull};

/// Where production's packets come from.
pub(crate) enum From {
    /// A capture file or a pipe, as text names it.
    Reader(&'static str, Box<dyn Read + Send>),
    /// This port of `lo`.
    Port(u16),
}

impl From {
    fn open(self) -> (Source, Ports) {
        match self {
            Self::Reader(name, reader) => (Source::Reader { name, reader }, Ports::default()),
            Self::Port(port) => (Source::live("lo".to_owned()), Ports::new(vec![port])),
        }
    }
}

impl Config {
    /// Replays the embedded capture to `shadow`, at full speed.
    pub(crate) fn for_recorded_demo(
        reader: Box<dyn Read + Send>,
        shadow: SocketAddr,
    ) -> anyhow::Result<Self> {
        let to = target(shadow, Pace::Max, WhenFull::Wait)?;
        Ok(Self::for_demo(From::Reader("the embedded capture", reader), to))
    }

    /// Mirrors the traffic of `port` on `lo` to `shadow`.
    pub(crate) fn for_live_demo(port: u16, shadow: SocketAddr) -> anyhow::Result<Self> {
        let to = target(shadow, Pace::Live, WhenFull::Drop(Victim::Newest))?;
        Ok(Self::for_demo(From::Port(port), to))
    }

    /// Compares what production responds with what `candidate` does, and shows it at `page`. The comparison comes back,
    /// too.
    pub(crate) fn for_compared_demo(
        from: From,
        candidate: SocketAddr,
        page: SocketAddr,
    ) -> anyhow::Result<(Self, Shared)> {
        let settings = DashboardSettings { listen: Some(page), ..DashboardSettings::default() };
        let comparing = Comparing::new(&settings, &[], store::for_page()?);
        let Comparing { comparison, redaction, .. } = comparing;
        redaction.set(redact::of_pairs(&RedactSettings::default(), None)?);
        let base_url = format!("http://{candidate}");
        let compared = Compared {
            control: None,
            ask_again: Portion::NONE,
            options: Options { base_url, details: true, ..Options::default() },
            gate: None,
            findings: None,
            comparison: comparison.clone(),
            redaction,
        };
        let to = target(candidate, Pace::Live, WhenFull::Drop(Victim::Newest))?;
        let to = ReplayTarget { compared: Some(compared), ..to };
        let dashboard = dashboard::Options { listen: page, access: Access::Local };
        let shown = Some(comparison.clone());
        let config = Self::for_demo(from, to);
        Ok((Self { comparison: shown, dashboard: Some(dashboard), ..config }, comparison))
    }

    fn for_demo(from: From, to: ReplayTarget) -> Self {
        let (source, ports) = from.open();
        Self::of_parts(source, Choice::of_ports(ports), replay(vec![to], Bodies::default()))
    }
}

fn target(address: SocketAddr, pace: Pace, when_full: WhenFull) -> anyhow::Result<ReplayTarget> {
    let marks = Marks { run: run_name(), ..Marks::default() };
    Ok(ReplayTarget {
        name: None,
        target: Target::parse(&format!("http://{address}"))?,
        // What is shown is found on a busy machine, too.
        options: ReplayOptions { needs_all: true, ..ReplayOptions::new(marks, pace, when_full) },
        compared: None,
        place: 0,
    })
}
