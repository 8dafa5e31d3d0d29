//! Dials a target: chooses one of its addresses and makes a connection.
//!
//! Keeps the addresses, which of them failed recently, and when the name was last resolved.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::{TcpSocket, UnixStream, lookup_host};

use super::stream::Stream;
use super::target::{Endpoint, Target};
use crate::descriptors;
use crate::sink::replay::clock::now;
use crate::sink::replay::outcome::not_delivered::NotDelivered;

/// How old the addresses of a name may be. The system's resolver, which reads /etc/hosts and the
/// search list as curl does, reports no TTL. Cluster DNS usually uses this value.
const LOOK_UP_EVERY: Duration = Duration::from_secs(30);

/// How long an address is tried last after it failed.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Dials one target.
pub(crate) struct Dialer {
    target: Target,
    book: RefCell<AddressBook>,
}

/// What is known about the target's addresses.
struct AddressBook {
    addresses: Vec<Entry>,
    looked_up: Instant,
    /// The name resolves only to addresses that nothing may be sent to.
    captured: bool,
}

struct Entry {
    address: SocketAddr,
    avoid_until: Option<Instant>,
}

impl AddressBook {
    /// The addresses in the order to try them, starting at the `turn`th. Addresses that failed
    /// recently come last.
    fn in_order(&self, turn: usize, now: Instant) -> Vec<SocketAddr> {
        let first = turn.checked_rem(self.addresses.len()).unwrap_or(0);
        let from_first = self.addresses.iter().cycle().skip(first).take(self.addresses.len());
        let mut order: Vec<&Entry> = from_first.collect();
        order.sort_by_key(|entry| entry.avoid_until.is_some_and(|until| until > now));
        order.into_iter().map(|entry| entry.address).collect()
    }

    fn replace(&mut self, found: Vec<SocketAddr>) {
        let avoided = |address: &SocketAddr| {
            let known = self.addresses.iter().find(|entry| entry.address == *address);
            known.and_then(|entry| entry.avoid_until)
        };
        self.addresses = found
            .into_iter()
            .map(|address| Entry { address, avoid_until: avoided(&address) })
            .collect();
    }

    fn note(&mut self, address: SocketAddr, avoid_until: Option<Instant>) {
        if let Some(entry) = self.addresses.iter_mut().find(|entry| entry.address == address) {
            entry.avoid_until = avoid_until;
        }
    }
}

impl Dialer {
    pub(crate) fn new(target: Target) -> Self {
        let addresses = target.addresses().iter();
        let addresses =
            addresses.map(|address| Entry { address: *address, avoid_until: None }).collect();
        let book = AddressBook { addresses, looked_up: now(), captured: false };
        Self { book: RefCell::new(book), target }
    }

    pub(in crate::sink::replay) fn authority(&self) -> &str {
        self.target.authority()
    }

    /// Connects to the first address that accepts, starting at the `turn`th. `timeout` applies to
    /// each address and includes the proxy's tunnel and the TLS handshake.
    pub(crate) async fn connect(
        &self,
        turn: usize,
        timeout: Duration,
    ) -> Result<Stream, NotDelivered> {
        let (host, port) = match self.target.endpoint() {
            Endpoint::Unix(path) => {
                let connected = tokio::time::timeout(timeout, UnixStream::connect(path)).await;
                return outcome(connected).map(Stream::Unix);
            }
            Endpoint::Tcp { host, port } => (host, *port),
        };
        match self.target.proxy() {
            Some(proxy) => self.look_up(&proxy.host, proxy.port, timeout).await,
            None => self.look_up(host, port, timeout).await,
        }
        let mut last = match self.book.borrow().captured {
            true => NotDelivered::TargetCaptured,
            false => NotDelivered::ConnectFailed,
        };
        let order = self.book.borrow().in_order(turn, now());
        for address in order {
            let attempt = tokio::time::timeout(timeout, self.dial(address)).await;
            let ended = match attempt {
                Ok(Err(Failed::Handshake)) => Err(NotDelivered::HandshakeFailed),
                Ok(Err(Failed::Tunnel)) => Err(NotDelivered::ProxyRefused),
                Ok(Err(Failed::Connect(why))) => outcome(Ok(Err(why))),
                Ok(Ok(stream)) => Ok(stream),
                Err(elapsed) => outcome(Err(elapsed)),
            };
            match ended {
                Ok(stream) => {
                    self.book.borrow_mut().note(address, None);
                    return Ok(stream);
                }
                // Without a descriptor the other addresses would fail, too.
                Err(why @ NotDelivered::NoDescriptor) => return Err(why),
                Err(why) => {
                    self.book.borrow_mut().note(address, Some(now() + RETRY_AFTER));
                    last = why;
                }
            }
        }
        Err(last)
    }

    /// Resolves the name again if its addresses are old. If that fails, the known addresses stay: a
    /// broken resolver does not mean that the target is gone.
    async fn look_up(&self, host: &str, port: u16, timeout: Duration) {
        let now = now();
        {
            let mut book = self.book.borrow_mut();
            let every = if book.addresses.is_empty() { RETRY_AFTER } else { LOOK_UP_EVERY };
            if now.saturating_duration_since(book.looked_up) < every {
                return;
            }
            // Set before the lookup, so that only one of many sessions does it.
            book.looked_up = now;
        }
        if let Ok(Ok(found)) = tokio::time::timeout(timeout, lookup_host((host, port))).await {
            self.take_addresses(found.collect());
        }
    }

