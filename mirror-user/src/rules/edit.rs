//! What one target sees otherwise than it was captured: fields removed, set or added, and the first
//! segments of the path replaced.

use std::str::FromStr;

use crate::syntax::is_token;

/// Changes for one target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// Fields that are left out.
    pub remove: Vec<String>,
    /// Fields that have this value alone.
    pub set: Vec<(String, String)>,
    /// Fields that are added to those of the same name.
    pub add: Vec<(String, String)>,
    /// What becomes of the path.
    pub path_prefix: Option<PathPrefix>,
    /// What stands before every path, after that; empty for nothing, and without a slash at its end.
    pub base_path: String,
}

/// The first segments of a path, and what stands there instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPrefix {
    /// Whole segments; other paths stay.
    pub from: String,
    /// What stands there instead.
    pub to: String,
}

/// Fields that say where a message ends, whom it is for, that it is a shadow, and of which trace: who
/// could change them could smuggle requests, or have shadows shadowed.
const FIXED: [&str; 13] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "baggage",
    "traceparent",
    "tracestate",
];

/// True for a field that edits may name.
#[must_use]
pub fn is_field_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    is_token(name.as_bytes()) && !FIXED.contains(&lower.as_str()) && !lower.starts_with("x-shadow-")
}

/// `/api=/v2`: paths below the first one are sent below the second one.
impl FromStr for PathPrefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let odd = |c: char| matches!(c, '?' | '#') || c.is_whitespace() || c.is_control();
        let path = |text: &str| text.starts_with('/') && !text.contains(odd);
        match text.split_once('=') {
            Some((from, to)) if path(from) && path(to) && !to.contains('=') => {
                Ok(Self { from: from.to_owned(), to: to.to_owned() })
            }
            _ => {
                Err("the segments that are replaced and those that replace them, such as /api=/v2"
                    .into())
            }
        }
    }
}

/// A path as it can be sent; any other never matches.
///
/// # Errors
/// What to write instead.
pub fn path_text(text: &str) -> Result<String, String> {
    let odd = |c: char| c == '?' || c == '#' || c.is_whitespace();
    if text != "*" && !text.starts_with('/') {
        return Err(format!(
            "{text:?}: a path begins with /, so that this could never match; write /{text}"
        ));
    }
    if text.contains(odd) {
        return Err(format!(
            "{text:?}: a path has no ?, # or space, so that this could never match; put the query under `query`"
        ));
    }
    Ok(text.to_owned())
}

/// The name of a field that edits may change.
///
/// # Errors
/// When it is none.
pub fn field_name(text: &str) -> Result<String, String> {
    if is_field_name(text) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "{text:?} cannot be changed: no field name, or one that frames, routes or marks the request"
        ))
    }
}

/// The value of a field.
///
/// # Errors
/// When it would not stay within its line; without the value, which may be a secret.
pub fn field_value(text: &str) -> Result<String, String> {
    if text.contains(|c: char| c.is_control() && c != '\t') {
        return Err("a field's value is one line without control characters".to_owned());
    }
    Ok(text.to_owned())
}

/// A field as `Name: value`.
///
/// # Errors
/// When it is none, or one that edits may not change.
pub fn field_line(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("a field, such as 'X-Environment: staging'")?;
    Ok((field_name(name.trim_end())?, field_value(value.trim())?))
}

impl Edits {
    /// True when this field gets a value.
    #[must_use]
    pub fn gives(&self, name: &str) -> bool {
        self.set.iter().chain(&self.add).any(|(other, _)| other.eq_ignore_ascii_case(name))
    }

    /// True when the captured lines of this field stay away.
    #[must_use]
    pub fn hides(&self, name: &[u8]) -> bool {
        let same = |other: &String| name.eq_ignore_ascii_case(other.as_bytes());
        self.remove.iter().any(same) || self.set.iter().any(|(other, _)| same(other))
    }

    /// Writes the lines that come in addition.
    pub fn write(&self, out: &mut Vec<u8>) {
        for (name, value) in self.set.iter().chain(&self.add) {
            for part in [name.as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                out.extend_from_slice(part);
            }
        }
    }

