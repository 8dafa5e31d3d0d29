//! Events become lines that are written.

use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tracing::Subscriber;
use tracing_subscriber::layer::{Context, Layer};

use super::line::Line;
use super::options::Format;
use super::repeats::Repeats;

/// Writes a line for each event. Clones write to the same place.
#[derive(Clone)]
pub(super) struct Writer(Arc<Mutex<State>>);

struct State {
    format: Format,
    to: Box<dyn Write + Send>,
    repeats: Repeats,
}

impl Writer {
    pub(super) fn new(format: Format, to: Box<dyn Write + Send>) -> Self {
        Self(Arc::new(Mutex::new(State { format, to, repeats: Repeats::default() })))
    }

    /// Writes what was left out of all windows; says how much was left out altogether.
    pub(super) fn finish(&self) -> u64 {
        let mut state = self.state();
        let left_out = state.repeats.close(|_| true);
        left_out.iter().for_each(|line| state.write(line));
        state.repeats.left_out()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, line: &Line, now: Instant) {
        let left_out = self.repeats.close(|opened| Repeats::is_over(opened, now));
        left_out.iter().for_each(|line| self.write(line));
        if self.repeats.passes(line.event, line.object(), now) {
            self.write(line);
        }
    }

    fn write(&mut self, line: &Line) {
        let mut text = match self.format {
            Format::Text => line.text(),
            Format::Json => line.json(),
        };
        text.push('\n');
        // At once, so that lines of several processes do not mix. Where the terminal has closed or the
        // reader of the pipe has ended, nobody is left to report it to, and the run goes on.
        let _ = self.to.write_all(text.as_bytes());
    }
}

impl<S: Subscriber> Layer<S> for Writer {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if let Some(line) = Line::read(event) {
            self.state().take(&line, now());
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "repeats are limited in wall time, on no packet's way"
)]
fn now() -> Instant {
    Instant::now()
}

/// Keeps what is emitted, for tests.
#[cfg(test)]
#[derive(Clone, Default)]
pub(super) struct Capture(Arc<Mutex<Vec<Line>>>);

#[cfg(test)]
impl Capture {
    pub(super) fn take(&self) -> Vec<Line> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

#[cfg(test)]
impl<S: Subscriber> Layer<S> for Capture {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        self.0.lock().unwrap().extend(Line::read(event));
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::registry;

    use super::super::emit;
    use super::*;

    /// A reader that has ended.
    struct Closed(Arc<Mutex<u32>>);

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            *self.0.lock().unwrap() += 1;
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What can be read of a writer.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_has_ended_costs_nothing() {
        let attempts = Arc::default();
        let writer = Writer::new(Format::Text, Box::new(Closed(Arc::clone(&attempts))));
        tracing::subscriber::with_default(registry().with(writer), || {
            emit!(CopyingPaused, "paused");
            emit!(CopyingResumed, "copies again");
        });
        assert_eq!(*attempts.lock().unwrap(), 2);
    }

    #[test]
    fn what_was_left_out_is_written_at_the_end() {
        let kept = Kept::default();
        let writer = Writer::new(Format::Text, Box::new(kept.clone()));
        tracing::subscriber::with_default(registry().with(writer.clone()), || {
            (0..25).for_each(|_| emit!(InterfaceGone, interface = "v0", "v0: gone"));
            tracing::error!("what a library reports");
        });
        assert_eq!(writer.finish(), 5);
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 21, "{text}");
        assert!(lines[..20].iter().all(|line| *line == "mirror: v0: gone"), "{text}");
        assert_eq!(lines[20], "mirror: v0: interface_gone: 5 more were left out");
    }
}
