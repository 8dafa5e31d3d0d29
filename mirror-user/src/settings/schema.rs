//! JSON Schema of settings.

use serde_json::{Map, Value as Json, json};

use super::define::{Setting, Settings, Slot, Visit};

/// The schema of a map of settings.
pub(crate) fn map<G: Settings>() -> Json {
    let Properties { properties, known } = properties::<G>();
    let mut object = json!({
        "type": "object",
        "description": sentence(G::ABOUT),
        "additionalProperties": false,
        "properties": properties,
    });
    for (key, rule) in rules(&known) {
        if let Some(object) = object.as_object_mut() {
            object.insert(key.to_owned(), rule);
        }
    }
    object
}

/// The properties of a map of settings.
pub(crate) fn properties_of<G: Settings>() -> Map<String, Json> {
    properties::<G>().properties
}

fn properties<G: Settings>() -> Properties {
    let mut found = Properties { properties: Map::new(), known: Vec::new() };
    G::default().visit(&G::default(), &mut found);
    found
}

struct Properties {
    properties: Map<String, Json>,
    known: Vec<&'static Setting>,
}

impl Properties {
    fn add(&mut self, key: &str, schema: Json) {
        self.properties.insert(key.to_owned(), schema);
    }
}

impl Visit for Properties {
    fn setting<S: Slot>(&mut self, setting: &'static Setting, _: &mut S, _: &S) {
        let description = match setting.default {
            "" => sentence(setting.help()),
            default => format!("{} Default: {default}.", sentence(setting.help())),
        };
        let schema = match self.properties.get(setting.key) {
            // Two settings share this key: one list with items of both kinds.
            Some(other) => both_lists(other, &S::schema()),
            None => {
                json!({ "anyOf": [S::schema(), { "type": "null" }], "description": description })
            }
        };
        if !setting.alias.is_empty() {
            let former = json!({
                "anyOf": [S::schema(), { "type": "null" }],
                "description": format!("The former name of `{}`.", setting.key),
                "deprecated": true,
            });
            self.add(setting.alias, former);
        }
        self.add(setting.key, schema);
        self.known.push(setting);
    }

    fn group<G: Settings>(&mut self, key: Option<&'static str>, own: &mut G, other: &G) {
        match key {
            None => own.visit(other, self),
            Some(key) => self.add(key, json!({ "anyOf": [map::<G>(), { "type": "null" }] })),
        }
    }
}

/// The schema of a list whose items are of either kind.
fn both_lists(one: &Json, other: &Json) -> Json {
    let item = |list: &Json| list.pointer("/anyOf/0").cloned().unwrap_or_default();
    let first = one.pointer("/anyOf/0").map(item).unwrap_or_default();
    let item = json!({ "anyOf": [first, item(other)] });
    json!({
        "anyOf": [item, { "type": "array", "items": item, "minItems": 1 }, { "type": "null" }],
        "description": one.get("description"),
    })
}

/// Constraints between the settings of a map.
fn rules(known: &[&'static Setting]) -> Vec<(&'static str, Json)> {
    let mut rules = Vec::new();
    let required = known.iter().filter(|one| !one.required.is_empty());
    let required: Vec<Json> = required
        .map(|one| {
            let alternatives = known.iter().filter(|other| other.excludes(one));
            let either: Vec<Json> =
                [one].into_iter().chain(alternatives).map(|one| present(one.key)).collect();
            json!({ "anyOf": either })
        })
        .collect();
    if !required.is_empty() {
        rules.push(("allOf", required.into()));
    }
    let pairs = known
        .iter()
        .flat_map(|one| one.conflicts.iter().map(|other| json!({ "required": [one.key, other] })));
    let pairs: Vec<Json> = pairs.collect();
    if !pairs.is_empty() {
        rules.push(("not", json!({ "anyOf": pairs })));
    }
    let needs: Map<String, Json> = known
        .iter()
        .filter(|one| !one.requires.is_empty())
        .map(|one| (one.key.to_owned(), json!([one.requires])))
        .collect();
    if !needs.is_empty() {
        rules.push(("dependentRequired", needs.into()));
    }
    rules
}

/// The key is present and not null.
fn present(key: &str) -> Json {
    json!({ "required": [key], "properties": { key: { "not": { "type": "null" } } } })
}

fn sentence(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ");
    if text.ends_with('.') { text } else { format!("{text}.") }
}