    /// What this path becomes, in three parts. What is no path, `*`, stays.
    #[must_use]
    pub fn path<'a>(&'a self, path: &'a [u8]) -> [&'a [u8]; 3] {
        let (front, rest) = self.replaced(path);
        match path.first() {
            None | Some(b'/' | b'?') => [self.base_path.as_bytes(), front, rest],
            Some(_) => [&[], front, rest],
        }
    }

    /// What stands in front of the rest of this path, and that rest.
    fn replaced<'a>(&'a self, path: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        let Some(PathPrefix { from, to }) = &self.path_prefix else { return (&[], path) };
        let from = from.strip_suffix('/').unwrap_or(from).as_bytes();
        match path.strip_prefix(from) {
            Some(rest) if matches!(rest.first(), None | Some(b'/' | b'?')) => {
                let to = to.strip_suffix('/').unwrap_or(to).as_bytes();
                // The root is the path of what has none.
                let to = if to.is_empty() && rest.first() != Some(&b'/') { b"/" } else { to };
                (to, rest)
            }
            _ => (&[], path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(from: &str, to: &str, path: &str) -> String {
        let path_prefix = Some(PathPrefix { from: from.into(), to: to.into() });
        let edits = Edits { path_prefix, ..Edits::default() };
        String::from_utf8(edits.path(path.as_bytes()).concat()).unwrap()
    }

    #[test]
    fn a_base_path_stands_before_every_path() {
        let path_prefix = Some(PathPrefix { from: "/api".into(), to: "/x".into() });
        let edits = Edits { base_path: "/v2".into(), path_prefix, ..Edits::default() };
        for (before, after) in [
            ("/a?b", "/v2/a?b"),
            ("/", "/v2/"),
            ("/api/a", "/v2/x/a"),
            ("", "/v2"),
            ("?a", "/v2?a"),
            ("*", "*"),
        ] {
            assert_eq!(edits.path(before.as_bytes()).concat(), after.as_bytes(), "{before}");
        }
    }

    #[test]
    fn flags_for_fields_and_paths_are_read_or_refused() {
        let line = |name: &str, value: &str| Ok((name.to_owned(), value.to_owned()));
        assert_eq!(field_line("X-A: b: c "), line("X-A", "b: c"));
        assert_eq!(field_line("X-A:"), line("X-A", ""));
        for bad in ["X-A", ": b", "Host: b", "X A: b", "X-A: b\r\nX-Shadow-Id: c"] {
            assert!(field_line(bad).is_err(), "{bad}");
        }
        assert_eq!("/api=/".parse(), Ok(PathPrefix { from: "/api".into(), to: "/".into() }));
        for bad in ["", "/api", "api=/v2", "/api=v2", "/api=/v2=/v3", "/a b=/c", "/a=/b?c"] {
            assert!(bad.parse::<PathPrefix>().is_err(), "{bad}");
        }
    }

    #[test]
    fn whole_segments_are_replaced() {
        for (from, to, before, after) in [
            ("/api", "/v2", "/api", "/v2"),
            ("/api", "/v2", "/api/a?b=/api", "/v2/a?b=/api"),
            ("/api", "/v2", "/api?x", "/v2?x"),
            ("/api/", "/v2/", "/api/a", "/v2/a"),
            ("/api", "/v2", "/apis", "/apis"),
            ("/api", "/v2", "/x/api", "/x/api"),
            ("/api", "/", "/api", "/"),
            ("/api", "/", "/api?x", "/?x"),
            ("/api", "/", "/api/a", "/a"),
            ("/", "/a", "/hello?a=1", "/a/hello?a=1"),
            ("/", "/a", "/", "/a/"),
            ("/", "/a", "*", "*"),
        ] {
            assert_eq!(path(from, to, before), after, "{from} {to} {before}");
        }
        let none = Edits::default();
        assert_eq!(none.path(b"/x"), [&b""[..], b"", b"/x"]);
    }

    #[test]
    fn what_frames_routes_or_marks_is_no_field_to_edit() {
        for fixed in [
            "Host",
            "content-LENGTH",
            "X-Shadow-Id",
            "x-shadow-anything",
            "baggage",
            "",
            "a b",
            "a:",
        ] {
            assert!(!is_field_name(fixed), "{fixed}");
        }
        assert!(is_field_name("X-User") && is_field_name("authorization"));
    }
}
