//! A description of OpenAPI 3.0.3, inferred from what was seen: paths with parameters, schemas, and examples.
//!
//! Examples of one exchange have one name everywhere, by which servers of examples (Prism, Microcks) put request and response
//! together; a response without content names its examples in `x-microcks-refs`. Of content that is no text there is no
//! example.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::asked::by_name;
use super::operations::{self, Answers, Example, Operation, Operations};
use super::schema::Inferred;
use super::{Answer, AskedBody, Matched, Place, Stub};

/// Methods that a path of OpenAPI 3.0 can have.
pub(super) const METHODS: [&str; 8] =
    ["GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"];

/// Of a description that nobody has released.
pub(super) const VERSION: &str = "1.0.0";

/// Stands for what was redacted.
const REDACTED: &str = "redacted";

/// Writes the file; how many examples were too many for it.
pub(super) fn write(stubs: &[Stub<'_>], to: &Place) -> anyhow::Result<u64> {
    let operations = operations::of(stubs, Answers::All);
    to.write_json("", &description(&operations, &to.title()))?;
    Ok(operations::left_out(&operations))
}

/// The description of an API with this title.
pub(super) fn description(operations: &Operations<'_>, title: &str) -> Value {
    let mut paths = Map::new();
    for (template, methods) in operations {
        let methods = methods.iter().map(|(method, operation)| {
            (method.to_ascii_lowercase(), describe(method, template, operation))
        });
        paths.insert(template.clone(), Value::Object(methods.collect()));
    }
    json!({
        "openapi": "3.0.3",
        "info": {"title": title, "version": VERSION, "description": "Inferred from recorded traffic."},
        "paths": paths,
    })
}

fn describe(method: &str, template: &str, operation: &Operation<'_>) -> Value {
    let mut described = Map::new();
    described.insert("summary".into(), format!("{method} {template}").into());
    let parameters: Vec<Value> = path(operation).into_iter().chain(query(operation)).collect();
    if !parameters.is_empty() {
        described.insert("parameters".into(), parameters.into());
    }
    // RFC 9110 gives content of these no meaning, and OpenAPI 3.0 allows none.
    if !matches!(method, "GET" | "HEAD" | "DELETE")
        && let Some(body) = request_body(operation)
    {
        described.insert("requestBody".into(), body);
    }
    described.insert("responses".into(), responses(operation));
    Value::Object(described)
}

fn examples(values: impl IntoIterator<Item = (String, Value)>) -> Value {
    let values = values.into_iter().map(|(name, value)| (name, json!({"value": value})));
    Value::Object(values.collect())
}

fn path(operation: &Operation<'_>) -> Vec<Value> {
    let mut values: BTreeMap<&str, Vec<(String, Value)>> = BTreeMap::new();
    for example in &operation.examples {
        for (name, value) in &example.path {
            values.entry(name).or_default().push((example.name.clone(), value.as_str().into()));
        }
    }
    let parameter = |(name, values)| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}, "examples": examples(values)});
    values.into_iter().map(parameter).collect()
}

fn query(operation: &Operation<'_>) -> Vec<Value> {
    let mut values: BTreeMap<&str, Vec<(String, Vec<&Matched>)>> = BTreeMap::new();
    for example in &operation.examples {
        for (name, of_name) in by_name(&example.asked.query) {
            values.entry(name).or_default().push((example.name.clone(), of_name));
        }
    }
    let parameter = |(name, values): (&str, Vec<(String, Vec<&Matched>)>)| {
        let required = values.len() == operation.examples.len();
        let is_list = values.iter().any(|(_, values)| values.len() > 1);
        let schema = match is_list {
            true => json!({"type": "array", "items": {"type": "string"}}),
            false => json!({"type": "string"}),
        };
        let values = values.into_iter().map(|(name, values)| {
            let texts: Vec<Value> = values.iter().map(|value| text(value).into()).collect();
            (
                name,
                if is_list { texts.into() } else { texts.into_iter().next().unwrap_or_default() },
            )
        });
        json!({"name": name, "in": "query", "required": required, "schema": schema, "examples": examples(values)})
    };
    values.into_iter().map(parameter).collect()
}

/// A value as it is shown.
pub(super) fn text(value: &Matched) -> &str {
    match value {
        Matched::Is(value) => value,
        Matched::Any => REDACTED,
    }
}

/// Content by media type.
#[derive(Default)]
struct Contents(BTreeMap<String, Content>);

