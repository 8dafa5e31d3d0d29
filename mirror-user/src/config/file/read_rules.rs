//! Reads `rules`: matches, samples, targets by name.

use super::model::{RuleSpec, TargetUse};
use super::schema::keys;
use crate::rules::edit::path_text;
use crate::rules::route::Priority;
use crate::rules::sample::{Portion, Sample, Stickiness};
use crate::rules::select::{
    HostPattern, Match, Network, PathKind, PathMatch, Pattern, PortRange, TextMatch,
};
use crate::syntax::is_token;
use crate::yaml::{Fields, Node, Reader, Value};

/// Maximum nesting of `not`: a double negation is pointless.
const MAX_NOTS: usize = 1;

pub(super) fn rule(reader: &mut Reader, node: &Node) -> Option<RuleSpec> {
    let fields = reader.fields(node, &keys("rule"))?;
    let name = match fields.get("name") {
        Some(name) => reader.parsed(name, super::read::name)?,
        None => {
            reader.wrong(node.at, "a rule without `name`; give it one, for the summary");
            return None;
        }
    };
    let matches = match fields.get("match") {
        Some(node) => reader.list(Some(node), one_match),
        None => Vec::new(),
    };
    // A rule whose matches could not be read must not match everything.
    if fields.get("match").is_some() && matches.is_empty() {
        return None;
    }
    let priorities =
        [("low", Priority::Low), ("normal", Priority::Normal), ("high", Priority::High)];
    let priority = fields.get("priority").and_then(|node| reader.word(node, &priorities));
    Some(RuleSpec {
        at: node.at,
        name,
        matches,
        sample: fields.get("sample").and_then(|node| sample(reader, node)),
        priority: priority.unwrap_or_default(),
        targets: reader.list(fields.get("targets"), target_use),
    })
}

fn one_match(reader: &mut Reader, node: &Node) -> Option<Match> {
    let fields = reader.fields(node, &keys("match"))?;
    if fields.keys().next().is_none() {
        reader.wrong(node.at, "an empty match; leave it out to match everything");
        return None;
    }
    let before = reader.problems.iter().count();
    let found = Match {
        methods: reader.list(fields.get("method"), |reader, node| reader.parsed(node, method)),
        hosts: reader.list(fields.get("host"), |reader, node| {
            reader.parsed(node, str::parse::<HostPattern>)
        }),
        path: fields.get("path").and_then(|node| path(reader, node)),
        query: values(reader, fields.get("query"), "query parameter"),
        headers: values(reader, fields.get("headers"), "header"),
        sources: networks(reader, fields.get("source")),
        proxied_sources: networks(reader, fields.get("proxied-source")),
        destinations: networks(reader, fields.get("destination")),
        source_ports: ports(reader, fields.get("source-port")),
        ports: ports(reader, fields.get("port")),
    };
    (reader.problems.iter().count() == before).then_some(found)
}

/// RFC 9110 §9.1: methods are case-sensitive, and all registered ones are in capitals.
fn method(text: &str) -> Result<String, String> {
    if !is_token(text.as_bytes()) {
        return Err(format!("{text:?} is not a method, so the rule could never match; write GET"));
    }
    let capitals = text.to_ascii_uppercase();
    let known = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    if capitals != text && known.contains(&capitals.as_str()) {
        return Err(format!(
            "{text:?}: methods are in capitals, so the rule could never match; write {capitals}"
        ));
    }
    Ok(text.to_owned())
}

fn path(reader: &mut Reader, node: &Node) -> Option<PathMatch> {
    let fields = reader.fields(node, &keys("path"))?;
    let ways: Vec<&str> = fields.keys().filter(|key| *key != "ignore-case").collect();
    let [way] = ways.as_slice() else {
        reader.wrong(node.at, "a path needs exactly one of exact, prefix, segments and regex");
        return None;
    };
    let value = fields.get(way)?;
    let kind = match *way {
        "regex" => PathKind::Regex(reader.parsed(value, Pattern::new)?),
        "exact" => PathKind::Exact(reader.parsed(value, path_text)?),
        "prefix" => PathKind::Prefix(reader.parsed(value, path_text)?),
        _ => PathKind::Segments(reader.parsed(value, path_text)?),
    };
    let ignore_case = match fields.get("ignore-case") {
        Some(node) if matches!(kind, PathKind::Regex(_)) => {
            reader
                .wrong(node.at, "ignore-case: has no effect on a regex; start the regex with (?i)");
            return None;
        }
        Some(node) => reader.truth(node)?,
        None => false,
    };
    Some(PathMatch { kind, ignore_case })
}

