//! The properties of a request that rules match on, computed on first use.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::net::SocketAddr;

use memchr::memchr;

use crate::http::message::Head;
use crate::http::target::RequestTarget;
use crate::tcp::event::Peers;

/// A request as rules see it. Borrows everything; nothing is decoded.
pub struct RequestFacts<'a> {
    head: &'a Head,
    peers: &'a Peers,
    proxied_client: Option<SocketAddr>,
    target: OnceCell<RequestTarget<'a>>,
    host: OnceCell<&'a [u8]>,
}

impl<'a> RequestFacts<'a> {
    /// The properties of this request.
    #[must_use]
    pub fn new(head: &'a Head, peers: &'a Peers) -> Self {
        let (target, host) = (OnceCell::new(), OnceCell::new());
        Self { head, peers, proxied_client: None, target, host }
    }

    /// Adds the client named by a PROXY protocol header on the connection.
    #[must_use]
    pub fn proxied_for(self, proxied_client: Option<SocketAddr>) -> Self {
        Self { proxied_client, ..self }
    }

    /// The method as sent.
    #[must_use]
    pub fn method(&self) -> &'a [u8] {
        self.head.method()
    }

    /// The address of the client.
    #[must_use]
    pub fn client(&self) -> SocketAddr {
        self.peers.client
    }

    /// The original client, if [`client`](Self::client) is a proxy that names it (PROXY protocol).
    #[must_use]
    pub fn proxied_client(&self) -> Option<SocketAddr> {
        self.proxied_client
    }

    /// The address of the server.
    #[must_use]
    pub fn server(&self) -> SocketAddr {
        self.peers.server
    }

    /// The host with its port as sent, without user information: that of the target, which takes
    /// precedence (RFC 9112 §3.2.2), or the first `Host`; empty if there is none.
    #[must_use]
    pub fn host(&self) -> &'a [u8] {
        self.host.get_or_init(|| match self.target().host() {
            [] => self.head.field("host").unwrap_or_default(),
            host => host,
        })
    }

    /// The path, without the query. Empty for the authority form (CONNECT).
    #[must_use]
    pub fn path(&self) -> &'a [u8] {
        self.target().path()
    }

    /// The first value of this query parameter; empty for one without `=`.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<&'a [u8]> {
        self.target().query().split(|byte| *byte == b'&').find_map(|pair| {
            let (key, value) = match memchr(b'=', pair) {
                Some(at) => (pair.get(..at)?, pair.get(at.saturating_add(1)..)?),
                None => (pair, &[][..]),
            };
            (key == name.as_bytes() && !pair.is_empty()).then_some(value)
        })
    }

    /// The names of all fields, as sent.
    pub(super) fn field_names(&self) -> impl Iterator<Item = &'a [u8]> + '_ {
        self.head.headers.iter().map(|line| self.head.bytes(&line.name))
    }

    /// The names of all query parameters, as sent.
    pub(super) fn parameter_names(&self) -> impl Iterator<Item = &'a [u8]> + '_ {
        let pairs = self.target().query().split(|byte| *byte == b'&');
        pairs.map(|pair| memchr(b'=', pair).and_then(|at| pair.get(..at)).unwrap_or(pair))
    }

    /// The value of this field. Several lines are joined with commas (RFC 9110 §5.3), the only case
    /// that allocates.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<Cow<'a, [u8]>> {
        let mut values = self
            .head
            .headers
            .iter()
            .filter(|line| (line.name.end.wrapping_sub(line.name.start)) as usize == name.len())
            .filter(|line| self.head.bytes(&line.name).eq_ignore_ascii_case(name.as_bytes()))
            .map(|line| self.head.bytes(&line.value));
        let first = values.next()?;
        let Some(second) = values.next() else { return Some(Cow::Borrowed(first)) };
        let mut joined = [first, b",", second].concat();
        for value in values {
            joined.push(b',');
            joined.extend_from_slice(value);
        }
        Some(Cow::Owned(joined))
    }

    /// The value of this cookie (RFC 6265 §5.4), from the first `Cookie` line that contains it.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&'a [u8]> {
        let cookies = self.head.values("cookie");
        cookies.flat_map(|value| value.split(|byte| *byte == b';')).find_map(|pair| {
            let pair = pair.trim_ascii();
            let at = memchr(b'=', pair)?;
            (pair.get(..at)? == name.as_bytes()).then(|| pair.get(at.saturating_add(1)..))?
        })
    }

    fn target(&self) -> RequestTarget<'a> {
        *self.target.get_or_init(|| RequestTarget::parse(self.head.method(), self.head.target()))
    }
}
