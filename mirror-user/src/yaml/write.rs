//! Prints a tree as YAML.

use std::fmt::Write;

/// A value to print; numbers are texts that look like numbers.
pub(crate) enum Value {
    Null,
    Text(String),
    /// A text of JSON, which is YAML, too.
    Json(String),
    /// Never in quotes.
    Raw(&'static str),
    List(Vec<Value>),
    Map(Map),
}

/// Fields in the order in which they are printed.
pub(crate) type Map = Vec<(String, Value)>;

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Self::Raw(if yes { "true" } else { "false" })
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Self {
        Self::Map(map)
    }
}

impl From<Vec<Value>> for Value {
    fn from(list: Vec<Value>) -> Self {
        Self::List(list)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A map without empty values.
pub(crate) struct Fields(pub(crate) Map);

impl Fields {
    pub(crate) fn new() -> Self {
        Self(Map::new())
    }

    pub(crate) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.add(key, value);
        self
    }

    /// Appends these fields.
    pub(crate) fn and(mut self, more: Self) -> Self {
        self.0.extend(more.0);
        self
    }

    /// Adds a field, unless its value is empty. The items of a list are appended to those of the same key.
    pub(crate) fn add(&mut self, key: &str, value: impl Into<Value>) {
        let value = value.into();
        let empty = match &value {
            Value::Null => true,
            Value::List(list) => list.is_empty(),
            Value::Map(map) => map.is_empty(),
            Value::Text(_) | Value::Json(_) | Value::Raw(_) => false,
        };
        if empty {
            return;
        }
        let same = self.0.iter_mut().find(|(other, _)| other == key);
        match (same, value) {
            (Some((_, Value::List(items))), Value::List(more)) => items.extend(more),
            (_, value) => self.0.push((key.to_owned(), value)),
        }
    }
}

pub(crate) fn texts<T: ToString>(list: &[T]) -> Value {
    Value::List(list.iter().map(|one| one.to_string().into()).collect())
}

pub(crate) fn write_map(out: &mut String, map: &[(String, Value)], depth: usize) {
    for (place, (key, value)) in map.iter().enumerate() {
        if place > 0 || depth == 0 || !out.ends_with("- ") {
            indent(out, depth);
        }
        let _ = write!(out, "{}:", plain(key));
        write_value(out, value, depth);
    }
}

/// Writes what follows `key:`.
fn write_value(out: &mut String, value: &Value, depth: usize) {
    let simple = |value: &Value| !matches!(value, Value::List(_) | Value::Map(_));
    match value {
        Value::Map(map) => {
            out.push('\n');
            write_map(out, map, depth.saturating_add(1));
        }
        Value::List(list) if list.iter().all(simple) => {
            let list: Vec<String> = list.iter().map(scalar).collect();
            let _ = writeln!(out, " [{}]", list.join(", "));
        }
        Value::List(list) => {
            out.push('\n');
            for one in list {
                indent(out, depth.saturating_add(1));
                out.push_str("- ");
                match one {
                    Value::Map(map) => write_map(out, map, depth.saturating_add(2)),
                    one => {
                        let _ = writeln!(out, "{}", scalar(one));
                    }
                }
            }
        }
        value => {
            let _ = writeln!(out, " {}", scalar(value));
        }
    }
}

fn indent(out: &mut String, depth: usize) {
    out.extend(std::iter::repeat_n("  ", depth));
}

fn scalar(value: &Value) -> String {
    match value {
        Value::Text(text) => plain(text),
        Value::Json(text) => text.clone(),
        Value::Raw(word) => (*word).to_owned(),
        Value::Null | Value::List(_) | Value::Map(_) => String::new(),
    }
}

/// Without quotes if no YAML parser could read it as anything but this text; otherwise in JSON quotes, which YAML accepts.
fn plain(text: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    let typed = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    if (begins && text.chars().all(word) && !typed.contains(&text.to_ascii_lowercase().as_str()))
        || is_number(text)
    {
        return text.to_owned();
    }
    // The colons of a URL are not followed by a space.
    if let Some(rest) = text.strip_prefix("http://")
        && !rest.is_empty()
        && rest.chars().all(|c| word(c) || c == ':')
        && !rest.ends_with(':')
    {
        return text.to_owned();
    }
    serde_json::Value::from(text).to_string()
}

/// A number that prints as the same text.
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text == "0"
        || (!text.starts_with('0') || text.starts_with("0."))
            && text.split_once('.').map_or(digits(text), |(a, b)| digits(a) && digits(b))
}
