//! One event as a line: what was emitted, read from `tracing`, and its two forms.

use std::fmt::{self, Write};

use serde::Serialize;
use serde_json::{Map, Value};
use tracing::Level;
use tracing::field::{Field, Visit};

use super::event::Event;

/// The fields that say whom an event is about. Repeats are those of the same event about the same objects.
const OBJECTS: [&str; 6] = ["target", "interface", "cgroup", "namespace", "file", "outcome"];

/// What was emitted.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) event: Event,
    pub(crate) message: String,
    pub(crate) fields: Map<String, Value>,
}

impl Line {
    /// What was emitted; `None` when it is nothing of this program's events.
    pub(super) fn read(event: &tracing::Event<'_>) -> Option<Self> {
        let mut reader = Reader::default();
        event.record(&mut reader);
        let Reader { event, message, fields } = reader;
        Some(Self { event: event?, message, fields })
    }

    /// Whom it is about: the values of the fields that name an object.
    pub(super) fn object(&self) -> String {
        let named = OBJECTS.iter().filter_map(|name| self.fields.get(*name)?.as_str());
        named.collect::<Vec<_>>().join(" ")
    }

    /// As a terminal shows it. Control characters are escaped, so that no name from outside moves the
    /// cursor; lines of a longer message stay.
    pub(super) fn text(&self) -> String {
        let mut line = String::from("mirror: ");
        for c in self.message.chars() {
            if c.is_control() && c != '\n' && c != '\t' {
                // Writing to a String cannot fail.
                let _ = write!(line, "{}", c.escape_default());
            } else {
                line.push(c);
            }
        }
        line
    }

    /// As one JSON object.
    pub(super) fn json(&self) -> String {
        #[derive(Serialize)]
        struct Json<'a> {
            /// RFC 3339, UTC.
            timestamp: String,
            level: &'a str,
            event: &'a str,
            message: &'a str,
            fields: &'a Map<String, Value>,
        }
        let level = match self.event.level() {
            Level::ERROR => "error",
            Level::WARN => "warn",
            Level::INFO => "info",
            Level::DEBUG => "debug",
            Level::TRACE => "trace",
        };
        let line = Json {
            timestamp: format!("{:.6}", jiff::Timestamp::now()),
            level,
            event: self.event.name(),
            message: &self.message,
            fields: &self.fields,
        };
        serde_json::to_string(&line).expect("strings and numbers can be written as JSON")
    }
}

/// Takes the fields of an event out of `tracing`.
#[derive(Default)]
struct Reader {
    event: Option<Event>,
    message: String,
    fields: Map<String, Value>,
}

impl Reader {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.fields.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Reader {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "event" => self.event = Event::named(value),
            "message" => self.message = value.to_owned(),
            _ => self.put(field, value),
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{captured, emit};

    fn line() -> super::Line {
        let attached = || emit!(Attached, interface = "eth0", packets = 7_u64, reason = %"\u{1b}[2J", "eth0: \u{1b}[2J{}", 7);
        let (mut lines, ()) = captured(attached);
        assert_eq!(lines.len(), 1, "{lines:?}");
        lines.remove(0)
    }

    #[test]
    fn a_name_from_outside_does_not_move_the_cursor() {
        assert_eq!(line().text(), "mirror: eth0: \\u{1b}[2J7");
    }

    #[test]
    fn json_has_time_level_event_message_and_typed_fields() {
        let json: serde_json::Value = serde_json::from_str(&line().json()).unwrap();
        let time: jiff::Timestamp = json["timestamp"].as_str().unwrap().parse().unwrap();
        assert!(jiff::Timestamp::now().duration_since(time).as_secs() < 60);
        assert_eq!((&json["level"], &json["event"]), (&"info".into(), &"attached".into()));
        assert_eq!(json["message"], "eth0: \u{1b}[2J7");
        let fields = serde_json::json!({"interface": "eth0", "packets": 7, "reason": "\u{1b}[2J"});
        assert_eq!(json["fields"], fields);
        assert_eq!(json.as_object().unwrap().len(), 5);
    }

    #[test]
    fn the_object_is_what_names_it() {
        assert_eq!(line().object(), "eth0");
    }
}
