//! The JSON Schema of the file: a hand-written schema of its structure and rules, completed with the
//! settings from their definitions.

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::settings::schema::{map, properties_of};
use crate::settings::{
    AdminSettings, BodySettings, CompareSettings, DashboardSettings, HookSettings, MetricsSettings,
    NoiseSettings, PaceSettings, RedactSettings, SourceSettings, StoreSettings, TargetSettings,
};

/// The file, its targets and its rules, without the settings.
const DOCUMENT: &str = include_str!("document.schema.json");

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let mut schema: Value =
        serde_json::from_str(DOCUMENT).expect("the schema is JSON: a test reads it");
    let optional = |map: Value| json!({ "anyOf": [map, { "type": "null" }] });
    let mut add = |definition: &str, key: &str, value: Value| {
        let place = schema.pointer_mut(&format!("/$defs/{definition}/properties"));
        if let Some(properties) = place.and_then(Value::as_object_mut) {
            properties.insert(key.to_owned(), value);
        }
    };
    add("file", "source", map::<SourceSettings>());
    add("file", "pace", optional(map::<PaceSettings>()));
    add("file", "redact", optional(map::<RedactSettings>()));
    add("file", "admin", optional(map::<AdminSettings>()));
    add("file", "metrics", optional(map::<MetricsSettings>()));
    add("file", "dashboard", optional(map::<DashboardSettings>()));
    add("file", "store", optional(map::<StoreSettings>()));
    add("file", "hooks", optional(map::<HookSettings>()));
    let alone = properties_of::<NoiseSettings>().into_iter().chain(properties_of::<BodySettings>());
    for (key, value) in alone {
        add("file", &key, value);
    }
    for (key, value) in properties_of::<TargetSettings>() {
        add("target", &key, value);
    }
    let compare =
        json!({ "anyOf": [{ "type": "boolean" }, map::<CompareSettings>(), { "type": "null" }] });
    add("target", "compare", compare);
    schema
});

/// As `mirror config schema` prints it.
pub fn schema() -> String {
    format!("{:#}\n", *SCHEMA)
}

/// The keys of a definition. The reader of rules uses them, so that reader and schema cannot differ.
pub(super) fn keys(definition: &str) -> Vec<&'static str> {
    let properties = SCHEMA.pointer(&format!("/$defs/{definition}/properties"));
    let properties = properties.and_then(Value::as_object);
    properties.into_iter().flat_map(|keys| keys.keys().map(String::as_str)).collect()
}
