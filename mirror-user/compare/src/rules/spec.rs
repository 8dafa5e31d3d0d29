//! Rules as they are written in a file.

use std::fmt;

use jiff::SignedDuration;
use regex::RegexBuilder;
use serde::{Deserialize, Serialize};

use super::{BadRule, Effect};

/// Bytes that a compiled expression may take.
const REGEX_BYTES: usize = 1 << 20;

/// One rule: a path, and one thing that holds there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleSpec {
    /// The endpoint's name; without it, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Where it applies.
    pub path: String,
    /// What may differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignore: Option<Ignore>,
    /// How the list's elements are aligned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub array: Option<ArraySpec>,
    /// How far numbers may be apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<Tolerance>,
    /// How far times may be apart: `2s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_tolerance: Option<String>,
    /// Both texts match this regular expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub both_match: Option<String>,
    /// Values may differ and types may not, here and below.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub type_only: bool,
    /// Identifiers of this kind: production's and the candidate's correspond one to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlate: Option<String>,
    /// The text is a document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedded: Option<Embedded>,
    /// Members that production has not are no difference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_new: Option<bool>,
    /// Only these members are compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Vec<String>>,
}

/// What may differ at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ignore {
    /// The value and its type; it must be there on both sides.
    Value,
    /// Whether it is there; if it is on both sides, the value must be the same.
    Presence,
    /// Both.
    All,
}

/// How the elements of two lists are aligned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArraySpec {
    /// By a key if they have one; else their order counts.
    Auto,
    /// The longest common part in their order.
    Ordered,
    /// In any order.
    Set,
    /// By these members together.
    Key(Vec<String>),
}

/// How far two numbers may be apart: by either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tolerance {
    /// Their difference.
    #[serde(default)]
    pub abs: f64,
    /// Their difference as a part of the greater one.
    #[serde(default)]
    pub rel: f64,
}

/// What a text holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Embedded {
    /// JSON.
    Json,
    /// JSON in base 64.
    Base64Json,
    /// JSON, compressed with gzip, in base 64.
    GzipBase64,
}

/// How numbers are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Numbers {
    /// `1` and `1.0` are the same.
    #[default]
    Value,
    /// `1` and `1.0` are two types, as readers into typed languages tell them apart.
    Exact,
}

/// Which headers are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeaderMode {
    /// By the policy of [`headers`](crate::headers).
    #[default]
    Default,
    /// None.
    None,
    /// All, each exactly.
    All,
}

/// What holds where no rule says otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Defaults {
    /// How numbers are compared.
    pub numbers: Numbers,
    /// How lists are aligned.
    pub arrays: ArraySpec,
    /// Members that production has not are no difference.
    pub allow_new_fields: bool,
    /// A member that is `null` and one that is not there are the same.
    pub null_equals_missing: bool,
    /// Which headers are compared.
    pub compare_headers: HeaderMode,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            numbers: Numbers::Value,
            arrays: ArraySpec::Auto,
            allow_new_fields: false,
            null_equals_missing: false,
            compare_headers: HeaderMode::Default,
        }
    }
}

/// A name for requests: `{"match": {"method": "POST", "path": "/v1/users"}, "name": "create-user"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointSpec {
    /// Which requests.
    #[serde(rename = "match")]
    pub matches: EndpointMatch,
    /// The name; without it, method and path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Which requests an endpoint has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointMatch {
    /// The method; without it, any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The path: `{id}` is one segment, `**` at the end the rest.
    pub path: String,
}

impl RuleSpec {
    pub(super) fn effect(&self, number: usize) -> Result<Effect, BadRule> {
        let mut effects = Vec::new();
        effects.extend(self.ignore.map(Effect::Ignore));
        effects.extend(self.array.clone().map(Effect::Array));
        effects.extend(self.tolerance.map(Effect::Tolerance));
        if let Some(text) = &self.time_tolerance {
            let time: SignedDuration =
                text.parse().map_err(|_| BadRule::Duration(number, text.clone()))?;
            effects.push(Effect::TimeTolerance(time.as_nanos().unsigned_abs()));
        }
        if let Some(text) = &self.both_match {
            let regex = RegexBuilder::new(text).size_limit(REGEX_BYTES).build();
            let regex = regex.map_err(|error| BadRule::Regex(number, error.to_string()))?;
            effects.push(Effect::BothMatch(regex));
        }
        effects.extend(self.type_only.then_some(Effect::TypeOnly));
        effects.extend(self.correlate.as_deref().map(|kind| Effect::Correlate(kind.into())));
        effects.extend(self.embedded.map(Effect::Embedded));
        if self.allow_new.is_some() || self.only.is_some() {
            let allow_new = self.allow_new.unwrap_or(false);
            effects.push(Effect::Members { allow_new, only: self.only.clone() });
        }
        match (effects.pop(), effects.is_empty()) {
            (Some(effect), true) => Ok(effect),
            _ => Err(BadRule::Effect(number)),
        }
    }
}

impl fmt::Display for RuleSpec {
    /// As JSON, which is YAML, too: what reports show can be kept in a file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}
