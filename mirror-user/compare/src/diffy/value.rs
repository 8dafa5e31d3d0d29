//! Bodies and responses as Diffy lifts them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value as Json};

use crate::lift::{Format, Lifted, lift};
use crate::limits::Limits;
use crate::pair::Response;
use crate::tree::{NodeId, Tree, Value as Node};

/// Whose algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Twitter's: elements of lists are sorted by their text.
    Twitter,
    /// opendiffy's: they keep their order.
    OpenDiffy,
}

/// A value as Diffy sees it.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer, wrapped to 64 bits as Jackson's `longValue` does.
    Int(i64),
    /// Any other number.
    Double(f64),
    /// A string.
    Text(String),
    /// A list.
    Seq(Vec<Value>),
    /// An object whose keys are names of fields.
    Struct(BTreeMap<String, Value>),
    /// An object whose keys are data.
    Map(BTreeMap<String, Value>),
}

impl Value {
    /// Lifts JSON; `None` if Diffy would drop the pair.
    #[must_use]
    pub fn json(text: &str, mode: Mode) -> Option<Self> {
        let tree = crate::lift::json_tree(text, &Limits::default()).ok()?;
        Some(of_json(&tree, tree.root(), mode))
    }

    /// Lifts a string again, as Diffy does with every string that it compares.
    pub(super) fn again(&self, mode: Mode) -> Self {
        static MARKUP: LazyLock<Option<Regex>> =
            LazyLock::new(|| Regex::new(r#"^<("[^"]*"|'[^']*'|[^'">])*>$"#).ok());
        let Self::Text(text) = self else { return self.clone() };
        // Jackson reads the first value and leaves the rest.
        let mut stream = serde_json::Deserializer::from_str(text).into_iter::<serde_json::Value>();
        let first = stream.next();
        let read = text.get(..stream.byte_offset()).unwrap_or_default();
        if let Some(Ok(first)) = first {
            let rest = text.get(read.len()..).unwrap_or_default();
            let ends = rest.is_empty() || rest.starts_with(char::is_whitespace);
            if ends || first.is_object() || first.is_array() || first.is_string() {
                return Self::json(read, mode).unwrap_or_else(|| self.clone());
            }
        }
        if MARKUP.as_ref().is_some_and(|markup| markup.is_match(text)) {
            let fields: [(&[u8], &[u8]); 1] = [(b"content-type", b"text/html")];
            let content = crate::lift::Content::Bytes(text.as_bytes().into());
            return of_html(&lift(&fields, &content, &Limits::default()).tree);
        }
        self.clone()
    }

    /// The name of its class in Scala, near enough to tell types apart.
    pub(super) fn class(&self) -> &'static str {
        match self {
            Self::Null => "JsonNull$",
            Self::Bool(_) => "Boolean",
            Self::Int(_) => "Long",
            Self::Double(_) => "Double",
            Self::Text(_) => "String",
            Self::Seq(_) => "ArrayBuffer",
            Self::Struct(_) => "FieldMap",
            Self::Map(_) => "Map",
        }
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Bool(yes) => (*yes).into(),
            Self::Int(number) => (*number).into(),
            Self::Double(number) => (*number).into(),
            Self::Text(text) => text.as_str().into(),
            Self::Seq(values) => values.iter().map(Self::to_json).collect(),
            Self::Struct(fields) | Self::Map(fields) => {
                let fields = fields.iter().map(|(name, value)| (name.clone(), value.to_json()));
                Json::Object(fields.collect::<Map<_, _>>())
            }
        }
    }

    /// As Scala prints it, near enough to sort by.
    pub(super) fn render(&self) -> String {
        let join = |parts: Vec<String>| parts.join(", ");
        match self {
            Self::Null => "JsonNull".to_owned(),
            Self::Bool(yes) => yes.to_string(),
            Self::Int(number) => number.to_string(),
            Self::Double(number) => format!("{number:?}"),
            Self::Text(text) => text.clone(),
            Self::Seq(values) => {
                format!("List({})", join(values.iter().map(Self::render).collect()))
            }
            Self::Struct(fields) => {
                let each = fields.iter().map(|(key, value)| format!("({key},{})", value.render()));
                format!("List({})", join(each.collect()))
            }
            Self::Map(fields) => {
                let each = fields.iter().map(|(key, value)| format!("{key} -> {}", value.render()));
                format!("Map({})", join(each.collect()))
            }
        }
    }

    /// A list, in the order in which the mode compares it.
    fn seq(mut values: Vec<Self>, mode: Mode) -> Self {
        if mode == Mode::Twitter {
            values.sort_by_cached_key(Self::render);
        }
        Self::Seq(values)
    }

    fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// True if the keys of an object are data and not names.
fn is_map<'k>(mut keys: impl ExactSizeIterator<Item = &'k str>, mode: Mode) -> bool {
    let is_word = |c: char| c == '_' || c.is_ascii_alphanumeric();
    match mode {
        // "object <key>123" is no Scala.
        Mode::Twitter => keys.any(|key| {
            let starts = !key.starts_with(|c: char| c.is_ascii_digit()) && !key.is_empty();
            !(starts && key.chars().all(|c| is_word(c) || c == '$'))
        }),
        Mode::OpenDiffy => {
            keys.len() > 50
                || keys.any(|key| {
                    key.len() > 100
                        || key.starts_with(|c: char| c.is_ascii_digit())
                        || !key.chars().all(is_word)
                })
        }
    }
}

