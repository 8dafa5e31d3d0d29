//! Names and values in a text of any kind: `token=abc` in a URL or a log, `"password": "x"` in JSON
//! that does not parse, `<password>x</password>`, percent-encoded once or more.
//!
//! Visits each `=`, `:` and `<` and checks the name next to it, so the time is linear in the length of the
//! text.

use std::ops::Range;

use super::detect::{Detection, Signs, What, each_separator};
use super::names::{Names, Treatment};
use super::tokens;

/// Maximum length of a name, and of the separator between it and its value, in bytes.
const MAX_NAME: usize = 96;
const MAX_GAP: usize = 16;
/// Maximum number of bytes that are read of an XML or HTML tag.
const MAX_TAG: usize = 1024;

/// Adds the values of listed names in `text`, which has these signs, to `found`.
pub(super) fn find<'a>(
    names: &'a Names,
    text: &[u8],
    signs: Signs,
    found: &mut Vec<Detection<'a>>,
) {
    if !signs.meet(Signs::SEPARATOR | Signs::OPENING) {
        return;
    }
    let mut from = 0;
    separators(text, |separator| {
        if separator.range.start < from {
            return;
        }
        if let Some((kind, range)) = assigned(names, text, &separator) {
            from = range.end;
            found.push(Detection { range, what: What::Named(kind) });
        }
    });
    if memchr::memchr(b'<', text).is_some() {
        tags(names, text, found);
    }
}

/// Reports each range in `text` that may separate a listed name from its value, or belong to an escape;
/// `is_passed_over`: colons that are no such separators, asked in order.
pub(super) fn places(
    names: &Names,
    text: &[u8],
    mut is_passed_over: impl FnMut(usize) -> bool,
    mut hit: impl FnMut(Range<usize>),
) {
    for at in each_separator(text) {
        let before = text.get(..at).unwrap_or_default();
        if text.get(at) == Some(&b'%') || !is_passed_over(at) && names.may_be_known(before) {
            hit(at..at + 1);
        }
    }
    for tag in memchr::memchr_iter(b'<', text) {
        hit(tag..tag + 1);
    }
}

/// A separator between a name and a value.
struct Separator {
    range: Range<usize>,
    /// `=`, not `:`.
    equals: bool,
    /// True if it is percent-encoded, and so are name and value.
    encoded: bool,
}

fn separators(text: &[u8], mut with: impl FnMut(Separator)) {
    for at in each_separator(text) {
        let separator = match text.get(at) {
            Some(b'%') => {
                let digits = skip_25(text, at + 1);
                let equals = match text.get(digits..digits + 2) {
                    Some([b'3', b'D' | b'd']) => true,
                    Some([b'3', b'A' | b'a']) => false,
                    _ => continue,
                };
                Separator { range: at..digits + 2, equals, encoded: true }
            }
            byte => Separator { range: at..at + 1, equals: byte == Some(&b'='), encoded: false },
        };
        with(separator);
    }
}

/// Behind the `25`s of `%2525…`.
fn skip_25(text: &[u8], mut at: usize) -> usize {
    while text.get(at..at + 2) == Some(b"25") {
        at += 2;
    }
    at
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || b"_-.[]$".contains(&byte)
}

/// The name before a separator, and whether it belongs to a pair in a query.
fn name<'t>(text: &'t [u8], separator: &Separator) -> Option<(&'t [u8], bool)> {
    let mut end = separator.range.start;
    let least = end.saturating_sub(MAX_GAP);
    let mut quoted = false;
    // Quotes, the brackets of `user%5Bpassword%5D`, and blanks between them and a colon.
    loop {
        let before = text.get(least..end)?;
        end = match before {
            [.., b'"' | b'\'' | b'`'] => {
                quoted = true;
                end - 1
            }
            [.., b'\\'] if quoted || separator.encoded => end - 1,
            [.., b' ' | b'\t'] => end - 1,
            [.., b'%', b'2', b'2' | b'7'] | [.., b'%', b'5', b'B' | b'D' | b'b' | b'd'] => end - 3,
            [.., b'%', b'2', b'5', b'2', b'2' | b'7']
            | [.., b'%', b'2', b'5', b'5', b'B' | b'D' | b'b' | b'd'] => end - 5,
            _ => break,
        };
    }
    let bytes = text.get(end.saturating_sub(MAX_NAME)..end)?;
    let length = bytes.iter().rev().take_while(|byte| is_name(**byte)).count();
    let mut start = end - length;
    // `%26token`: the letters of the escape are none of the name's.
    if start > 0 && text.get(start - 1) == Some(&b'%') {
        start = (skip_25(text, start) + 2).min(end);
    }
    let name = text.get(start..end)?;
    let before = start.checked_sub(1).and_then(|at| text.get(at));
    let in_query = separator.encoded || before.is_some_and(|byte| b"?&#;".contains(byte));
    (!name.is_empty()).then_some((name, in_query && separator.equals))
}

