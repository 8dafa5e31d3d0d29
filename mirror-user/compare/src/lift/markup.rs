//! What HTML and XML have in common: how an element becomes an object.

use std::borrow::Cow;

use super::Unreadable;
use crate::tree::{Builder, Container};

/// Begins an element: `{"tag": …, "attributes": {…}, "children": [`.
pub(super) fn begin<'a>(
    builder: &mut Builder,
    tag: &str,
    attributes: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<(), Unreadable> {
    builder.open(Container::Object)?;
    builder.name("tag")?;
    builder.text(tag)?;
    builder.name("attributes")?;
    builder.open(Container::Object)?;
    for (name, value) in attributes {
        builder.name(name)?;
        builder.text(value)?;
    }
    builder.close();
    builder.name("children")?;
    builder.open(Container::Array)
}

/// Ends it.
pub(super) fn end(builder: &mut Builder) {
    builder.close();
    builder.close();
}

/// A text with each run of white space as one space, none at its ends; `None` if nothing is left. Indentation is
/// no content.
pub(super) fn squeeze(text: &str) -> Option<Cow<'_, str>> {
    let trimmed = text.trim_matches(|c: char| c.is_ascii_whitespace());
    if trimmed.is_empty() {
        return None;
    }
    let plain = !trimmed.contains(['\n', '\r', '\t', '\u{c}']) && !trimmed.contains("  ");
    Some(if plain {
        trimmed.into()
    } else {
        trimmed.split_ascii_whitespace().collect::<Vec<_>>().join(" ").into()
    })
}
