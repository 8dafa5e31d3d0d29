//! Whether a run does what it was started for, and if not, why.

use std::fmt;

use strum::{EnumIter, IntoEnumIterator, IntoStaticStr};

use super::figures::{Capture, Figures};
use crate::sink::replay::{BreakerState, ReplayFigures, TargetHealth};
use crate::stats::{Account, Seam};

/// So many packets of the captured ports are traffic; the last ones of a connection that was open
/// before are fewer.
const TRAFFIC_PACKETS: u64 = 100;

/// Why the kernel program does not copy packets of captured ports that carry something: filters. A
/// sample and a pause are left out, as they are meant to take everything for a time.
const LEFT_OUT: [&str; 4] = ["other_direction", "other_side", "other_network", "not_request"];

/// Why a run is not ready. The name is the label `reason` of `mirror_not_ready`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum NotReady {
    /// The run is to end.
    Stopping,
    /// No interface and no cgroup is attached to, or one that is there cannot be captured.
    NotAttached,
    /// The ring has not been read for a second.
    RingUnread,
    /// The configuration file was refused; an earlier one is in effect.
    ConfigInvalid,
    /// The API server has not said yet which pods there are.
    PodsUnknown,
    /// None of the targets answers.
    NoTargetReached,
    /// So many of a target's requests fail that its `health.errors` is reached.
    TargetFails,
    /// There is traffic on the captured ports, and no request was seen.
    NothingCaptured,
}

/// A reason with its details.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotReadyBecause {
    /// The reason.
    pub reason: NotReady,
    details: String,
}

/// `not_attached: eth0: not captured any more`.
impl fmt::Display for NotReadyBecause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason: &str = self.reason.into();
        write!(f, "{reason}: {}", self.details)
    }
}

impl Figures {
    /// All reasons why the run is not ready; none if it is.
    #[must_use]
    pub fn not_ready(&self) -> Vec<NotReadyBecause> {
        let because =
            |reason| self.details(reason).map(|details| NotReadyBecause { reason, details });
        NotReady::iter().filter_map(because).collect()
    }

    /// The details, if the reason holds.
    fn details(&self, reason: NotReady) -> Option<String> {
        match reason {
            NotReady::Stopping => self.is_stopping.then(|| "the run is to end".to_owned()),
            NotReady::NotAttached => self.capture.as_ref().and_then(not_attached),
            NotReady::RingUnread => (self.is_stalled && self.capture.is_some())
                .then(|| "the ring has not been read for 1 s".to_owned()),
            NotReady::ConfigInvalid => self
                .reloads
                .filter(|reloads| reloads.is_invalid)
                .map(|_| "the file was refused; the last valid one is in effect".to_owned()),
            NotReady::PodsUnknown => self.capture.as_ref().and_then(pods_unknown),
            NotReady::NoTargetReached => no_target_reached(&self.targets),
            NotReady::TargetFails => target_fails(&self.targets),
            NotReady::NothingCaptured => {
                self.capture.as_ref().and_then(|_| self.nothing_captured())
            }
        }
    }

    fn nothing_captured(&self) -> Option<String> {
        let seen = |seam| self.snapshot.account(seam).map_or(0, |account: &Account| account.seen);
        if seen(Seam::Requests) > 0 {
            return None;
        }
        let kernel = self.snapshot.account(Seam::Kernel)?;
        if kernel.delivered >= TRAFFIC_PACKETS {
            let packets = kernel.delivered;
            return Some(format!(
                "{packets} packets of the ports were captured and no request was found in them; \
                 `mirror doctor --watch` says why"
            ));
        }
        let left_out = kernel.losses().into_iter().filter(|(why, _)| LEFT_OUT.contains(why));
        let left_out: Vec<(&str, u64)> = left_out.collect();
        let sum = left_out.iter().fold(0_u64, |sum, (_, n)| sum.saturating_add(*n));
        if kernel.delivered > 0 || sum < TRAFFIC_PACKETS {
            return None;
        }
        let reasons: Vec<String> = left_out.iter().map(|(why, n)| format!("{why} {n}")).collect();
        Some(format!(
            "none of the {sum} packets of the ports was captured ({}); \
             `mirror doctor --watch` says why",
            reasons.join(", ")
        ))
    }
}

