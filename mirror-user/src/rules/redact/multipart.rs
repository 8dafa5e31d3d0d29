//! `multipart/form-data` (RFC 7578) and its kin: each part by its name and type.

use super::body::{self, MediaType};
use super::context::Context;
use super::names::Treatment;
use super::replacer::Replacer;
use super::report::{Unredactable, Where};

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
    let mut places = memchr::memmem::find_iter(text, &delimiter)
        // At the beginning of a line (RFC 2046 §5.1.1).
        .filter(|at| *at == 0 || text.get(at - 1) == Some(&b'\n'))
        // And not the beginning of a longer one.
        .filter(|at| {
            let behind = text.get(at + delimiter.len()..).unwrap_or_default();
            matches!(behind, [b'\r' | b'\n' | b' ' | b'\t', ..] | [b'-', b'-', ..])
        });
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
        // The line end before the delimiter belongs to it.
        let end = match text.get(..next) {
            Some([.., b'\r', b'\n']) => next - 2,
            _ => next - 1,
        };
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
    let (head, blank) = match memchr::memmem::find(part, b"\r\n\r\n") {
        Some(head) => (head, 4),
        None => (memchr::memmem::find(part, b"\n\n").ok_or(Unredactable::BadMultipart)?, 2),
    };
    let content_at = head + blank;
    let (head, content) =
        (part.get(..head).unwrap_or_default(), part.get(content_at..).unwrap_or_default());
    let mut name: &[u8] = b"";
    let mut media_type: Option<&[u8]> = None;
    for line in head.split(|byte| *byte == b'\n') {
        let Some(colon) = memchr::memchr(b':', line) else { continue };
        let (field, value) = line.split_at_checked(colon).unwrap_or_default();
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        match field.trim_ascii().to_ascii_lowercase().as_slice() {
            b"content-disposition" => name = body::parameter(value, b"name").unwrap_or_default(),
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
