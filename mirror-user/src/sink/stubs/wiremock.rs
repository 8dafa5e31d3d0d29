//! Mappings of WireMock 3: `mappings/HOST.json` with the stubs of each collaborator, and long bodies in `__files`.
//!
//! Queries and forms match by name, so that their order does not matter; names that another stub of the same path has and
//! this one has not must be absent, because WireMock ignores what is not asked for. Where several collaborators are in one
//! directory, the `Host` tells them apart; else it may be any, as that of a test cluster is.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::asked::{by_name, without_tokens};
use super::{Answer, Asked, AskedBody, Matched, Place, Stub, StubOptions};
use crate::sink::jsonl::hex;

/// Bytes of a body that stands in a mapping; a longer one is a file of its own.
const MAX_INLINE: usize = 64 * 1024;

/// Characters of a host in the name of its file; names have at most 255.
const MAX_NAME: usize = 100;

/// What matches any text in JSON that WireMock compares.
const ANY_TEXT: &str = "${json-unit.any-string}";

/// Writes the directory.
pub(super) fn write(stubs: &[Stub<'_>], options: StubOptions, to: &Place) -> anyhow::Result<()> {
    let names = Names::of(stubs);
    let mut by_host: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for stub in stubs {
        let mappings = by_host.entry(stub.asked.authority.to_ascii_lowercase()).or_default();
        let answers: Vec<&Answer> = stub.answers().collect();
        let title = format!("{} {}", stub.asked.method, stub.asked.path);
        for (place, answer) in answers.iter().enumerate() {
            let mut mapping = Map::new();
            let mut add = |name: &str, value: Value| mapping.insert(name.into(), value);
            add("id", id(&stub.key, place).into());
            add("name", title.clone().into());
            if answers.len() > 1 {
                let state = |n: usize| match n {
                    0 => "Started".to_owned(),
                    n => format!("answered {n}"),
                };
                add("scenarioName", format!("{title} {}", short(&stub.key)).into());
                add("requiredScenarioState", state(place).into());
                if place + 1 < answers.len() {
                    add("newScenarioState", state(place + 1).into());
                }
            }
            add("request", Value::Object(request(stub.asked, &names)));
            add("response", Value::Object(response(answer, options, to)?));
            mappings.push(Value::Object(mapping));
        }
    }
    let mut files = BTreeSet::new();
    for (host, mappings) in by_host {
        let file = file_of(&host, &mut files);
        to.write_json(&format!("mappings/{file}.json"), &json!({"mappings": mappings}))?;
    }
    Ok(())
}

/// A name for the file of a host, which no other one has.
fn file_of(host: &str, files: &mut BTreeSet<String>) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-._".contains(c) { c } else { '_' };
    let mut file: String = host.chars().map(plain).take(MAX_NAME).collect();
    if file.len() < host.len() || files.contains(&file) {
        let digest: [u8; 32] = Sha256::digest(host).into();
        file = format!("{file}-{}", short(&digest));
    }
    files.insert(file.clone());
    file
}

/// Names that stubs of one path ask for, and which collaborators there are.
struct Names<'s> {
    queries: BTreeMap<(&'s str, &'s str), BTreeSet<&'s str>>,
    has_several_hosts: bool,
}

