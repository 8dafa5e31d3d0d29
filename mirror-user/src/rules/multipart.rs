//! How `multipart/form-data` (RFC 7578) is read, whatever is done with its parts.

/// Where the lines start that `delimiter`, `--` and the boundary, begins (RFC 2046 §5.1.1). It may be the beginning of
/// a longer one within a part.
pub(super) fn delimiters<'a>(
    text: &'a [u8],
    delimiter: &'a [u8],
) -> impl Iterator<Item = usize> + 'a {
    memchr::memmem::find_iter(text, delimiter)
        .filter(|at| *at == 0 || text.get(at - 1) == Some(&b'\n'))
        .filter(|at| {
            let behind = text.get(at + delimiter.len()..).unwrap_or_default();
            matches!(behind, [b'\r' | b'\n' | b' ' | b'\t', ..] | [b'-', b'-', ..])
        })
}

/// The end of the part before the delimiter at `next`, which the line end before it belongs to.
pub(super) fn end_before(text: &[u8], next: usize) -> usize {
    match text.get(..next) {
        Some([.., b'\r', b'\n']) => next - 2,
        _ => next - 1,
    }
}

/// The head of a part, and where its content starts; `None` without an empty line between them.
pub(super) fn split(part: &[u8]) -> Option<(&[u8], usize)> {
    let (head, blank) = match memchr::memmem::find(part, b"\r\n\r\n") {
        Some(head) => (head, 4),
        None => (memchr::memmem::find(part, b"\n\n")?, 2),
    };
    Some((part.get(..head)?, head + blank))
}

/// The fields of a part's head: names as they are, values trimmed.
pub(super) fn fields(head: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    head.split(|byte| *byte == b'\n').filter_map(|line| {
        let (name, value) = line.split_at_checked(memchr::memchr(b':', line)?)?;
        Some((name.trim_ascii(), value.get(1..).unwrap_or_default().trim_ascii()))
    })
}

/// A parameter of a header's value (RFC 9110 §5.6.6), without quotes.
pub(crate) fn parameter<'a>(value: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut rest = value.get(memchr::memchr(b';', value)?..)?;
    while let Some(after) = rest.strip_prefix(b";") {
        let equals = memchr::memchr(b'=', after)?;
        let (found, value) = after.split_at_checked(equals)?;
        let value = value.get(1..)?.trim_ascii_start();
        let (value, behind) = match value.strip_prefix(b"\"") {
            Some(quoted) => quoted.split_at_checked(memchr::memchr(b'"', quoted)?)?,
            None => value.split_at_checked(memchr::memchr(b';', value).unwrap_or(value.len()))?,
        };
        if found.trim_ascii().eq_ignore_ascii_case(name) {
            return Some(value.trim_ascii());
        }
        rest = behind.get(memchr::memchr(b';', behind)?..)?;
    }
    None
}
