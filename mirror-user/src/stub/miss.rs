//! What a client is told for which there is no recorded response: the nearest one, and what differs first.

use std::borrow::Cow;
use std::fmt::Write;

use bytes::Bytes;
use serde_json::Value;

use super::book::{Book, Near, Stub};
use super::canonical::{BodyKind, Canonical};
use super::counts::NotServed;

/// Characters of a value that are shown.
const MAX_SHOWN: usize = 200;

/// A request without a recorded response.
pub(super) struct Miss {
    /// The response: 502, and a text that says what differs.
    pub(super) response: Bytes,
    /// The nearest recorded exchange.
    pub(super) nearest: Option<String>,
    /// In which part it differs.
    pub(super) differs: &'static str,
}

/// What differs between two requests, as it is shown.
struct Difference {
    /// Such as `query parameter "source"`.
    what: String,
    recorded: Option<String>,
    asked: Option<String>,
}

impl Miss {
    /// For a request to which nothing was found, for this reason.
    pub(super) fn new(book: &Book, asked: &Canonical<'_>, why: NotServed, scheme: &str) -> Self {
        let nearest = book.nearest(asked);
        let mut text = "mirror stub: ".to_owned();
        text.push_str(match why {
            NotServed::Ambiguous => {
                "several hosts have a recorded response, and Host names none of them, for\n"
            }
            NotServed::Exhausted => "all recorded responses were given, to\n",
            _ => "there is no recorded response to\n",
        });
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "  {}",
            request(scheme, asked.method, asked.host.as_deref(), &asked.path, &asked.query)
        );
        let mut differs = "nothing";
        match (&nearest, why) {
            (_, NotServed::Ambiguous) => {
                let _ = writeln!(text, "recorded hosts: {}", book.hosts().join(", "));
                differs = "host";
            }
            (Some((stub, near)), NotServed::Missed) => {
                let of = request(scheme, &stub.method, Some(&stub.host), &stub.path, &stub.query);
                let _ = writeln!(text, "nearest: exchange {}\n  {of}", stub.id);
                describe(&difference(stub, *near, asked), &mut text);
                differs = near.into();
            }
            _ => {}
        }
        let nearest = nearest.map(|(stub, _)| stub.id.to_string());
        let field = nearest.as_ref().map(|id| format!("; nearest={id}; differs={differs}"));
        let response = format!(
            "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
             X-Mirror-Stub: miss{}\r\n\r\n{text}",
            text.len(),
            field.unwrap_or_default(),
        );
        Self { response: response.into(), nearest, differs }
    }
}

fn describe(difference: &Difference, text: &mut String) {
    let Difference { what, recorded, asked } = difference;
    let _ = writeln!(text, "first difference: {what}");
    for (side, value) in [("recorded", recorded), ("asked", asked)] {
        let value = value.as_deref().map_or_else(|| "(none)".to_owned(), shown);
        let _ = writeln!(text, "  {side}: {value}");
    }
}

/// `GET http://shop/a?b=1`. A recording does not say by which scheme, so that it is shown as the one that is asked by.
fn request(scheme: &str, method: &[u8], host: Option<&[u8]>, path: &[u8], query: &[u8]) -> String {
    let text = String::from_utf8_lossy;
    let host = host.map(|host| format!("{scheme}://{}", text(host))).unwrap_or_default();
    let mark = if query.is_empty() { "" } else { "?" };
    shown(&format!("{} {host}{}{mark}{}", text(method), text(path), text(query)))
}

/// In one line, without control characters, and cut.
fn shown(text: &str) -> String {
    let mut out: String =
        text.chars().take(MAX_SHOWN).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(MAX_SHOWN).is_some() {
        out.push('…');
    }
    out
}

fn difference(stub: &Stub, near: Near, asked: &Canonical<'_>) -> Difference {
    let text = |bytes: &[u8]| Some(String::from_utf8_lossy(bytes).into_owned());
    let of = |what: &str, recorded: &[u8], asked: &[u8]| Difference {
        what: what.to_owned(),
        recorded: text(recorded),
        asked: text(asked),
    };
    match near {
        Near::Host => of("host", &stub.host, asked.host.as_deref().unwrap_or_default()),
        Near::Path => of("path", &stub.path, &asked.path),
        Near::Method => of("method", &stub.method, asked.method),
        Near::Query => named("query parameter", &stub.query, &asked.query, (b'&', b"=")),
        Near::Header => named("header", &stub.headers, &asked.headers, (b'\n', b": ")),
        Near::Body => body(stub, asked),
        Near::Nothing => of("nothing", &[], &[]),
    }
}

