//! Paths: exact, by string prefix, by segments, by regular expression.

use super::Pattern;

/// What a path must be.
#[derive(Clone, Debug, PartialEq)]
pub struct PathMatch {
    /// In which of the four ways.
    pub kind: PathKind,
    /// ASCII letters are the same in both cases, but for regular expressions (`(?i)` does that).
    pub ignore_case: bool,
}

/// In which way a path must be what.
#[derive(Clone, Debug, PartialEq)]
pub enum PathKind {
    /// This, byte for byte.
    Exact(String),
    /// Beginning with this string, wherever it ends: `/foo` matches `/foobar` (Istio).
    Prefix(String),
    /// Beginning with these segments: `/foo` and `/foo/` match `/foo` and `/foo/bar`, not `/foobar`
    /// (Gateway API).
    Segments(String),
    /// This expression from its first byte to its last.
    Regex(Pattern),
}

impl PathMatch {
    /// True when `path`, without its query, is such a path.
    #[must_use]
    pub fn matches(&self, path: &[u8]) -> bool {
        match &self.kind {
            PathKind::Exact(exact) => path.len() == exact.len() && self.begins(path, exact),
            PathKind::Prefix(prefix) => self.begins(path, prefix),
            PathKind::Segments(prefix) => {
                let prefix = trimmed(prefix);
                self.begins(path, prefix) && matches!(path.get(prefix.len()), None | Some(b'/'))
            }
            PathKind::Regex(pattern) => pattern.matches(path),
        }
    }

    fn begins(&self, path: &[u8], prefix: &str) -> bool {
        path.get(..prefix.len()).is_some_and(|start| match self.ignore_case {
            true => start.eq_ignore_ascii_case(prefix.as_bytes()),
            false => start == prefix.as_bytes(),
        })
    }

    /// True when no path is both. Says no where an expression would have to be understood.
    pub(super) fn excludes(&self, other: &Self) -> bool {
        let any_case = |text: &str| match self.ignore_case || other.ignore_case {
            true => text.to_ascii_lowercase(),
            false => text.to_owned(),
        };
        // What every such path begins with, and whether it ends there, too.
        let start = |kind: &PathKind| match kind {
            PathKind::Exact(text) => Some((any_case(text), true)),
            PathKind::Prefix(text) => Some((any_case(text), false)),
            PathKind::Segments(text) => Some((any_case(trimmed(text)), false)),
            PathKind::Regex(_) => None,
        };
        match (&self.kind, &other.kind) {
            (PathKind::Regex(pattern), PathKind::Exact(path))
            | (PathKind::Exact(path), PathKind::Regex(pattern))
                if !self.ignore_case && !other.ignore_case =>
            {
                !pattern.matches(path.as_bytes())
            }
            (PathKind::Segments(segments), PathKind::Exact(path))
            | (PathKind::Exact(path), PathKind::Segments(segments)) => {
                let kind = PathKind::Segments(any_case(segments));
                !Self { kind, ignore_case: false }.matches(any_case(path).as_bytes())
            }
            (a, b) => match (start(a), start(b)) {
                (Some((a, a_ends)), Some((b, b_ends))) => {
                    !(a.starts_with(&b) && !(b_ends && a != b)
                        || b.starts_with(&a) && !(a_ends && a != b))
                }
                _ => false,
            },
        }
    }

    pub(super) fn covers(&self, narrow: &Self) -> bool {
        if self == narrow {
            return true;
        }
        if narrow.ignore_case && !self.ignore_case {
            return false;
        }
        match (&self.kind, &narrow.kind) {
            (_, PathKind::Exact(path)) => self.matches(path.as_bytes()),
            // What begins with more begins with less. `*` is the one path that begins otherwise.
            (PathKind::Prefix(wide), PathKind::Prefix(narrow)) => {
                self.begins(narrow.as_bytes(), wide)
            }
            (PathKind::Prefix(wide), PathKind::Segments(narrow)) => {
                self.begins(trimmed(narrow).as_bytes(), wide) || wide == "/"
            }
            (PathKind::Segments(_), PathKind::Segments(narrow)) => {
                self.matches(trimmed(narrow).as_bytes())
            }
            (PathKind::Segments(wide), PathKind::Prefix(narrow)) => {
                let wide = trimmed(wide);
                self.begins(narrow.as_bytes(), wide)
                    && narrow.as_bytes().get(wide.len()) == Some(&b'/')
            }
            (PathKind::Exact(_) | PathKind::Regex(_), _) | (_, PathKind::Regex(_)) => false,
        }
    }
}

/// A trailing slash does not count.
fn trimmed(prefix: &str) -> &str {
    prefix.strip_suffix('/').unwrap_or(prefix)
}
