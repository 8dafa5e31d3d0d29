//! The HTTP proxy in front of a target, if the environment names one. The only file that uses
//! `hyper_util`.
//!
//! `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy` are read as curl reads them. Targets on
//! this host are never reached through a proxy. Plain http targets use a tunnel, too (CONNECT, RFC
//! 9110 §9.3.6): a proxy that parses requests would change them.

use std::io::{self, Read, Write};
use std::net::IpAddr;

use anyhow::{Context, bail};
use bytes::Bytes;
use hyper_util::client::proxy::matcher::Matcher;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Url;

use crate::http::message::StartLine;
use crate::http::whole;

/// The longest response of a proxy to CONNECT, in bytes.
const MAX_RESPONSE_BYTES: usize = 16 * 1024;

/// The port of a proxy whose URL names none.
const DEFAULT_PORT: u16 = 80;

/// An HTTP proxy that opens tunnels.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::sink::replay) struct Proxy {
    pub(in crate::sink::replay) host: String,
    pub(in crate::sink::replay) port: u16,
    /// The CONNECT request.
    connect: Bytes,
}

impl std::fmt::Debug for Proxy {
    /// Without its password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Proxy({self})")
    }
}

impl std::fmt::Display for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Proxy {
    /// The proxy that the environment names for this target.
    ///
    /// # Errors
    /// If its scheme is not http.
    pub(in crate::sink::replay) fn before(target: &Url) -> anyhow::Result<Option<Self>> {
        Self::chosen_by(&Matcher::from_env(), target)
    }

    fn chosen_by(matcher: &Matcher, target: &Url) -> anyhow::Result<Option<Self>> {
        let host = target.host_str().unwrap_or_default();
        let bare = host.trim_matches(['[', ']']);
        if bare == "localhost" || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback()) {
            return Ok(None);
        }
        let Some(chosen) = target.as_str().parse().ok().and_then(|uri| matcher.intercept(&uri))
        else {
            return Ok(None);
        };
        let uri = chosen.uri();
        let name = uri.host().context("the environment's proxy has no host")?;
        match uri.scheme_str() {
            Some("http") | None => {}
            Some(scheme) => bail!(
                "{name}: {scheme} proxies are not supported; name an http one in the environment, or set no_proxy={host}"
            ),
        }
        let port = target.port_or_known_default().unwrap_or(DEFAULT_PORT);
        let mut connect = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n");
        if let Some(Ok(credentials)) = chosen.basic_auth().map(|value| value.to_str()) {
            connect += &format!("Proxy-Authorization: {credentials}\r\n");
        }
        connect += "\r\n";
        let (host, port) = (name.trim_matches(['[', ']']).to_owned(), uri.port_u16());
        Ok(Some(Self { host, port: port.unwrap_or(DEFAULT_PORT), connect: connect.into() }))
    }

    /// Opens the tunnel over a connection to the proxy.
    ///
    /// # Errors
    /// If the proxy does not open it.
    pub(in crate::sink::replay) async fn tunnel(&self, stream: &mut TcpStream) -> io::Result<()> {
        stream.write_all(&self.connect).await?;
        let mut response = Vec::new();
        loop {
            // Byte by byte, so that no byte of the tunnel itself is consumed.
            response.push(stream.read_u8().await?);
            if let Some(opened) = opened(&response) {
                return opened;
            }
        }
    }

    /// The blocking form of [`tunnel`](Self::tunnel).
    ///
    /// # Errors
    /// As [`tunnel`](Self::tunnel), and if the stream's own timeouts expire.
    pub(in crate::sink::replay) fn tunnel_blocking(
        &self,
        stream: &mut std::net::TcpStream,
    ) -> io::Result<()> {
        stream.write_all(&self.connect)?;
        let (mut response, mut byte) = (Vec::new(), [0]);
        loop {
            stream.read_exact(&mut byte)?;
            response.extend_from_slice(&byte);
            if let Some(opened) = opened(&response) {
                return opened;
            }
        }
    }
}

/// Whether this response opens the tunnel; `None` while it is incomplete.
fn opened(response: &[u8]) -> Option<io::Result<()>> {
    if response.len() > MAX_RESPONSE_BYTES {
        return Some(Err(io::Error::other("the proxy's response is too long")));
    }
    if !response.ends_with(b"\n\r\n") && !response.ends_with(b"\n\n") {
        return None;
    }
    let head = whole::response(&Bytes::copy_from_slice(response), false);
    match head.map(|(head, _)| head.start) {
        Some(StartLine::Status { code: 200..300, .. }) => Some(Ok(())),
        Some(StartLine::Status { code, .. }) => {
            Some(Err(io::Error::other(format!("the proxy responded with {code}"))))
        }
        // Only interim responses so far.
        None if response.starts_with(b"HTTP/1.1 1") => None,
        _ => Some(Err(io::Error::other("the proxy's response is not HTTP"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(http: &str, no: &str, target: &str) -> anyhow::Result<Option<Proxy>> {
        let matcher = Matcher::builder().http(http).https(http).no(no).build();
        Proxy::chosen_by(&matcher, &Url::parse(target).unwrap())
    }

    #[test]
    fn the_environment_chooses() {
        let proxy = chosen("http://me:pw@proxy:3128", "", "http://staging:8080").unwrap().unwrap();
        assert_eq!((proxy.host.as_str(), proxy.port), ("proxy", 3128));
        assert_eq!(
            proxy.connect,
            "CONNECT staging:8080 HTTP/1.1\r\nHost: staging:8080\r\nProxy-Authorization: Basic bWU6cHc=\r\n\r\n"
        );
        assert!(!format!("{proxy:?}").contains("pw"));
        let six = chosen("proxy", "", "https://[2001:db8::1]").unwrap().unwrap();
        assert!(six.connect.starts_with(b"CONNECT [2001:db8::1]:443 HTTP/1.1\r\n"));
        for (no, target) in [
            ("staging", "http://staging:8080"),
            ("10.0.0.0/8", "http://10.1.2.3"),
            ("", "http://127.0.0.1:80"),
            ("", "http://localhost"),
            ("", "http://[::1]:80"),
        ] {
            assert_eq!(chosen("http://proxy:3128", no, target).unwrap(), None, "{target}");
        }
        assert!(chosen("socks5://proxy", "", "http://a").is_err());
    }

    #[test]
    fn a_tunnel_is_open_after_a_2xx() {
        assert!(opened(b"HTTP/1.1 200 Connection established\r\n").is_none());
        assert!(opened(b"HTTP/1.1 200 OK\r\nVia: a\r\n\r\n").unwrap().is_ok());
        assert!(opened(b"HTTP/1.1 100 Continue\r\n\r\n").is_none());
        let long = vec![b'a'; MAX_RESPONSE_BYTES + 1];
        for bad in [&b"HTTP/1.1 407 No\r\n\r\n"[..], b"SSH-2.0\n\n", &long] {
            assert!(opened(bad).unwrap().is_err());
        }
    }
}
