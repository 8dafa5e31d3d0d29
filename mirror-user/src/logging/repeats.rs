//! How often the same is written: an event that repeats about the same object is written a limited number
//! of times, and counted from there on.

use std::time::{Duration, Instant};

use hashbrown::HashMap;
use serde_json::Map;

use super::event::Event;
use super::line::Line;

/// How often an event is written about one object within [`WINDOW`].
const MAX_IN_WINDOW: u32 = 20;

/// Over how long repeats are counted.
const WINDOW: Duration = Duration::from_secs(10);

/// How many objects are known at a time. Events about others share one window for each event.
const MAX_OBJECTS: usize = 256;

/// An event and the object that it is about; `None` for all objects that are not known.
type Key = (Event, Option<String>);

/// The time in which an event is written so often.
struct Window {
    opened: Instant,
    written: u32,
    left_out: u64,
}

/// The windows that are open, and how much was left out.
#[derive(Default)]
pub(super) struct Repeats {
    windows: HashMap<Key, Window>,
    left_out: u64,
}

impl Repeats {
    /// Whether an event is written.
    pub(super) fn passes(&mut self, event: Event, object: String, now: Instant) -> bool {
        if !event.is_limited() {
            return true;
        }
        let mut key = (event, Some(object));
        if self.windows.len() >= MAX_OBJECTS && !self.windows.contains_key(&key) {
            key.1 = None;
        }
        let opened = Window { opened: now, written: 0, left_out: 0 };
        let window = self.windows.entry(key).or_insert(opened);
        if window.written < MAX_IN_WINDOW {
            window.written += 1;
            return true;
        }
        window.left_out = window.left_out.saturating_add(1);
        self.left_out = self.left_out.saturating_add(1);
        false
    }

    /// Closes the windows that are over, or all: a line for each of which something was left out.
    pub(super) fn close(&mut self, over: impl Fn(Instant) -> bool) -> Vec<Line> {
        let closed = self.windows.extract_if(|_, window| over(window.opened));
        closed.filter(|(_, window)| window.left_out > 0).map(left_out).collect()
    }

    /// Whether a window that was opened then is over.
    pub(super) fn is_over(opened: Instant, now: Instant) -> bool {
        now.saturating_duration_since(opened) >= WINDOW
    }

    /// How many events were left out so far.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }
}

fn left_out(((event, object), window): (Key, Window)) -> Line {
    let (repeated, count) = (event.name(), window.left_out);
    let whose = match object.as_deref() {
        Some("") => String::new(),
        Some(object) => format!("{object}: "),
        None => "several objects: ".to_owned(),
    };
    let message = format!("{whose}{repeated}: {count} more were left out");
    let mut fields = Map::new();
    fields.insert("repeated".into(), repeated.into());
    fields.insert("count".into(), count.into());
    fields.insert("object".into(), object.into());
    Line { event: Event::RepeatsLeftOut, message, fields }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(repeats: &mut Repeats, event: Event, object: &str, times: u32, now: Instant) -> u32 {
        let passes = (0..times).filter(|_| repeats.passes(event, object.to_owned(), now));
        u32::try_from(passes.count()).unwrap()
    }

    #[expect(clippy::disallowed_methods, reason = "any time will do")]
    fn now() -> Instant {
        Instant::now()
    }

    #[test]
    fn what_repeats_is_limited_for_each_event_and_object_and_counted() {
        let mut repeats = Repeats::default();
        let now = now();
        assert_eq!(written(&mut repeats, Event::BreakerOpened, "a", 50, now), MAX_IN_WINDOW);
        assert_eq!(written(&mut repeats, Event::BreakerOpened, "b", 5, now), 5);
        assert_eq!(written(&mut repeats, Event::BreakerClosed, "a", 5, now), 5);
        assert_eq!(repeats.left_out(), 30);
        let soon = now + WINDOW / 2;
        assert!(repeats.close(|opened| Repeats::is_over(opened, soon)).is_empty());
        let later = now + WINDOW;
        let lines = repeats.close(|opened| Repeats::is_over(opened, later));
        let messages: Vec<_> = lines.iter().map(|line| line.message.as_str()).collect();
        assert_eq!(messages, ["a: breaker_opened: 30 more were left out"]);
        assert_eq!(lines[0].fields["count"], 30);
        assert_eq!(written(&mut repeats, Event::BreakerOpened, "a", 1, later), 1);
    }

    #[test]
    fn many_objects_take_no_more_space_than_some() {
        let mut repeats = Repeats::default();
        let now = now();
        let gone = |repeats: &mut Repeats, n: usize| {
            repeats.passes(Event::InterfaceGone, format!("veth{n}"), now)
        };
        let passed = (0..10_000).filter(|n| gone(&mut repeats, *n)).count();
        assert_eq!(passed, MAX_OBJECTS + MAX_IN_WINDOW as usize);
        assert_eq!(repeats.windows.len(), MAX_OBJECTS + 1);
        let lines = repeats.close(|_| true);
        assert_eq!(lines.len(), 1);
        assert!(lines[0].message.starts_with("several objects: interface_gone: "), "{lines:?}");
        assert!(repeats.windows.is_empty());
    }

    #[test]
    fn debugging_and_warnings_at_the_end_are_not_limited() {
        let mut repeats = Repeats::default();
        for event in [Event::KernelPacket, Event::RunWarning] {
            assert_eq!(written(&mut repeats, event, "", 1_000, now()), 1_000);
        }
        assert!(repeats.windows.is_empty());
    }
}
