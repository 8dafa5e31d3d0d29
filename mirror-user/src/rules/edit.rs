//! RequestEdits of requests for one target: header fields are removed, set or added, and the first segments of
//! the path are replaced.

use std::str::FromStr;

use crate::syntax::is_token;

/// RequestEdits of the requests for one target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestEdits {
    /// Header fields to remove.
    pub remove: Vec<String>,
    /// Header fields to set; captured fields of the same name are removed.
    pub set: Vec<(String, String)>,
    /// Header fields to add to those of the same name.
    pub add: Vec<(String, String)>,
    /// Replaces the first segments of the path.
    pub path_prefix: Option<PathPrefix>,
    /// Put before every path, after `path_prefix`; without a trailing slash, empty for none.
    pub base_path: String,
}

/// A replacement of the first segments of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPrefix {
    /// The segments to replace; other paths stay unchanged.
    pub from: String,
    /// The segments that replace them.
    pub to: String,
}

/// Fields that frame, route or mark a request, or name its trace. Editing them could smuggle requests or
/// let shadows be mirrored again.
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

/// True if edits may change this field.
#[must_use]
pub fn is_field_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    is_token(name.as_bytes()) && !FIXED.contains(&lower.as_str()) && !lower.starts_with("x-shadow-")
}

/// `/api=/v2`: the prefix `/api` becomes `/v2`.
impl FromStr for PathPrefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let odd = |c: char| matches!(c, '?' | '#') || c.is_whitespace() || c.is_control();
        let path = |text: &str| text.starts_with('/') && !text.contains(odd);
        match text.split_once('=') {
            Some((from, to)) if path(from) && path(to) && !to.contains('=') => {
                Ok(Self { from: from.to_owned(), to: to.to_owned() })
            }
            _ => Err("the segments to replace and their replacement, such as /api=/v2".into()),
        }
    }
}

/// Validates a path: one that cannot be sent would never match.
///
/// # Errors
/// What to write instead.
pub fn path_text(text: &str) -> Result<String, String> {
    let odd = |c: char| c == '?' || c == '#' || c.is_whitespace();
    if text != "*" && !text.starts_with('/') {
        return Err(format!(
            "{text:?}: a path starts with /, so this could never match; write /{text}"
        ));
    }
    if text.contains(odd) {
        return Err(format!(
            "{text:?}: a path has no ?, # or space, so this could never match; put the query under `query`"
        ));
    }
    Ok(text.to_owned())
}

/// Validates the name of a field for edits.
///
/// # Errors
/// If it is not a field name, or one that edits may not change.
pub fn field_name(text: &str) -> Result<String, String> {
    if is_field_name(text) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "{text:?} cannot be changed: not a field name, or one that frames, routes or marks the request"
        ))
    }
}

/// Validates the value of a field.
///
/// # Errors
/// If it does not fit on one line. The message omits the value, which may be a secret.
pub fn field_value(text: &str) -> Result<String, String> {
    if text.contains(|c: char| c.is_control() && c != '\t') {
        return Err("a field value is one line without control characters".to_owned());
    }
    Ok(text.to_owned())
}

/// Parses a field, `Name: value`.
///
/// # Errors
/// If it is not a field, or one that edits may not change.
pub fn field_line(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("a field, such as 'X-Environment: staging'")?;
    Ok((field_name(name.trim_end())?, field_value(value.trim())?))
}

impl RequestEdits {
    /// True if this field is set or added.
    #[must_use]
    pub fn gives(&self, name: &str) -> bool {
        self.set.iter().chain(&self.add).any(|(other, _)| other.eq_ignore_ascii_case(name))
    }

    /// True if the captured lines of this field are removed.
    #[must_use]
    pub fn hides(&self, name: &[u8]) -> bool {
        let same = |other: &String| name.eq_ignore_ascii_case(other.as_bytes());
        self.remove.iter().any(same) || self.set.iter().any(|(other, _)| same(other))
    }

    /// Writes the lines that are set or added.
    pub fn write(&self, out: &mut Vec<u8>) {
        for (name, value) in self.set.iter().chain(&self.add) {
            for part in [name.as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                out.extend_from_slice(part);
            }
        }
    }

    /// The edited path, in three parts. The asterisk form, `*`, stays unchanged.
    #[must_use]
    pub fn path<'a>(&'a self, path: &'a [u8]) -> [&'a [u8]; 3] {
        let (front, rest) = self.replaced(path);
        match path.first() {
            None | Some(b'/' | b'?') => [self.base_path.as_bytes(), front, rest],
            Some(_) => [&[], front, rest],
        }
    }

    /// The replaced prefix of this path, and the rest.
    fn replaced<'a>(&'a self, path: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        let Some(PathPrefix { from, to }) = &self.path_prefix else { return (&[], path) };
        let from = from.strip_suffix('/').unwrap_or(from).as_bytes();
        match path.strip_prefix(from) {
            Some(rest) if matches!(rest.first(), None | Some(b'/' | b'?')) => {
                let to = to.strip_suffix('/').unwrap_or(to).as_bytes();
                // An empty path becomes the root.
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
        let edits = RequestEdits { path_prefix, ..RequestEdits::default() };
        String::from_utf8(edits.path(path.as_bytes()).concat()).unwrap()
    }

    #[test]
    fn a_base_path_is_put_before_every_path() {
        let path_prefix = Some(PathPrefix { from: "/api".into(), to: "/x".into() });
        let edits =
            RequestEdits { base_path: "/v2".into(), path_prefix, ..RequestEdits::default() };
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
    fn flags_for_fields_and_paths_are_parsed_or_refused() {
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
        let none = RequestEdits::default();
        assert_eq!(none.path(b"/x"), [&b""[..], b"", b"/x"]);
    }

    #[test]
    fn fields_that_frame_route_or_mark_cannot_be_edited() {
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
