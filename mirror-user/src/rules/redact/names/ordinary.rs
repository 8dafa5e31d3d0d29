//! Headers that most requests and responses have and that are no secrets, found without a look at the lists.

/// Headers of browsers, libraries, proxies and servers whose values have no syntax of their own here.
const COMMON: &str = "host user-agent accept accept-language accept-encoding accept-charset connection \
    keep-alive cache-control pragma origin dnt te via upgrade upgrade-insecure-requests range if-range \
    if-match if-none-match if-modified-since if-unmodified-since content-type content-encoding \
    content-language content-disposition content-range content-security-policy date server age etag expires \
    last-modified vary allow expect priority x-requested-with x-request-id x-correlation-id \
    x-forwarded-proto x-forwarded-host x-forwarded-port x-powered-by x-frame-options \
    x-content-type-options x-xss-protection x-cache strict-transport-security referrer-policy \
    permissions-policy accept-ranges alt-svc server-timing retry-after sec-fetch-site sec-fetch-mode \
    sec-fetch-dest sec-fetch-user sec-ch-ua sec-ch-ua-mobile sec-ch-ua-platform \
    access-control-allow-origin access-control-allow-methods access-control-allow-headers \
    access-control-allow-credentials access-control-expose-headers access-control-max-age \
    access-control-request-method access-control-request-headers x-envoy-attempt-count \
    x-envoy-upstream-service-time x-envoy-expected-rq-timeout-ms x-ratelimit-limit x-ratelimit-remaining \
    x-ratelimit-reset";

const SLOTS: usize = 1024;

/// A table of names. Of names with one hash, the first is in it.
pub(super) struct Ordinary {
    slots: Vec<&'static str>,
}

impl Default for Ordinary {
    fn default() -> Self {
        Self { slots: vec![""; SLOTS] }
    }
}

/// A hash of a name without regard to case.
fn slot(name: &[u8]) -> usize {
    let at = |n: usize| name.get(n).map_or(0, |byte| usize::from(byte | 0x20));
    let (middle, last) = (at(name.len() / 2), at(name.len().saturating_sub(1)));
    (name.len() + 3 * at(0) + 31 * middle + 131 * last) % SLOTS
}

impl Ordinary {
    /// Those of the common headers for which `is_such` is true.
    pub(super) fn new(is_such: impl Fn(&[u8]) -> bool) -> Self {
        let mut table = Self::default();
        for name in COMMON.split_ascii_whitespace().filter(|name| is_such(name.as_bytes())) {
            if let Some(slot) =
                table.slots.get_mut(slot(name.as_bytes())).filter(|it| it.is_empty())
            {
                *slot = name;
            }
        }
        table
    }

    pub(super) fn has(&self, name: &[u8]) -> bool {
        let known = self.slots.get(slot(name)).copied().unwrap_or_default();
        !known.is_empty() && known.as_bytes().eq_ignore_ascii_case(name)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::head::has_syntax;
    use super::*;

    #[test]
    fn few_common_headers_share_a_slot_and_none_has_a_syntax_of_its_own() {
        let names: Vec<&str> = COMMON.split_ascii_whitespace().collect();
        let table = Ordinary::new(|_| true);
        let found = names.iter().filter(|name| table.has(name.to_uppercase().as_bytes())).count();
        assert!(found + 6 >= names.len(), "{found} of {}", names.len());
        assert!(!table.has(b"cookie") && !table.has(b""));
        for name in names {
            assert!(!has_syntax(name.as_bytes()), "{name}");
        }
        assert!(!Ordinary::new(|name| name != b"host").has(b"Host"));
    }
}
