//! Bodies: JSON and forms by what they say, anything else by its bytes.

use std::borrow::Cow;
use std::io::Write;

use memchr::memmem;
use mirror_compare::decimal::Decimal;
use mirror_compare::lift::{Content, Format, Media, lift};
use mirror_compare::limits::Limits;
use mirror_compare::tree::{NodeId, Tree, Value};
use sha2::{Digest, Sha256};
use strum::IntoStaticStr;

use crate::http::coding;
use crate::json_path::{Paths, States};
use crate::rules::multipart::parameter;

/// A longer canonical body is known by its SHA-256, so that a stub of an upload costs no memory. Differing fields of
/// bodies are named up to this length.
const MAX_KEPT_BYTES: usize = 64 * 1024;

/// What a body was read as. Two that are read differently are never equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum BodyKind {
    /// There is none.
    Empty,
    /// JSON, or one JSON document per line: in any order of members, with any white space, numbers by value.
    Json,
    /// `application/x-www-form-urlencoded`: in any order of fields.
    Form,
    /// Parts, whatever their boundary.
    Multipart,
    /// Its bytes, without content coding.
    Bytes,
    /// A long one of any of these, by its digest.
    Digest,
}

/// What a body that is not empty is recognized by.
pub(super) fn canonical<'a>(
    content: &'a [u8],
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
    ignored: &Paths,
) -> (BodyKind, Cow<'a, [u8]>) {
    let values = |wanted: &'static [u8]| {
        let same = move |field: &(&[u8], &[u8])| field.0.eq_ignore_ascii_case(wanted);
        fields.clone().filter(same).map(|(_, value)| value)
    };
    let limits = Limits::default();
    let content = Cow::Borrowed(content);
    let plain = coding::codings(values(b"content-encoding"))
        .and_then(|codings| coding::undo(&codings, content.clone(), limits.body_bytes));
    // What cannot be decoded stands for itself.
    let plain = plain.unwrap_or(content);
    let media = values(b"content-type").next();
    let (kind, body) = match structured(&plain, media, ignored, &limits) {
        Some((kind, body)) => (kind, Cow::Owned(body)),
        None => match media.and_then(boundary) {
            Some(boundary) => (BodyKind::Multipart, Cow::Owned(without(&plain, boundary))),
            None => (BodyKind::Bytes, plain),
        },
    };
    if body.len() <= MAX_KEPT_BYTES {
        return (kind, body);
    }
    let mut digest = Sha256::new();
    digest.update([kind as u8]);
    digest.update(&body);
    (BodyKind::Digest, Cow::Owned(digest.finalize().to_vec()))
}

/// JSON and forms; `None` if it is neither, or not readable as what it says it is.
fn structured(
    content: &[u8],
    media: Option<&[u8]>,
    ignored: &Paths,
    limits: &Limits,
) -> Option<(BodyKind, Vec<u8>)> {
    let kind = match Media::new(media, content).format {
        Format::Json | Format::JsonLines => BodyKind::Json,
        Format::Form => BodyKind::Form,
        _ => return None,
    };
    let fields: Vec<_> = media.map(|media| (&b"content-type"[..], media)).into_iter().collect();
    let lifted = lift(&fields, &Content::Bytes(content.into()), limits);
    if !matches!(lifted.format, Format::Json | Format::JsonLines | Format::Form) {
        return None;
    }
    let mut writer = Writer { tree: &lifted.tree, ignored, out: Vec::with_capacity(content.len()) };
    writer.value(lifted.tree.root(), ignored.begin());
    Some((kind, writer.out))
}

/// Writes a tree as JSON with sorted members.
struct Writer<'t> {
    tree: &'t Tree,
    ignored: &'t Paths,
    out: Vec<u8>,
}

impl Writer<'_> {
    /// Recursion is bounded by [`Limits::depth`].
    fn value(&mut self, id: NodeId, states: States) {
        match self.tree.value(id) {
            Value::Null => self.out.extend_from_slice(b"null"),
            Value::Bool(true) => self.out.extend_from_slice(b"true"),
            Value::Bool(false) => self.out.extend_from_slice(b"false"),
            Value::Number(text) => {
                // Writing to memory does not fail.
                let _ = write!(self.out, "{}", Decimal::new(text));
            }
            Value::Text(text) | Value::Opaque(text) => self.text(text),
            Value::Array(_) => {
                let states = self.ignored.step(states, None);
                self.out.push(b'[');
                let before = self.out.len();
                for child in self.tree.children(id).filter(|_| !self.ignored.is_end(states)) {
                    self.separate(before);
                    self.value(child, states);
                }
                self.out.push(b']');
            }
            Value::Object(_) => self.object(id, states),
        }
    }

    fn object(&mut self, id: NodeId, states: States) {
        let step = |child: NodeId| {
            let name = self.tree.name(child);
            (name, child, self.ignored.step(states, Some(name.as_bytes())))
        };
        let members = self.tree.children(id).map(step);
        let mut members: Vec<_> =
            members.filter(|(_, _, states)| !self.ignored.is_end(*states)).collect();
        members.sort_by_key(|(name, ..)| *name);
        self.out.push(b'{');
        let before = self.out.len();
        for (name, child, states) in members {
            self.separate(before);
            self.text(name);
            self.out.push(b':');
            self.value(child, states);
        }
        self.out.push(b'}');
    }

    fn separate(&mut self, before: usize) {
        if self.out.len() > before {
            self.out.push(b',');
        }
    }

    fn text(&mut self, text: &str) {
        // Writing to memory does not fail.
        let _ = serde_json::to_writer(&mut self.out, text);
    }
}

/// The boundary of a multipart type (RFC 2046 §5.1.1).
fn boundary(media: &[u8]) -> Option<&[u8]> {
    let is_multipart = media.get(..10)?.eq_ignore_ascii_case(b"multipart/");
    let value = parameter(media, b"boundary")?;
    (is_multipart && !value.is_empty()).then_some(value)
}

/// The parts with one boundary for all: clients draw a new one for each request.
fn without(content: &[u8], boundary: &[u8]) -> Vec<u8> {
    let delimiter = [b"--", boundary].concat();
    let mut out = Vec::with_capacity(content.len());
    let mut from = 0;
    for at in memmem::find_iter(content, &delimiter) {
        out.extend_from_slice(content.get(from..at).unwrap_or_default());
        out.extend_from_slice(b"--boundary");
        from = at + delimiter.len();
    }
    out.extend_from_slice(content.get(from..).unwrap_or_default());
    out
}
