//! Who talked: from the URL and the addresses of an entry to a request target and two ends.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::NotRead;
use super::entry::Entry;
use crate::http::target::RequestTarget;

/// Clients that are not known get ports of Linux's ephemeral range, on which no server is watched.
const FIRST_PORT: u16 = 32_768;
const PORTS: u64 = 28_232;

/// What a URL says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Host and port as written, without user information.
    pub(super) authority: String,
    /// Path and query, as they stand in a request line.
    pub(super) target: String,
    port: u16,
}

impl Place {
    /// Takes an `http` or `https` URL apart. Nothing is decoded; what may not stand in a request line is escaped.
    pub(super) fn of(url: &str) -> Result<Self, NotRead> {
        let (scheme, _) = url.split_once("://").ok_or(NotRead::NotHttp)?;
        let port = match scheme.to_ascii_lowercase().as_str() {
            "http" => 80,
            "https" => 443,
            _ => return Err(NotRead::NotHttp),
        };
        let url = url.split('#').next().unwrap_or_default();
        let parts = RequestTarget::parse(b"GET", url.as_bytes());
        let authority = String::from_utf8_lossy(parts.host()).into_owned();
        let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | '\\' | '"' | '<' | '>');
        if authority.is_empty() || !authority.chars().all(is_plain) {
            return Err(NotRead::BadField);
        }
        let mut target = String::new();
        escape(parts.path(), &mut target);
        if url.contains('?') {
            target.push('?');
            escape(parts.query(), &mut target);
        }
        let port = port_of(&authority).unwrap_or(port);
        Ok(Self { authority, target, port })
    }

    /// The two ends. A client that is not known has no address, and a port that
    /// `serial` chooses, so that connections have different ends.
    pub(super) fn ends(&self, entry: &Entry, serial: u64) -> (SocketAddr, SocketAddr) {
        let server = || {
            let ip = entry.server_ip_address.as_deref()?.trim_matches(['[', ']']).parse().ok()?;
            Some(SocketAddr::new(ip, self.port))
        };
        let server = entry.server.as_deref().and_then(|text| text.parse().ok()).or_else(server);
        let server = server.unwrap_or_else(|| SocketAddr::new(self.ip(), self.port));
        let client = entry.client.as_deref().and_then(|text| text.parse().ok());
        let nowhere: IpAddr = match server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let port = FIRST_PORT + (serial % PORTS) as u16;
        (client.unwrap_or_else(|| SocketAddr::new(nowhere, port)), server)
    }

    /// The address that the URL names, if it does.
    fn ip(&self) -> IpAddr {
        let host = match self.authority.strip_prefix('[') {
            Some(rest) => rest.split(']').next(),
            None => self.authority.split(':').next(),
        };
        let ip = host.and_then(|host| host.parse().ok());
        ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }
}

fn port_of(authority: &str) -> Option<u16> {
    let behind = authority.rsplit_once(']').map_or(authority, |(_, behind)| behind);
    behind.rsplit_once(':')?.1.parse().ok()
}

fn escape(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        match byte {
            0x21..=0x7e => out.push(char::from(*byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(url: &str) -> (String, String, u16) {
        let Place { authority, target, port } = Place::of(url).unwrap();
        (authority, target, port)
    }

    #[test]
    fn urls_are_taken_apart_and_not_changed() {
        for (url, authority, target, port) in [
            ("http://a/", "a", "/", 80),
            (
                "HTTPS://A.example:8443/x/../y?q=%7e&r#top",
                "A.example:8443",
                "/x/../y?q=%7e&r",
                8443,
            ),
            ("https://a", "a", "/", 443),
            ("http://a?", "a", "/?", 80),
            ("http://a/?", "a", "/?", 80),
            ("http://user:pass@a/b?c=http://d/?e", "a", "/b?c=http://d/?e", 80),
            ("http://[2001:db8::1]:81/", "[2001:db8::1]:81", "/", 81),
            ("http://[2001:db8::1]/", "[2001:db8::1]", "/", 80),
            ("http://a/ü b?\u{1}", "a", "/%C3%BC%20b?%01", 80),
        ] {
            assert_eq!(place(url), (authority.to_owned(), target.to_owned(), port), "{url}");
        }
    }

    #[test]
    fn what_is_no_http_is_refused() {
        for url in
            ["data:text/plain,x", "blob:http://a/1", "ws://a/", "about:blank", "", "file:///x"]
        {
            assert_eq!(Place::of(url), Err(NotRead::NotHttp), "{url}");
        }
        for url in ["http:///x", "http://", "http://a b/", "http://a\r\nX: y/"] {
            assert_eq!(Place::of(url), Err(NotRead::BadField), "{url}");
        }
    }

    #[test]
    fn ends_are_those_of_the_entry_or_told_apart() {
        let entry = |json| serde_json::from_value::<Entry>(json).unwrap();
        let ends = |url: &str, json| Place::of(url).unwrap().ends(&entry(json), 6);
        let text = |ends: (SocketAddr, SocketAddr)| (ends.0.to_string(), ends.1.to_string());
        let chrome = serde_json::json!({"serverIPAddress": "[2001:db8::1]"});
        assert_eq!(
            text(ends("https://a/", chrome)),
            ("[::]:32774".into(), "[2001:db8::1]:443".into())
        );
        let own = serde_json::json!({"_client": "10.0.0.1:4000", "_server": "10.0.0.2:8080", "serverIPAddress": "10.0.0.2"});
        assert_eq!(text(ends("http://a/", own)), ("10.0.0.1:4000".into(), "10.0.0.2:8080".into()));
        let nothing = serde_json::json!({"serverIPAddress": ""});
        assert_eq!(
            text(ends("http://a:81/", nothing)),
            ("0.0.0.0:32774".into(), "0.0.0.0:81".into())
        );
        assert_eq!(text(ends("http://10.1.1.1/", serde_json::json!({}))).1, "10.1.1.1:80");
    }
}
