//! What a route changes in its requests, and what the route's conditions look like on the server's wire
//! after those changes.

use crate::rules::edit::{PathPrefix, RequestEdits, is_field_name};
use crate::rules::select::{Match, PathKind, PathMatch, Pattern, TextMatch};

/// Prefixes of headers that proxies after the route may also set, so the wire may not show the route's
/// value.
const OF_PROXIES: [&str; 2] = ["x-envoy-", "x-forwarded-"];

/// Reserved words of the native file's `host`.
const HOST_WORDS: [&str; 3] = ["keep", "suffix", "target"];

/// How a route changes the path.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum PathChange {
    #[default]
    None,
    /// Replaces what the condition matched: the string of a prefix, otherwise the whole path (Istio).
    Matched(String),
    /// Replaces the matched segments (Gateway API).
    Segments(String),
    /// Replaces the whole path.
    Full(String),
    /// By a regular expression, or unknown.
    Unknown,
}

/// What a route changes before it forwards a request. Proxies first remove fields, then set and add.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Changes {
    pub(super) path: PathChange,
    /// The Host that the server receives.
    pub(super) host: Option<String>,
    pub(super) remove: Vec<String>,
    pub(super) set: Vec<(String, String)>,
    pub(super) add: Vec<(String, String)>,
    /// Fields that only some destinations of the route change.
    pub(super) varying: Vec<String>,
    /// True if something unknown may change anything.
    pub(super) opaque: bool,
}

/// Conditions, as seen on the server's wire.
pub(super) struct Seen {
    /// Matches every request of the route.
    pub(super) matched: Match,
    /// Conditions that can no longer be observed.
    pub(super) lost: Vec<String>,
    /// True if this matches requests that the original conditions do not match.
    pub(super) moved: bool,
}

impl Changes {
    pub(super) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// True if a condition of `one` depends on something that is changed.
    pub(super) fn touch(&self, one: &Match) -> bool {
        self.opaque
            || (self.path != PathChange::None && one.path.is_some())
            || (self.host.is_some() && !one.hosts.is_empty())
            || one.headers.iter().any(|(name, _)| self.changes_field(name))
    }

    fn changes_field(&self, name: &str) -> bool {
        let same = |other: &String| other.eq_ignore_ascii_case(name);
        self.remove.iter().chain(&self.varying).any(same)
            || self.set.iter().chain(&self.add).any(|(other, _)| same(other))
            || (self.host.is_some() && name.eq_ignore_ascii_case("host"))
    }

    /// What the server sees of requests that match `before`.
    pub(super) fn behind(&self, before: &Match) -> Seen {
        let mut lost = Vec::new();
        let mut seen = before.clone();
        if self.opaque {
            seen = Match { hosts: before.hosts.clone(), ..Match::default() };
            if seen != *before {
                lost.push("what it matches".to_owned());
            }
        } else {
            seen.path = self.path_behind(before.path.as_ref()).unwrap_or_else(|()| {
                lost.push("the path".to_owned());
                None
            });
            if let Some(host) = &self.host {
                match host.parse() {
                    Ok(host) => seen.hosts = vec![host],
                    Err(_) => {
                        seen.hosts.clear();
                        lost.push("the host".to_owned());
                    }
                }
            }
            seen.headers.clear();
            for (name, text) in &before.headers {
                match self.field_behind(name, text) {
                    Some(text) => seen.headers.push((name.clone(), text)),
                    // Already covered by the condition on the host.
                    None if self.host.is_some() && name.eq_ignore_ascii_case("host") => {}
                    None => lost.push(format!("header {name}")),
                }
            }
        }
        let moved = !before.covers(&seen);
        if moved {
            self.mark(&mut seen);
        }
        Seen { matched: seen, lost, moved }
    }

