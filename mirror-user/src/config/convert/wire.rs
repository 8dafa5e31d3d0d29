//! What a route changes of a request on its way, and what a server's wire shows of the route's
//! conditions behind those changes.

use crate::rules::edit::{PathPrefix, RequestEdits, is_field_name};
use crate::rules::select::{Match, PathKind, PathMatch, Pattern, TextMatch};

/// Set by proxies between the route and the server as well, so that the route's value may not be
/// what the wire shows.
const OF_PROXIES: [&str; 2] = ["x-envoy-", "x-forwarded-"];

/// What stands for something else where the native file names a target's host.
const WORDS: [&str; 3] = ["keep", "suffix", "target"];

/// What becomes of the path.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum PathChange {
    #[default]
    None,
    /// What the condition matched is replaced: of a prefix the string, else the whole path (Istio).
    Matched(String),
    /// The matched segments are replaced (Gateway API).
    Segments(String),
    /// The whole path is replaced.
    Full(String),
    /// By an expression, or by something that is not known.
    Unknown,
}

/// What a route changes before it sends a request on. Proxies remove fields first, then they set
/// and add.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Changes {
    pub(super) path: PathChange,
    /// The host that the server is asked for.
    pub(super) host: Option<String>,
    pub(super) remove: Vec<String>,
    pub(super) set: Vec<(String, String)>,
    pub(super) add: Vec<(String, String)>,
    /// Fields that only some of the route's destinations change.
    pub(super) varying: Vec<String>,
    /// Something that is not known may change anything.
    pub(super) opaque: bool,
}

/// A set of conditions, as the server's wire shows them.
pub(super) struct Seen {
    /// Every request of the route is matched by this.
    pub(super) matched: Match,
    /// Conditions that the wire does not show any more.
    pub(super) lost: Vec<String>,
    /// True when something is matched that the conditions themselves do not match.
    pub(super) moved: bool,
}

impl Changes {
    pub(super) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// True when a condition of `one` asks for something that is changed.
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

    /// What the server sees of requests for which `before` holds.
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
                    // The host's own condition says all of it.
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

    /// Fields that are set tell the requests of this route from those of others.
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
            // Without a condition the prefix / is matched, and replaced.
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
            // Every path begins so.
            PathKind::Prefix(text) | PathKind::Segments(text) if text == "/" => Ok(None),
            PathKind::Prefix(text) | PathKind::Segments(text) | PathKind::Exact(text)
                if text.starts_with('/') && !text.contains(['?', '#', ' ']) =>
            {
                Ok(Some(PathMatch { kind, ignore_case: false }))
            }
            _ => Err(()),
        }
    }

    /// What the wire shows of a field for which `text` holds; `None` when that is not known.
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
            // Which of two operations comes last depends on where they stand.
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

    /// The same changes, made to the copy of a request that was captured before them. `Err` says
    /// what cannot be done.
    pub(super) fn edits(&self, matches: &[Match]) -> Result<RequestEdits, String> {
        if self.opaque || !self.varying.is_empty() {
            return Err("what its destinations or extensions change is not known".to_owned());
        }
        if let Some(host) = self.host.as_deref().filter(|host| WORDS.contains(host)) {
            return Err(format!(
                "host {host:?} is a word of the native file; name it with its port"
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
            return Err(format!("header {name} is both removed and given"));
        }
        let lines = |list: &[(String, String)]| -> Result<Vec<(String, String)>, String> {
            list.iter()
                .map(|(name, value)| match literal(value) {
                    Some(value) => Ok((name.clone(), value)),
                    None => Err(format!("header {name}: {value:?} is filled in by the proxy")),
                })
                .collect()
        };
        let mut prefixes = matches.iter().map(|one| self.path_edit(one.path.as_ref()));
        let first = prefixes.next().unwrap_or(Ok(None))?;
        for other in prefixes {
            if other? != first {
                let why = "its matches have their paths replaced in different ways; write a route \
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

    /// The native replacement of whole segments, where it does the same.
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
                let why = "the path is not replaced by whole segments, and nothing else can be done \
                           to a shadow's path; capture behind the gateway, at the server's pods";
                return Err(why.to_owned());
            }
        };
        if ignore_case {
            return Err("a path is replaced in its case alone; leave out ignoreUriCase".to_owned());
        }
        let to = if to.is_empty() { "/" } else { to };
        Ok(Some(PathPrefix { from: from.to_owned(), to: to.to_owned() }))
    }
}

/// The value, unless the proxy fills something in, or leaves the field out; `%%` is a percent sign.
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