fn not_attached(capture: &Capture) -> Option<String> {
    match (capture.lost.as_slice(), capture.attached) {
        // On a node without such pods there is nothing to do, and a rollout goes on.
        ([], 0) if capture.pods.is_some() => None,
        ([], 0) => Some("none of what is to be captured is there".to_owned()),
        ([], _) => None,
        (lost, _) => Some(format!("{}: not captured any more", lost.join(", "))),
    }
}

fn pods_unknown(capture: &Capture) -> Option<String> {
    let pods = capture.pods.as_ref().filter(|pods| !pods.is_listed)?;
    let met = pods.problems.iter().filter(|(_, count)| **count > 0);
    let met: Vec<String> =
        met.map(|(problem, count)| format!("{} {count}", <&str>::from(problem))).collect();
    let why = if met.is_empty() { "not asked yet".to_owned() } else { met.join(", ") };
    Some(format!("the API server has not listed this node's pods ({why})"))
}

/// Targets that ended are not asked for.
fn no_target_reached(targets: &[ReplayFigures]) -> Option<String> {
    let mut running = targets.iter().filter(|target| target.is_running).peekable();
    running.peek()?;
    let states: Option<Vec<String>> = running.map(unreached).collect();
    states.map(|states| states.join("; "))
}

/// Why a target is not reached; `None` if it is, or nothing was sent to it yet.
fn unreached(target: &ReplayFigures) -> Option<String> {
    let name = target.account.target.as_deref().unwrap_or_default();
    if target.breaker != BreakerState::Closed {
        return Some(format!("{name}: the circuit breaker is open"));
    }
    let never = target.account.delivered == 0 && target.failed > 0;
    never.then(|| format!("{name}: none of {} requests was answered", target.failed))
}

