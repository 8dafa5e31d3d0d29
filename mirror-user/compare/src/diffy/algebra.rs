//! Diffy's differences: a tree of them, flattened to paths whose last part is the kind.

use std::collections::BTreeMap;

use super::value::{Mode, Value};

/// The end of a path.
#[derive(Clone, Debug, PartialEq)]
pub struct Terminal {
    /// `PrimitiveDifference`, `TypeDifference`, `MissingField`, …
    pub kind: &'static str,
    /// What the left side has.
    pub left: String,
    /// What the right side has.
    pub right: String,
}

impl Terminal {
    fn new(kind: &'static str, left: impl std::fmt::Debug, right: impl std::fmt::Debug) -> Self {
        Self { kind, left: format!("{left:?}"), right: format!("{right:?}") }
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
                add(path, Terminal::new("OrderingDifference", places(a), places(b)));
            } else if a.len() == b.len() {
                // The place is not in the path: of several, the last one counts.
                a.iter().zip(b).for_each(|(a, b)| flatten(a, b, mode, path, found));
            } else {
                add(path, Terminal::new("SeqSizeDifference", only_a, only_b));
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
            add(path, Terminal::new("TypeDifference", left, right));
        }
        (left, right) if is_primitive(left) => {
            add(path, Terminal::new("PrimitiveDifference", left, right))
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
