//! Bodies that are lines: plain text, newline-delimited JSON, server-sent events, forms.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::{Unreadable, json};
use crate::limits::Limits;
use crate::tree::{Builder, Container, Tree};

/// A list of lines.
pub(super) fn lines(text: &str, builder: &mut Builder) -> Result<(), Unreadable> {
    builder.open(Container::Array)?;
    text.lines().try_for_each(|line| builder.text(line))?;
    builder.close();
    Ok(())
}

/// A list of JSON documents, one per line.
pub(super) fn json_lines(text: &str, builder: &mut Builder) -> Result<(), Unreadable> {
    builder.open(Container::Array)?;
    let lines = text.lines().map(|line| line.trim_matches(['\u{1e}', ' ', '\t']));
    lines.filter(|line| !line.is_empty()).try_for_each(|line| json::document(line, builder))?;
    builder.close();
    Ok(())
}

/// A list of events (WHATWG HTML §9.2.6): each with those of `event`, `id`, `retry` and `data` that it has.
pub(super) fn events(text: &str, limits: &Limits, builder: &mut Builder) -> Result<(), Unreadable> {
    builder.open(Container::Array)?;
    let mut event = Event::default();
    for line in text.strip_prefix('\u{feff}').unwrap_or(text).lines() {
        if line.is_empty() {
            std::mem::take(&mut event).write(limits, builder)?;
            continue;
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "data" => match &mut event.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                data => *data = Some(value.to_owned()),
            },
            "event" => event.kind = Some(value.to_owned()),
            "id" => event.id = Some(value.to_owned()),
            "retry" => event.retry = Some(value.to_owned()),
            // Comments, which keep connections open, and what the format does not know.
            _ => {}
        }
    }
    // What has no empty line behind it is no event; but it was sent.
    event.write(limits, builder)?;
    builder.close();
    Ok(())
}

#[derive(Default)]
struct Event {
    kind: Option<String>,
    id: Option<String>,
    retry: Option<String>,
    data: Option<String>,
}

impl Event {
    fn write(self, limits: &Limits, builder: &mut Builder) -> Result<(), Unreadable> {
        let Self { kind, id, retry, data } = self;
        let texts = [("event", kind), ("id", id), ("retry", retry)];
        if data.is_none() && texts.iter().all(|(_, text)| text.is_none()) {
            return Ok(());
        }
        builder.open(Container::Object)?;
        for (name, text) in texts {
            if let Some(text) = text {
                builder.name(name)?;
                builder.text(&text)?;
            }
        }
        if let Some(data) = data {
            builder.name("data")?;
            embedded(&data, limits, builder)?;
        }
        builder.close();
        Ok(())
    }
}

/// A text that may be a JSON object or list; else the text.
fn embedded(text: &str, limits: &Limits, builder: &mut Builder) -> Result<(), Unreadable> {
    let is_json = text.trim_start().starts_with(['{', '['])
        && json::document(text, &mut Builder::new(limits)).is_ok();
    if is_json { json::document(text, builder) } else { builder.text(text) }
}

/// An object of the fields of `application/x-www-form-urlencoded`.
pub(super) fn form(text: &str, builder: &mut Builder) -> Result<(), Unreadable> {
    builder.open(Container::Object)?;
    for pair in text.trim_end().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        builder.name(&decoded(name))?;
        builder.text(&decoded(value))?;
    }
    builder.close();
    Ok(())
}

fn decoded(text: &str) -> Cow<'_, str> {
    let plain = text.replace('+', " ");
    percent_decode_str(&plain).decode_utf8_lossy().into_owned().into()
}

/// A tree of one JSON document.
pub(crate) fn json_tree(text: &str, limits: &Limits) -> Result<Tree, Unreadable> {
    let mut builder = Builder::new(limits);
    json::document(text, &mut builder)?;
    Ok(builder.finish())
}