/// Of targets that are held to a limit. One to which nothing is sent any more, because it failed, still fails.
fn target_fails(targets: &[ReplayFigures]) -> Option<String> {
    let failing = |target: &ReplayFigures| {
        let why = match (target.health?, target.breaker) {
            (TargetHealth::Failing { failed, all }, _) => {
                format!("{failed} of the last {all} requests failed")
            }
            (TargetHealth::Well, _) if target.ramp == 0.0 => "its ramp has stopped".to_owned(),
            (TargetHealth::Well, BreakerState::Closed) => return None,
            (TargetHealth::Well, _) => "the circuit breaker is open".to_owned(),
        };
        Some(format!("{}: {why}", target.account.target.as_deref().unwrap_or_default()))
    };
    let failing: Vec<String> =
        targets.iter().filter(|target| target.is_running).filter_map(failing).collect();
    (!failing.is_empty()).then(|| failing.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::Reloads;
    use crate::source::live::pods::WatchProblem;
    use crate::source::live::{Copying, PodFigures};
    use crate::stats::Snapshot;

    fn capture() -> Capture {
        Capture {
            hook: "TCX",
            attached: 1,
            lost: Vec::new(),
            ring_bytes: 1 << 20,
            waiting_bytes: 0,
            copying: Copying { sample: 1.0, paused: false },
            pods: None,
        }
    }

    fn kernel(delivered: u64, other_side: u64, requests: u64) -> Snapshot {
        let dropped = vec![("other_side", other_side), ("not_watched", 5_000)];
        let seen = delivered + other_side + 5_000;
        let kernel = Account { seen, delivered, dropped, ..Account::new(Seam::Kernel) };
        let requests = Account { seen: requests, ..Account::new(Seam::Requests) };
        Snapshot { accounts: vec![kernel, requests], notes: Vec::new() }
    }

    fn figures(snapshot: Snapshot) -> Figures {
        let reloads = Some(Reloads::default());
        Figures { capture: Some(capture()), reloads, ..Figures::of_files(snapshot) }
    }

    fn target(breaker: BreakerState, failed: u64, delivered: u64) -> ReplayFigures {
        let account = Account {
            target: Some("staging".into()),
            delivered,
            ..Account::new(Seam::ShadowRequests)
        };
        ReplayFigures { breaker, failed, ..ReplayFigures::new(account) }
    }

    fn reasons(figures: &Figures) -> Vec<String> {
        figures.not_ready().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_run_that_captures_and_sends_is_ready() {
        let mut fine = figures(kernel(1_000, 0, 10));
        assert_eq!(reasons(&fine), [""; 0]);
        fine.targets = vec![target(BreakerState::Open, 3, 9), target(BreakerState::Closed, 9, 1)];
        assert_eq!(reasons(&fine), [""; 0], "one target suffices");
    }

    #[test]
    fn every_reason_is_told() {
        let mut bad = figures(kernel(100, 0, 0));
        bad.is_stopping = true;
        bad.is_stalled = true;
        let pods = Some(PodFigures::default());
        bad.capture = Some(Capture { attached: 0, lost: vec!["eth0".into()], pods, ..capture() });
        bad.reloads = Some(Reloads { is_invalid: true, ..Reloads::default() });
        bad.targets =
            vec![target(BreakerState::HalfOpen, 3, 9), target(BreakerState::Closed, 4, 0)];
        bad.targets[1].health = Some(TargetHealth::Failing { failed: 4, all: 4 });
        let told = reasons(&bad);
        let names: Vec<&str> = told.iter().filter_map(|it| it.split(':').next()).collect();
        let all: Vec<&str> = NotReady::iter().map(Into::into).collect();
        assert_eq!(names, all);
        assert!(told[1].ends_with("eth0: not captured any more"), "{told:?}");
        assert!(told[5].contains("none of 4 requests was answered"), "{told:?}");
    }

    #[test]
    fn a_target_that_is_held_to_a_limit_fails_also_when_nothing_is_sent_to_it_any_more() {
        let with = |health, breaker, ramp| {
            let fine = target(BreakerState::Closed, 0, 9);
            let one = ReplayFigures { health, ramp, ..target(breaker, 3, 9) };
            reasons(&Figures { targets: vec![fine, one], ..figures(kernel(9, 0, 9)) })
        };
        assert_eq!(with(None, BreakerState::Open, 0.0), [""; 0], "it is not");
        let well = Some(TargetHealth::Well);
        assert_eq!(with(well, BreakerState::Closed, 0.01), [""; 0]);
        let failing = Some(TargetHealth::Failing { failed: 30, all: 90 });
        let told = with(failing, BreakerState::Closed, 1.0);
        assert_eq!(told, ["target_fails: staging: 30 of the last 90 requests failed"]);
        let told = with(well, BreakerState::HalfOpen, 1.0);
        assert_eq!(told, ["target_fails: staging: the circuit breaker is open"]);
        let told = with(well, BreakerState::Closed, 0.0);
        assert_eq!(told, ["target_fails: staging: its ramp has stopped"]);
    }

    #[test]
    fn traffic_that_filters_leave_out_is_told_and_that_of_other_ports_is_not() {
        assert!(reasons(&figures(kernel(0, 99, 0))).is_empty());
        let told = reasons(&figures(kernel(0, 100, 0)));
        assert!(told[0].contains("none of the 100 packets") && told[0].contains("other_side 100"));
        assert!(reasons(&figures(kernel(1, 100, 1))).is_empty());
        let from_a_file = Figures { capture: None, is_stalled: true, ..figures(kernel(0, 100, 0)) };
        assert!(reasons(&from_a_file).is_empty());
    }

    #[test]
    fn nothing_attached_is_not_ready() {
        let gone = Capture { attached: 0, ..capture() };
        let told = reasons(&Figures { capture: Some(gone), ..figures(kernel(0, 0, 0)) });
        assert_eq!(told, ["not_attached: none of what is to be captured is there"]);
    }

    #[test]
    fn a_node_without_such_pods_is_ready_once_that_is_known() {
        let with = |pods| Capture { attached: 0, pods: Some(pods), ..capture() };
        let told =
            |pods| reasons(&Figures { capture: Some(with(pods)), ..figures(kernel(0, 0, 0)) });
        let mut pods = PodFigures::default();
        pods.problems[WatchProblem::Forbidden] = 3;
        let unknown = "pods_unknown: the API server has not listed this node's pods (forbidden 3)";
        assert_eq!(told(pods.clone()), [unknown]);
        assert_eq!(told(PodFigures { is_listed: true, ..pods }), [""; 0]);
    }
}