fn of_json(tree: &Tree, at: NodeId, mode: Mode) -> Value {
    match tree.value(at) {
        Node::Null => Value::Null,
        Node::Bool(yes) => Value::Bool(yes),
        Node::Number(text) => number(text),
        Node::Text(text) | Node::Opaque(text) => Value::text(text),
        Node::Array(_) => {
            Value::seq(tree.children(at).map(|child| of_json(tree, child, mode)).collect(), mode)
        }
        Node::Object(_) => {
            let member = |child| (tree.name(child).to_owned(), of_json(tree, child, mode));
            let members: BTreeMap<String, Value> = tree.children(at).map(member).collect();
            let map =
                is_map(members.keys().map(String::as_str).collect::<Vec<_>>().into_iter(), mode);
            if map { Value::Map(members) } else { Value::Struct(members) }
        }
    }
}

fn number(text: &str) -> Value {
    if text.contains(['.', 'e', 'E']) {
        return Value::Double(text.parse().unwrap_or(f64::NAN));
    }
    let digits = text.trim_start_matches('-').bytes();
    let value = digits.fold(0_i64, |value, digit| {
        value.wrapping_mul(10).wrapping_add(i64::from(digit.wrapping_sub(b'0')))
    });
    Value::Int(if text.starts_with('-') { value.wrapping_neg() } else { value })
}

/// `{head, body}` of a page.
fn of_html(tree: &Tree) -> Value {
    let parts = children(tree, tree.root()).filter_map(|child| {
        let Node::Text(tag) = tree.value(tree.member(child, "tag")?) else { return None };
        Some((tag.to_owned(), element(tree, child)?))
    });
    Value::Struct(parts.collect())
}

fn children(tree: &Tree, at: NodeId) -> impl Iterator<Item = NodeId> {
    tree.member(at, "children").into_iter().flat_map(|list| tree.children(list))
}

/// `{tag, text, attributes, children}`; `None` for a text.
fn element(tree: &Tree, at: NodeId) -> Option<Value> {
    let Node::Text(tag) = tree.value(tree.member(at, "tag")?) else { return None };
    let text = |at| match tree.value(at) {
        Node::Text(text) => Some(text),
        _ => None,
    };
    let own: Vec<&str> = children(tree, at).filter_map(text).collect();
    let attributes = tree.member(at, "attributes").into_iter().flat_map(|list| tree.children(list));
    let attributes = attributes
        .map(|one| (tree.name(one).to_owned(), Value::text(text(one).unwrap_or_default())));
    Some(Value::Struct(BTreeMap::from([
        ("tag".to_owned(), Value::text(tag)),
        ("text".to_owned(), Value::text(&own.join(" "))),
        ("attributes".to_owned(), Value::Struct(attributes.collect())),
        (
            "children".to_owned(),
            Value::Seq(children(tree, at).filter_map(|child| element(tree, child)).collect()),
        ),
    ])))
}

/// A response as Twitter's Diffy lifts it: `{result: {<status>: {content, chunked, headers}}}`, or without content
/// `{result: {headers}}`; `None` if it would drop the pair.
#[must_use]
pub fn message(response: &Response<'_>, headers: bool, mode: Mode) -> Option<Value> {
    let field = |name: &str| {
        let mut fields = response.fields.iter();
        let found = fields.find(|(have, _)| have.eq_ignore_ascii_case(name.as_bytes()));
        found.map(|(_, value)| String::from_utf8_lossy(value).trim().to_ascii_lowercase())
    };
    let mut inner = BTreeMap::new();
    if headers {
        inner.insert("headers".to_owned(), Value::Struct(by_name(response)));
    }
    let is_empty = field("content-length").is_some_and(|length| length == "0");
    let Some(media) = field("content-type").filter(|_| !is_empty) else {
        return Some(result(Value::Struct(inner)));
    };
    let Lifted { format, tree, flaw } =
        lift(&response.fields, &response.content, &Limits::default());
    let content = match (media.split(';').next().unwrap_or_default().trim(), format, flaw) {
        ("application/json", Format::Json, None) => of_json(&tree, tree.root(), mode),
        ("text/html", Format::Html, None) => of_html(&tree),
        _ => return None,
    };
    inner.insert("content".to_owned(), content);
    inner.insert("chunked".to_owned(), Value::Bool(false));
    // "chunked", "content" and "headers" are keys of a map, which leave no trace in paths: body and header fields
    // share one prefix.
    let status = BTreeMap::from([(response.status.to_string(), Value::Map(inner))]);
    Some(result(Value::Struct(status)))
}

fn result(value: Value) -> Value {
    Value::Struct(BTreeMap::from([("result".to_owned(), value)]))
}

/// The header fields, the values of each sorted.
fn by_name(response: &Response<'_>) -> BTreeMap<String, Value> {
    let mut by_name: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in &response.fields {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        by_name.entry(text(name)).or_default().push(text(value));
    }
    let fields = by_name.into_iter().map(|(name, mut values)| {
        values.sort();
        (name, Value::Seq(values.into_iter().map(Value::Text).collect()))
    });
    fields.collect()
}
