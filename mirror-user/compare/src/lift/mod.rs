//! A body's bytes in, a [`Tree`] out, by its content type and after its codings are undone.
//!
//! Nothing is dropped: what cannot be read as what it says it is gets a reason ([`Unreadable`]) and is lifted as text
//! by line or, as a last resort, as its length and digest.

mod html;
mod json;
mod markup;
mod media;
mod text;
mod xml;

use std::borrow::Cow;

use mirror_wire::http::coding::{self, Undecodable};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use strum::IntoStaticStr;

pub use self::media::Media;
pub(crate) use self::text::json_tree;
use crate::limits::Limits;
use crate::tree::{Builder, Tree};

/// What was kept of a body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content<'a> {
    /// All of it, without chunk framing and with its content codings.
    Bytes(#[serde(borrow)] Cow<'a, [u8]>),
    /// Its length, and a digest if one is known: it was longer than what is kept. The same content has the same digest
    /// on all sides of a pair.
    Digest(u64, Option<[u8; 32]>),
    /// Nothing, for a reason.
    Unknown(#[serde(borrow)] Cow<'a, str>),
}

impl Content<'_> {
    /// The same with its own bytes.
    #[must_use]
    pub fn into_owned(self) -> Content<'static> {
        match self {
            Self::Bytes(bytes) => Content::Bytes(Cow::Owned(bytes.into_owned())),
            Self::Digest(length, digest) => Content::Digest(length, digest),
            Self::Unknown(why) => Content::Unknown(Cow::Owned(why.into_owned())),
        }
    }

    /// The same, without its own bytes.
    #[must_use]
    pub fn borrowed(&self) -> Content<'_> {
        match self {
            Self::Bytes(bytes) => Content::Bytes(Cow::Borrowed(bytes)),
            Self::Digest(length, digest) => Content::Digest(*length, *digest),
            Self::Unknown(why) => Content::Unknown(Cow::Borrowed(why)),
        }
    }
}

/// What a body was read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Format {
    /// There is none.
    Empty,
    /// JSON.
    Json,
    /// One JSON document per line.
    JsonLines,
    /// Server-sent events.
    Events,
    /// HTML.
    Html,
    /// XML.
    Xml,
    /// Fields of a form.
    Form,
    /// Text by line.
    Text,
    /// Length and digest.
    Binary,
}

/// Why a body could not be read as what it says it is: "it was …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Unreadable {
    /// No JSON.
    BadJson,
    /// No well-formed XML.
    BadXml,
    /// Not in the character set that it should be in.
    BadText,
    /// Nested deeper than [`Limits::depth`].
    TooDeep,
    /// More values than [`Limits::nodes`].
    TooManyValues,
    /// Longer than [`Limits::body_bytes`], or than what is kept.
    TooLarge,
    /// A decompression bomb.
    Bomb,
    /// In a coding that is not known.
    UnknownCoding,
    /// In a coding that could not be undone.
    BrokenCoding,
    /// Not kept whole; the recording says why.
    NotKept,
}

/// A body that was read.
#[derive(Clone, Debug)]
pub struct Lifted {
    /// What it was read as.
    pub format: Format,
    /// What is in it.
    pub tree: Tree,
    /// Why it was not read as what it says it is.
    pub flaw: Option<Unreadable>,
}

/// Reads a body with these fields of its message's head.
#[must_use]
pub fn lift(fields: &[(&[u8], &[u8])], content: &Content<'_>, limits: &Limits) -> Lifted {
    let bytes = match content {
        Content::Bytes(bytes) => bytes,
        Content::Digest(length, digest) => {
            let digest = digest.as_ref().map(|digest| ("digest", digest));
            return opaque(*length, digest, Unreadable::TooLarge, limits);
        }
        Content::Unknown(why) => return whole(why, Unreadable::NotKept, limits),
    };
    if bytes.is_empty() {
        return Lifted { format: Format::Empty, tree: Builder::new(limits).finish(), flaw: None };
    }
    let decoded = match decoded(fields, bytes, limits) {
        Ok(decoded) => decoded,
        Err(why) => return digest(bytes, Some(why), limits),
    };
    let media = Media::new(values(fields, "content-type").next(), &decoded);
    plain(&media, &decoded, limits)
}

