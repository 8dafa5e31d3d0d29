//! Values that are one text on the command line and a map in a file.

use serde_json::{Value as Json, json};

use super::{Value, pattern};
use crate::rules::edit::{PathPrefix, path_text};
use crate::rules::redact::Custom;
use crate::source::live::pods::{PodSelection, namespace};
use crate::yaml::{Node, Reader, Value as Tree, write};

/// `FROM=TO`; in a file, a map of both.
impl Value for PathPrefix {
    const NAME: &'static str = "FROM=TO";
    const UNIT: &'static str = "map of `from` and `to`";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
    }

    fn text(&self) -> String {
        format!("{}={}", self.from, self.to)
    }

    fn schema() -> Json {
        let path = || pattern(r"^(/[^?#\s]*|\*)$");
        json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["from", "to"],
            "properties": { "from": path(), "to": path() },
        })
    }

    fn read(reader: &mut Reader, node: &Node) -> Option<Option<Self>> {
        let Some(fields) = reader.fields(node, &["from", "to"]) else { return Some(None) };
        let advice = "the segments that are replaced, such as /api";
        let from = reader.required(&fields, "from", advice);
        let from = from.and_then(|node| reader.parsed(node, path_text));
        let to = reader.required(&fields, "to", "what replaces them, such as /v2");
        let to = to.and_then(|node| reader.parsed(node, path_text));
        Some(from.zip(to).map(|(from, to)| Self { from, to }))
    }

    fn print(&self) -> write::Value {
        let Self { from, to } = self;
        write::Fields::new().with("from", from.as_str()).with("to", to.as_str()).0.into()
    }
}

/// `NAME=REGEX`; in a file, a map with more options.
impl Value for Custom {
    const NAME: &'static str = "NAME=REGEX";
    const UNIT: &'static str = "maps of `name`, `regex` and `keep-length`";

    fn parse(text: &str) -> Result<Self, String> {
        let (name, regex) = text
            .split_once('=')
            .ok_or("a name and an expression, NAME=REGEX, such as order=ORD-[0-9]{8}")?;
        Self::new(name, regex, false).map_err(|bad| bad.to_string())
    }

    fn text(&self) -> String {
        format!("{}={}", self.name(), self.regex())
    }

    fn schema() -> Json {
        json!({
            "type": "object",
            "description": "A custom detector.",
            "additionalProperties": false,
            "required": ["name", "regex"],
            "properties": {
                "name": {
                    "type": "string",
                    "pattern": "^[a-z0-9-]{1,32}$",
                    "description": "The kind of its tokens.",
                },
                "regex": {
                    "type": "string",
                    "description": "What is replaced, or only its first group; RE2 syntax.",
                },
                "keep-length": {
                    "type": ["boolean", "null"],
                    "description": "Replace letters by x and digits by 0, so that the length is kept. Default: false.",
                },
            },
        })
    }

    fn is_like(node: &Node) -> bool {
        matches!(node.value, Tree::Map(_))
    }

    fn read(reader: &mut Reader, node: &Node) -> Option<Option<Self>> {
        let Some(fields) = reader.fields(node, &["name", "regex", "keep-length"]) else {
            return Some(None);
        };
        let name = reader.required(&fields, "name", "the kind of its tokens, such as order-number");
        let regex = reader.required(&fields, "regex", "what it matches, such as ORD-[0-9]{8}");
        let keep_length = fields.get("keep-length").and_then(|node| reader.truth(node));
        let (Some(name), Some(regex)) = (name, regex) else { return Some(None) };
        let Some(name) = reader.text(name) else { return Some(None) };
        Some(reader.parsed(regex, |regex| {
            Self::new(name, regex, keep_length.unwrap_or_default()).map_err(|bad| bad.to_string())
        }))
    }

    fn print(&self) -> write::Value {
        write::Fields::new()
            .with("name", self.name())
            .with("regex", self.regex())
            .with("keep-length", self.keeps_length().then_some(true))
            .0
            .into()
    }
}

/// `namespaces=…;labels=…;annotation=…`; in a file, a map of these.
impl Value for PodSelection {
    const NAME: &'static str = "SELECTION";
    const UNIT: &'static str = "map of `namespaces`, `labels` and `annotation`";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
    }

    fn text(&self) -> String {
        self.to_string()
    }

    fn schema() -> Json {
        let requirement = || pattern(r"^!?[A-Za-z0-9._/-]+(!?=[^,;=!\s]*)?$");
        let list = |item: Json| json!({ "anyOf": [item, { "type": "array", "items": item, "minItems": 1 }] });
        json!({
            "type": "object",
            "additionalProperties": false,
            "minProperties": 1,
            "properties": {
                "namespaces": list(pattern("^[a-z0-9-]{1,63}$")),
                "labels": list(requirement()),
                "annotation": requirement(),
            },
        })
    }

    fn is_like(node: &Node) -> bool {
        matches!(node.value, Tree::Map(_))
    }

    fn read(reader: &mut Reader, node: &Node) -> Option<Option<Self>> {
        let keys = ["namespaces", "labels", "annotation"];
        let Some(fields) = reader.fields(node, &keys) else { return Some(None) };
        let selection = Self {
            namespaces: reader
                .list(fields.get("namespaces"), |reader, node| reader.parsed(node, namespace)),
            labels: reader
                .list(fields.get("labels"), |reader, node| reader.parsed(node, str::parse)),
            annotation: fields.get("annotation").and_then(|node| reader.parsed(node, str::parse)),
        };
        if !selection.names_something() {
            reader.wrong(node.at, "pods: which? name namespaces, labels or an annotation");
            return Some(None);
        }
        Some(Some(selection))
    }

    fn print(&self) -> write::Value {
        let texts = |list: Vec<String>| {
            (!list.is_empty())
                .then(|| write::Value::List(list.into_iter().map(write::Value::Text).collect()))
        };
        let labels = self.labels.iter().map(ToString::to_string).collect();
        write::Fields::new()
            .with("namespaces", texts(self.namespaces.clone()))
            .with("labels", texts(labels))
            .with("annotation", self.annotation.as_ref().map(ToString::to_string))
            .0
            .into()
    }
}
