//! A simulation of Hoverfly, schema v5.3.
//!
//! Hoverfly takes matchers of unknown names and then breaks the connection; equal requests of two pairs are one to it, so
//! sequences use its states; bodies are never templates.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::asked::{by_name, without_tokens};
use super::{Answer, Asked, AskedBody, Matched, Place, Stub, StubOptions};

/// What Go's `net/url` escapes in a path; Hoverfly sees a path decoded if it is escaped just so, else as it was sent.
const GO_PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b',')
    .remove(b'/')
    .remove(b':')
    .remove(b';')
    .remove(b'=')
    .remove(b'@');

/// Writes the file.
pub(super) fn write(stubs: &[Stub<'_>], options: StubOptions, to: &Place) -> anyhow::Result<()> {
    let mut pairs = Vec::new();
    let mut sequences = 0_u64;
    for stub in stubs {
        let answers: Vec<&Answer> = stub.answers().collect();
        let sequence = (answers.len() > 1).then(|| {
            sequences += 1;
            format!("sequence:{sequences}")
        });
        for (place, answer) in answers.iter().enumerate() {
            let mut request = request(stub.asked);
            let mut response = response(answer, options);
            if let Some(sequence) = &sequence {
                let state = |n: usize| json!({sequence: n.to_string()});
                request.insert("requiresState".into(), state(place + 1));
                if place + 1 < answers.len() {
                    response.insert("transitionsState".into(), state(place + 2));
                }
            }
            pairs.push(json!({"request": request, "response": response}));
        }
    }
    let simulation = json!({
        "data": {"pairs": pairs, "globalActions": {"delays": [], "delaysLogNormal": []}},
        "meta": {"schemaVersion": "v5.3"},
    });
    to.write_json("", &simulation)
}

fn exact(value: &str) -> Value {
    json!({"matcher": "exact", "value": value})
}

fn matcher(value: &Matched) -> Value {
    match value {
        Matched::Is(value) => exact(value),
        Matched::Any => json!({"matcher": "glob", "value": "*"}),
    }
}

fn request(asked: &Asked) -> Map<String, Value> {
    let mut request = Map::new();
    let mut add = |name: &str, matchers: Value| request.insert(name.into(), matchers);
    add("method", json!([exact(&asked.method)]));
    add("scheme", json!([exact("http")]));
    add("destination", json!([exact(&asked.authority.to_ascii_lowercase())]));
    add("path", json!([path(asked)]));
    add("query", query(&asked.query));
    add("body", json!([body(&asked.body)]));
    request
}

fn path(asked: &Asked) -> Value {
    if asked.segments().any(|segment| segment == Matched::Any) {
        let segments = asked.segments().map(|segment| match segment {
            Matched::Is(segment) => segment,
            Matched::Any => "*".to_owned(),
        });
        return json!({"matcher": "glob", "value": segments.collect::<Vec<_>>().join("/")});
    }
    exact(&as_go_shows(&asked.path))
}

/// A path decoded, unless that loses something.
fn as_go_shows(path: &str) -> Cow<'_, str> {
    let decoded = percent_decode_str(path).decode_utf8().unwrap_or_default();
    let again: String = utf8_percent_encode(&decoded, GO_PATH).collect();
    if again == path { decoded } else { path.into() }
}

fn query(pairs: &[(String, Matched)]) -> Value {
    let mut query: Map<String, Value> = Map::new();
    for (name, values) in by_name(pairs) {
        let matcher = match values.as_slice() {
            [value] => matcher(value),
            values => {
                let texts: Option<Vec<&str>> = values
                    .iter()
                    .map(|value| match value {
                        Matched::Is(value) => Some(value.as_str()),
                        Matched::Any => None,
                    })
                    .collect();
                match texts {
                    Some(texts) => json!({"matcher": "array", "value": texts}),
                    None => matcher(&Matched::Any),
                }
            }
        };
        query.insert(name.to_owned(), json!([matcher]));
    }
    Value::Object(query)
}

fn body(body: &AskedBody) -> Value {
    match body {
        // Of bytes there are no stubs here.
        AskedBody::Empty | AskedBody::Bytes(_) => exact(""),
        AskedBody::Text(text) => exact(text),
        AskedBody::Json(text) => match without_tokens(text, "*") {
            None => json!({"matcher": "json", "value": text}),
            // Its matchers of JSON know no stand-in for a value: the text matches, in this order of members.
            Some(pattern) => json!({"matcher": "glob", "value": pattern}),
        },
        AskedBody::Form(pairs) => {
            let mut form: Map<String, Value> = Map::new();
            for (name, values) in by_name(pairs) {
                let matchers = values.iter().map(|value| matcher(value));
                form.insert(name.to_owned(), matchers.collect());
            }
            json!({"matcher": "form", "value": form})
        }
    }
}

fn response(answer: &Answer, options: StubOptions) -> Map<String, Value> {
    let mut response = Map::new();
    let mut add = |name: &str, value: Value| response.insert(name.into(), value);
    add("status", answer.status.into());
    let (body, encoded) = match answer.text() {
        Some(text) => (text.to_owned(), false),
        None => (BASE64.encode(&answer.body), true),
    };
    add("body", body.into());
    add("encodedBody", encoded.into());
    add("templated", false.into());
    let headers = answer.grouped().into_iter();
    let headers = headers.map(|(name, values)| (name.to_owned(), json!(values)));
    add("headers", Value::Object(headers.collect()));
    if options.delays {
        let milliseconds = u64::try_from(answer.latency.as_millis()).unwrap_or(u64::MAX);
        add("fixedDelay", milliseconds.into());
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_decoded_unless_that_loses_something() {
        for (path, shown) in [
            ("/a%20b/%C3%BC", "/a b/ü"),
            ("/a%2Fb", "/a%2Fb"),
            ("/a%2fb", "/a%2fb"),
            ("/users/me@example.com:1", "/users/me@example.com:1"),
            ("/it's", "/it's"),
            ("/%FF", "/%FF"),
        ] {
            assert_eq!(as_go_shows(path), shown);
        }
    }
}