/// A body as text, and what it would be read as; `None` if it is no text.
#[must_use]
pub fn text(
    fields: &[(&[u8], &[u8])],
    content: &Content<'_>,
    limits: &Limits,
) -> (Format, Option<String>) {
    let Content::Bytes(bytes) = content else { return (Format::Binary, None) };
    if bytes.is_empty() {
        return (Format::Empty, None);
    }
    let Ok(decoded) = decoded(fields, bytes, limits) else { return (Format::Binary, None) };
    let media = Media::new(values(fields, "content-type").next(), &decoded);
    match media.format {
        Format::Binary => (Format::Binary, None),
        format => (format, media.text(&decoded).map(|text| text.to_string())),
    }
}

/// The values of a field.
pub(crate) fn values<'f>(
    fields: &'f [(&'f [u8], &'f [u8])],
    name: &'static str,
) -> impl Iterator<Item = &'f [u8]> {
    let wanted = move |field: &&(&[u8], &[u8])| field.0.eq_ignore_ascii_case(name.as_bytes());
    fields.iter().filter(wanted).map(|(_, value)| *value)
}

/// A body without its codings.
fn decoded<'b>(
    fields: &[(&[u8], &[u8])],
    bytes: &'b [u8],
    limits: &Limits,
) -> Result<Cow<'b, [u8]>, Unreadable> {
    let codings = coding::codings(values(fields, "content-encoding"))?;
    let decoded = coding::undo(&codings, Cow::Borrowed(bytes), limits.body_bytes)?;
    if decoded.len() <= limits.body_bytes { Ok(decoded) } else { Err(Unreadable::TooLarge) }
}

/// Reads a body without codings.
fn plain(media: &Media, bytes: &[u8], limits: &Limits) -> Lifted {
    if media.format == Format::Binary {
        return digest(bytes, None, limits);
    }
    let Some(text) = media.text(bytes) else {
        return digest(bytes, Some(Unreadable::BadText), limits);
    };
    let mut builder = Builder::for_text(limits, text.len());
    let read = match media.format {
        Format::Json => json::document(&text, &mut builder),
        Format::JsonLines => text::json_lines(&text, &mut builder),
        Format::Events => text::events(&text, limits, &mut builder),
        Format::Html => html::document(&text, limits, &mut builder),
        Format::Xml => xml::document(&text, &mut builder),
        Format::Form => text::form(&text, &mut builder),
        Format::Text | Format::Empty | Format::Binary => text::lines(&text, &mut builder),
    };
    let flaw = match read {
        Ok(()) => return Lifted { format: media.format, tree: builder.finish(), flaw: None },
        // A guess that was wrong is no flaw.
        Err(_) if media.guessed => None,
        Err(why) => Some(why),
    };
    let mut builder = Builder::new(limits);
    match text::lines(&text, &mut builder) {
        Ok(()) => Lifted { format: Format::Text, tree: builder.finish(), flaw },
        Err(why) => digest(bytes, Some(flaw.unwrap_or(why)), limits),
    }
}

fn digest(bytes: &[u8], flaw: Option<Unreadable>, limits: &Limits) -> Lifted {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    let digest = Some(("sha256", &digest));
    let lifted = opaque(bytes.len() as u64, digest, Unreadable::TooLarge, limits);
    Lifted { flaw, ..lifted }
}

fn opaque(
    length: u64,
    digest: Option<(&str, &[u8; 32])>,
    flaw: Unreadable,
    limits: &Limits,
) -> Lifted {
    use std::fmt::Write;
    let mut text = format!("{length} bytes");
    if let Some((name, digest)) = digest {
        // Writing to a string cannot fail.
        let _ = write!(text, ", {name} ");
        // Writing to a string cannot fail.
        digest.iter().for_each(|byte| write!(text, "{byte:02x}").unwrap_or_default());
    }
    whole(&text, flaw, limits)
}

fn whole(text: &str, flaw: Unreadable, limits: &Limits) -> Lifted {
    let mut builder = Builder::new(limits);
    // One value is within any limit.
    let _ = builder.opaque(text);
    Lifted { format: Format::Binary, tree: builder.finish(), flaw: Some(flaw) }
}

impl From<Undecodable> for Unreadable {
    fn from(why: Undecodable) -> Self {
        match why {
            Undecodable::TooLarge => Self::TooLarge,
            Undecodable::Bomb => Self::Bomb,
            Undecodable::Unknown => Self::UnknownCoding,
            Undecodable::Broken => Self::BrokenCoding,
        }
    }
}

#[cfg(test)]
mod tests;