fn values(reader: &mut Reader, node: Option<&Node>, what: &str) -> Vec<(String, TextMatch)> {
    let Some(node) = node else { return Vec::new() };
    let pairs = reader.pairs(node).unwrap_or_default();
    if matches!(&node.value, Value::Map(map) if map.is_empty()) {
        reader.wrong(node.at, format!("an empty map; leave it out, or name a {what}"));
    }
    let mut read: Vec<(String, TextMatch)> = Vec::new();
    for (key, value) in pairs {
        if key.text.is_empty() || key.text.contains([' ', ':', '=', '&']) {
            reader.wrong(
                key.at,
                format!(
                    "{:?} is not the name of a {what}, so the rule could never match",
                    key.text
                ),
            );
            continue;
        }
        let Some(text) = text_match(reader, value, 0) else { continue };
        let same = |other: &str| what == "header" && other.eq_ignore_ascii_case(&key.text);
        match read.iter().find(|(other, _)| same(other)) {
            Some((other, before)) if before.excludes(&text) => {
                let problem = format!(
                    "{}: no request has both this and the {other} above, so the rule could never match",
                    key.text
                );
                reader.wrong(key.at, problem);
            }
            _ => read.push((key.text.clone(), text)),
        }
    }
    read
}

fn text_match(reader: &mut Reader, node: &Node, nots: usize) -> Option<TextMatch> {
    if !matches!(node.value, Value::Map(_)) {
        return reader.parsed(node, trimmed).map(TextMatch::Exact);
    }
    let fields = reader.fields(node, &keys("value"))?;
    let ways: Vec<&str> = fields.keys().collect();
    let [way] = ways.as_slice() else {
        reader.wrong(node.at, "a value needs exactly one of exact, prefix, regex, present and not");
        return None;
    };
    let Some(value) = fields.get(way) else {
        reader.wrong(node.at, format!("{way}: no value; write one, in quotes if it is empty"));
        return None;
    };
    match *way {
        "exact" => reader.parsed(value, trimmed).map(TextMatch::Exact),
        "prefix" => reader.text(value).map(|text| TextMatch::Prefix(text.to_owned())),
        "regex" => reader.parsed(value, Pattern::new).map(TextMatch::Regex),
        "present" => {
            Some(if reader.truth(value)? { TextMatch::Present } else { TextMatch::Absent })
        }
        _ if nots >= MAX_NOTS => {
            reader.wrong(value.at, "not inside not; leave out both");
            None
        }
        _ => text_match(reader, value, nots.saturating_add(1))
            .map(|text| TextMatch::Not(Box::new(text))),
    }
}

/// Whitespace around a field value is not part of it (RFC 9110 §5.5).
fn trimmed(text: &str) -> Result<String, String> {
    if text.trim() != text {
        return Err(format!(
            "{text:?}: no value starts or ends with a space, so this could never match"
        ));
    }
    Ok(text.to_owned())
}

fn networks(reader: &mut Reader, node: Option<&Node>) -> Vec<Network> {
    reader.list(node, |reader, node| reader.parsed(node, str::parse))
}

fn ports(reader: &mut Reader, node: Option<&Node>) -> Vec<PortRange> {
    reader.list(node, |reader, node| reader.parsed(node, str::parse))
}

fn sample(reader: &mut Reader, node: &Node) -> Option<Sample> {
    let fields = reader.fields(node, &keys("sample"))?;
    let by = fields.get("by").and_then(|node| stickiness(reader, node));
    let portion = portion(reader, &fields);
    if fields.get("percent").is_none() && fields.get("fraction").is_none() {
        reader.wrong(node.at, "a sample without `percent`; write percent: 100 for all of them");
    }
    Some(Sample { portion: portion?, by: by.unwrap_or_default() })
}

fn portion(reader: &mut Reader, fields: &Fields<'_>) -> Option<Portion> {
    match (fields.get("percent"), fields.get("fraction")) {
        (Some(_), Some(fraction)) => {
            reader.wrong(fraction.at, "both percent and fraction; give one of them");
            None
        }
        (Some(percent), None) => reader.parsed(percent, Portion::percent),
        (None, Some(fraction)) => reader.parsed(fraction, Portion::fraction),
        (None, None) => None,
    }
}

fn stickiness(reader: &mut Reader, node: &Node) -> Option<Stickiness> {
    if !matches!(node.value, Value::Map(_)) {
        let words = [
            ("random", Stickiness::Random),
            ("source", Stickiness::Source),
            ("connection", Stickiness::Connection),
        ];
        return reader.word(node, &words);
    }
    let fields = reader.fields(node, &keys("by"))?;
    let name = |reader: &mut Reader, node| {
        let name = reader.text(node)?.to_owned();
        if name.is_empty() {
            reader.wrong(node.at, "an empty name; name a header or a cookie");
        }
        Some(name)
    };
    match (fields.get("header"), fields.get("cookie")) {
        (Some(header), None) => name(reader, header).map(Stickiness::Header),
        (None, Some(cookie)) => name(reader, cookie).map(Stickiness::Cookie),
        _ => {
            reader.wrong(node.at, "`by` needs exactly one of header and cookie");
            None
        }
    }
}

fn target_use(reader: &mut Reader, node: &Node) -> Option<TargetUse> {
    if !matches!(node.value, Value::Map(_)) {
        let name = reader.text(node)?.to_owned();
        return Some(TargetUse { at: node.at, name, portion: None });
    }
    let fields = reader.fields(node, &keys("portion"))?;
    let Some(name) = fields.get("name") else {
        reader.wrong(node.at, "a target without `name`; name one of `targets`");
        return None;
    };
    let name = reader.text(name)?.to_owned();
    Some(TargetUse { at: node.at, name, portion: portion(reader, &fields) })
}
