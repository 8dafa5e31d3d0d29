//! The progress line of a long run, on standard error; hidden unless that is a terminal.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::style::ProgressTracker;
use indicatif::{HumanCount, ProgressBar, ProgressState, ProgressStyle};

use crate::sink::replay::{ReplayMonitor, ReplayProgress, short};

/// How often the spinner turns.
const TICK: Duration = Duration::from_millis(100);

/// The time over which a rate is measured: long enough that the number can be read.
const RATE_SPAN: Duration = Duration::from_secs(1);

/// A spinner with counts; hidden by default. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Progress {
    bar: ProgressBar,
}

impl Default for Progress {
    fn default() -> Self {
        Self { bar: ProgressBar::hidden() }
    }
}

impl Progress {
    /// A line that is shown if standard error is a terminal.
    #[must_use]
    pub fn on_terminal() -> Self {
        if !io::stderr().is_terminal() {
            return Self::default();
        }
        let progress = Self { bar: ProgressBar::new_spinner() };
        progress.show_replays(Vec::new());
        progress.bar.enable_steady_tick(TICK);
        progress
    }

    /// The same, but hidden where exchanges are printed on the same terminal: they would break the line,
    /// and show progress themselves.
    #[must_use]
    pub fn beside_output() -> Self {
        if io::stdout().is_terminal() { Self::default() } else { Self::on_terminal() }
    }

    /// From now on, shows the counters of these replays, one for each target.
    pub fn show_replays(&self, replays: Vec<ReplayMonitor>) {
        let replays = replays.into_iter().map(ReplayPart::new).collect();
        let style = ProgressStyle::with_template("{spinner} {msg}{replays}")
            .expect("the template is well-formed")
            .with_key("replays", ReplayParts(replays));
        self.bar.set_style(style);
    }

    /// Shows how many packets and requests were read so far.
    pub fn show(&self, packets: u64, requests: u64) {
        if !self.bar.is_hidden() {
            let line =
                format!("{} packets, {} requests", HumanCount(packets), HumanCount(requests));
            self.bar.set_message(line);
        }
    }

    /// Removes the line.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// The replays' part of the line. The spinner's own thread asks for it, so that the line changes
/// while the pipeline waits for a target.
#[derive(Clone)]
struct ReplayParts(Vec<ReplayPart>);

#[derive(Clone)]
struct ReplayPart {
    monitor: ReplayMonitor,
    /// When the rate was last measured, and how many requests had been sent by then.
    measured: Option<(Instant, u64)>,
    /// Requests per second.
    rate: f64,
}

impl ReplayPart {
    fn new(monitor: ReplayMonitor) -> Self {
        Self { monitor, measured: None, rate: 0.0 }
    }

    fn measure(&mut self, now: Instant) {
        let sent = self.monitor.progress().sent;
        let (then, before) = *self.measured.get_or_insert((now, sent));
        let span = now.saturating_duration_since(then);
        if span >= RATE_SPAN {
            self.rate = sent.saturating_sub(before) as f64 / span.as_secs_f64();
            self.measured = Some((now, sent));
        }
    }
}

impl ProgressTracker for ReplayParts {
    fn clone_box(&self) -> Box<dyn ProgressTracker> {
        Box::new(self.clone())
    }

    fn tick(&mut self, _: &ProgressState, now: Instant) {
        self.0.iter_mut().for_each(|part| part.measure(now));
    }

    fn reset(&mut self, _: &ProgressState, _: Instant) {}

    fn write(&self, _: &ProgressState, line: &mut dyn fmt::Write) {
        for part in &self.0 {
            // Nothing else can be done about a line that cannot be written.
            let _ = line.write_str(&replay_part(&part.monitor.progress(), part.rate));
        }
    }
}

fn replay_part(replay: &ReplayProgress, rate: f64) -> String {
    let mut part = format!(
        "; shadow: {rate:.0}/s, {} in flight, {} waiting",
        HumanCount(replay.in_flight),
        HumanCount(replay.queued)
    );
    for (class, count) in (1..).zip(replay.classes).filter(|(_, count)| *count > 0) {
        // Writing to a String cannot fail.
        let _ = write!(part, ", {class}xx {}", HumanCount(count));
    }
    if replay.answered > 0 {
        let response = replay.response;
        let _ = write!(part, ", p50 {} p99 {}", short(response.p50), short(response.p99));
    }
    if let Some(next) = replay.next_in {
        let next = Duration::from_secs(next.as_secs());
        let _ = write!(part, ", next in {}", humantime::format_duration(next));
    }
    if replay.late.p99 >= Duration::from_millis(10) {
        let _ = write!(part, ", late by {}", short(replay.late.p99));
    }
    for (why, count) in &replay.dropped {
        let _ = write!(part, ", {why} {}", HumanCount(*count));
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::replay::Quantiles;

    #[test]
    fn the_line_shows_rate_responses_times_and_drops() {
        let times = |p50, p99| Quantiles {
            p50: Duration::from_micros(p50),
            p99: Duration::from_micros(p99),
            ..Quantiles::default()
        };
        let replay = ReplayProgress {
            answered: 1_200,
            queued: 3,
            in_flight: 1,
            classes: [0, 1_199, 0, 0, 1],
            response: times(300, 2_000),
            late: times(0, 15_000),
            next_in: Some(Duration::from_millis(90_500)),
            dropped: vec![("reset", 2)],
            ..ReplayProgress::default()
        };
        assert_eq!(
            replay_part(&replay, 999.6),
            "; shadow: 1000/s, 1 in flight, 3 waiting, 2xx 1,199, 5xx 1, p50 300us p99 2.00ms, next in 1m 30s, late by 15.0ms, reset 2"
        );
    }
}
