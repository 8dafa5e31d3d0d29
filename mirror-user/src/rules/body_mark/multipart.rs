//! Parts in `multipart/form-data` (RFC 7578).

use super::{Splices, Unmarkable};
use crate::rules::multipart;

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
    let boundary = multipart::parameter(media_type, b"boundary").ok_or(Unmarkable)?;
    let delimiter = [b"--", boundary].concat();
    let mut splices = Splices::new(text);
    let mut is_there = vec![false; marks.len()];
    let mut begin = None;
    for at in multipart::delimiters(text, &delimiter) {
        let behind = text.get(at + delimiter.len()..).unwrap_or_default();
        if let Some(begin) = begin {
            let end = multipart::end_before(text, at);
            let part = text.get(begin..end).ok_or(Unmarkable)?;
            let (head, content) = multipart::split(part).ok_or(Unmarkable)?;
            let name = name_of(head).unwrap_or_default();
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

/// The name of a part with this head.
fn name_of(head: &[u8]) -> Option<&[u8]> {
    let is_it = |(name, _): &(&[u8], &[u8])| name.eq_ignore_ascii_case(b"content-disposition");
    let mut dispositions = multipart::fields(head).filter(is_it);
    dispositions.find_map(|(_, value)| multipart::parameter(value, b"name"))
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
