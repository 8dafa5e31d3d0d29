//! What a request is asked of (RFC 9112 §3.2), taken apart in one place, so that the host that a
//! rule sees is the host that is marked.

use std::ops::Range;

use memchr::memchr;

/// The form of a request target (RFC 9112 §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetForm {
    /// `/path?query`.
    Origin,
    /// `http://host/path?query`, as clients of proxies send it; servers take it as well.
    Absolute,
    /// `host:port`, with CONNECT alone.
    Authority,
    /// `*`, with OPTIONS.
    Asterisk,
    /// None of the four. It names no host.
    Other,
}

/// A request target in its parts. Nothing is decoded and nothing is refused: every byte of the
/// target is in one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestTarget<'a> {
    form: TargetForm,
    text: &'a [u8],
    /// Where host and port are; empty where there are none.
    host: (usize, usize),
    /// Where the path ends: at the query's `?`, or with the target.
    path_end: usize,
}

impl<'a> RequestTarget<'a> {
    /// Takes apart the target of a request with this method.
    ///
    /// A scheme is anything before `://` that has none of the characters `/`, `?` and `#`: servers
    /// differ in which schemes they take, and none may name a host that this misses. User
    /// information (RFC 3986 §3.2.1) ends at the last `@`, and is no part of the host.
    #[must_use]
    pub fn parse(method: &[u8], text: &'a [u8]) -> Self {
        let path_end = memchr(b'?', text).unwrap_or(text.len());
        let (form, host) = match text {
            [b'/', ..] => (TargetForm::Origin, 0..0),
            b"*" => (TargetForm::Asterisk, 0..0),
            _ => match authority(text) {
                Some(authority) => (TargetForm::Absolute, without_user(text, authority)),
                None if method == b"CONNECT" => {
                    (TargetForm::Authority, without_user(text, 0..text.len()))
                }
                None => (TargetForm::Other, 0..0),
            },
        };
        Self { form, text, host: (host.start, host.end), path_end: path_end.max(host.end) }
    }

    /// Which of the forms it has.
    #[must_use]
    pub fn form(&self) -> TargetForm {
        self.form
    }

    /// Host and port as sent, without user information; empty where the target names no host. IPv6
    /// addresses stand in brackets.
    #[must_use]
    pub fn host(&self) -> &'a [u8] {
        self.text.get(self.host_range()).unwrap_or_default()
    }

    /// Where [`host`](Self::host) is in the target.
    #[must_use]
    pub fn host_range(&self) -> Range<usize> {
        self.host.0..self.host.1
    }

    /// What stands between the host and the query. That of an absolute form without a path is `/`
    /// (RFC 9110 §4.2.3); that of an authority form is empty.
    #[must_use]
    pub fn path(&self) -> &'a [u8] {
        let path = self.text.get(self.host.1..self.path_end).unwrap_or_default();
        if path.is_empty() && self.form == TargetForm::Absolute { b"/" } else { path }
    }

    /// What stands behind the first `?`; empty where there is none.
    #[must_use]
    pub fn query(&self) -> &'a [u8] {
        self.text.get(self.path_end..).and_then(|query| query.get(1..)).unwrap_or_default()
    }
}

/// Where the authority of an absolute form is (RFC 3986 §3.2).
fn authority(text: &[u8]) -> Option<Range<usize>> {
    let is_end = |byte: &u8| matches!(byte, b'/' | b'?' | b'#');
    let slash = text.iter().position(is_end)?;
    let start = slash.checked_add(2)?;
    let colon = text.get(slash.checked_sub(1)?..start)?;
    if colon != b"://" {
        return None;
    }
    let rest = text.get(start..)?;
    let length = rest.iter().position(is_end).unwrap_or(rest.len());
    Some(start..start.saturating_add(length))
}

fn without_user(text: &[u8], authority: Range<usize>) -> Range<usize> {
    let bytes = text.get(authority.clone()).unwrap_or_default();
    let user = memchr::memrchr(b'@', bytes).map_or(0, |at| at.saturating_add(1));
    authority.start.saturating_add(user)..authority.end
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(method: &str, target: &str) -> (TargetForm, String, String, String) {
        let parts = RequestTarget::parse(method.as_bytes(), target.as_bytes());
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (parts.form(), text(parts.host()), text(parts.path()), text(parts.query()))
    }

    #[test]
    fn each_form_has_its_parts() {
        use TargetForm::{Absolute, Asterisk, Authority, Origin, Other};
        for (method, target, form, host, path, query) in [
            ("GET", "/a?b=c?d", Origin, "", "/a", "b=c?d"),
            ("GET", "//shop/a", Origin, "", "//shop/a", ""),
            ("GET", "/a?u=http://shop/", Origin, "", "/a", "u=http://shop/"),
            ("OPTIONS", "*", Asterisk, "", "*", ""),
            ("GET", "http://shop/a?b", Absolute, "shop", "/a", "b"),
            ("GET", "http://shop", Absolute, "shop", "/", ""),
            ("GET", "http://shop?b", Absolute, "shop", "/", "b"),
            ("GET", "http://shop#b", Absolute, "shop", "#b", ""),
            ("GET", "HTTPS://me:pass@shop:8443/", Absolute, "shop:8443", "/", ""),
            ("GET", "http://a@b@shop/@", Absolute, "shop", "/@", ""),
            ("GET", "http://me@[2001:db8::1]:80/", Absolute, "[2001:db8::1]:80", "/", ""),
            ("GET", "http:///a", Absolute, "", "/a", ""),
            ("GET", "http://me@/a", Absolute, "", "/a", ""),
            ("GET", "://shop/a", Absolute, "shop", "/a", ""),
            ("CONNECT", "shop:443", Authority, "shop:443", "", ""),
            ("CONNECT", "me@[::1]:443", Authority, "[::1]:443", "", ""),
            ("GET", "shop:443", Other, "", "shop:443", ""),
            ("GET", "a?u=http://shop/", Other, "", "a", "u=http://shop/"),
            ("GET", "a/b://shop/", Other, "", "a/b://shop/", ""),
            ("GET", "http:/shop", Other, "", "http:/shop", ""),
            ("GET", "", Other, "", "", ""),
        ] {
            let expected = (form, host.to_owned(), path.to_owned(), query.to_owned());
            assert_eq!(parts(method, target), expected, "{method} {target}");
        }
    }

    proptest! {
        #[test]
        fn no_target_loses_a_byte(method in "GET|CONNECT", target in "[a:/?#@*]{0,12}") {
            let parts = RequestTarget::parse(method.as_bytes(), target.as_bytes());
            let host = parts.host_range();
            let mut whole = target.as_bytes()[..host.end].to_vec();
            prop_assert!(whole.ends_with(parts.host()));
            if parts.path_end > host.end {
                whole.extend_from_slice(parts.path());
            }
            if parts.path_end < target.len() {
                whole.push(b'?');
                whole.extend_from_slice(parts.query());
            }
            prop_assert_eq!(whole, target.as_bytes());
        }
    }
}
