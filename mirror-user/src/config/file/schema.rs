//! The JSON Schema of the file. The reader takes its keys from here, so that the two cannot know
//! different ones.

use std::sync::LazyLock;

use serde_json::Value;

/// As `mirror config schema` prints it.
pub const SCHEMA: &str = include_str!("schema.json");

static PARSED: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(SCHEMA).expect("the schema is JSON: a test reads it"));

/// The keys of one of its definitions.
pub(super) fn keys(definition: &str) -> Vec<&'static str> {
    let properties = PARSED.pointer(&format!("/$defs/{definition}/properties"));
    let properties = properties.and_then(Value::as_object);
    properties.into_iter().flat_map(|keys| keys.keys().map(String::as_str)).collect()
}
