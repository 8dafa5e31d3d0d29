//! The events of the log: their names, which are stable, and their levels.

use strum::{EnumIter, IntoEnumIterator, IntoStaticStr};
use tracing::Level;

/// What happened. The name in snake case is the `event` of a JSON line; the table of `docs/guide.md` lists
/// all of them.
#[derive(Clone, Copy, Debug, EnumIter, Hash, IntoStaticStr, PartialEq, Eq)]
#[strum(serialize_all = "snake_case")]
#[expect(missing_docs, reason = "docs/guide.md says of each what it means, which a test holds")]
pub enum Event {
    // The command.
    RunFailed,
    RunWarning,
    RepeatsLeftOut,
    PrivilegesKept,
    HookDone,
    // The dashboard.
    DashboardListening,
    DashboardStays,
    DashboardFailed,
    // The store of compared pairs.
    StoreFailed,
    // The configuration file.
    ConfigInvalid,
    ConfigFellBack,
    ConfigReloaded,
    ConfigUnchanged,
    ConfigRefused,
    ConfigNeedsRestart,
    ConfigStateNotWritten,
    // Live capture.
    Attached,
    FilterReattached,
    ForeignFilterFirst,
    CaptureLost,
    CaptureRecovered,
    LeftoversRemoved,
    InterfaceAttached,
    InterfaceGone,
    InterfaceSkipped,
    CgroupAttached,
    CgroupGone,
    PodAttached,
    PodReleased,
    PodMissed,
    PodRefused,
    PodsWatched,
    PodsUnwatched,
    NamespaceEntered,
    NamespaceGone,
    // The kernel program, of single packets.
    KernelPacketLost,
    KernelPacket,
    KernelPacketIgnored,
    // The guard.
    CopyingPaused,
    CopyingResumed,
    SampleLowered,
    SampleRaised,
    GuardFailed,
    // The stub server.
    StubListening,
    StubAuthorityMade,
    StubHandshakeFailed,
    StubMissed,
    StubFailed,
    // The admin endpoint.
    AdminListening,
    AdminFailed,
    // Targets.
    TargetUnreachable,
    TargetUnverified,
    BreakerOpened,
    BreakerClosed,
    RampStopped,
    HostsRefused,
    ConnectionsReduced,
    DescriptorsExhausted,
    RequestsLate,
    ReplayPauses,
    // The export of traces and metrics.
    OtlpFailed,
    // The broker.
    BrokerReady,
    BrokerAway,
    BrokerBack,
    ShardLost,
    MessageParked,
    OtlpUnavailable,
}

impl Event {
    /// Its name in snake case.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// How much it matters: *error*, something asked for is not done; *warn*, it is done in part or
    /// needs the operator; *info*, a change of state.
    #[must_use]
    pub(crate) const fn level(self) -> Level {
        match self {
            Self::RunFailed
            | Self::ConfigInvalid
            | Self::ConfigRefused
            | Self::CaptureLost
            | Self::AdminFailed
            | Self::DashboardFailed
            | Self::StoreFailed
            | Self::StubFailed => Level::ERROR,
            Self::RunWarning
            | Self::RepeatsLeftOut
            | Self::PrivilegesKept
            | Self::ConfigFellBack
            | Self::ConfigNeedsRestart
            | Self::ConfigStateNotWritten
            | Self::FilterReattached
            | Self::ForeignFilterFirst
            | Self::InterfaceSkipped
            | Self::PodMissed
            | Self::PodRefused
            | Self::PodsUnwatched
            | Self::KernelPacketLost
            | Self::SampleLowered
            | Self::GuardFailed
            | Self::TargetUnreachable
            | Self::TargetUnverified
            | Self::BreakerOpened
            | Self::RampStopped
            | Self::HostsRefused
            | Self::ConnectionsReduced
            | Self::DescriptorsExhausted
            | Self::StubHandshakeFailed
            | Self::StubMissed
            | Self::RequestsLate
            | Self::OtlpFailed
            | Self::BrokerAway
            | Self::ShardLost
            | Self::MessageParked
            | Self::OtlpUnavailable => Level::WARN,
            Self::HookDone
            | Self::DashboardListening
            | Self::DashboardStays
            | Self::BrokerReady
            | Self::BrokerBack
            | Self::ConfigReloaded
            | Self::ConfigUnchanged
            | Self::Attached
            | Self::CaptureRecovered
            | Self::LeftoversRemoved
            | Self::InterfaceAttached
            | Self::InterfaceGone
            | Self::CgroupAttached
            | Self::CgroupGone
            | Self::PodAttached
            | Self::PodReleased
            | Self::PodsWatched
            | Self::NamespaceEntered
            | Self::NamespaceGone
            | Self::CopyingPaused
            | Self::CopyingResumed
            | Self::SampleRaised
            | Self::BreakerClosed
            | Self::StubListening
            | Self::StubAuthorityMade
            | Self::AdminListening
            | Self::ReplayPauses => Level::INFO,
            Self::KernelPacket => Level::DEBUG,
            Self::KernelPacketIgnored => Level::TRACE,
        }
    }

    /// Whether its repeats are limited. Debugging is not, as who asks for each packet gets each packet, nor
    /// is what a run reports once, at its end.
    pub(super) fn is_limited(self) -> bool {
        self.level() <= Level::INFO && !matches!(self, Self::RunFailed | Self::RunWarning)
    }

    /// The event of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::iter().find(|event| event.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    /// The rows of the table of events: name and level.
    fn documented() -> BTreeSet<(String, String)> {
        let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guide.md");
        let guide = fs::read_to_string(guide).unwrap();
        let section = guide.split("### Events\n").nth(1).expect("the guide has a table of events");
        let section = section.split("\n#").next().unwrap();
        let cells = section.lines().filter_map(|line| line.strip_prefix("| `"));
        cells
            .map(|row| {
                let mut cells = row.split(" | ");
                let name = cells.next().unwrap().trim_end_matches('`');
                (name.to_owned(), cells.next().unwrap().to_owned())
            })
            .collect()
    }

    #[test]
    fn the_guide_lists_every_event_with_its_level_and_no_other() {
        let level = |event: Event| event.level().as_str().to_ascii_lowercase();
        let defined = Event::iter().map(|event| (event.name().to_owned(), level(event))).collect();
        assert_eq!(documented(), defined);
    }

    fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { sources(&path, found) } else { found.push(path) }
        }
    }

    #[test]
    fn every_event_is_emitted_somewhere() {
        let mut files = Vec::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
        let code = |file: &PathBuf| {
            let text = fs::read_to_string(file).unwrap();
            text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned()
        };
        let text: String = files.iter().map(code).collect();
        let first_word = |rest: &str| -> String {
            rest.trim_start().chars().take_while(char::is_ascii_alphanumeric).collect()
        };
        let mut emitted: BTreeSet<String> = text.split("emit!(").skip(1).map(first_word).collect();
        // What the log itself reports.
        emitted.insert("RepeatsLeftOut".into());
        let missing: Vec<_> =
            Event::iter().filter(|event| !emitted.contains(&format!("{event:?}"))).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
