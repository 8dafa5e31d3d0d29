//! Values as reports show them: JSON, cut at a number of bytes.

use super::At;
use crate::limits::cut;
use crate::tree::Value;

/// A value as JSON, of at most about `max` bytes.
pub(crate) fn show(at: At<'_>, max: usize) -> String {
    let mut out = String::new();
    write(at, max, &mut out);
    if out.len() <= max { out } else { cut_text(&out, max) }
}

/// False when enough was written.
fn write(at: At<'_>, max: usize, out: &mut String) -> bool {
    match at.value() {
        Value::Null => out.push_str("null"),
        Value::Bool(yes) => out.push_str(if yes { "true" } else { "false" }),
        Value::Number(text) | Value::Opaque(text) => out.push_str(text),
        Value::Text(text) => quote(cut(text, max).0, out),
        Value::Array(_) => {
            out.push('[');
            for (n, child) in at.children().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                if !write(child, max, out) {
                    return false;
                }
            }
            out.push(']');
        }
        Value::Object(_) => {
            out.push('{');
            for (n, child) in at.children().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                quote(cut(child.name(), max).0, out);
                out.push(':');
                if !write(child, max, out) {
                    return false;
                }
            }
            out.push('}');
        }
    }
    out.len() <= max
}

fn quote(text: &str, out: &mut String) {
    let is_plain = |byte: &u8| !matches!(byte, b'"' | b'\\' | 0..0x20);
    if text.as_bytes().iter().all(is_plain) {
        out.reserve(text.len() + 2);
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        // Text is always representable.
        out.push_str(&serde_json::to_string(text).unwrap_or_default());
    }
}

/// A text, cut with a mark.
pub(super) fn cut_text(text: &str, max: usize) -> String {
    match cut(text, max) {
        (text, true) => text.to_owned(),
        (start, false) => format!("{start}…"),
    }
}

/// A name, cut.
pub(super) fn cut_name(name: &str, max: usize) -> &str {
    cut(name, max).0
}
