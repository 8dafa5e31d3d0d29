//! Paths: exact, by string prefix, by segments, by regular expression.

use super::Pattern;

/// A condition on a path.
#[derive(Clone, Debug, PartialEq)]
pub struct PathMatch {
    /// The kind of comparison.
    pub kind: PathKind,
    /// Ignores the case of ASCII letters; not for regular expressions (use `(?i)`).
    pub ignore_case: bool,
}

/// How a path is compared.
#[derive(Clone, Debug, PartialEq)]
pub enum PathKind {
    /// Equal to this, byte for byte.
    Exact(String),
    /// Starts with this string: `/foo` matches `/foobar` (Istio).
    Prefix(String),
    /// Starts with these segments: `/foo` and `/foo/` match `/foo` and `/foo/bar`, not `/foobar`
    /// (Gateway API).
    Segments(String),
    /// Matches this expression as a whole.
    Regex(Pattern),
}

impl PathMatch {
    /// True if `path`, without its query, matches.
    #[must_use]
    pub fn matches(&self, path: &[u8]) -> bool {
        match &self.kind {
            PathKind::Exact(exact) => path.len() == exact.len() && self.starts_with(path, exact),
            PathKind::Prefix(prefix) => self.starts_with(path, prefix),
            PathKind::Segments(prefix) => {
                let prefix = trimmed(prefix);
                self.starts_with(path, prefix)
                    && matches!(path.get(prefix.len()), None | Some(b'/'))
            }
            PathKind::Regex(pattern) => pattern.matches(path),
        }
    }

    fn starts_with(&self, path: &[u8], prefix: &str) -> bool {
        path.get(..prefix.len()).is_some_and(|start| match self.ignore_case {
            true => start.eq_ignore_ascii_case(prefix.as_bytes()),
            false => start == prefix.as_bytes(),
        })
    }

    /// True if no path can match both. False if that would need an analysis of a regular expression.
    pub(super) fn excludes(&self, other: &Self) -> bool {
        let any_case = |text: &str| match self.ignore_case || other.ignore_case {
            true => text.to_ascii_lowercase(),
            false => text.to_owned(),
        };
        // The prefix of every matching path, and whether the path ends there.
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
            // A longer prefix implies a shorter one. `*` is the only path that does not start with `/`.
            (PathKind::Prefix(wide), PathKind::Prefix(narrow)) => {
                self.starts_with(narrow.as_bytes(), wide)
            }
            (PathKind::Prefix(wide), PathKind::Segments(narrow)) => {
                self.starts_with(trimmed(narrow).as_bytes(), wide) || wide == "/"
            }
            (PathKind::Segments(_), PathKind::Segments(narrow)) => {
                self.matches(trimmed(narrow).as_bytes())
            }
            (PathKind::Segments(wide), PathKind::Prefix(narrow)) => {
                let wide = trimmed(wide);
                self.starts_with(narrow.as_bytes(), wide)
                    && narrow.as_bytes().get(wide.len()) == Some(&b'/')
            }
            (PathKind::Exact(_) | PathKind::Regex(_), _) | (_, PathKind::Regex(_)) => false,
        }
    }
}

/// Without a trailing slash.
fn trimmed(prefix: &str) -> &str {
    prefix.strip_suffix('/').unwrap_or(prefix)
}