/// The first of several named values that differs.
fn named(what: &str, recorded: &[u8], asked: &[u8], (end, joint): (u8, &[u8])) -> Difference {
    let split = |text| -> Vec<(String, String)> {
        let parts = <[u8]>::split(text, |byte| *byte == end).filter(|part| !part.is_empty());
        let pair = |part: &[u8]| {
            let part = String::from_utf8_lossy(part);
            let joint = String::from_utf8_lossy(joint);
            let (name, value) = part.split_once(&*joint).unwrap_or((&part, ""));
            (name.to_owned(), value.to_owned())
        };
        parts.map(pair).collect()
    };
    let (recorded, asked) = (split(recorded), split(asked));
    let missing = recorded.iter().find(|one| !asked.contains(one));
    let extra = asked.iter().find(|one| !recorded.contains(one));
    let name = [missing, extra].into_iter().flatten().map(|(name, _)| name).min();
    let Some(name) = name else {
        return Difference { what: format!("order of {what}s"), recorded: None, asked: None };
    };
    let values = |all: &[(String, String)]| {
        let values: Vec<&str> = all
            .iter()
            .filter(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
            .collect();
        (!values.is_empty()).then(|| values.join(", "))
    };
    Difference {
        what: format!("{what} {name:?}"),
        recorded: values(&recorded),
        asked: values(&asked),
    }
}

fn body(stub: &Stub, asked: &Canonical<'_>) -> Difference {
    let kind = |kind: BodyKind| <&'static str>::from(kind).to_owned();
    if stub.body_kind != asked.body_kind {
        return Difference {
            what: "kind of body".to_owned(),
            recorded: Some(kind(stub.body_kind)),
            asked: Some(kind(asked.body_kind)),
        };
    }
    let parsed = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes);
    if matches!(stub.body_kind, BodyKind::Json | BodyKind::Form)
        && let (Ok(recorded), Ok(asked)) = (parsed(&stub.body), parsed(&asked.body))
        && let Some((path, recorded, asked)) = first(&recorded, &asked)
    {
        let json = |value: Option<&Value>| value.map(Value::to_string);
        let what = format!("body at ${path}");
        return Difference { what, recorded: json(recorded), asked: json(asked) };
    }
    if stub.body_kind == BodyKind::Digest {
        return Difference { what: "a long body".to_owned(), recorded: None, asked: None };
    }
    let at = stub.body.iter().zip(&*asked.body).take_while(|(a, b)| a == b).count();
    let tail = |body: &[u8]| {
        let rest = body.get(at..).unwrap_or_default();
        Some(String::from_utf8_lossy(rest.get(..MAX_SHOWN).unwrap_or(rest)).into_owned())
    };
    let what = format!("body at byte {at}");
    Difference { what, recorded: tail(&stub.body), asked: tail(&asked.body) }
}

/// Where two documents differ first, as a JSON path, and the values there. serde_json bounds how deep they are.
fn first<'v>(a: &'v Value, b: &'v Value) -> Option<(String, Option<&'v Value>, Option<&'v Value>)> {
    let inside = |step: Cow<'_, str>, found: Option<(String, _, _)>| {
        found.map(|(path, a, b)| (format!("{step}{path}"), a, b))
    };
    match (a, b) {
        _ if a == b => None,
        (Value::Object(left), Value::Object(right)) => {
            let names = left.keys().chain(right.keys().filter(|name| !left.contains_key(*name)));
            let step = |name: &str| match name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            {
                true => Cow::Owned(format!(".{name}")),
                false => Cow::Owned(format!("['{name}']")),
            };
            names.into_iter().find_map(|name| match (left.get(name), right.get(name)) {
                (Some(a), Some(b)) => inside(step(name), first(a, b)),
                (a, b) => Some((step(name).into_owned(), a, b)),
            })
        }
        (Value::Array(left), Value::Array(right)) => {
            (0..left.len().max(right.len())).find_map(|at| match (left.get(at), right.get(at)) {
                (Some(a), Some(b)) => inside(format!("[{at}]").into(), first(a, b)),
                (a, b) => Some((format!("[{at}]"), a, b)),
            })
        }
        _ => Some((String::new(), Some(a), Some(b))),
    }
}
