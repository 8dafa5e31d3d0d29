//! The line that moves while a long run goes on; nothing when standard error is no terminal.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressStyle};

use crate::sink::replay::{ReplayMonitor, ReplayProgress};

/// How often the spinner turns.
const TICK: Duration = Duration::from_millis(100);

/// A spinner with counts; hidden by default.
pub struct Progress {
    bar: ProgressBar,
    replay: Option<ReplayMonitor>,
}

impl Default for Progress {
    fn default() -> Self {
        Self { bar: ProgressBar::hidden(), replay: None }
    }
}

impl Progress {
    /// Shown on standard error when that is a terminal; with the replay's numbers when there is
    /// one.
    #[must_use]
    pub fn on_terminal(replay: Option<ReplayMonitor>) -> Self {
        if !io::stderr().is_terminal() {
            return Self::default();
        }
        let bar = ProgressBar::new_spinner().with_style(ProgressStyle::default_spinner());
        bar.enable_steady_tick(TICK);
        Self { bar, replay }
    }

    /// Shows the counts.
    pub fn show(&self, packets: u64, requests: u64) {
        if self.bar.is_hidden() {
            return;
        }
        let mut line =
            format!("{} packets, {} requests", HumanCount(packets), HumanCount(requests));
        if let Some(replay) = &self.replay {
            line.push_str(&replay_part(&replay.progress()));
        }
        self.bar.set_message(line);
    }

    /// Takes the line away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn replay_part(replay: &ReplayProgress) -> String {
    let dropped: u64 = replay.dropped.iter().map(|(_, n)| n).sum();
    let mut part = format!(
        "; shadow: {} answered, {} waiting, {} not delivered",
        HumanCount(replay.answered),
        HumanCount(replay.queued.saturating_add(replay.in_flight)),
        HumanCount(dropped)
    );
    if replay.late.p99 >= Duration::from_secs(1) {
        part.push_str(&format!(", late by up to {}", HumanDuration(replay.late.p99)));
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_what_waits_and_what_failed() {
        let replay = ReplayProgress {
            answered: 1_200,
            queued: 3,
            in_flight: 1,
            dropped: vec![("reset", 2)],
            ..ReplayProgress::default()
        };
        assert_eq!(replay_part(&replay), "; shadow: 1,200 answered, 4 waiting, 2 not delivered");
    }
}
