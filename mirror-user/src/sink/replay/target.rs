//! Where shadow requests go: a URL in, connections out. The only file that knows `socket2`.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use anyhow::{Context, bail};
use mirror_common::REPLAY_MARK;
use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream};
use url::Url;

use super::progress::{Counters, NotDelivered};

/// A place that answers HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    authority: String,
    addresses: Vec<SocketAddr>,
}

impl Target {
    /// Reads `http://HOST:PORT` and looks its name up. A path is refused: what is replayed keeps
    /// its own, and a prefix would be a rewrite that nobody has asked for by name.
    ///
    /// # Errors
    /// When it is not such a URL, or its name has no address.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let url = Url::parse(text)
            .with_context(|| format!("{text}: not a URL; write http://HOST:PORT"))?;
        match url.scheme() {
            "http" => {}
            "https" => bail!("{text}: https targets are not supported yet; use http"),
            other => bail!("{text}: {other} is not a protocol to replay to; use http"),
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            bail!("{text}: a target has no path of its own; write http://HOST:PORT");
        }
        if !url.username().is_empty() || url.password().is_some() {
            bail!("{text}: user and password in a target are not supported; leave them out");
        }
        let host = url.host_str().with_context(|| format!("{text}: has no host"))?;
        let port = url.port_or_known_default().unwrap_or(80);
        if port == 0 {
            bail!("{text}: port 0 cannot be connected to; name the target's port");
        }
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let addresses: Vec<_> = (host.trim_matches(['[', ']']), port)
            .to_socket_addrs()
            .with_context(|| format!("{host}: no address found; is the name right?"))?
            .collect();
        if addresses.is_empty() {
            bail!("{host}: no address found; is the name right?");
        }
        Ok(Self { authority, addresses })
    }

    /// Its host, and its port when the URL named one: what `--host target` writes.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Where it can be reached, for the check that it is not itself captured.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Connects once and hangs up, so that a run to nowhere ends before it begins.
    ///
    /// # Errors
    /// When no address accepts a connection within `timeout` each.
    pub fn probe(&self, timeout: Duration) -> anyhow::Result<()> {
        let mut last = None;
        for address in &self.addresses {
            match std::net::TcpStream::connect_timeout(address, timeout) {
                Ok(_) => return Ok(()),
                Err(why) => last = Some(why),
            }
        }
        let why = last.map_or_else(|| "no address".to_owned(), |why| plain(&why));
        bail!("{}: {why}; is the target running?", self.authority)
    }

    /// Connects to the first address that accepts, beginning with the `turn`th.
    pub(super) async fn connect(
        &self,
        turn: usize,
        timeout: Duration,
        counters: &Counters,
    ) -> Result<TcpStream, NotDelivered> {
        let mut last = NotDelivered::ConnectFailed;
        let first = turn.checked_rem(self.addresses.len()).unwrap_or(0);
        for address in self.addresses.iter().cycle().skip(first).take(self.addresses.len()) {
            last = match tokio::time::timeout(timeout, dial(*address, counters)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(why)) if why.kind() == io::ErrorKind::ConnectionRefused => {
                    NotDelivered::ConnectRefused
                }
                Ok(Err(_)) => NotDelivered::ConnectFailed,
                Err(_) => NotDelivered::ConnectTimeout,
            };
        }
        Err(last)
    }
}

async fn dial(address: SocketAddr, counters: &Counters) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Needs CAP_NET_ADMIN. Who may capture has it; who replays a file captures nothing again.
    if SockRef::from(&socket).set_mark(REPLAY_MARK).is_err() {
        counters.unmarked.store(true, Relaxed);
    }
    socket.set_nodelay(true)?;
    socket.connect(address).await
}

/// True when the other end has closed, or sent what nobody asked for: nothing can be sent on it.
/// Asks the kernel, because the readiness that the runtime remembers lags behind.
pub(super) fn is_over(stream: &TcpStream) -> bool {
    let mut byte = [std::mem::MaybeUninit::uninit(); 1];
    !matches!(SockRef::from(stream).peek(&mut byte), Err(why) if why.kind() == io::ErrorKind::WouldBlock)
}

fn plain(why: &io::Error) -> String {
    match why.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::TimedOut => "no answer to a connection attempt".to_owned(),
        _ => why.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;
    use std::time::Duration;

    use mirror_common::REPLAY_MARK;
    use socket2::SockRef;

    use super::super::progress::Counters;
    use super::Target;

    /// Far more than loopback takes.
    const LONGEST: Duration = Duration::from_secs(60);

    #[test]
    fn target_is_a_plain_http_url() {
        let target = Target::parse("http://127.0.0.1:8080").unwrap();
        assert_eq!(target.authority(), "127.0.0.1:8080");
        assert_eq!(target.addresses(), ["127.0.0.1:8080".parse().unwrap()]);
        let target = Target::parse("http://[::1]:8080/").unwrap();
        assert_eq!(target.authority(), "[::1]:8080");
        assert_eq!(target.addresses(), ["[::1]:8080".parse().unwrap()]);
        assert_eq!(Target::parse("http://127.0.0.1").unwrap().authority(), "127.0.0.1");
    }

    #[test]
    fn other_targets_are_refused_in_one_line_that_says_what_to_do() {
        for (text, wanted) in [
            ("https://a", "https://a: https targets are not supported yet; use http"),
            ("ftp://a", "ftp://a: ftp is not a protocol to replay to; use http"),
            ("staging", "staging: not a URL; write http://HOST:PORT"),
            ("http://a/b", "http://a/b: a target has no path of its own; write http://HOST:PORT"),
            ("http://a:0", "http://a:0: port 0 cannot be connected to; name the target's port"),
            (
                "http://me:pw@a",
                "http://me:pw@a: user and password in a target are not supported; leave them out",
            ),
        ] {
            assert_eq!(Target::parse(text).unwrap_err().to_string(), wanted);
        }
    }

    #[test]
    fn probe_names_the_target_that_refuses() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let target = Target::parse(&format!("http://{free}")).unwrap();
        let why = target.probe(LONGEST).unwrap_err().to_string();
        assert_eq!(why, format!("{free}: connection refused; is the target running?"));
    }

    #[test]
    fn connection_bears_the_mark_or_says_that_it_does_not() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let target = Target::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let counters = Counters::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let stream = runtime.block_on(target.connect(0, LONGEST, &counters)).unwrap();
        let marked = SockRef::from(&stream).mark().unwrap() == REPLAY_MARK;
        assert_eq!(marked, !counters.unmarked.load(Relaxed));
    }
}
