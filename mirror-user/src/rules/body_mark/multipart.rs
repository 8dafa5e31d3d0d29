//! Parts in `multipart/form-data` (RFC 7578).

use super::{Splices, Unmarkable};

/// The body with these parts: every part of the name gets the value, or one is added at the end. `media_type` is the
/// value of `Content-Type`.
pub(super) fn mark(
    marks: &[(String, String)],
    media_type: &[u8],
    text: &[u8],
) -> Result<Vec<u8>, Unmarkable> {
    if marks.is_empty() {
        return Err(Unmarkable);
    }
    let boundary = parameter(media_type, b"boundary").ok_or(Unmarkable)?;
    let delimiter = [b"--", boundary].concat();
    let mut splices = Splices::new(text);
    let mut is_there = vec![false; marks.len()];
    let mut begin = None;
    for at in memchr::memmem::find_iter(text, &delimiter) {
        // At the beginning of a line (RFC 2046 §5.1.1), and not the beginning of a longer one.
        let behind = text.get(at + delimiter.len()..).unwrap_or_default();
        let is_line = at == 0 || text.get(at - 1) == Some(&b'\n');
        let is_whole = matches!(behind, [b'\r' | b'\n' | b' ' | b'\t', ..] | [b'-', b'-', ..]);
        if !is_line || !is_whole {
            continue;
        }
        if let Some(begin) = begin {
            // The line end before the delimiter belongs to it.
            let before = text.get(begin..at).ok_or(Unmarkable)?;
            let end = at - if before.ends_with(b"\r\n") { 2 } else { 1 };
            let part = text.get(begin..end).ok_or(Unmarkable)?;
            let (name, content) = part_of(part).ok_or(Unmarkable)?;
            let mark =
                marks.iter().zip(&mut is_there).find(|((mark, _), _)| mark.as_bytes() == name);
            if let Some(((_, value), is_there)) = mark {
                *is_there = true;
                splices.replace(begin + content..end, value.as_bytes());
            }
        }
        if behind.starts_with(b"--") {
            let mut added = Vec::new();
            for ((name, value), _) in marks.iter().zip(is_there).filter(|(_, is_there)| !is_there) {
                added.extend_from_slice(&delimiter);
                let head = format!("Content-Disposition: form-data; name=\"{name}\"");
                added.extend_from_slice(format!("\r\n{head}\r\n\r\n{value}\r\n").as_bytes());
            }
            splices.replace(at..at, added);
            return Ok(splices.finish());
        }
        begin = Some(at + delimiter.len());
    }
    // Its end is missing.
    Err(Unmarkable)
}

/// The name of a part, and where its content starts.
fn part_of(part: &[u8]) -> Option<(&[u8], usize)> {
    let (head, blank) = match memchr::memmem::find(part, b"\r\n\r\n") {
        Some(head) => (head, 4),
        None => (memchr::memmem::find(part, b"\n\n")?, 2),
    };
    let lines = part.get(..head)?.split(|byte| *byte == b'\n');
    let disposition = lines.filter_map(|line| {
        let (name, value) = line.split_at_checked(memchr::memchr(b':', line)?)?;
        let is_it = name.trim_ascii().eq_ignore_ascii_case(b"content-disposition");
        is_it.then(|| value.get(1..)).flatten()
    });
    let name = disposition.filter_map(|value| parameter(value, b"name")).next();
    Some((name.unwrap_or_default(), head + blank))
}

/// A parameter of a field's value, without its quotes (RFC 9110 §5.6.6). Names with escapes are no marks.
fn parameter<'a>(value: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut rest = value;
    loop {
        // Not within quotes.
        let mut quoted = false;
        let next = rest.iter().position(|byte| {
            quoted ^= *byte == b'"';
            *byte == b';' && !quoted
        });
        rest = rest.get(next? + 1..)?;
        let equals = memchr::memchr(b'=', rest)?;
        let (key, behind) = rest.split_at_checked(equals)?;
        if key.trim_ascii().eq_ignore_ascii_case(name) {
            let behind = behind.get(1..)?.trim_ascii_start();
            return match behind.strip_prefix(b"\"") {
                Some(text) => text.get(..memchr::memchr(b'"', text)?),
                None => behind.split(|byte| *byte == b';' || byte.is_ascii_whitespace()).next(),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &[u8] = b"multipart/form-data; boundary=\"b;b\"";

    fn marks() -> [(String, String); 1] {
        [("synthetic".to_owned(), "1".to_owned())]
    }

    #[test]
    fn a_part_is_replaced_or_added_before_the_end() {
        let part = |name: &str, value: &str| {
            format!("--b;b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let file = "--b;b\r\ncontent-disposition: form-data; filename=\"a;name=synthetic\"; name=file\r\n\
            Content-Type: image/png\r\n\r\n\x00--b;bx\r\n\r\n";
        let end = "--b;b--\r\nepilogue";
        for (body, marked) in [
            (format!("{file}{end}"), format!("{file}{}{end}", part("synthetic", "1"))),
            (
                format!("{}{file}{end}", part("synthetic", "zero\r\n0")),
                format!("{}{file}{end}", part("synthetic", "1")),
            ),
            (end.to_owned(), format!("{}{end}", part("synthetic", "1"))),
        ] {
            let made = mark(&marks(), TYPE, body.as_bytes()).unwrap();
            assert_eq!(String::from_utf8_lossy(&made), marked);
        }
    }

    #[test]
    fn what_has_no_end_or_no_boundary_is_refused() {
        let whole = b"--b;b\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--b;b--";
        assert!(mark(&marks(), TYPE, whole).is_ok());
        assert_eq!(mark(&marks(), TYPE, &whole[..whole.len() - 2]), Err(Unmarkable));
        assert_eq!(mark(&marks(), b"multipart/form-data", whole), Err(Unmarkable));
        assert_eq!(mark(&marks(), TYPE, b""), Err(Unmarkable));
        assert_eq!(mark(&[], TYPE, whole), Err(Unmarkable));
    }
}
