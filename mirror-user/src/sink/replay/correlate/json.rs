//! Replaces values in JSON documents. Every other byte stays as it is, also in invalid documents.

use std::borrow::Cow;

use super::tokens::{is_id_name, is_secret_name, kind_of_name};
use super::translate::Translator;

impl Translator<'_> {
    /// Translates a JSON document: its strings, and numbers whose member name says what they are.
    pub(super) fn json(&mut self, text: &str, out: &mut String) -> bool {
        let mut changed = false;
        let mut name = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(|char: char| char == '"' || char.is_ascii_digit()) {
            let (before, from) = rest.split_at(at);
            out.push_str(before);
            if from.starts_with('"') {
                let raw = json_string(from);
                let behind = from.get(raw.len() + 2..).unwrap_or_default();
                out.push('"');
                let plain: Cow<'_, str> = match raw.contains('\\') {
                    true => serde_json::from_str(&format!("\"{raw}\"")).unwrap_or_default(),
                    false => Cow::Borrowed(raw),
                };
                let mut new = String::new();
                if behind.trim_ascii_start().starts_with(':') {
                    // A member name may be a value: `{"5001": 2}`.
                    let one = self.text(&plain, "", false, &mut new);
                    push_string(out, raw, &new, one);
                    changed |= one;
                    name = plain.into_owned();
                } else {
                    let one = self.named(&name, &plain, &mut new);
                    push_string(out, raw, &new, one);
                    changed |= one;
                }
                if from.len() > raw.len() + 1 {
                    out.push('"');
                }
                rest = behind;
            } else {
                let end =
                    from.find(|char: char| !char.is_ascii_alphanumeric() && !"+-.".contains(char));
                let (number, behind) = from.split_at(end.unwrap_or(from.len()));
                let negative = before.ends_with('-');
                let plain = !negative && number.bytes().all(|byte| byte.is_ascii_digit());
                let sure = plain && (is_id_name(&name) || is_secret_name(&name));
                let kind = || kind_of_name(&name, &self.resource);
                match sure.then(kind).and_then(|kind| self.value(number, &kind, true)) {
                    Some(value) => {
                        changed = true;
                        let is_number = value.bytes().all(|byte| byte.is_ascii_digit())
                            && !value.starts_with('0');
                        match is_number {
                            true => out.push_str(value),
                            false => out.push_str(&serde_json::Value::from(value).to_string()),
                        }
                    }
                    None => out.push_str(number),
                }
                rest = behind;
            }
        }
        out.push_str(rest);
        changed
    }
}

/// The text between the quotes of the string at the start of `text`; up to the end if the closing
/// quote is missing.
fn json_string(text: &str) -> &str {
    let inner = text.get(1..).unwrap_or_default();
    let mut escaped = false;
    let end = inner.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    inner.get(..end.unwrap_or(inner.len())).unwrap_or_default()
}

fn push_string(out: &mut String, raw: &str, new: &str, changed: bool) {
    if changed {
        let quoted = serde_json::Value::from(new).to_string();
        out.push_str(quoted.get(1..quoted.len() - 1).unwrap_or_default());
    } else {
        out.push_str(raw);
    }
}
