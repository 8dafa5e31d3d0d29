//! Field lines inside a body: the head echoed by TRACE (RFC 9110 §9.3.8), the parts of a batch, or another
//! message that was mistaken for a body. Listed names are treated as in a head.

use super::context::Context;
use super::head;
use super::replacer::Replacer;
use super::report::Where;

/// The name of a line must end within this many bytes; no listed name is longer.
const MAX_NAME: usize = 64;

/// Rewrites the values of listed names and the cookies in lines that look like fields; `None` when
/// nothing is to be replaced.
pub(super) fn rewrite(context: &mut Context<'_>, content: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut edits = Replacer::new(content, &mut out);
    let mut start = 0;
    while start < content.len() {
        let next = line_end(content, start);
        let line = content.get(start..next).unwrap_or_default();
        let name_end = memchr::memchr(b':', line.get(..MAX_NAME).unwrap_or(line));
        let name =
            name_end.and_then(|colon| line.get(..colon)).unwrap_or_default().trim_ascii_end();
        if is_plain(name) && head::is_listed(context, name) {
            // A value may continue on lines that start with whitespace (RFC 9112 §5.2).
            let mut end = next;
            while matches!(content.get(end), Some(b' ' | b'\t')) {
                end = line_end(content, end);
            }
            let from = start + name_end.unwrap_or_default() + 1;
            let value = content.get(from..end).unwrap_or_default();
            let blank = value.len() - value.trim_ascii_start().len();
            let range = from + blank..from + value.trim_ascii_end().len().max(blank);
            let at = Where::Header(name);
            edits.edit(range, |value, out| head::value(context, name, &at, value, out));
            start = end;
        } else {
            start = next;
        }
    }
    edits.finish().then_some(out)
}

/// True for a name with only the characters of listed names; not for `{"token"`.
fn is_plain(name: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !name.is_empty() && name.iter().all(plain)
}

/// The end of the line that starts at `start`, including its line ending.
fn line_end(content: &[u8], start: usize) -> usize {
    let rest = content.get(start..).unwrap_or_default();
    memchr::memchr(b'\n', rest).map_or(content.len(), |lf| start + lf + 1)
}
