//! Cookies as HAR lists them beside the fields (RFC 6265).

use serde::Serialize;

use crate::http::message::Head;
use crate::sink::jsonl::text;

/// One cookie.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Cookie {
    name: String,
    value: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<String>,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    #[serde(skip_serializing_if = "is_false")]
    http_only: bool,
    #[serde(skip_serializing_if = "is_false")]
    secure: bool,
}

fn is_false(is: &bool) -> bool {
    !is
}

/// Those of a request (§4.2).
pub(super) fn sent(head: &Head) -> Vec<Cookie> {
    let pairs = head.values("cookie").flat_map(|value| value.split(|byte| *byte == b';'));
    pairs.map(<[u8]>::trim_ascii).filter(|pair| !pair.is_empty()).map(pair).collect()
}

/// Those of a response (§4.1).
pub(super) fn set(head: &Head) -> Vec<Cookie> {
    head.values("set-cookie").map(cookie).collect()
}

fn cookie(value: &[u8]) -> Cookie {
    let mut parts = value.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let mut cookie = pair(parts.next().unwrap_or_default());
    for Cookie { name, value, .. } in parts.map(pair) {
        match name.to_ascii_lowercase().as_str() {
            "path" => cookie.path = Some(value),
            "domain" => cookie.domain = Some(value),
            "expires" => cookie.expires = time(&value),
            "httponly" => cookie.http_only = true,
            "secure" => cookie.secure = true,
            _ => {}
        }
    }
    cookie
}

fn pair(bytes: &[u8]) -> Cookie {
    let (name, value) = match bytes.iter().position(|byte| *byte == b'=') {
        Some(at) => bytes.split_at(at),
        None => (bytes, &[][..]),
    };
    let value = value.strip_prefix(b"=").unwrap_or(value);
    let [name, value] = [name, value].map(|part| text(part.trim_ascii()).into_owned());
    Cookie { name, value, ..Cookie::default() }
}

/// An HTTP date as RFC 3339; `None` for other forms, which HAR has no place for.
fn time(date: &str) -> Option<String> {
    let parsed = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date.replace('-', " "));
    parsed.ok().map(|time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_has_its_attributes() {
        let text = b"id=a=b; Path=/; Domain=.a.example; Expires=Wed, 21-Oct-2015 07:28:00 GMT; HttpOnly; Secure; SameSite=Lax";
        let expected = Cookie {
            name: "id".into(),
            value: "a=b".into(),
            path: Some("/".into()),
            domain: Some(".a.example".into()),
            expires: Some("2015-10-21T07:28:00Z".into()),
            http_only: true,
            secure: true,
        };
        assert_eq!(cookie(text), expected);
        let odd = cookie(b"flag; expires=never");
        assert_eq!((odd.name.as_str(), odd.value.as_str(), odd.expires), ("flag", "", None));
    }
}
