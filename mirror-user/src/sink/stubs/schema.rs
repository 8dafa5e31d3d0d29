//! What values of JSON have in common, as a schema of OpenAPI 3.0.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// Members of one object; with more, its names are values.
const MAX_MEMBERS: usize = 100;

/// Values one inside another; what is deeper may be anything.
const MAX_DEPTH: u32 = 16;

/// What was seen at one place.
#[derive(Debug, Default)]
pub(super) struct Inferred {
    nulls: u64,
    truths: u64,
    integers: u64,
    numbers: u64,
    texts: u64,
    lists: u64,
    objects: u64,
    items: Option<Box<Inferred>>,
    members: BTreeMap<String, Inferred>,
    /// It had more members than are told.
    is_map: bool,
}

impl Inferred {
    /// Adds a value.
    pub(super) fn add(&mut self, value: &Value) {
        self.add_at(value, 0);
    }

    fn add_at(&mut self, value: &Value, depth: u32) {
        match value {
            Value::Null => self.nulls += 1,
            Value::Bool(_) => self.truths += 1,
            Value::Number(number) if number.is_i64() || number.is_u64() => self.integers += 1,
            Value::Number(_) => self.numbers += 1,
            Value::String(_) => self.texts += 1,
            Value::Array(items) => {
                self.lists += 1;
                let inner = self.items.get_or_insert_default();
                if depth < MAX_DEPTH {
                    items.iter().for_each(|item| inner.add_at(item, depth + 1));
                }
            }
            Value::Object(members) => {
                self.objects += 1;
                for (name, member) in members.iter().filter(|_| depth < MAX_DEPTH) {
                    if self.members.len() >= MAX_MEMBERS && !self.members.contains_key(name) {
                        self.is_map = true;
                        continue;
                    }
                    self.members.entry(name.clone()).or_default().add_at(member, depth + 1);
                }
            }
        }
    }

    fn total(&self) -> u64 {
        let Self { nulls, truths, integers, numbers, texts, lists, objects, .. } = self;
        nulls + truths + integers + numbers + texts + lists + objects
    }

    /// The schema; one that takes anything where values differ in kind.
    pub(super) fn schema(&self) -> Value {
        let kinds = [
            ("boolean", self.truths),
            ("number", self.numbers + self.integers),
            ("string", self.texts),
            ("array", self.lists),
            ("object", self.objects),
        ];
        let mut kinds = kinds.into_iter().filter(|(_, n)| *n > 0).map(|(kind, _)| kind);
        let (Some(kind), None) = (kinds.next(), kinds.next()) else { return json!({}) };
        let mut schema = Map::new();
        let is_whole = kind == "number" && self.numbers == 0;
        schema.insert("type".into(), if is_whole { "integer" } else { kind }.into());
        if self.nulls > 0 {
            schema.insert("nullable".into(), true.into());
        }
        if let Some(items) = &self.items {
            schema.insert("items".into(), items.schema());
        }
        if self.is_map {
            schema.insert("additionalProperties".into(), true.into());
        } else if !self.members.is_empty() {
            let members = self.members.iter();
            let always = members.clone().filter(|(_, member)| member.total() == self.objects);
            let required: Vec<&String> = always.map(|(name, _)| name).collect();
            let members = members.map(|(name, member)| (name.clone(), member.schema()));
            schema.insert("properties".into(), Value::Object(members.collect()));
            if !required.is_empty() {
                schema.insert("required".into(), json!(required));
            }
        }
        Value::Object(schema)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(values: &[Value]) -> Value {
        let mut inferred = Inferred::default();
        values.iter().for_each(|value| inferred.add(value));
        inferred.schema()
    }

    #[test]
    fn what_values_have_in_common_is_required() {
        let values = [
            json!({"id": 1, "tags": ["a"], "note": null}),
            json!({"id": 2.5, "tags": [], "more": {"x": true}}),
        ];
        let expected = json!({"type": "object", "required": ["id", "tags"], "properties": {
            "id": {"type": "number"},
            "more": {"type": "object", "required": ["x"], "properties": {"x": {"type": "boolean"}}},
            "note": {},
            "tags": {"type": "array", "items": {"type": "string"}},
        }});
        assert_eq!(schema(&values), expected);
        assert_eq!(schema(&[json!(1), json!(null)]), json!({"type": "integer", "nullable": true}));
        assert_eq!(schema(&[json!(1), json!("a")]), json!({}));
        assert_eq!(schema(&[]), json!({}));
    }

    #[test]
    fn objects_whose_names_are_values_are_maps_and_depth_is_bounded() {
        let map: Map<String, Value> = (0..200).map(|n| (format!("u{n}"), json!(1))).collect();
        assert_eq!(
            schema(&[Value::Object(map)]),
            json!({"type": "object", "additionalProperties": true})
        );
        let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
        assert!(schema(&[deep]).to_string().len() < 1_000);
    }
}
