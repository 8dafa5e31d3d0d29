//! Reads `targets`: where requests may go, and with which settings.

use super::model::TargetSpec;
use crate::broker::address::Address;
use crate::rules::tag::HostPolicy;
use crate::settings::{CompareSettings, TargetSettings, read};
use crate::sink::replay::TargetUrl;
use crate::yaml::{Fields, Node, Place, Reader, Value};

/// The keys that are no settings of a request.
const URL: &str = "url";
const COMPARE: &str = "compare";

pub(super) fn target(
    reader: &mut Reader,
    name: String,
    at: Place,
    node: &Node,
) -> Option<TargetSpec> {
    let known = [&[URL, COMPARE], read::keys::<TargetSettings>().as_slice()].concat();
    let fields = reader.fields(node, &known)?;
    let url = reader.required(&fields, URL, "write http://HOST:PORT");
    let url = url.and_then(|node| reader.parsed(node, TargetUrl::read));
    let (url, credentials) = url.map(|url| (url.text, url.credentials)).unwrap_or_default();
    let how: TargetSettings = read::settings(reader, &fields);
    check(reader, &fields, &url, &how);
    let compare = fields.get(COMPARE).and_then(|node| compare(reader, node));
    Some(TargetSpec { at, name, url, credentials, how, compare })
}

/// `true`, or how responses are compared.
fn compare(reader: &mut Reader, node: &Node) -> Option<CompareSettings> {
    match &node.value {
        Value::Scalar { .. } => reader.truth(node)?.then(CompareSettings::default),
        _ => read::map(reader, node).map(|(settings, _)| settings),
    }
}

/// Checks combinations of settings. Files are not opened: the configuration may be checked on a different
/// host than the one it runs on.
fn check(reader: &mut Reader, fields: &Fields<'_>, url: &str, how: &TargetSettings) {
    let is_suffixed = matches!(how.marks.host, None | Some(HostPolicy::Suffix { .. }));
    if let (false, Some(node)) = (is_suffixed, fields.get("suffix-addresses")) {
        reader.wrong(node.at, "suffix-addresses: only with host: suffix; leave it out");
    }
    if let Some(node) = fields.get("tls")
        && !url.is_empty()
        && !url.starts_with("https:")
        && !Address::is_meant(url)
    {
        reader.wrong(node.at, "tls: only with an https target; leave it out");
    }
}
