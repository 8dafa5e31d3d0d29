//! Replaces values in texts: header fields, cookies, credentials, URLs and forms. Each text is
//! copied to the output, with the known values replaced.

use std::borrow::Cow;

use percent_encoding::{percent_decode_str, utf8_percent_encode};

use super::sites::cookie_kind;
use super::table::Lookup;
use super::tokens::{
    SECRET, is_distinctive, is_id_name, is_secret_name, kind_of_name, resource_of,
};
use super::translate::{Awaited, Translator};
use crate::rules::form::RESERVED;

/// The delimiters at which a text is split if it is not a value as a whole: first those of a
/// field's value, then those of a URL.
const DELIMITERS: [&[char]; 2] = [
    &[' ', '\t', '\r', '\n', ',', ';', '"', '\'', '<', '>', '(', ')', '{', '}', '[', ']'],
    &['/', '=', '?', '&', ':', '#', '@'],
];

impl<'a> Translator<'a> {
    /// The target's value for one of production's; `None` if there is none, or it is the same. If
    /// it is `sure` that the text is a value of this kind, it may be short; otherwise it must be
    /// distinctive.
    pub(super) fn value(&mut self, text: &str, kind: &str, sure: bool) -> Option<&'a str> {
        let distinctive = is_distinctive(text);
        if !sure && !distinctive {
            return None;
        }
        let is_this = |response: &Awaited| {
            response.arrived < self.arrived && (distinctive || *response.kind == *kind)
        };
        if self.pending.get(text).is_some_and(|awaited| awaited.iter().any(is_this)) {
            self.awaits.get_or_insert_with(|| text.into());
        }
        let found = match self.table.get(text, kind) {
            Some(value) => Lookup::Value(value),
            None if distinctive => self.table.get_any_kind(text),
            None => Lookup::Unknown,
        };
        match found {
            Lookup::Value(value) if value == text => None,
            Lookup::Value(value) => {
                self.replaced += 1;
                Some(value)
            }
            Lookup::Ambiguous => {
                self.ambiguous += 1;
                None
            }
            Lookup::Unknown => None,
        }
    }

    /// Translates a text that may be a value as a whole or in parts. Always writes the text; true
    /// if it was changed.
    pub(super) fn text(&mut self, text: &str, kind: &str, sure: bool, out: &mut String) -> bool {
        self.parts(text, kind, sure, &DELIMITERS, out)
    }

    fn parts(
        &mut self,
        text: &str,
        kind: &str,
        sure: bool,
        delimiters: &[&[char]],
        out: &mut String,
    ) -> bool {
        if let Some(value) = self.value(text, kind, sure) {
            self.put(value, out);
            return true;
        }
        let (first, deeper): (&dyn Fn(char) -> bool, _) = match delimiters.split_first() {
            Some((first, deeper)) => (&|char| first.contains(&char), Some(deeper)),
            None => (&|char| !(char.is_ascii_alphanumeric() || matches!(char, '-' | '_')), None),
        };
        let mut changed = false;
        for piece in text.split_inclusive(first) {
            let end = piece.char_indices().next_back().filter(|(_, last)| first(*last));
            let (part, delimiter) = piece.split_at(end.map_or(piece.len(), |(at, _)| at));
            changed |= match deeper {
                Some(deeper) => self.parts(part, "", false, deeper, out),
                // The smallest parts, if they are not the entire text.
                None if part.len() < text.len() => match self.value(part, "", false) {
                    Some(value) => {
                        self.put(value, out);
                        true
                    }
                    None => {
                        out.push_str(part);
                        false
                    }
                },
                None => {
                    out.push_str(part);
                    false
                }
            };
            out.push_str(delimiter);
        }
        changed
    }

    fn put(&self, value: &str, out: &mut String) {
        if self.encodes {
            out.extend(utf8_percent_encode(value, RESERVED));
        } else {
            out.push_str(value);
        }
    }

    /// Translates the value of a field of this name.
    pub(super) fn named(&mut self, name: &str, text: &str, out: &mut String) -> bool {
        let sure = is_id_name(name) || is_secret_name(name);
        let kind = kind_of_name(name, &self.resource);
        self.text(text, &kind, sure, out)
    }

    /// Translates `Bearer TOKEN` (RFC 6750 §2.1) and similar credentials.
    pub(super) fn credentials(&mut self, text: &str, out: &mut String) -> bool {
        let token_at = text.find(' ').map_or(0, |space| space + 1);
        let (scheme, token) = text.split_at(token_at);
        out.push_str(scheme);
        self.text(token, SECRET, true, out)
    }

    pub(super) fn cookies(&mut self, text: &str, out: &mut String) -> bool {
        let mut changed = false;
        for (at, pair) in text.split(';').enumerate() {
            if at > 0 {
                out.push(';');
            }
            let Some((name, value)) = pair.split_once('=') else {
                out.push_str(pair);
                continue;
            };
            out.push_str(name);
            out.push('=');
            changed |= self.text(value, &cookie_kind(name.trim()), true, out);
        }
        changed
    }

    /// Translates the path and query of a request target or another URL.
    pub(super) fn reference(&mut self, text: &str, out: &mut String) -> bool {
        let path_at = match text.find("://") {
            Some(scheme) => {
                let authority = scheme + "://".len();
                let path = text.get(authority..).and_then(|rest| rest.find('/'));
                path.map_or(text.len(), |path| authority + path)
            }
            None => 0,
        };
        let (text, fragment) = text.split_at(text.find('#').unwrap_or(text.len()));
        let (origin, rest) = text.split_at(path_at.min(text.len()));
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        out.push_str(origin);
        let mut changed = self.path(path, out);
        if let Some(query) = query {
            out.push('?');
            changed |= self.pairs(query, out);
        }
        out.push_str(fragment);
        changed
    }

    fn path(&mut self, path: &str, out: &mut String) -> bool {
        let mut changed = false;
        let mut before = "";
        for (at, segment) in path.split('/').enumerate() {
            if at > 0 {
                out.push('/');
            }
            let kind = resource_of(before);
            changed |= self
                .encoded(segment, false, out, |this, text, out| this.text(text, &kind, true, out));
            before = segment;
        }
        changed
    }

    /// Translates `name=value&…` of a query or a form.
    pub(super) fn pairs(&mut self, text: &str, out: &mut String) -> bool {
        let mut changed = false;
        for (at, pair) in text.split('&').enumerate() {
            if at > 0 {
                out.push('&');
            }
            let Some((name, value)) = pair.split_once('=') else {
                out.push_str(pair);
                continue;
            };
            out.push_str(name);
            out.push('=');
            let name = percent_decode_str(name).decode_utf8_lossy().into_owned();
            changed |=
                self.encoded(value, true, out, |this, text, out| this.named(&name, text, out));
        }
        changed
    }

    /// Translates a text that may be percent-encoded. If it is, and contains a value, the entire
    /// text is encoded again.
    fn encoded(
        &mut self,
        raw: &str,
        plus: bool,
        out: &mut String,
        translate: impl FnOnce(&mut Self, &str, &mut String) -> bool,
    ) -> bool {
        let has_spaces = plus && raw.contains('+');
        if !raw.contains('%') && !has_spaces {
            self.encodes = true;
            let changed = translate(self, raw, out);
            self.encodes = false;
            return changed;
        }
        let spaced = if plus { Cow::Owned(raw.replace('+', " ")) } else { Cow::Borrowed(raw) };
        let mut new = String::new();
        let changed = match percent_decode_str(&spaced).decode_utf8() {
            Ok(text) => translate(self, &text, &mut new),
            Err(_) => false,
        };
        if changed {
            out.extend(utf8_percent_encode(&new, RESERVED));
        } else {
            out.push_str(raw);
        }
        changed
    }
}