fn assigned<'a>(
    names: &'a Names,
    text: &[u8],
    separator: &Separator,
) -> Option<(&'a str, Range<usize>)> {
    // The three letters before the separator rule out most names.
    if !names.may_be_known(text.get(..separator.range.start)?) {
        return None;
    }
    let (name, in_query) = name(text, separator)?;
    let fate = match in_query {
        true => names.pair(name),
        false => names.field(name),
    };
    let Treatment::Replace(kind) = fate else { return None };
    let range = value(text, separator, name, kind)?;
    let value = text.get(range.clone())?;
    let literal = [&b"null"[..], b"true", b"false", b"None", b"undefined"].contains(&value);
    (!value.is_empty() && !literal && !tokens::is_token(value)).then_some((kind, range))
}

/// The range of the value after a separator.
fn value(text: &[u8], separator: &Separator, name: &[u8], kind: &str) -> Option<Range<usize>> {
    let behind = separator.range.end;
    let most = behind + MAX_GAP;
    let mut at = behind;
    let mut quote = None;
    while at < most {
        at += match text.get(at..)? {
            [b' ' | b'\t', ..] if quote.is_none() => 1,
            [b'\\', b'"' | b'\'' | b'\\', ..] if quote.is_none() => 1,
            [byte @ (b'"' | b'\'' | b'`'), ..] if quote.is_none() => {
                quote = Some(*byte);
                1
            }
            [b'%', b'2', b'2' | b'7', ..] | [b'%', b'2', b'0', ..] if separator.encoded => 3,
            [b'%', b'2', b'5', b'2', b'2' | b'7' | b'0', ..] if separator.encoded => 5,
            _ => break,
        };
    }
    let rest = text.get(at..)?;
    if let Some(quote) = quote {
        let is_escaped = text.get(at.checked_sub(2)?) == Some(&b'\\');
        let length = quoted(rest, quote, is_escaped);
        return Some(at..at + length);
    }
    match rest.first()? {
        // `a == b`, `token => x`, `a::b`, `scheme://`, `: {`
        b'=' | b':' | b'>' if !separator.encoded => return None,
        b'{' | b'[' => return None,
        b'/' if !separator.equals && rest.starts_with(b"//") => return None,
        _ => {}
    }
    let blank = at > behind && !separator.encoded;
    if blank && separator.equals {
        // `token = next()`: code, unless a line has no more than this.
        let line = line(rest);
        let one = !line.is_empty() && !line.iter().any(|byte| b" ({;".contains(byte));
        return (one && begins_line(text, separator, name)).then_some(at..at + line.len());
    }
    if !separator.equals
        && !separator.encoded
        && (matches!(kind, "cookie" | "authorization") || begins_line(text, separator, name))
    {
        // A field of a message, a line of YAML.
        return Some(at..at + line(rest).len());
    }
    Some(at..at + bare(rest))
}

fn line(rest: &[u8]) -> &[u8] {
    let end = memchr::memchr3(b'\n', b'\r', b'"', rest).unwrap_or(rest.len());
    let line = rest.get(..end).unwrap_or_default();
    // The line end of a text within a string.
    let end = memchr::memmem::find(line, b"\\n").or(memchr::memmem::find(line, b"\\r"));
    let line = end.and_then(|end| line.get(..end)).unwrap_or(line);
    line.trim_ascii_end()
}

/// True if a name starts its line, possibly after a list marker.
fn begins_line(text: &[u8], separator: &Separator, name: &[u8]) -> bool {
    let end = separator.range.start;
    let start = end.saturating_sub(name.len() + MAX_GAP);
    let before = text.get(start..end).unwrap_or_default();
    let Some(at) = memchr::memmem::rfind(before, name) else { return false };
    let before = before.get(..at).unwrap_or_default();
    let lead = before.iter().rev().find(|byte| !matches!(byte, b' ' | b'\t' | b'-' | b'>'));
    match lead {
        Some(byte) => *byte == b'\n',
        None => start == 0 || before.len() >= MAX_GAP,
    }
}

/// The length of the text up to the closing quote.
fn quoted(rest: &[u8], quote: u8, is_escaped: bool) -> usize {
    let mut at = 0;
    while let Some(next) = memchr::memchr2(quote, b'\\', rest.get(at..).unwrap_or_default()) {
        let place = at + next;
        match (rest.get(place) == Some(&quote), is_escaped) {
            (true, _) => return place,
            // The backslash before the closing quote of a string within a string.
            (false, true) if rest.get(place + 1) == Some(&quote) => return place,
            (false, _) => at = place + 2,
        }
    }
    rest.len()
}

