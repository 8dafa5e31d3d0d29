//! What a stub is asked: a request as far as it decides the answer.

use std::io;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::NotExported;
use crate::http::coding;
use crate::http::message::{Exchange, Message};
use crate::http::target::{RequestTarget, TargetForm};
use crate::rules::form;
use crate::rules::redact::is_token;
use crate::sink::decoded::{as_text, content};
use crate::sink::jsonl::text;
use crate::sink::url::Url;

/// Digits in a row beyond which numbers of JSON may be equal for one reader and not for another (2⁵³ has 16).
const EXACT_DIGITS: usize = 15;

/// A request: two that are equal get the same answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The method, in its case.
    pub method: String,
    /// Host and port, as the `Host` names them.
    pub authority: String,
    /// The path as sent, with its escapes.
    pub path: String,
    /// Names and values of the query, decoded, in their order.
    pub query: Vec<(String, Matched)>,
    /// The body.
    pub body: AskedBody,
    /// The media type as sent; empty without one.
    pub content_type: String,
}

/// What a value must be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Matched {
    /// This one.
    Is(String),
    /// Any: it was redacted, and who asks has one of its own.
    Any,
}

/// The body of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum AskedBody {
    /// There is none.
    Empty,
    /// JSON, as sent.
    Json(String),
    /// A form, decoded.
    Form(Vec<(String, Matched)>),
    /// Other text.
    Text(String),
    /// Anything else.
    Bytes(Vec<u8>),
}

impl Matched {
    fn of(value: String) -> Self {
        if is_token(value.as_bytes()) { Self::Any } else { Self::Is(value) }
    }
}

impl Asked {
    /// What an exchange's request asks.
    ///
    /// # Errors
    /// If a spooled body cannot be read.
    pub(super) fn of(
        exchange: &Exchange,
        request: &Message,
    ) -> io::Result<Result<Self, NotExported>> {
        let head = &request.head;
        let target = RequestTarget::parse(head.method(), head.target());
        if !matches!(target.form(), TargetForm::Origin | TargetForm::Absolute) {
            return Ok(Err(NotExported::NoPath));
        }
        let Some(query) = pairs(target.query()) else { return Ok(Err(NotExported::NotText)) };
        if !target.path().iter().all(u8::is_ascii_graphic) {
            return Ok(Err(NotExported::NotText));
        }
        let content_type = head.field("content-type").map(text).unwrap_or_default().into_owned();
        let body = match body(request, &content_type)? {
            Ok(body) => body,
            Err(why) => return Ok(Err(why)),
        };
        Ok(Ok(Self {
            method: text(head.method()).into_owned(),
            authority: Url::of(exchange, head).authority,
            path: text(target.path()).into_owned(),
            query,
            body,
            content_type,
        }))
    }

    /// Equal for requests that get the same answer: the order of parameters and of members of JSON does not matter.
    #[must_use]
    pub fn key(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        let authority = self.authority.to_ascii_lowercase();
        for text in [&self.method, &authority, &self.path] {
            part(text.as_bytes());
        }
        let mut set = |kind: &[u8], pairs: &[(String, Matched)]| {
            part(kind);
            let mut pairs = pairs.to_vec();
            // The order of values of one name stays.
            pairs.sort_by(|a, b| a.0.cmp(&b.0));
            part(&(pairs.len() as u64).to_le_bytes());
            for (name, value) in &pairs {
                part(name.as_bytes());
                match value {
                    Matched::Is(value) => part(value.as_bytes()),
                    Matched::Any => part(b"\xff"),
                }
            }
        };
        set(b"query", &self.query);
        match &self.body {
            AskedBody::Empty => part(b"empty"),
            AskedBody::Form(pairs) => set(b"form", pairs),
            AskedBody::Json(text) => {
                part(b"json");
                part(canonical(text).as_bytes());
            }
            AskedBody::Text(text) => {
                part(b"text");
                part(text.as_bytes());
            }
            AskedBody::Bytes(bytes) => {
                part(b"bytes");
                part(bytes);
            }
        }
        hash.finalize().into()
    }

    /// What it takes in memory, about.
    pub(super) fn memory(&self) -> usize {
        let pairs = |pairs: &[(String, Matched)]| -> usize {
            pairs.iter().map(|(name, _)| name.len() + 96).sum()
        };
        let body = match &self.body {
            AskedBody::Empty => 0,
            AskedBody::Json(text) | AskedBody::Text(text) => text.len(),
            AskedBody::Form(form) => pairs(form),
            AskedBody::Bytes(bytes) => bytes.len(),
        };
        body + pairs(&self.query) + self.path.len() + self.authority.len() + 256
    }

    /// The segments of the path, with those that were redacted told apart.
    pub(super) fn segments(&self) -> impl Iterator<Item = Matched> {
        self.path.split('/').map(|segment| Matched::of(segment.to_owned()))
    }
}

/// The value of JSON with every text that was redacted replaced; `None` if there is none.
pub(super) fn without_tokens(json: &str, stand_in: &str) -> Option<String> {
    fn replace_all<'v>(values: impl IntoIterator<Item = &'v mut Value>, stand_in: &str) -> bool {
        let mut any = false;
        for value in values {
            any |= replace(value, stand_in);
        }
        any
    }
    fn replace(value: &mut Value, stand_in: &str) -> bool {
        match value {
            Value::String(text) if is_token(text.as_bytes()) => {
                stand_in.clone_into(text);
                true
            }
            Value::Array(items) => replace_all(items, stand_in),
            Value::Object(fields) => replace_all(fields.values_mut(), stand_in),
            _ => false,
        }
    }
    let mut value = serde_json::from_str(json).ok()?;
    replace(&mut value, stand_in).then(|| value.to_string())
}

