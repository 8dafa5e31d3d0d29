//! What one target sees otherwise than it was captured: fields removed, set or added, and the first
//! segments of the path replaced.

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
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let lower = name.to_ascii_lowercase();
    !name.is_empty()
        && name.bytes().all(token)
        && !FIXED.contains(&lower.as_str())
        && !lower.starts_with("x-shadow-")
}

impl Edits {
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

    /// What stands in front of the rest of this path, and that rest.
    #[must_use]
    pub fn path<'a>(&'a self, path: &'a [u8]) -> (&'a [u8], &'a [u8]) {
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
        let (front, rest) = edits.path(path.as_bytes());
        String::from_utf8([front, rest].concat()).unwrap()
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
        assert_eq!(none.path(b"/x"), (&b""[..], &b"/x"[..]));
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