#[derive(Default)]
struct Content {
    schema: Inferred,
    examples: Vec<(String, Value)>,
    /// Some of it was no text.
    is_binary: bool,
}

impl Contents {
    fn add(&mut self, media_type: &str, name: &str, value: Option<Value>) {
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        let is_one = media_type.contains('/');
        let media_type = if is_one { media_type } else { "application/octet-stream" };
        let content = self.0.entry(media_type.to_ascii_lowercase()).or_default();
        match value {
            Some(value) => {
                content.schema.add(&value);
                content.examples.push((name.to_owned(), value));
            }
            None => content.is_binary = true,
        }
    }

    fn described(self) -> Value {
        let described = self.0.into_iter().map(|(media_type, content)| {
            let schema = match content.is_binary {
                true => json!({"type": "string", "format": "binary"}),
                false => content.schema.schema(),
            };
            let described = match content.examples.is_empty() {
                true => json!({"schema": schema}),
                false => json!({"schema": schema, "examples": examples(content.examples)}),
            };
            (media_type, described)
        });
        Value::Object(described.collect())
    }
}

fn request_body(operation: &Operation<'_>) -> Option<Value> {
    let mut contents = Contents::default();
    let mut with_body = 0;
    for Example { name, asked, .. } in &operation.examples {
        let value = match &asked.body {
            AskedBody::Empty => continue,
            AskedBody::Json(text) => serde_json::from_str(text).ok(),
            AskedBody::Text(text) => Some(text.as_str().into()),
            AskedBody::Form(pairs) => Some(form(pairs)),
            AskedBody::Bytes(_) => None,
        };
        with_body += 1;
        contents.add(&asked.content_type, name, value);
    }
    let required = with_body == operation.examples.len();
    (with_body > 0).then(|| json!({"required": required, "content": contents.described()}))
}

fn form(pairs: &[(String, Matched)]) -> Value {
    let fields = by_name(pairs).into_iter().map(|(name, values)| {
        let texts: Vec<Value> = values.iter().map(|value| text(value).into()).collect();
        let value = match texts.as_slice() {
            [text] => text.clone(),
            texts => texts.into(),
        };
        (name.to_owned(), value)
    });
    Value::Object(fields.collect())
}

fn responses(operation: &Operation<'_>) -> Value {
    let mut by_status: BTreeMap<u16, Vec<&Example<'_>>> = BTreeMap::new();
    for example in &operation.examples {
        by_status.entry(example.answer.status).or_default().push(example);
    }
    let described = by_status
        .into_iter()
        .map(|(status, examples)| (status.to_string(), response(status, &examples)));
    Value::Object(described.collect())
}

fn response(status: u16, of_status: &[&Example<'_>]) -> Value {
    let mut described = json!({"description": format!("Status {status}")});
    let Some(fields) = described.as_object_mut() else { return described };
    let mut contents = Contents::default();
    let mut headers: BTreeMap<&str, Vec<(String, Value)>> = BTreeMap::new();
    let mut without = Vec::new();
    for Example { name, answer, .. } in of_status {
        for (field, values) in answer.grouped() {
            if !field.eq_ignore_ascii_case("content-type") {
                headers.entry(field).or_default().push((name.clone(), values.join(", ").into()));
            }
        }
        match answer.body.is_empty() {
            true => without.push(name.as_str()),
            false => {
                contents.add(answer.field("content-type").unwrap_or_default(), name, value(answer))
            }
        }
    }
    if !headers.is_empty() {
        let header = |(name, values): (&str, _)| {
            (name.to_owned(), json!({"schema": {"type": "string"}, "examples": examples(values)}))
        };
        fields.insert("headers".into(), Value::Object(headers.into_iter().map(header).collect()));
    }
    if !contents.0.is_empty() {
        fields.insert("content".into(), contents.described());
    }
    if !without.is_empty() {
        fields.insert("x-microcks-refs".into(), json!(without));
    }
    described
}

/// An answer's content as an example.
fn value(answer: &Answer) -> Option<Value> {
    let text = answer.text()?;
    let media_type = answer.field("content-type").unwrap_or_default().to_ascii_lowercase();
    let is_json = media_type.split(';').next().is_some_and(|kind| kind.trim().ends_with("json"));
    let json = if is_json { serde_json::from_str(text).ok() } else { None };
    Some(json.unwrap_or_else(|| text.into()))
}