    /// Fields that the route sets distinguish its requests from those of others.
    fn mark(&self, seen: &mut Match) {
        for (name, _) in &self.set {
            let lower = name.to_ascii_lowercase();
            let known = seen.headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
            if !known
                && !OF_PROXIES.iter().any(|start| lower.starts_with(start))
                && let Some(TextMatch::Exact(value)) = self.field_behind(name, &TextMatch::Present)
            {
                seen.headers.push((lower, TextMatch::Exact(value)));
            }
        }
    }

    fn path_behind(&self, before: Option<&PathMatch>) -> Result<Option<PathMatch>, ()> {
        let kind = match (&self.path, before.map(|path| &path.kind)) {
            (PathChange::None, _) => return Ok(before.cloned()),
            (PathChange::Unknown, None) => return Ok(None),
            (PathChange::Unknown, Some(_))
            | (PathChange::Matched(_), Some(PathKind::Segments(_))) => {
                return Err(());
            }
            // Without a condition, the prefix / is matched and replaced.
            (PathChange::Matched(to), None | Some(PathKind::Prefix(_))) => {
                PathKind::Prefix(to.clone())
            }
            (
                PathChange::Segments(to),
                None | Some(PathKind::Segments(_) | PathKind::Prefix(_)),
            ) => PathKind::Segments(if to.is_empty() { "/".to_owned() } else { to.clone() }),
            (PathChange::Segments(_), Some(PathKind::Exact(_) | PathKind::Regex(_))) => {
                return Err(());
            }
            (PathChange::Matched(to), Some(PathKind::Exact(_) | PathKind::Regex(_)))
            | (PathChange::Full(to), _) => PathKind::Exact(to.clone()),
        };
        match &kind {
            // Every path matches.
            PathKind::Prefix(text) | PathKind::Segments(text) if text == "/" => Ok(None),
            PathKind::Prefix(text) | PathKind::Segments(text) | PathKind::Exact(text)
                if text.starts_with('/') && !text.contains(['?', '#', ' ']) =>
            {
                Ok(Some(PathMatch { kind, ignore_case: false }))
            }
            _ => Err(()),
        }
    }

    /// The condition on a field after the changes; `None` if it is not known.
    fn field_behind(&self, name: &str, text: &TextMatch) -> Option<TextMatch> {
        if !self.changes_field(name) {
            return Some(text.clone());
        }
        let same = |other: &String| other.eq_ignore_ascii_case(name);
        if self.varying.iter().any(same) || name.eq_ignore_ascii_case("host") {
            return None;
        }
        let removed = self.remove.iter().any(same);
        let mut values = self.set.iter().filter(|(other, _)| same(other)).map(|(_, value)| value);
        let base = match (values.next(), removed) {
            // Which of two operations is applied last depends on their level.
            (Some(_), true) => return None,
            (Some(first), false) if values.all(|other| other == first) => {
                TextMatch::Exact(literal(first)?)
            }
            (Some(_), false) => return None,
            (None, true) => TextMatch::Absent,
            (None, false) => text.clone(),
        };
        if removed && self.add.iter().any(|(other, _)| same(other)) {
            return None;
        }
        let added = self.add.iter().filter(|(other, _)| same(other));
        added.map(|(_, value)| literal(value)).try_fold(base, |base, value| {
            let value = value?;
            match base {
                TextMatch::Absent => Some(TextMatch::Exact(value)),
                TextMatch::Exact(first) => Some(TextMatch::Exact(format!("{first},{value}"))),
                TextMatch::Regex(first) => {
                    let value = regex_escaped(&value);
                    Pattern::new(&format!("(?:{}),{value}", first.as_str()))
                        .ok()
                        .map(TextMatch::Regex)
                }
                TextMatch::Prefix(_) | TextMatch::Present => Some(base),
                TextMatch::Not(_) => None,
            }
        })
    }

