//! A target as the user writes it: a URL, which may have a path and credentials, or the path of a
//! Unix socket. The credentials are removed here, before any other code sees the text, and are
//! never shown.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use url::Url;

use crate::broker::address::Address;

/// Replaces user and password where a URL is shown.
const HIDDEN: &str = "***";

/// The URL of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetUrl {
    /// Without user and password.
    pub text: String,
    /// The credentials, if it had any.
    pub credentials: Option<Credentials>,
}

/// User and password for a target (RFC 7617). Cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    header: String,
}

impl Credentials {
    fn new(user: &[u8], password: &[u8]) -> Self {
        let pair = [user, b":", password].concat();
        Self { header: format!("Basic {}", STANDARD.encode(pair)) }
    }

    /// The value of `Authorization`.
    #[must_use]
    pub fn header(&self) -> &str {
        &self.header
    }

    /// The URL as it is shown if it has credentials.
    #[must_use]
    pub fn hidden_in(url: &str) -> String {
        url.replacen("://", &format!("://{HIDDEN}@"), 1)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl TargetUrl {
    /// Parses `http://HOST:PORT/PATH`, `https://HOST:PORT/PATH` or `unix:/PATH`. The first two may
    /// have `USER:PASSWORD@` before the host.
    ///
    /// # Errors
    /// What is wrong and what to write instead, without the password.
    pub fn read(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            if !path.strip_prefix("//").unwrap_or(path).starts_with('/') {
                return Err(format!("{text}: give the socket's whole path, as unix:/PATH"));
            }
            return Ok(Self { text: text.to_owned(), credentials: None });
        }
        // Published to, instead of sent.
        if Address::is_meant(text) {
            return Address::read(text).map(|_| Self { text: text.to_owned(), credentials: None });
        }
        let shown = shown(text);
        let url = match Url::parse(text) {
            // `Url` parses `NAME:PORT` as a scheme and a path.
            Ok(url) if text.contains("://") => url,
            _ => return Err(format!("{shown}: not a URL; write {}", meant(&shown))),
        };
        let scheme = url.scheme();
        if !matches!(scheme, "http" | "https") {
            return Err(format!(
                "{shown}: {scheme} is not a protocol to replay to; write http://HOST:PORT, https://HOST:PORT or unix:/PATH"
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(format!(
                "{shown}: a target has no query or fragment; write {scheme}://HOST:PORT/PATH"
            ));
        }
        if url.port() == Some(0) {
            return Err(format!("{shown}: port 0 cannot be connected to; name the target's port"));
        }
        let credentials = credentials(&url).map_err(|why| format!("{shown}: {why}"))?;
        let text = without_user(text, &url);
        let text = text.ok_or_else(|| format!("{shown}: not a URL; write http://HOST:PORT"))?;
        Ok(Self { text, credentials })
    }
}

fn credentials(url: &Url) -> Result<Option<Credentials>, &'static str> {
    let (user, password) = (url.username(), url.password());
    if user.is_empty() && password.is_none() {
        return Ok(None);
    }
    if user == HIDDEN && password.is_none() {
        return Err("user and password are hidden where a URL is shown; write them");
    }
    let user: Vec<u8> = percent_decode_str(user).collect();
    if user.contains(&b':') {
        return Err("a user has no colon in its name (RFC 7617)");
    }
    let password: Vec<u8> = percent_decode_str(password.unwrap_or_default()).collect();
    Ok(Some(Credentials::new(&user, &password)))
}

/// The text as it may be shown: without anything that could be part of a password.
fn shown(text: &str) -> String {
    let (scheme, rest) = split(text);
    match rest.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}{HIDDEN}@{host}"),
        None => text.to_owned(),
    }
}

/// The text of a URL without user and password; `None` if it is not clear where they end.
fn without_user(text: &str, url: &Url) -> Option<String> {
    let (scheme, rest) = split(text);
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end)?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let clean = format!("{scheme}{host}{path}");
    let same = Url::parse(&clean).ok().filter(|clean| {
        clean.username().is_empty() && clean.password().is_none() && clean.host() == url.host()
    });
    same.map(|_| clean)
}

fn split(text: &str) -> (&str, &str) {
    let start = text.find("://").map_or(0, |at| at.saturating_add(3));
    text.split_at_checked(start).unwrap_or(("", text))
}

