//! Diffy's differences: a tree of them, flattened to paths whose last part is the kind.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value as Json, json};

use super::value::{Mode, Value};

/// The end of a path.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Terminal {
    /// `PrimitiveDifference`, `TypeDifference`, `MissingField`, …
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// What the left side has.
    pub left: Json,
    /// What the right side has.
    pub right: Json,
}

impl Terminal {
    fn new(kind: &'static str, left: impl Into<Json>, right: impl Into<Json>) -> Self {
        Self { kind, left: left.into(), right: right.into() }
    }
}

/// The differences of two values, by path. What is not different is left out.
#[must_use]
pub fn differences(left: &Value, right: &Value, mode: Mode) -> BTreeMap<String, Terminal> {
    let mut found = BTreeMap::new();
    flatten(left, right, mode, "", &mut found);
    found
}

fn flatten(
    left: &Value,
    right: &Value,
    mode: Mode,
    path: &str,
    found: &mut BTreeMap<String, Terminal>,
) {
    let (left, right) = (&left.again(mode), &right.again(mode));
    if left == right && (mode == Mode::Twitter || is_primitive(left)) {
        return;
    }
    let mut add = |path: &str, end: Terminal| {
        found.insert(format!("{path}{}", end.kind), end);
    };
    match (left, right) {
        (Value::Seq(a), Value::Seq(b)) => {
            let (only_a, only_b) = (beyond(a, b), beyond(b, a));
            if only_a.is_empty() && only_b.is_empty() {
                let places = |list: &[Value]| -> Vec<usize> {
                    list.iter().filter_map(|one| a.iter().position(|other| other == one)).collect()
                };
                add(path, Terminal::new("OrderingDifference", json!(places(a)), json!(places(b))));
            } else if a.len() == b.len() {
                // The place is not in the path: of several, the last one counts.
                a.iter().zip(b).for_each(|(a, b)| flatten(a, b, mode, path, found));
            } else {
                let list = |values| Value::Seq(values).render();
                let left = format!("missing elements: {}", list(only_a));
                let right = format!("unexpected elements: {}", list(only_b));
                add(path, Terminal::new("SeqSizeDifference", left, right));
            }
        }
        (Value::Struct(a), Value::Struct(b)) => {
            for key in a.keys().filter(|key| !b.contains_key(*key)) {
                add(&format!("{path}{key}."), Terminal::new("MissingField", "present", "nil"));
            }
            for key in b.keys().filter(|key| !a.contains_key(*key)) {
                add(&format!("{path}{key}."), Terminal::new("ExtraField", "nil", "present"));
            }
            for (key, value) in a {
                if let Some(other) = b.get(key) {
                    flatten(value, other, mode, &format!("{path}{key}."), found);
                }
            }
        }
        (Value::Map(a), Value::Map(b)) => {
            let only = |a: &BTreeMap<String, Value>, b: &BTreeMap<String, Value>| -> Vec<String> {
                a.keys().filter(|key| !b.contains_key(*key)).cloned().collect()
            };
            let (only_a, only_b) = (only(a, b), only(b, a));
            if !only_a.is_empty() || !only_b.is_empty() {
                add(&format!("{path}keys."), Terminal::new("SetDifference", only_a, only_b));
            }
            for (key, value) in a {
                if let Some(other) = b.get(key) {
                    flatten(value, other, mode, &format!("{path}values."), found);
                }
            }
        }
        _ if std::mem::discriminant(left) != std::mem::discriminant(right) => {
            let typed = |value: &Value| format!("{}: {}", value.class(), value.render());
            add(path, Terminal::new("TypeDifference", typed(left), typed(right)));
        }
        (left, right) if is_primitive(left) => {
            // As text, because a browser's numbers hold 53 bits.
            let shown = |value: &Value| match value {
                Value::Int(number) => number.to_string().into(),
                value => value.to_json(),
            };
            add(path, Terminal::new("PrimitiveDifference", shown(left), shown(right)))
        }
        _ => {}
    }
}

fn is_primitive(value: &Value) -> bool {
    matches!(value, Value::Bool(_) | Value::Int(_) | Value::Double(_) | Value::Text(_))
}

/// What `a` has beyond `b`, each as often.
fn beyond(a: &[Value], b: &[Value]) -> Vec<Value> {
    let mut rest: Vec<&Value> = b.iter().collect();
    let is_beyond = |one: &&Value| match rest.iter().position(|other| other == one) {
        Some(at) => {
            rest.remove(at);
            false
        }
        None => true,
    };
    a.iter().filter(is_beyond).cloned().collect()
}
