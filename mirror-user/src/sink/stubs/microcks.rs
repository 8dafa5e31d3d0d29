//! Artefacts of Microcks: a description of OpenAPI as the primary one, and what it takes beside it or instead.
//!
//! Microcks tells what a file is by its lines: `kind: APIExamples` and `"_postman_id":` must begin one, and no line may hold
//! what a description begins with. It tells requests apart by path and query alone and has no sequences, so of several answers
//! the one that repeats is the example.

use serde_json::{Map, Value, json};

use super::openapi::{VERSION, description, text};
use super::operations::{self, Answers, Example, Operations};
use super::{AskedBody, Place, Stub};

/// Writes the directory; how many examples were left out.
pub(super) fn write(stubs: &[Stub<'_>], to: &Place) -> anyhow::Result<u64> {
    let operations = operations::of(stubs, Answers::Last);
    let title = to.title();
    to.write_json("openapi.json", &description(&operations, &title))?;
    to.write("examples.yaml", examples(&operations, &title)?.as_bytes())?;
    to.write("postman.json", postman(&operations, &title)?.as_bytes())?;
    Ok(operations::left_out(&operations))
}

/// Keeps a text in JSON from being taken for the beginning of a description.
fn disguised(json: &str) -> String {
    json.replace("openapi:", "openapi\\u003a").replace("swagger:", "swagger\\u003a")
}

/// APIExamples: YAML, whose values are JSON, as that is YAML, too.
fn examples(operations: &Operations<'_>, title: &str) -> anyhow::Result<String> {
    let title = serde_json::to_string(title)?;
    let mut yaml = format!(
        "apiVersion: mocks.microcks.io/v1alpha1\nkind: APIExamples\nmetadata:\n  name: {title}\n  version: \"{VERSION}\"\n"
    );
    yaml.push_str(if operations.is_empty() { "operations: {}\n" } else { "operations:\n" });
    for (template, methods) in operations {
        for (method, operation) in methods {
            let name = serde_json::to_string(&format!("{method} {template}"))?;
            yaml.push_str(&format!("  {name}:\n"));
            for one in &operation.examples {
                let example = disguised(&serde_json::to_string(&example(one))?);
                yaml.push_str(&format!("    {}: {example}\n", one.name));
            }
        }
    }
    Ok(yaml)
}

fn example(example: &Example<'_>) -> Value {
    let Example { asked, answer, path, .. } = example;
    let mut parameters: Map<String, Value> =
        path.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    for (name, value) in &asked.query {
        parameters.insert(name.clone(), text(value).into());
    }
    let mut request = Map::new();
    request.insert("parameters".into(), parameters.into());
    if let Some(body) = body(&asked.body) {
        request.insert("headers".into(), json!({"Content-Type": asked.content_type}));
        request.insert("body".into(), body.into());
    }
    let headers: Map<String, Value> = answer
        .grouped()
        .into_iter()
        .filter(|(name, _)| !name.eq_ignore_ascii_case("content-type"))
        .map(|(name, values)| (name.to_owned(), values.join(", ").into()))
        .collect();
    let mut response = Map::new();
    // The importer reads a text.
    response.insert("status".into(), answer.status.to_string().into());
    response.insert("headers".into(), headers.into());
    if let Some(media_type) = answer.field("content-type") {
        response.insert("mediaType".into(), media_type.into());
    }
    if let Some(body) = answer.text().filter(|body| !body.is_empty()) {
        response.insert("body".into(), body.into());
    }
    json!({"request": request, "response": response})
}

/// The body of a request, if it is a text.
fn body(body: &AskedBody) -> Option<String> {
    match body {
        AskedBody::Json(text) | AskedBody::Text(text) => Some(text.clone()),
        AskedBody::Form(pairs) => {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            pairs.iter().for_each(|(name, value)| {
                form.append_pair(name, text(value));
            });
            Some(form.finish())
        }
        AskedBody::Empty | AskedBody::Bytes(_) => None,
    }
}

/// A collection of Postman, version 2.1.
fn postman(operations: &Operations<'_>, title: &str) -> anyhow::Result<String> {
    let folders = operations.iter().map(|(template, methods)| {
        let items = methods.iter().map(|(method, operation)| {
            let requests: Vec<Value> = operation.examples.iter().map(postman_request).collect();
            let responses = operation.examples.iter().zip(&requests).map(|(one, request)| {
                let headers = one.answer.headers.iter();
                let headers = headers.map(|(name, value)| json!({"key": name, "value": value}));
                json!({
                    "name": one.name,
                    "originalRequest": request,
                    "code": one.answer.status,
                    "status": one.answer.status.to_string(),
                    "header": headers.collect::<Vec<_>>(),
                    "body": one.answer.text().unwrap_or_default(),
                })
            });
            let name = format!("{method} {template}");
            json!({"name": name, "request": requests.first(), "response": responses.collect::<Vec<_>>()})
        });
        json!({"name": template, "item": items.collect::<Vec<_>>()})
    });
    let collection = json!({
        "info": {
            "_postman_id": "00000000-0000-4000-8000-000000000000",
            "name": title,
            "description": format!("version={VERSION} - inferred from recorded traffic"),
            "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json",
        },
        "item": folders.collect::<Vec<_>>(),
    });
    // In lines, one of which begins with the name that tells what it is.
    Ok(disguised(&serde_json::to_string_pretty(&collection)?) + "\n")
}

fn postman_request(example: &Example<'_>) -> Value {
    let Example { asked, path, .. } = example;
    let pair = |(name, value): (&String, &str)| json!({"key": name, "value": value});
    let query: Vec<Value> =
        asked.query.iter().map(|(name, value)| pair((name, text(value)))).collect();
    let variables: Vec<Value> = path.iter().map(|(name, value)| pair((name, value))).collect();
    let mut raw = format!("http://{}{}", asked.authority, asked.path);
    if !asked.query.is_empty() {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        asked.query.iter().for_each(|(name, value)| {
            query.append_pair(name, text(value));
        });
        raw = format!("{raw}?{}", query.finish());
    }
    let (host, port) = asked.authority.rsplit_once(':').unwrap_or((&asked.authority, "80"));
    let url = json!({
        "raw": raw,
        "protocol": "http",
        "host": host.split('.').collect::<Vec<_>>(),
        "port": port,
        "path": asked.path.trim_start_matches('/').split('/').collect::<Vec<_>>(),
        "query": query,
        "variable": variables,
    });
    match body(&asked.body) {
        None => json!({"method": asked.method, "header": [], "url": url}),
        Some(body) => json!({
            "method": asked.method,
            "header": [{"key": "Content-Type", "value": asked.content_type}],
            "url": url,
            "body": {"mode": "raw", "raw": body},
        }),
    }
}