/// Guesses the URL that was meant.
fn meant(text: &str) -> String {
    if text.starts_with('/') {
        return format!("unix:{text}");
    }
    let scheme = if text.split('/').next().is_some_and(|host| host.ends_with(":443")) {
        "https"
    } else {
        "http"
    };
    let url = format!("{scheme}://{text}");
    match Url::parse(&url) {
        Ok(parsed) if parsed.has_host() && !text.contains("://") => url,
        _ => "http://HOST:PORT".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_password_are_taken_out_and_shown_nowhere() {
        for (text, clean, header) in [
            ("http://me:pw@a:80/v2", "http://a:80/v2", "Basic bWU6cHc="),
            ("https://me@a", "https://a", "Basic bWU6"),
            ("http://:pw@[::1]:80", "http://[::1]:80", "Basic OnB3"),
            ("http://m%40e:p%3Aw@a/@b", "http://a/@b", "Basic bUBlOnA6dw=="),
            // As browsers do: the last `@` ends the user information.
            ("http://me:p@w@a", "http://a", "Basic bWU6cEB3"),
        ] {
            let url = TargetUrl::read(text).unwrap();
            assert_eq!(url.text, clean, "{text}");
            assert_eq!(url.credentials.as_ref().unwrap().header(), header, "{text}");
            assert!(!format!("{url:?}").contains("pw"), "{url:?}");
            let shown = Credentials::hidden_in(&url.text);
            assert!(shown.contains("://***@"), "{shown}");
            let why = TargetUrl::read(&shown).unwrap_err();
            assert!(why.ends_with("hidden where a URL is shown; write them"), "{why}");
        }
        assert_eq!(TargetUrl::read("http://a/@b").unwrap().credentials, None);
    }

    #[test]
    fn what_is_no_target_is_answered_with_what_to_write_and_without_the_password() {
        for (text, wanted) in [
            ("localhost:80", "localhost:80: not a URL; write http://localhost:80"),
            ("localhost", "localhost: not a URL; write http://localhost"),
            ("10.0.0.1:8080", "10.0.0.1:8080: not a URL; write http://10.0.0.1:8080"),
            ("[::1]:8080", "[::1]:8080: not a URL; write http://[::1]:8080"),
            ("a.example:443/v2", "a.example:443/v2: not a URL; write https://a.example:443/v2"),
            ("/run/a.sock", "/run/a.sock: not a URL; write unix:/run/a.sock"),
            ("me:pw@a:80", "***@a:80: not a URL; write http://***@a:80"),
            ("http://me:p/w@a b", "http://***@a b: not a URL; write http://HOST:PORT"),
            ("http:///me:pw@a", "http://***@a: not a URL; write http://HOST:PORT"),
            ("http:/\t/me:pw@a", "***@a: not a URL; write http://***@a"),
            ("http://", "http://: not a URL; write http://HOST:PORT"),
            ("", ": not a URL; write http://HOST:PORT"),
            (
                "ftp://me:pw@a",
                "ftp://***@a: ftp is not a protocol to replay to; write http://HOST:PORT, https://HOST:PORT or unix:/PATH",
            ),
            ("unix:run/a", "unix:run/a: give the socket's whole path, as unix:/PATH"),
            (
                "http://me:pw@a/b?c",
                "http://***@a/b?c: a target has no query or fragment; write http://HOST:PORT/PATH",
            ),
            ("http://a:0", "http://a:0: port 0 cannot be connected to; name the target's port"),
            ("http://m%3ae:pw@a", "http://***@a: a user has no colon in its name (RFC 7617)"),
        ] {
            assert_eq!(TargetUrl::read(text).unwrap_err(), wanted, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_password_is_in_no_text(
            front in "(http://|https://|ftp://|)", user in "[a-z:@% ]{0,5}", host in "[a-z0-9:/?#\\[\\] ]{0,8}",
        ) {
            let told = match TargetUrl::read(&format!("{front}{user}:SECRET@{host}")) {
                Ok(url) => format!("{url:?}"),
                Err(why) => why,
            };
            proptest::prop_assert!(!told.contains("SECRET"), "{told}");
        }
    }
}