impl<'s> Names<'s> {
    fn of(stubs: &[Stub<'s>]) -> Self {
        let mut queries: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        let mut hosts = BTreeSet::new();
        for Stub { asked, .. } in stubs {
            let names = queries.entry((asked.method.as_str(), asked.path.as_str())).or_default();
            names.extend(asked.query.iter().map(|(name, _)| name.as_str()));
            hosts.insert(asked.authority.to_ascii_lowercase());
        }
        Self { queries, has_several_hosts: hosts.len() > 1 }
    }
}

fn request(asked: &Asked, names: &Names<'_>) -> Map<String, Value> {
    let mut request = Map::new();
    let mut add = |name: &str, value: Value| request.insert(name.into(), value);
    add("method", asked.method.clone().into());
    match asked.segments().any(|segment| segment == Matched::Any) {
        false => add("urlPath", asked.path.clone().into()),
        true => {
            let segments = asked.segments().map(|segment| match segment {
                Matched::Is(segment) => regex::escape(&segment),
                Matched::Any => "[^/]+".to_owned(),
            });
            add("urlPathPattern", segments.collect::<Vec<_>>().join("/").into())
        }
    };
    let mut query = matchers(&asked.query);
    let known = names.queries.get(&(asked.method.as_str(), asked.path.as_str()));
    for name in known.into_iter().flatten() {
        if !query.contains_key(*name) {
            query.insert((*name).to_owned(), json!({"absent": true}));
        }
    }
    if !query.is_empty() {
        add("queryParameters", Value::Object(query));
    }
    if names.has_several_hosts {
        let host = json!({"equalTo": asked.authority, "caseInsensitive": true});
        add("headers", json!({"Host": host}));
    }
    match &asked.body {
        // A method that has content may have none in one request and some in the next.
        AskedBody::Empty if !matches!(asked.method.as_str(), "GET" | "HEAD") => {
            add("bodyPatterns", json!([{"absent": true}]));
        }
        AskedBody::Empty => {}
        AskedBody::Form(pairs) => {
            add("formParameters", Value::Object(matchers(pairs)));
        }
        AskedBody::Json(text) => {
            let pattern = match without_tokens(text, ANY_TEXT) {
                Some(pattern) => Some(pattern),
                // What stands there for itself would be a pattern.
                None if text.contains("${json-unit") => None,
                None => Some(text.clone()),
            };
            add(
                "bodyPatterns",
                match pattern {
                    Some(pattern) => {
                        json!([{"equalToJson": pattern, "ignoreArrayOrder": false, "ignoreExtraElements": false}])
                    }
                    None => json!([{"equalTo": text}]),
                },
            );
        }
        AskedBody::Text(text) => {
            add("bodyPatterns", json!([{"equalTo": text}]));
        }
        AskedBody::Bytes(bytes) => {
            add("bodyPatterns", json!([{"binaryEqualTo": BASE64.encode(bytes)}]));
        }
    }
    request
}

/// A matcher for each name.
fn matchers(pairs: &[(String, Matched)]) -> Map<String, Value> {
    let matcher = |value: &Matched| match value {
        Matched::Is(value) => json!({"equalTo": value}),
        Matched::Any => json!({"matches": "(?s).*"}),
    };
    let of_name = |values: Vec<&Matched>| match values.as_slice() {
        [value] => matcher(value),
        values => {
            json!({"hasExactly": values.iter().map(|value| matcher(value)).collect::<Vec<_>>()})
        }
    };
    let names = by_name(pairs).into_iter();
    names.map(|(name, values)| (name.to_owned(), of_name(values))).collect()
}

fn response(
    answer: &Answer,
    options: StubOptions,
    to: &Place,
) -> anyhow::Result<Map<String, Value>> {
    let mut response = Map::new();
    let mut add = |name: &str, value: Value| response.insert(name.into(), value);
    add("status", answer.status.into());
    let headers = answer.grouped().into_iter().map(|(name, values)| {
        let value = match values.as_slice() {
            [value] => json!(value),
            values => json!(values),
        };
        (name.to_owned(), value)
    });
    let headers: Map<String, Value> = headers.collect();
    if !headers.is_empty() {
        add("headers", Value::Object(headers));
    }
    match answer.text() {
        _ if answer.body.is_empty() => {}
        _ if answer.body.len() > MAX_INLINE => {
            let digest: [u8; 32] = Sha256::digest(&answer.body).into();
            let name = format!("{}.body", short(&digest));
            to.write_shared(&format!("__files/{name}"), &answer.body)?;
            add("bodyFileName", name.into());
        }
        Some(text) => {
            add("body", text.into());
        }
        None => {
            add("base64Body", BASE64.encode(&answer.body).into());
        }
    }
    if options.delays {
        let milliseconds = u64::try_from(answer.latency.as_millis()).unwrap_or(u64::MAX);
        add("fixedDelayMilliseconds", milliseconds.into());
    }
    Ok(response)
}

/// A UUID of version 8 (RFC 9562 §5.8) that is the same in every run.
fn id(key: &[u8; 32], place: usize) -> String {
    let mut hash = Sha256::new();
    hash.update(key);
    hash.update((place as u64).to_le_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    let mut hex: Vec<char> = hex(&digest).chars().take(32).collect();
    for (at, digit) in [(12, '8'), (16, 'a')] {
        if let Some(place) = hex.get_mut(at) {
            *place = digit;
        }
    }
    let mut id = String::new();
    for (at, digit) in hex.into_iter().enumerate() {
        if matches!(at, 8 | 12 | 16 | 20) {
            id.push('-');
        }
        id.push(digit);
    }
    id
}

fn short(digest: &[u8; 32]) -> String {
    hex(digest).chars().take(16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_files_of_their_own_whatever_they_are_called() {
        let mut files = BTreeSet::new();
        let long = "a".repeat(5_000);
        let hosts = ["a.internal:80", "a.internal_80", "../../etc", &long, &long[1..], ".."];
        let names: Vec<String> = hosts.iter().map(|host| file_of(host, &mut files)).collect();
        assert_eq!(names[0], "a.internal_80");
        assert_eq!(files.len(), hosts.len());
        assert!(names.iter().all(|name| name.len() < 200 && !name.contains('/')), "{names:?}");
    }

    #[test]
    fn ids_are_uuids_that_stay() {
        let uuid = id(&[7; 32], 1);
        assert_eq!(uuid, id(&[7; 32], 1));
        assert_ne!(uuid, id(&[7; 32], 2));
        let shape: String =
            uuid.chars().map(|c| if c.is_ascii_hexdigit() { 'x' } else { c }).collect();
        assert_eq!(shape, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx");
        assert_eq!((uuid.as_bytes()[14], uuid.as_bytes()[19]), (b'8', b'a'));
    }
}
