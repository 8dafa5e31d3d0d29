//! A target: where shadow requests are sent.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Error, ensure};
use socket2::{Domain, SockRef, Socket, Type};
use url::Url;

use super::proxy::Proxy;
use super::target_url::{Credentials, TargetUrl};
use super::tls::{Tls, TlsOptions};
use crate::rules::edit::RequestEdits;

/// An HTTP server that shadow requests are sent to.
#[derive(Clone, Debug)]
pub struct Target {
    authority: String,
    endpoint: Endpoint,
    /// The path of its URL; empty if there is none.
    base_path: String,
    credentials: Option<Credentials>,
    tls: Option<Tls>,
    /// The proxy that connections go through.
    proxy: Option<Proxy>,
    addresses: Vec<SocketAddr>,
    forbidden: Forbidden,
    on_connect: OnConnect,
}

/// What the dialer connects to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sink::replay) enum Endpoint {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}

/// Addresses that nothing is sent to, because they are captured themselves. Checked each time a
/// name is resolved.
#[derive(Clone, Default)]
pub struct Forbidden(Option<Arc<dyn Fn(SocketAddr) -> bool + Send + Sync>>);

impl Forbidden {
    /// Forbids the addresses for which `captured` is true.
    #[must_use]
    pub fn when(captured: impl Fn(SocketAddr) -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(captured)))
    }

    pub(in crate::sink::replay) fn includes(&self, address: SocketAddr) -> bool {
        self.0.as_ref().is_some_and(|captured| captured(address))
    }
}

impl fmt::Debug for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Forbidden").field(&self.0.is_some()).finish()
    }
}

/// Called with each socket before it connects, so that the capture can recognize it as mirror's
/// own.
#[derive(Clone, Default)]
pub struct OnConnect(Option<Arc<Call>>);

type Call = dyn Fn(BorrowedFd<'_>) + Send + Sync;

impl OnConnect {
    /// Wraps a callback.
    #[must_use]
    pub fn call(call: impl Fn(BorrowedFd<'_>) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(call)))
    }
}

impl fmt::Debug for OnConnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnConnect").field(&self.0.is_some()).finish()
    }
}

impl Target {
    /// Parses a target as [`TargetUrl::read`] does, with the system's TLS trust store.
    ///
    /// # Errors
    /// As [`open`](Self::open), and if the text is not a URL.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        Self::open(TargetUrl::read(text).map_err(Error::msg)?, &TlsOptions::default())
    }

    /// Resolves the name and prepares TLS.
    ///
    /// # Errors
    /// If the TLS options or the environment's proxy cannot be used.
    pub fn open(url: TargetUrl, tls: &TlsOptions) -> anyhow::Result<Self> {
        let TargetUrl { text, credentials } = url;
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            let endpoint = Endpoint::Unix(path.into());
            // The usual `Host` of a client of a local socket.
            let (authority, forbidden) = ("localhost".into(), Forbidden::default());
            return Ok(Self {
                authority,
                endpoint,
                base_path: String::new(),
                credentials,
                tls: None,
                proxy: None,
                addresses: vec![],
                forbidden,
                on_connect: OnConnect::default(),
            });
        }
        let url = Url::parse(&text).with_context(|| format!("{text}: not a URL"))?;
        ensure!(
            matches!(url.scheme(), "http" | "https"),
            "{text}: a stream is published to, and responds nothing that could be compared; name a server"
        );
        let secure = url.scheme() == "https";
        let host = url.host_str().with_context(|| format!("{text}: has no host"))?;
        let port = url.port_or_known_default().unwrap_or(80);
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let host = host.trim_matches(['[', ']']);
        // A name without an address is no error here, as it may get one later. `probe` reports it,
        // and the caller, which knows all targets of the run, decides.
        let proxy = Proxy::before(&url)?;
        let first = proxy.as_ref().map_or((host, port), |proxy| (&proxy.host, proxy.port));
        let addresses = first.to_socket_addrs().map(Iterator::collect).unwrap_or_default();
        let tls = secure.then(|| Tls::new(host, tls)).transpose()?;
        let endpoint = Endpoint::Tcp { host: host.to_owned(), port };
        let (forbidden, on_connect) = (Forbidden::default(), OnConnect::default());
        let base_path = url.path().trim_end_matches('/').to_owned();
        Ok(Self {
            authority,
            endpoint,
            base_path,
            credentials,
            tls,
            proxy,
            addresses,
            forbidden,
            on_connect,
        })
    }

    /// Adds the URL's path prefix and credentials to `edits`. An `Authorization` that `edits` sets
    /// already takes precedence.
    pub fn complete(&self, edits: &mut RequestEdits) {
        edits.base_path.clone_from(&self.base_path);
        if let Some(credentials) = &self.credentials
            && !edits.gives("authorization")
        {
            edits.set.push(("Authorization".to_owned(), credentials.header().to_owned()));
        }
    }

    /// True if the target's certificate is not verified.
    #[must_use]
    pub fn is_unverified(&self) -> bool {
        self.tls.as_ref().is_some_and(Tls::is_unverified)
    }

    pub(in crate::sink::replay) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(in crate::sink::replay) fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()
    }

    pub(in crate::sink::replay) fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// Its host, and its port if the URL named one. `--host target` writes this.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The TCP port that is connected to: its own, or that of the proxy before it; none for a unix
    /// socket.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        match (&self.proxy, &self.endpoint) {
            (Some(proxy), _) => Some(proxy.port),
            (None, Endpoint::Tcp { port, .. }) => Some(*port),
            (None, Endpoint::Unix(_)) => None,
        }
    }

    /// The addresses of the target, or of the proxy in front of it, for the check that it is not
    /// captured itself.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Sends nothing to these addresses, even if the target's name later resolves to one of them.
    pub fn forbid(&mut self, addresses: Forbidden) {
        self.forbidden = addresses;
    }

    /// Sets a callback for each connection, including the one of `probe`.
    pub fn on_connect(&mut self, call: OnConnect) {
        self.on_connect = call;
    }

    /// Creates a socket that is about to connect to `address`.
    pub(in crate::sink::replay) fn socket(&self, address: SocketAddr) -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_tcp_nodelay(true)?;
        if let OnConnect(Some(call)) = &self.on_connect {
            call(socket.as_fd());
        }
        Ok(socket)
    }

    pub(in crate::sink::replay) fn is_allowed(&self, address: SocketAddr) -> bool {
        !self.forbidden.includes(address)
    }
}