/// The length of a value without quotes.
fn bare(rest: &[u8]) -> usize {
    let mut at = 0;
    while let Some(byte) = rest.get(at) {
        let next = rest.get(at + 1);
        let closes =
            || next.is_none_or(|byte| byte.is_ascii_whitespace() || b",;.)]}>\"'&".contains(byte));
        let ends = match byte {
            b'&' | b';' | b'"' | b'\'' | b'<' | b'>' | b'`' | b'\\' | b'#' | b'|' => true,
            byte if byte.is_ascii_whitespace() => true,
            b')' | b']' | b'}' => closes(),
            b',' => ends_at_comma(rest.get(at + 1..).unwrap_or_default()),
            b'%' => ends_at_escape(rest, at),
            _ => false,
        };
        if ends {
            break;
        }
        at += 1;
    }
    at
}

/// A comma ends a value when another pair follows.
fn ends_at_comma(rest: &[u8]) -> bool {
    let name = rest.iter().take(MAX_NAME).take_while(|byte| is_name(**byte)).count();
    match rest.get(name) {
        _ if rest
            .first()
            .is_none_or(|byte| byte.is_ascii_whitespace() || b"\"'".contains(byte)) =>
        {
            true
        }
        Some(b'=' | b':') => name > 0,
        _ => false,
    }
}

/// `&`, `;`, `#`, `"`, `'`, `<`, `>`, blanks and line ends, percent-encoded once or more.
fn ends_at_escape(rest: &[u8], at: usize) -> bool {
    let digits = skip_25(rest, at + 1);
    let Some([high, low]) = rest.get(digits..digits + 2) else { return false };
    matches!(
        [*high, low.to_ascii_uppercase()],
        [b'2', b'6' | b'3' | b'2' | b'7' | b'0'] | [b'3', b'B' | b'C' | b'E'] | [b'0', b'A' | b'D']
    )
}

/// `<name …>value<`, and `<… name="x" value="y">`.
fn tags<'a>(names: &'a Names, text: &[u8], found: &mut Vec<Detection<'a>>) {
    for open in memchr::memchr_iter(b'<', text) {
        let inside = text.get(open + 1..).unwrap_or_default();
        let inside = inside.get(..MAX_TAG).unwrap_or(inside);
        let Some(close) = memchr::memchr(b'>', inside) else { continue };
        let tag = inside.get(..close).unwrap_or_default();
        let length = tag.iter().take_while(|byte| is_name(**byte) || **byte == b':').count();
        let (element, attributes) = tag.split_at_checked(length).unwrap_or_default();
        let local = element.rsplit(|byte| *byte == b':').next().unwrap_or_default();
        if let Some((kind, range)) = attribute(names, attributes) {
            let start = open + 1 + length;
            let range = start + range.start..start + range.end;
            push(text, kind, range, found);
        }
        if element.is_empty() || tag.ends_with(b"/") {
            continue;
        }
        if let Treatment::Replace(kind) = names.field(local) {
            let start = open + 1 + close + 1;
            let rest = text.get(start..).unwrap_or_default();
            let range = match rest.strip_prefix(b"<![CDATA[") {
                Some(data) => {
                    let start = start + (rest.len() - data.len());
                    start..start + memchr::memmem::find(data, b"]]>").unwrap_or(data.len())
                }
                None => start..start + memchr::memchr(b'<', rest).unwrap_or(rest.len()),
            };
            push(text, kind, range, found);
        }
    }
}

fn push<'a>(text: &[u8], kind: &'a str, range: Range<usize>, found: &mut Vec<Detection<'a>>) {
    let value = text.get(range.clone()).unwrap_or_default();
    let lead = value.len() - value.trim_ascii_start().len();
    let bare = value.trim_ascii();
    if !bare.is_empty() && !tokens::is_token(bare) {
        let start = range.start + lead;
        found.push(Detection { range: start..start + bare.len(), what: What::Named(kind) });
    }
}

/// The value that belongs to a name in a tag.
fn attribute<'a>(names: &'a Names, tag: &[u8]) -> Option<(&'a str, Range<usize>)> {
    let of = |attribute: &[u8]| -> Option<Range<usize>> {
        memchr::memmem::find_iter(tag, attribute).find_map(|at| {
            let begins = at == 0 || tag.get(at - 1).is_some_and(|byte| byte.is_ascii_whitespace());
            let rest = tag.get(at + attribute.len()..)?;
            let (quote, rest) = rest.strip_prefix(b"=")?.split_first()?;
            let start = at + attribute.len() + 2;
            let length = memchr::memchr(*quote, rest)?;
            (begins && matches!(quote, b'"' | b'\'')).then_some(start..start + length)
        })
    };
    let value = of(b"value").or_else(|| of(b"content"))?;
    [&b"name"[..], b"key", b"id", b"property"].iter().find_map(|attribute| {
        match names.field(tag.get(of(attribute)?)?) {
            Treatment::Replace(kind) => Some((kind, value.clone())),
            _ => None,
        }
    })
}