    /// Drops captured addresses. If the name now resolves to one, its shadow requests would be
    /// captured and shadowed again.
    fn take_addresses(&self, mut found: Vec<SocketAddr>) {
        if found.is_empty() {
            return;
        }
        found.retain(|address| self.target.is_allowed(*address));
        let mut book = self.book.borrow_mut();
        book.captured = found.is_empty();
        book.replace(found);
    }

    async fn dial(&self, address: SocketAddr) -> Result<Stream, Failed> {
        let connecting = self.target.socket(address).and_then(|socket| {
            socket.set_nonblocking(true)?;
            Ok(TcpSocket::from_std_stream(socket.into()).connect(address))
        });
        let mut stream = connecting.map_err(Failed::Connect)?.await.map_err(Failed::Connect)?;
        if let Some(proxy) = self.target.proxy() {
            proxy.tunnel(&mut stream).await.map_err(|_| Failed::Tunnel)?;
        }
        match self.target.tls() {
            None => Ok(Stream::Tcp(stream)),
            Some(tls) => match tls.connect(stream).await {
                Ok(stream) => Ok(Stream::Tls(Box::new(stream))),
                Err(_) => Err(Failed::Handshake),
            },
        }
    }
}

enum Failed {
    Connect(io::Error),
    Tunnel,
    Handshake,
}

type Timed<S> = Result<io::Result<S>, tokio::time::error::Elapsed>;

fn outcome<S>(attempt: Timed<S>) -> Result<S, NotDelivered> {
    match attempt {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(why)) if why.kind() == io::ErrorKind::ConnectionRefused => {
            Err(NotDelivered::ConnectRefused)
        }
        Ok(Err(why)) if descriptors::are_short(&why) => Err(NotDelivered::NoDescriptor),
        Ok(Err(_)) => Err(NotDelivered::ConnectFailed),
        Err(_) => Err(NotDelivered::ConnectTimeout),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use socket2::SockRef;

    use super::*;
    use crate::sink::replay::{Forbidden, OnConnect};

    /// Far longer than loopback needs.
    const LONGEST: Duration = Duration::from_secs(60);

    #[test]
    fn whoever_captures_knows_a_socket_before_it_connects_the_probes_included() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let own = listener.local_addr().unwrap();
        let mut target = Target::parse(&format!("http://{own}")).unwrap();
        let connected = Arc::new(AtomicUsize::new(0));
        target.on_connect(OnConnect::call({
            let connected = Arc::clone(&connected);
            move |socket| {
                assert!(SockRef::from(&socket).peer_addr().is_err(), "it connects later");
                connected.fetch_add(1, Relaxed);
            }
        }));
        target.probe(LONGEST).unwrap();
        assert_eq!(connected.load(Relaxed), 1);
        let dialer = Dialer::new(target);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let stream = runtime.block_on(dialer.connect(0, LONGEST)).ok().unwrap();
        assert!(matches!(stream, Stream::Tcp(stream) if stream.nodelay().unwrap()));
        assert_eq!(connected.load(Relaxed), 2);
    }

    #[test]
    fn a_name_that_moves_to_what_is_captured_gets_nothing_until_it_moves_on() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let own = listener.local_addr().unwrap();
        let mut target = Target::parse(&format!("http://{own}")).unwrap();
        let captured = SocketAddr::from(([127, 0, 0, 2], own.port()));
        target.forbid(Forbidden::when(move |address| address == captured));
        let dialer = Dialer::new(target);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let connect = || runtime.block_on(dialer.connect(0, LONGEST)).map(drop);
        dialer.take_addresses(vec![captured]);
        assert_eq!(connect(), Err(NotDelivered::TargetCaptured));
        dialer.take_addresses(vec![captured, own]);
        assert_eq!(connect(), Ok(()));
        assert_eq!(dialer.book.borrow().in_order(0, now()), [own]);
        // An empty result changes nothing.
        dialer.take_addresses(Vec::new());
        assert_eq!(connect(), Ok(()));
    }

    #[test]
    fn an_address_that_failed_rests_while_the_others_serve() {
        let start = now();
        let address = |last: u8| SocketAddr::from(([10, 0, 0, last], 80));
        let mut book = AddressBook { addresses: Vec::new(), looked_up: start, captured: false };
        book.replace(vec![address(1), address(2), address(3)]);
        assert_eq!(book.in_order(1, start), [address(2), address(3), address(1)]);
        book.note(address(2), Some(start + RETRY_AFTER));
        assert_eq!(book.in_order(1, start), [address(3), address(1), address(2)]);
        assert_eq!(book.in_order(1, start + RETRY_AFTER), [address(2), address(3), address(1)]);
        // The name has other addresses now. The state of those that remain is kept.
        book.replace(vec![address(2), address(4)]);
        assert_eq!(book.in_order(0, start), [address(4), address(2)]);
    }
}
