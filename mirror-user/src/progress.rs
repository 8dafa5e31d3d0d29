//! The line that moves while a long run goes on; nothing when standard error is no terminal.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A spinner with counts.
#[derive(Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// Shown on standard error when that is a terminal and `wanted`; a run that prints its
    /// exchanges to a terminal does not want it in between.
    #[must_use]
    pub fn new(wanted: bool) -> Self {
        if !wanted || !io::stderr().is_terminal() {
            return Self(ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()));
        }
        let bar = ProgressBar::new_spinner();
        bar.set_style(ProgressStyle::default_spinner());
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(bar)
    }

    /// Shows the counts.
    pub fn show(&self, packets: u64, requests: u64) {
        if !self.0.is_hidden() {
            self.0.set_message(format!(
                "{} packets, {} requests",
                HumanCount(packets),
                HumanCount(requests)
            ));
        }
    }

    /// Takes the line away.
    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}
