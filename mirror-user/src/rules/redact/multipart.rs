//! `multipart/form-data` (RFC 7578) and its kin: each part by its name and type.

use super::body::{self, MediaType};
use super::context::Context;
use super::names::Treatment;
use super::replacer::Replacer;
use super::report::{Unredactable, Where};
use crate::rules::multipart;

/// Rewrites the parts; `None` if nothing is to be replaced.
///
/// # Errors
/// If the parts cannot be separated, or one cannot be parsed.
pub(super) fn rewrite(
    context: &mut Context<'_>,
    boundary: &[u8],
    text: &[u8],
) -> Result<Option<Vec<u8>>, Unredactable> {
    let delimiter = [b"--", boundary].concat();
    let mut out = Vec::new();
    let mut edits = Replacer::new(text, &mut out);
    let mut places = multipart::delimiters(text, &delimiter);
    let Some(mut at) = places.next() else { return Err(Unredactable::BadMultipart) };
    edits.edit(0..at, |preamble, out| context.text(&Where::Body, preamble, out));
    loop {
        let begin = at + delimiter.len();
        let rest = text.get(begin..).unwrap_or_default();
        if rest.starts_with(b"--") {
            edits.edit(begin + 2..text.len(), |epilogue, out| {
                context.text(&Where::Body, epilogue, out)
            });
            return Ok(edits.finish().then_some(out));
        }
        let Some(next) = places.next() else { return Err(Unredactable::BadMultipart) };
        let end = multipart::end_before(text, next);
        part(context, &mut edits, begin, text.get(begin..end).ok_or(Unredactable::BadMultipart)?)?;
        at = next;
    }
}

fn part(
    context: &mut Context<'_>,
    edits: &mut Replacer<'_, '_>,
    begin: usize,
    part: &[u8],
) -> Result<(), Unredactable> {
    let (head, content_at) = multipart::split(part).ok_or(Unredactable::BadMultipart)?;
    let content = part.get(content_at..).unwrap_or_default();
    let mut name: &[u8] = b"";
    let mut media_type: Option<&[u8]> = None;
    for (field, value) in multipart::fields(head) {
        match field.to_ascii_lowercase().as_slice() {
            b"content-disposition" => {
                name = multipart::parameter(value, b"name").unwrap_or_default()
            }
            b"content-type" => media_type = Some(value),
            b"content-transfer-encoding"
                if !matches!(
                    value.to_ascii_lowercase().as_slice(),
                    b"7bit" | b"8bit" | b"binary" | b""
                ) =>
            {
                return Err(Unredactable::UnknownCoding);
            }
            _ => {}
        }
    }
    let at = Where::Part(name);
    edits.edit(begin..begin + head.len(), |head, out| context.text(&at, head, out));
    let range = begin + content_at..begin + part.len();
    match context.plan.names.field(name) {
        Treatment::Replace(kind) => {
            edits.edit(range, |content, out| context.named(kind, &at, content, out));
            return Ok(());
        }
        Treatment::Keep => return Ok(()),
        Treatment::Look | Treatment::Identifier => {}
    }
    let media_type = match media_type {
        // Nested multipart: scanned as plain text.
        Some(value) => {
            Some(MediaType::of(value)?).filter(|it| !matches!(it, MediaType::Multipart(_)))
        }
        None => None,
    };
    if let Some(content) =
        body::rewrite(context, &at, media_type.unwrap_or(MediaType::Text), content)?
    {
        edits.replace(range, |out| out.extend_from_slice(&content));
    }
    Ok(())
}
