//! One exchange per line, for people at a terminal.

use std::io::{self, Write};

use crate::http::message::{Message, StartLine};
use crate::packet::Timestamp;
use crate::rules::Cleared;
use crate::sink::lines::Form;

/// The longest request target that is shown, in characters; the JSON format has all of it.
const TARGET_CHARS: usize = 48;

/// The table format.
#[derive(Clone, Copy, Debug)]
pub struct Table;

impl Form for Table {
    fn begin(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "{:12}  {:21}  {:21}  {:6}  {:>7}  {:>9}  {:>9}  METHOD AND TARGET",
            "TIME", "CLIENT", "SERVER", "STATUS", "MS", "ASKED", "ANSWERED"
        )
    }

    fn write(
        &mut self,
        cleared: &Cleared,
        _interface: &str,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let exchange = cleared.exchange();
        let request = exchange.request.as_deref();
        let response = exchange.response.as_deref();
        let started = request.or(response).map(|message| message.started).unwrap_or_default();
        write!(
            out,
            "{:12}  {:21}  {:21}  {:6}  {:>7}  {:>9}  {:>9}  {}",
            time_of_day(started),
            exchange.peers.client.to_string(),
            exchange.peers.server.to_string(),
            response.map_or_else(|| "-".to_owned(), status),
            milliseconds(request, response),
            length(request),
            length(response),
            request.map_or_else(|| "(request not seen)".to_owned(), method_and_target),
        )?;
        for (side, message) in [("request", request), ("response", response)] {
            let Some(message) = message else { continue };
            if let Some(why) = message.incomplete {
                write!(out, "  [{side} incomplete: {}]", <&str>::from(why))?;
            }
            for flaw in message.flaws.iter() {
                write!(out, "  [{side}: {}]", <&str>::from(flaw))?;
            }
        }
        writeln!(out)
    }
}

fn status(message: &Message) -> String {
    match message.head.start {
        StartLine::Status { code, .. } => code.to_string(),
        StartLine::Request { .. } => "-".to_owned(),
    }
}

/// From the first byte of the request to the last byte of the response.
fn milliseconds(request: Option<&Message>, response: Option<&Message>) -> String {
    match (request, response) {
        (Some(request), Some(response)) => {
            let micros = response.finished.since(request.started).as_micros();
            format!("{}.{:03}", micros / 1_000, micros % 1_000)
        }
        _ => "-".to_owned(),
    }
}

fn length(message: Option<&Message>) -> String {
    message.map_or_else(|| "-".to_owned(), |message| message.body.length.to_string())
}

/// Escaped, because a captured byte must not control the terminal.
fn method_and_target(message: &Message) -> String {
    let StartLine::Request { method, target, .. } = &message.head.start else {
        return String::new();
    };
    let method = message.head.bytes(method).escape_ascii().to_string();
    let target = message.head.bytes(target).escape_ascii().to_string();
    match target.char_indices().nth(TARGET_CHARS) {
        Some((end, _)) => format!("{method} {}…", target.get(..end).unwrap_or_default()),
        None => format!("{method} {target}"),
    }
}

/// Time of day in UTC with milliseconds.
fn time_of_day(at: Timestamp) -> String {
    let millis = at.as_nanos() / 1_000_000;
    let (seconds, millis) = (millis / 1_000, millis % 1_000);
    format!("{:02}:{:02}:{:02}.{millis:03}", seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60)
}
