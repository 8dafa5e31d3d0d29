//! XML, well-formed, as a tree. Entities that a document type defines are not expanded: they stay `&name;`.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::Unreadable;
use super::markup::{self, squeeze};
use crate::tree::Builder;

/// Reads a document.
pub(super) fn document(text: &str, builder: &mut Builder) -> Result<(), Unreadable> {
    let mut reader = Reader::from_str(text);
    let outside = builder.depth();
    let (mut roots, mut words) = (0, String::new());
    loop {
        let event = reader.read_event().map_err(|_| Unreadable::BadXml)?;
        // Text comes in pieces, between which references stand.
        match &event {
            Event::Text(part) => {
                words.push_str(part);
                continue;
            }
            Event::CData(part) => {
                words.push_str(part);
                continue;
            }
            Event::GeneralRef(name) => {
                words.push_str(&reference(name));
                continue;
            }
            Event::Comment(_) | Event::PI(_) | Event::Decl(_) | Event::DocType(_) => continue,
            Event::Start(_) | Event::Empty(_) | Event::End(_) | Event::Eof => {}
        }
        if let Some(text) = squeeze(&words) {
            if builder.depth() == outside {
                return Err(Unreadable::BadXml);
            }
            builder.text(&text)?;
        }
        words.clear();
        match event {
            Event::Start(start) => {
                roots += usize::from(builder.depth() == outside);
                begin(builder, &start)?;
            }
            Event::Empty(start) => {
                roots += usize::from(builder.depth() == outside);
                begin(builder, &start)?;
                markup::end(builder);
            }
            Event::End(_) => markup::end(builder),
            _ if builder.depth() == outside && roots == 1 => return Ok(()),
            _ => return Err(Unreadable::BadXml),
        }
        if roots > 1 {
            return Err(Unreadable::BadXml);
        }
    }
}

fn begin(builder: &mut Builder, start: &BytesStart<'_>) -> Result<(), Unreadable> {
    let mut attributes = Vec::new();
    for one in start.attributes() {
        let one = one.map_err(|_| Unreadable::BadXml)?;
        let value = quick_xml::escape::unescape(&one.value).unwrap_or(Cow::Borrowed(&one.value));
        attributes.push((one.key.as_ref().to_owned(), value.into_owned()));
    }
    let attributes = attributes.iter().map(|(name, value)| (&**name, &**value));
    markup::begin(builder, start.name().as_ref(), attributes)
}

fn reference(name: &str) -> String {
    let whole = format!("&{name};");
    quick_xml::escape::unescape(&whole).map_or_else(|_| whole.clone(), Cow::into_owned)
}
