//! Which header and trailer fields are compared, and how: exact names, because a pattern that hides `date` would hide
//! `x-candidate-id`, too.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::diff::Differ;
use crate::rules::HeaderMode;

/// A field line: its name and value.
pub type Field<'a> = (&'a [u8], &'a [u8]);

/// How one field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Policy {
    /// It is about one connection, one host or one moment.
    Never,
    /// It is there on both sides.
    Presence,
    /// As a list in any order.
    Set,
    /// By cookie: names and attributes, and no values.
    Cookies,
    /// As a media type.
    Media,
    /// By value if the bodies are the same, else by presence.
    Validator,
    /// By value if there is no content that tells the same.
    Length,
    /// By value.
    Exact,
}

fn policy(name: &str) -> Policy {
    match name {
        "connection"
        | "keep-alive"
        | "proxy-connection"
        | "te"
        | "trailer"
        | "transfer-encoding"
        | "upgrade"
        | "date"
        | "age"
        | "via"
        | "server-timing"
        | "x-runtime"
        | "x-response-time"
        | "x-envoy-upstream-service-time"
        | "x-envoy-decorator-operation"
        | "x-envoy-attempt-count"
        | "x-envoy-peer-metadata"
        | "x-envoy-peer-metadata-id" => Policy::Never,
        "x-request-id"
        | "request-id"
        | "x-correlation-id"
        | "traceparent"
        | "tracestate"
        | "b3"
        | "x-b3-traceid"
        | "x-b3-spanid"
        | "x-b3-parentspanid"
        | "x-b3-sampled"
        | "x-b3-flags"
        | "x-datadog-trace-id"
        | "x-datadog-parent-id"
        | "x-amzn-trace-id"
        | "x-amzn-requestid"
        | "x-cloud-trace-context"
        | "sentry-trace" => Policy::Presence,
        "etag" | "last-modified" => Policy::Validator,
        "set-cookie" => Policy::Cookies,
        "content-type" => Policy::Media,
        "content-length" => Policy::Length,
        "allow"
        | "vary"
        | "accept-ranges"
        | "cache-control"
        | "access-control-allow-headers"
        | "access-control-allow-methods"
        | "access-control-expose-headers" => Policy::Set,
        _ => Policy::Exact,
    }
}

/// What is known of the two messages.
#[derive(Clone, Copy)]
pub(crate) struct Context {
    pub(crate) mode: HeaderMode,
    /// The bodies are the same.
    pub(crate) same_body: bool,
    /// The message has no content, whose length its head tells all the same (RFC 9110 §8.6).
    pub(crate) head_only: bool,
}

/// Compares two sections of fields, whose paths begin with `section`.
pub(crate) fn compare(
    differ: &mut Differ<'_>,
    section: &str,
    context: Context,
    left: &[Field<'_>],
    right: &[Field<'_>],
) {
    if context.mode == HeaderMode::None {
        return;
    }
    if left == right {
        return;
    }
    let (left, right) = (by_name(left), by_name(right));
    let names = left.keys().chain(right.keys().filter(|name| !left.contains_key(*name)));
    for name in names {
        let (a, b) = (left.get(name), right.get(name));
        if a != b {
            field(differ, section, context, name, [a, b]);
        }
    }
}

/// The values of a field on one side.
type Values<'a> = Vec<Cow<'a, str>>;

/// Compares a field whose lines are not the same.
fn field(
    differ: &mut Differ<'_>,
    section: &str,
    context: Context,
    name: &str,
    sides: [Option<&Values<'_>>; 2],
) {
    let policy = match (context.mode, policy(name)) {
        (_, Policy::Cookies) => Policy::Cookies,
        (HeaderMode::All, _) => Policy::Exact,
        (_, Policy::Validator) if context.same_body => Policy::Exact,
        (_, Policy::Validator) => Policy::Presence,
        (_, Policy::Length) if context.head_only => Policy::Exact,
        (_, Policy::Length) => Policy::Never,
        (_, policy) => policy,
    };
    let path = format!("{section}.{name}");
    let texts = |each: fn(&str) -> String| {
        sides.map(|values| values.map(|values| each(&values.join(", "))))
    };
    let [a, b] = match policy {
        Policy::Never => return,
        Policy::Cookies => return cookies(differ, &path, sides),
        Policy::Presence if sides.iter().all(Option::is_some) => return,
        Policy::Set => texts(as_set),
        Policy::Media => texts(as_media),
        _ => texts(str::to_owned),
    };
    differ.outside(&path, a.as_deref(), b.as_deref());
}

fn by_name<'a>(fields: &[Field<'a>]) -> BTreeMap<Cow<'a, str>, Values<'a>> {
    let mut all: BTreeMap<Cow<'a, str>, Values<'a>> = BTreeMap::new();
    for (name, value) in fields {
        let name = text(name);
        let is_lower = !name.bytes().any(|byte| byte.is_ascii_uppercase());
        let name = if is_lower { name } else { name.to_ascii_lowercase().into() };
        all.entry(name).or_default().push(text(value));
    }
    all
}

/// As ISO 8859-1 if it is not UTF-8, the historical encoding of fields (RFC 9110 §5.5).
fn text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

fn as_set(value: &str) -> String {
    let lower = value.to_ascii_lowercase();
    let mut members: Vec<&str> =
        lower.split(',').map(str::trim).filter(|one| !one.is_empty()).collect();
    members.sort_unstable();
    members.dedup();
    members.join(", ")
}

/// A media type without case and white space (RFC 9110 §8.3.1).
fn as_media(value: &str) -> String {
    value
        .chars()
        .filter(|c| !c.is_ascii_whitespace() && *c != '"')
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

/// RFC 6265 §4.1: the value is the session, the attributes are the contract.
fn cookies(differ: &mut Differ<'_>, path: &str, sides: [Option<&Values<'_>>; 2]) {
    let parse = |lines: Option<&Values<'_>>| -> BTreeMap<String, BTreeMap<String, String>> {
        let cookie = |line: &Cow<'_, str>| {
            let mut parts = line.split(';');
            let name = parts.next()?.split('=').next()?.trim().to_owned();
            let attribute = |part: &str| {
                let (name, value) = part.split_once('=').unwrap_or((part, ""));
                let name = name.trim().to_ascii_lowercase();
                // A moment, which `Max-Age` tells as a time from now.
                let value = if name == "expires" { "" } else { value.trim() };
                (name, value.to_owned())
            };
            Some((name, parts.map(attribute).filter(|(name, _)| !name.is_empty()).collect()))
        };
        lines.into_iter().flatten().filter_map(cookie).collect()
    };
    let [left, right] = sides.map(parse);
    let names: Vec<&String> =
        left.keys().chain(right.keys().filter(|name| !left.contains_key(*name))).collect();
    for name in names {
        let path = format!("{path}.{name}");
        let (Some(a), Some(b)) = (left.get(name), right.get(name)) else {
            let there = |side: &BTreeMap<String, _>| side.contains_key(name).then_some("a cookie");
            differ.outside(&path, there(&left), there(&right));
            continue;
        };
        for attribute in a.keys().chain(b.keys().filter(|attribute| !a.contains_key(*attribute))) {
            let path = format!("{path}.{attribute}");
            let of = |side: &BTreeMap<String, String>| side.get(attribute).cloned();
            differ.outside(&path, of(a).as_deref(), of(b).as_deref());
        }
    }
}
