//! An entry as it stands in the file. Everything that writers differ in is optional, and numbers may be texts.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// One exchange of a HAR, as far as it is read here.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Entry {
    pub(super) started_date_time: String,
    #[serde(deserialize_with = "number")]
    pub(super) time: Option<f64>,
    #[serde(deserialize_with = "present")]
    pub(super) request: Request,
    #[serde(deserialize_with = "present")]
    pub(super) response: Response,
    #[serde(deserialize_with = "present")]
    pub(super) timings: Timings,
    #[serde(rename = "serverIPAddress")]
    pub(super) server_ip_address: Option<String>,
    /// A number in some writers.
    pub(super) connection: Value,
    /// Chrome: `memory` or `disk`.
    #[serde(rename = "_fromCache")]
    pub(super) from_cache: Value,
    /// Chrome.
    #[serde(rename = "_fetchedViaServiceWorker")]
    pub(super) from_worker: Value,
    /// mirror: addresses with ports, which HAR has no place for.
    #[serde(rename = "_client")]
    pub(super) client: Option<String>,
    #[serde(rename = "_server")]
    pub(super) server: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) url: String,
    #[serde(deserialize_with = "present")]
    pub(super) http_version: String,
    #[serde(deserialize_with = "present")]
    pub(super) headers: Vec<Field>,
    pub(super) post_data: Option<PostData>,
    /// HTTP Toolkit and mirror: a body that `postData` cannot hold.
    #[serde(rename = "_content")]
    pub(super) content: Option<Content>,
    #[serde(deserialize_with = "number")]
    pub(super) body_size: Option<f64>,
    /// HTTP Toolkit and mirror: why there is no body.
    #[serde(rename = "_requestBodyStatus")]
    pub(super) body_status: Option<String>,
    /// mirror: the request target where the URL gives another one.
    #[serde(rename = "_target")]
    pub(super) target: Option<String>,
    /// mirror: why the message is not whole.
    #[serde(rename = "_incomplete")]
    pub(super) incomplete: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Response {
    #[serde(deserialize_with = "number")]
    pub(super) status: Option<f64>,
    #[serde(deserialize_with = "present")]
    pub(super) status_text: String,
    #[serde(deserialize_with = "present")]
    pub(super) http_version: String,
    #[serde(deserialize_with = "present")]
    pub(super) headers: Vec<Field>,
    #[serde(deserialize_with = "present")]
    pub(super) content: Content,
    #[serde(deserialize_with = "number")]
    pub(super) body_size: Option<f64>,
    /// mirror: why the message is not whole.
    #[serde(rename = "_incomplete")]
    pub(super) incomplete: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Field {
    pub(super) name: String,
    #[serde(deserialize_with = "text")]
    pub(super) value: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PostData {
    #[serde(deserialize_with = "present")]
    pub(super) mime_type: String,
    pub(super) text: Option<String>,
    #[serde(deserialize_with = "present")]
    pub(super) params: Vec<Param>,
    /// Proposed for HAR 1.3.
    pub(super) encoding: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Param {
    pub(super) name: String,
    #[serde(deserialize_with = "text")]
    pub(super) value: String,
    pub(super) file_name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Content {
    #[serde(deserialize_with = "number")]
    pub(super) size: Option<f64>,
    #[serde(deserialize_with = "present")]
    pub(super) mime_type: String,
    pub(super) text: Option<String>,
    pub(super) encoding: Option<String>,
}

/// Milliseconds; less than zero where nothing is known.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Timings {
    #[serde(deserialize_with = "number")]
    pub(super) blocked: Option<f64>,
    #[serde(deserialize_with = "number")]
    pub(super) dns: Option<f64>,
    #[serde(deserialize_with = "number")]
    pub(super) connect: Option<f64>,
    #[serde(deserialize_with = "number")]
    pub(super) send: Option<f64>,
    #[serde(deserialize_with = "number")]
    pub(super) wait: Option<f64>,
    #[serde(deserialize_with = "number")]
    pub(super) receive: Option<f64>,
}

impl Entry {
    /// True when no server saw it.
    pub(super) fn is_of_browser(&self) -> bool {
        let is_set = |value: &Value| !matches!(value, Value::Null | Value::Bool(false));
        is_set(&self.from_cache) || is_set(&self.from_worker)
    }
}

/// The default for `null`.
fn present<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    from: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// A number, also as a text.
fn number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    })
}

/// A text, also as a number or truth value.
fn text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    })
}
