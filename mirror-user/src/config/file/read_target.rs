//! Reads `targets`: where requests may go, and with which settings.

use super::model::TargetSpec;
use crate::rules::tag::HostPolicy;
use crate::settings::{TargetSettings, read};
use crate::sink::replay::TargetUrl;
use crate::yaml::{Fields, Node, Place, Reader};

/// The key that is not a setting.
const URL: &str = "url";

pub(super) fn target(
    reader: &mut Reader,
    name: String,
    at: Place,
    node: &Node,
) -> Option<TargetSpec> {
    let known = [&[URL], read::keys::<TargetSettings>().as_slice()].concat();
    let fields = reader.fields(node, &known)?;
    let url = reader.required(&fields, URL, "write http://HOST:PORT");
    let url = url.and_then(|node| reader.parsed(node, TargetUrl::read));
    let (url, credentials) = url.map(|url| (url.text, url.credentials)).unwrap_or_default();
    let how: TargetSettings = read::settings(reader, &fields);
    check(reader, &fields, &url, &how);
    Some(TargetSpec { at, name, url, credentials, how })
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
    {
        reader.wrong(node.at, "tls: only with an https target; leave it out");
    }
}
