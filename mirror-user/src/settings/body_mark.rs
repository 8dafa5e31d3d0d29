//! Marks in the body, by its type: repeated flags on the command line, maps in a file.

use clap::builder::ValueParser;
use clap::{Arg, ArgMatches};
use serde_json::{Value as Json, json};

use super::define::{Setting, Slot, settings};
use super::fields::{over, repeated};
use crate::rules::body_mark::{BodyMarks, JsonMark};
use crate::yaml::{Node, Reader, Value as Tree, write};

settings! {
    /// The mark in the body, on top of the headers, for services that read their flags there. A request with a body that cannot
    /// take it is not sent.
    pub struct BodyMarkSettings under "Marking", changed WithItsTarget {
        /// Create or replace this member in JSON bodies; VALUE is JSON
        setting json: JsonMarks { key: "json", flag: "mark-json", value: "PATH=VALUE" }
        /// Create or replace this field in forms
        setting form: BodyFields { key: "form", flag: "mark-form", value: "NAME=VALUE" }
        /// Create or replace this part in multipart/form-data
        setting multipart: BodyFields { key: "multipart", flag: "mark-multipart", value: "NAME=VALUE" }
    }
}

impl From<&BodyMarkSettings> for BodyMarks {
    fn from(settings: &BodyMarkSettings) -> Self {
        let BodyMarkSettings { json, form, multipart } = settings.clone();
        Self { json: json.0, form: form.0, multipart: multipart.0 }
    }
}

/// Members of JSON documents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JsonMarks(pub Vec<JsonMark>);

/// Fields or parts by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BodyFields(pub Vec<(String, String)>);

impl Slot for JsonMarks {
    fn is_given(&self) -> bool {
        !self.0.is_empty()
    }

    fn over(&mut self, under: &Self) {
        over(&mut self.0, &under.0, |one, other| one.path() == other.path());
    }

    fn define(setting: &'static Setting, arg: Arg) -> Arg {
        repeated(setting, arg).value_parser(ValueParser::new(str::parse::<JsonMark>))
    }

    fn take(matches: &mut ArgMatches, flag: &str) -> Self {
        Self(matches.remove_many(flag).map(Iterator::collect).unwrap_or_default())
    }

    fn read(reader: &mut Reader, _: &Setting, node: &Node) -> Self {
        let mut marks = Vec::new();
        for (key, value) in reader.pairs(node).unwrap_or_default() {
            match JsonMark::new(&key.text, json_of(value)) {
                Ok(mark) => marks.push(mark),
                Err(error) => reader.wrong(key.at, error),
            }
        }
        Self(marks)
    }

    fn print(&self) -> write::Value {
        let marks = self.0.iter();
        let marks = marks.map(|mark| (mark.path(), write::Value::Json(mark.value().to_string())));
        marks.collect::<write::Map>().into()
    }

    fn schema() -> Json {
        json!({ "type": "object" })
    }

    fn unit() -> String {
        "map of paths and JSON values".to_owned()
    }
}

/// The JSON value that a node stands for: a scalar without quotes is a number, a boolean or null where it looks like one.
fn json_of(node: &Node) -> Json {
    match &node.value {
        Tree::Null => Json::Null,
        Tree::Scalar { text, plain } => {
            let scalar = plain.then(|| serde_json::from_str(text).ok()).flatten();
            scalar.filter(|it: &Json| !it.is_string()).unwrap_or_else(|| text.as_str().into())
        }
        Tree::List(items) => items.iter().map(json_of).collect(),
        Tree::Map(fields) => Json::Object(
            fields.iter().map(|(key, node)| (key.text.clone(), json_of(node))).collect(),
        ),
    }
}

/// `NAME=VALUE`, both on one line.
fn field(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a name and a value, such as synthetic=1")?;
    Ok((field_name(name)?, one_line(value)?))
}

fn field_name(name: &str) -> Result<String, String> {
    match name.is_empty() || name.contains(['"', '\\']) {
        true => Err(format!("{name:?}: a name without quotes and backslashes, such as synthetic")),
        false => one_line(name),
    }
}

fn one_line(text: &str) -> Result<String, String> {
    match text.contains(char::is_control) {
        true => Err("one line without control characters".to_owned()),
        false => Ok(text.to_owned()),
    }
}

impl Slot for BodyFields {
    fn is_given(&self) -> bool {
        !self.0.is_empty()
    }

    fn over(&mut self, under: &Self) {
        over(&mut self.0, &under.0, |one, other| one.0 == other.0);
    }

    fn define(setting: &'static Setting, arg: Arg) -> Arg {
        repeated(setting, arg).value_parser(ValueParser::new(field))
    }

    fn take(matches: &mut ArgMatches, flag: &str) -> Self {
        Self(matches.remove_many(flag).map(Iterator::collect).unwrap_or_default())
    }

    fn read(reader: &mut Reader, _: &Setting, node: &Node) -> Self {
        let mut fields = Vec::new();
        for (key, value) in reader.pairs(node).unwrap_or_default() {
            match field_name(&key.text) {
                Ok(name) => {
                    fields.extend(reader.parsed(value, one_line).map(|value| (name, value)));
                }
                Err(error) => reader.wrong(key.at, error),
            }
        }
        Self(fields)
    }

    fn print(&self) -> write::Value {
        let fields = self.0.iter().map(|(name, value)| (name.clone(), value.as_str().into()));
        fields.collect::<write::Map>().into()
    }

    fn schema() -> Json {
        json!({
            "type": "object",
            "additionalProperties": { "type": ["string", "number", "boolean"] },
        })
    }

    fn unit() -> String {
        "map of names and values".to_owned()
    }
}