    /// The same changes as edits of a request that was captured before them. `Err` says which change is
    /// not possible.
    pub(super) fn edits(&self, matches: &[Match]) -> Result<RequestEdits, String> {
        if self.opaque || !self.varying.is_empty() {
            return Err("the changes of its destinations or extensions are not known".to_owned());
        }
        if let Some(host) = self.host.as_deref().filter(|host| HOST_WORDS.contains(host)) {
            return Err(format!(
                "host {host:?} is a reserved word of the native file; add its port"
            ));
        }
        let names =
            self.remove.iter().chain(self.set.iter().chain(&self.add).map(|(name, _)| name));
        for name in names {
            if !is_field_name(name) {
                return Err(format!("header {name} cannot be changed in a shadow request"));
            }
        }
        let twice = |name: &String| {
            self.set.iter().chain(&self.add).any(|(other, _)| other.eq_ignore_ascii_case(name))
        };
        if let Some(name) = self.remove.iter().find(|name| twice(name)) {
            return Err(format!("header {name} is both removed and set or added"));
        }
        let lines = |list: &[(String, String)]| -> Result<Vec<(String, String)>, String> {
            list.iter()
                .map(|(name, value)| match literal(value) {
                    Some(value) => Ok((name.clone(), value)),
                    None => Err(format!(
                        "header {name}: {value:?} is a variable that the proxy expands"
                    )),
                })
                .collect()
        };
        let mut prefixes = matches.iter().map(|one| self.path_edit(one.path.as_ref()));
        let first = prefixes.next().unwrap_or(Ok(None))?;
        for other in prefixes {
            if other? != first {
                let why = "the paths of its matches are replaced in different ways; write one route \
                           for each";
                return Err(why.to_owned());
            }
        }
        Ok(RequestEdits {
            remove: self.remove.clone(),
            set: lines(&self.set)?,
            add: lines(&self.add)?,
            path_prefix: first,
            base_path: String::new(),
        })
    }

    /// The equivalent native replacement of whole segments.
    fn path_edit(&self, before: Option<&PathMatch>) -> Result<Option<PathPrefix>, String> {
        let ignore_case = before.is_some_and(|path| path.ignore_case);
        let slash = |text: &str| text.ends_with('/');
        let (from, to) = match (&self.path, before.map(|path| &path.kind)) {
            (PathChange::None, _) => return Ok(None),
            (PathChange::Matched(to), None) if to == "/" => return Ok(None),
            (PathChange::Matched(to), None) if slash(to) => ("/", to),
            (PathChange::Matched(to), Some(PathKind::Prefix(from))) if slash(from) && slash(to) => {
                (from.as_str(), to)
            }
            (PathChange::Segments(to), None) if !slash(to) => ("/", to),
            (PathChange::Segments(to), Some(PathKind::Segments(from)))
                if !slash(to) || to == "/" =>
            {
                (from.as_str(), to)
            }
            (PathChange::Matched(to) | PathChange::Full(to), Some(PathKind::Exact(from)))
                if slash(from) == slash(to) =>
            {
                (from.as_str(), to)
            }
            (PathChange::Matched(to) | PathChange::Full(to), Some(PathKind::Exact(from)))
                if to == "/" && !slash(from) =>
            {
                (from.as_str(), to)
            }
            _ => {
                let why = "the path is not replaced in whole segments, which is all that `path-prefix` \
                           can do; capture after the gateway, at the server's pods";
                return Err(why.to_owned());
            }
        };
        if ignore_case {
            return Err("`path-prefix` is case-sensitive; leave out ignoreUriCase".to_owned());
        }
        let to = if to.is_empty() { "/" } else { to };
        Ok(Some(PathPrefix { from: from.to_owned(), to: to.to_owned() }))
    }
}

/// The literal value, unless the proxy expands variables in it or omits the field; `%%` is a percent sign.
fn literal(value: &str) -> Option<String> {
    let plain = value.replace("%%", "");
    let usable = !value.is_empty() && value.trim() == value && !plain.contains('%');
    usable.then(|| value.replace("%%", "%"))
}

fn regex_escaped(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let escape = (c.is_ascii() && !c.is_ascii_alphanumeric() && c != ' ').then_some('\\');
            escape.into_iter().chain([c])
        })
        .collect()
}
