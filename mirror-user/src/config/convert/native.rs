//! Rules as the native file has them, and how they are written.

use std::fmt::{self, Display};
use std::time::Duration;

/// A rule: the first that matches decides; one without targets shields those behind it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rule {
    pub(super) name: String,
    /// One of these must hold. Never empty: what matches everything says so with an empty one.
    pub(super) matches: Vec<Match>,
    pub(super) targets: Vec<Target>,
}

/// What must hold of a request; what is left out may be anything.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Match {
    pub(super) hosts: Vec<String>,
    pub(super) path: Option<Path>,
    pub(super) methods: Vec<String>,
    pub(super) headers: Vec<(String, Text)>,
    pub(super) query: Vec<(String, Text)>,
    pub(super) ports: Vec<u16>,
}

/// What a path must be.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Path {
    pub(super) kind: PathKind,
    pub(super) text: String,
    pub(super) ignore_case: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PathKind {
    Exact,
    /// A string prefix: `/foo` matches `/foobar`.
    Prefix,
    /// A prefix of whole segments.
    Segments,
    /// A full match.
    Regex,
}

/// What the value of a field or parameter must be.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Text {
    Exact(String),
    Prefix(String),
    /// A full match.
    Regex(String),
    Present,
    Absent,
    /// Anything else; what is missing counts as empty.
    Not(Box<Self>),
}

/// Where matching requests go.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Target {
    pub(super) url: String,
    pub(super) portion: Portion,
    pub(super) timeout: Option<Duration>,
}

/// How many of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Portion {
    /// So many of a million.
    Millionths(u32),
    /// So many of so many.
    Fraction(u32, u32),
}

impl Portion {
    pub(super) const ALL: Self = Self::Millionths(1_000_000);

    pub(super) fn is_none(self) -> bool {
        matches!(self, Self::Millionths(0) | Self::Fraction(0, _))
    }
}

/// `percent: 0.5699`, or `fraction: …` as in the Gateway API.
impl Display for Portion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Millionths(n) => {
                let text = format!("{}.{:04}", n / 10_000, n % 10_000);
                write!(f, "percent: {}", text.trim_end_matches('0').trim_end_matches('.'))
            }
            Self::Fraction(n, of) => {
                write!(f, "fraction: {{numerator: {n}, denominator: {of}}}")
            }
        }
    }
}

/// The native file with these rules.
pub(super) fn file(rules: &[Rule]) -> String {
    let mut out = String::from("rules:\n");
    for Rule { name, matches, targets } in rules {
        out.push_str(&format!("- name: {}\n  match:\n", quoted(name)));
        for one in matches {
            out.push_str(&match_lines(one));
        }
        if !targets.is_empty() {
            out.push_str("  targets:\n");
        }
        for Target { url, portion, timeout } in targets {
            // As Istio and the Gateway API have it: the captured host, without a suffix.
            out.push_str(&format!("  - to: {}\n    host: keep\n", quoted(url)));
            out.push_str(&format!("    {portion}\n"));
            if let Some(timeout) = timeout {
                out.push_str(&format!("    timeout: {}ms\n", timeout.as_millis()));
            }
        }
    }
    out
}

fn match_lines(one: &Match) -> String {
    let Match { hosts, path, methods, headers, query, ports } = one;
    let quote_all = |texts: &[String]| {
        let texts: Vec<_> = texts.iter().map(|text| quoted(text)).collect();
        format!("[{}]", texts.join(", "))
    };
    let conditions = |name: &str, all: &[(String, Text)]| {
        let lines = all.iter().map(|(field, text)| {
            format!("\n    - {{name: {}, {}}}", quoted(field), condition(text))
        });
        format!("{name}:{}", lines.collect::<String>())
    };
    let mut fields = Vec::new();
    if !hosts.is_empty() {
        fields.push(format!("host: {}", quote_all(hosts)));
    }
    if !methods.is_empty() {
        fields.push(format!("method: {}", quote_all(methods)));
    }
    if let Some(Path { kind, text, ignore_case }) = path {
        let kind = match kind {
            PathKind::Exact => "exact",
            PathKind::Prefix => "prefix",
            PathKind::Segments => "segments",
            PathKind::Regex => "regex",
        };
        let case = if *ignore_case { ", ignoreCase: true" } else { "" };
        fields.push(format!("path: {{{kind}: {}{case}}}", quoted(text)));
    }
    if !query.is_empty() {
        fields.push(conditions("query", query));
    }
    if !headers.is_empty() {
        fields.push(conditions("headers", headers));
    }
    if !ports.is_empty() {
        let ports: Vec<_> = ports.iter().map(ToString::to_string).collect();
        fields.push(format!("port: [{}]", ports.join(", ")));
    }
    match fields.is_empty() {
        true => "  - {}\n".to_owned(),
        false => format!("  - {}\n", fields.join("\n    ")),
    }
}

fn condition(text: &Text) -> String {
    match text {
        Text::Exact(text) => format!("exact: {}", quoted(text)),
        Text::Prefix(text) => format!("prefix: {}", quoted(text)),
        Text::Regex(text) => format!("regex: {}", quoted(text)),
        Text::Present => "present: true".to_owned(),
        Text::Absent => "absent: true".to_owned(),
        Text::Not(text) => format!("not: {{{}}}", condition(text)),
    }
}

/// A JSON string, which is a YAML one too, so that no text can be taken for a number or a key.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