/// True if the other end has closed the connection or sent unexpected bytes, so that it cannot be
/// used. Asks the kernel, because the readiness that the runtime caches lags behind.
pub(in crate::sink::replay) fn has_ended(stream: &impl AsFd) -> bool {
    let mut byte = [std::mem::MaybeUninit::uninit(); 1];
    !matches!(SockRef::from(stream).peek(&mut byte), Err(why) if why.kind() == io::ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, RequestEdits, Target};

    #[test]
    fn target_is_a_plain_http_url() {
        let target = Target::parse("http://127.0.0.1:8080").unwrap();
        assert_eq!(target.authority(), "127.0.0.1:8080");
        assert_eq!(target.addresses(), ["127.0.0.1:8080".parse().unwrap()]);
        let target = Target::parse("http://[::1]:8080/").unwrap();
        assert_eq!(target.authority(), "[::1]:8080");
        assert_eq!(target.addresses(), ["[::1]:8080".parse().unwrap()]);
        assert_eq!(Target::parse("http://127.0.0.1").unwrap().authority(), "127.0.0.1");
        let target = Target::parse("unix:/run/app.sock").unwrap();
        assert_eq!(*target.endpoint(), Endpoint::Unix("/run/app.sock".into()));
    }

    #[test]
    fn what_a_url_says_of_requests_becomes_edits_of_them() {
        let edits = |url: &str, mut edits: RequestEdits| {
            Target::parse(url).unwrap().complete(&mut edits);
            (edits.base_path, edits.set)
        };
        assert_eq!(edits("http://127.0.0.1/", RequestEdits::default()), (String::new(), vec![]));
        let basic = vec![("Authorization".to_owned(), "Basic bWU6cHc=".to_owned())];
        assert_eq!(
            edits("http://me:pw@127.0.0.1/v2/", RequestEdits::default()),
            ("/v2".to_owned(), basic)
        );
        let own = vec![("authorization".to_owned(), "Bearer x".to_owned())];
        let given = RequestEdits { set: own.clone(), ..RequestEdits::default() };
        assert_eq!(edits("http://me:pw@127.0.0.1", given), (String::new(), own));
    }
}