/// The values of each name, in their order.
pub(super) fn by_name(pairs: &[(String, Matched)]) -> Vec<(&str, Vec<&Matched>)> {
    let mut by_name: Vec<(&str, Vec<&Matched>)> = Vec::new();
    for (name, value) in pairs {
        match by_name.iter_mut().find(|(known, _)| known == name) {
            Some((_, values)) => values.push(value),
            None => by_name.push((name, vec![value])),
        }
    }
    by_name
}

fn body(request: &Message, content_type: &str) -> io::Result<Result<AskedBody, NotExported>> {
    let decoded = match content(request)? {
        Ok(decoded) => decoded,
        Err(_) => return Ok(Err(NotExported::BodyNotKept)),
    };
    if decoded.bytes.is_empty() {
        return Ok(Ok(AskedBody::Empty));
    }
    let codings = coding::codings(request.head.values("content-encoding")).unwrap_or_default();
    // Servers of stubs undo gzip; other codings are bytes to them.
    if decoded.is_coded || codings.iter().any(|coding| *coding != coding::Coding::Gzip) {
        let mut wire = Vec::new();
        if let Some(mut content) = request.body.content() {
            io::Read::read_to_end(&mut content, &mut wire)?;
        }
        return Ok(Ok(AskedBody::Bytes(wire)));
    }
    let Some(text) = as_text(&decoded.bytes, Some(content_type.as_bytes())) else {
        return Ok(Ok(AskedBody::Bytes(decoded.bytes)));
    };
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = kind == "application/json" || kind.ends_with("+json");
    Ok(Ok(match kind.as_str() {
        "application/x-www-form-urlencoded" => match pairs(text.as_bytes()) {
            Some(form) if !form.is_empty() => AskedBody::Form(form),
            _ => AskedBody::Text(text.to_owned()),
        },
        _ if is_json && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() => {
            AskedBody::Json(text.to_owned())
        }
        _ => AskedBody::Text(text.to_owned()),
    }))
}

/// Names and values of a query or a form, decoded; `None` if they are no text then.
fn pairs(query: &[u8]) -> Option<Vec<(String, Matched)>> {
    let parts = query.split(|byte| *byte == b'&').filter(|part| !part.is_empty());
    let decoded = |part: &[u8]| String::from_utf8(form::decoded(part)).ok();
    parts
        .map(|part| {
            let at = part.iter().position(|byte| *byte == b'=').unwrap_or(part.len());
            let (name, value) = part.split_at(at);
            let value = value.strip_prefix(b"=").unwrap_or(value);
            Some((decoded(name)?, Matched::of(decoded(value)?)))
        })
        .collect()
}

/// JSON that differs where its value does; where numbers might not be exact, the text itself.
fn canonical(json: &str) -> String {
    let is_digit = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
    let longest =
        json.as_bytes().chunk_by(|a, b| is_digit(a) && is_digit(b)).map(<[u8]>::len).max();
    if longest.unwrap_or(0) > EXACT_DIGITS {
        return json.to_owned();
    }
    without_tokens(json, "\u{0}")
        // Maps of `serde_json` are in the order of their names.
        .or_else(|| serde_json::from_str::<Value>(json).ok().map(|value| value.to_string()))
        .unwrap_or_else(|| json.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str, content_type: &str, text: &str) -> Asked {
        let body = match content_type {
            "json" => AskedBody::Json(text.to_owned()),
            "form" => AskedBody::Form(pairs(text.as_bytes()).unwrap()),
            _ => AskedBody::Text(text.to_owned()),
        };
        Asked {
            method: "POST".into(),
            authority: "a".into(),
            path: "/x".into(),
            query: pairs(query.as_bytes()).unwrap(),
            body,
            content_type: String::new(),
        }
    }

    #[test]
    fn requests_that_mean_the_same_are_one() {
        let same = |a: Asked, b: Asked| assert_eq!(a.key(), b.key());
        let other = |a: Asked, b: Asked| assert_ne!(a.key(), b.key());
        same(asked("a=1&b=2", "", ""), asked("b=%32&a=1", "", ""));
        other(asked("a=1&a=2", "", ""), asked("a=2&a=1", "", ""));
        other(asked("a=1", "", ""), asked("a=1&b=", "", ""));
        same(
            asked("", "json", r#"{"a":1,"b":[1,2]}"#),
            asked("", "json", "{ \"b\": [1, 2], \"a\": 1 }"),
        );
        other(asked("", "json", r#"{"b":[2,1]}"#), asked("", "json", r#"{"b":[1,2]}"#));
        // Equal as floating-point numbers.
        other(asked("", "json", "18446744073709551617"), asked("", "json", "18446744073709551618"));
        same(asked("", "form", "a=1&b=%C3%BC"), asked("", "form", "b=ü&a=1"));
        other(asked("", "", "a=1"), asked("a=1", "", ""));
    }

    #[test]
    fn what_was_redacted_may_be_anything() {
        let token = |code: &str| format!("redacted-token-{code}");
        let [one, two] = ["hseo2ccvjvxbd3bu", "4q2rrk7ezr6eds4x"].map(token);
        assert_eq!(Matched::of(one.clone()), Matched::Any);
        let query = |token: &str| asked(&format!("key={token}"), "", "").key();
        assert_eq!(query(&one), query(&two));
        assert_ne!(query(&one), query("abc"));
        let json = |token: &str| asked("", "json", &format!(r#"{{"a":["{token}"]}}"#)).key();
        assert_eq!(json(&one), json(&two));
        assert_eq!(without_tokens(r#"{"a":"b"}"#, "*"), None);
        assert_eq!(without_tokens(&format!(r#"["{one}"]"#), "*").as_deref(), Some(r#"["*"]"#));
    }
}
