//! The server: connections in, recorded responses out, on one thread.
//!
//! A connection is read into one buffer, and a recorded response is written from where it lies; nothing of it is
//! copied. Pipelined requests are answered in their order, as many in one write as are there. Every wait has a deadline
//! and every buffer a limit, so that a client that never ends its request, or never reads, costs its own buffer for a
//! bounded time. Refuses, with a response and a counter, what RFC 9112 has a server refuse.

mod connection;
mod outgoing;
mod reply;
mod tls;
mod wire;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use crossbeam_channel::Receiver;

use self::reply::Answer;
pub use self::tls::Tls;
use super::book::{Book, Found};
use super::canonical::Facts;
use super::counts::{Counts, NotServed};
use super::fault::Kind;
use super::miss::Miss;
use super::options::Options;
use super::pass::Passed;
use crate::http::ReadRequest;
use crate::http::target::RequestTarget;
use crate::listener::{Listener, Serving};
use crate::logging::emit;

/// Bytes of requests that all connections together may hold: a thousand uploads of the largest size that is taken by
/// default would be eight times as much.
const MAX_HELD_BYTES: usize = 256 << 20;

/// For the server's thread to end; it waits for nothing.
const LONGEST_STOP: Duration = Duration::from_secs(5);

/// A stub server: what it knows, and what it counts.
pub struct Server {
    options: Arc<Options>,
    book: Book,
    counts: Arc<Counts>,
    /// For clients that want it.
    tls: Option<Tls>,
    /// Bytes of requests that connections hold.
    held: AtomicUsize,
}

/// How a request comes.
#[derive(Clone, Copy, Debug)]
struct By {
    /// Within TLS.
    tls: bool,
    /// Within a tunnel to a host.
    tunnel: bool,
}

/// A stub server that listens and does not answer yet: connections wait.
pub struct Bound(Listener);

/// A stub server that answers.
pub struct Running {
    serving: Serving,
    gone: Receiver<()>,
    counts: Arc<Counts>,
}

impl Bound {
    /// Takes the port.
    ///
    /// # Errors
    /// If it is taken, or may not be used.
    pub fn bind(listen: SocketAddr) -> anyhow::Result<Self> {
        Listener::bind("--listen", listen).map(Self)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// Answers, over at most `most` connections at the same time, whatever the options say.
    ///
    /// # Errors
    /// If no thread could be started.
    pub fn serve(self, server: Arc<Server>, most: usize) -> anyhow::Result<Running> {
        let connections = server.options.connections.min(most.max(1));
        let counts = Arc::clone(&server.counts);
        // thread of the server --it is gone--> whoever stops it
        let (gone_tx, gone_rx) = crossbeam_channel::bounded::<()>(0);
        let prepare = move || {
            async move |stream| {
                let _until_all_is_gone = &gone_tx;
                server.counts.connection();
                connection::serve(&server, stream).await;
            }
        };
        let failed = |error: &anyhow::Error| emit!(StubFailed, "stub: {error:#}");
        let serving = self.0.serve("stub", connections, prepare, failed)?;
        Ok(Running { serving, gone: gone_rx, counts })
    }
}

impl Running {
    /// Ends it, with the connections that are open; their requests are counted.
    pub fn stop(self) {
        drop(self.serving);
        // Nothing is sent: it is disconnected once the thread has let go of everything.
        let _ = self.gone.recv_timeout(LONGEST_STOP);
        self.counts.stop();
    }
}

impl Server {
    /// Answers from `book`.
    #[must_use]
    pub fn new(options: Arc<Options>, book: Book, counts: Arc<Counts>) -> Self {
        Self { options, book, counts, tls: None, held: AtomicUsize::new(0) }
    }

    /// Speaks TLS, too, with clients that begin so, and opens tunnels to hosts of which it has their certificate.
    #[must_use]
    pub fn with_tls(self, tls: Option<Tls>) -> Self {
        Self { tls, ..self }
    }

    /// The certificate authority that clients are to trust, if it is this server's own, and whether it was made just now.
    #[must_use]
    pub fn authority(&self) -> Option<(&Path, bool)> {
        self.tls.as_ref()?.authority()
    }

    /// True if it speaks TLS.
    #[must_use]
    pub fn speaks_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// How many hosts were recorded.
    #[must_use]
    pub fn hosts(&self) -> usize {
        self.book.hosts().len()
    }

    /// How many stubs were never asked for.
    #[must_use]
    pub fn unused(&self) -> usize {
        self.book.unused()
    }

    /// What a request gets.
    fn answer(&self, request: &ReadRequest<'_>, by: By) -> Answer {
        if request.method == b"CONNECT" {
            return self.tunnel(request, by);
        }
        let mut asked = self.book.matching().canonical(Facts::of(request), request.fields());
        // To whom it has a tunnel is said on purpose, as to a proxy.
        asked.is_absolute |= by.tunnel;
        let mut delay = Duration::ZERO;
        for fault in &self.options.faults {
            match fault.hits(request.method, &asked.path) {
                Some(Kind::Delay(more)) => delay = delay.saturating_add(more),
                Some(Kind::Reset) => return Answer::Reset(delay),
                Some(Kind::Status(code)) => return Answer::Fault(reply::status(code), delay),
                None => {}
            }
        }
        let why = match self.book.answer(&asked) {
            Found::Step(step) => {
                delay = delay.saturating_add(self.options.latency.of(step.latency));
                return Answer::Recorded(Arc::clone(&step.response), delay);
            }
            Found::Nothing => NotServed::Missed,
            Found::Ambiguous => NotServed::Ambiguous,
            Found::Ended => NotServed::Exhausted,
        };
        let upstream = asked.host.as_deref().and_then(|host| self.options.pass.get(host));
        // What comes encrypted leaves as plain text for nobody but a server that the operator chose.
        if let Some(upstream) = upstream.filter(|upstream| upstream.is_named || !by.tls) {
            return Answer::Pass(Passed::new(request, upstream.clone()));
        }
        self.counts.missed(why, request.method, request.target);
        let scheme = if by.tls { "https" } else { "http" };
        let miss = Miss::new(&self.book, &asked, why, scheme);
        // Nothing that was captured is in the log: which exchange it is, and which part of it differs.
        let nearest = miss.nearest.as_deref().unwrap_or("none");
        emit!(
            StubMissed,
            nearest,
            differs = miss.differs,
            "stub: a request has no recorded response; the nearest is exchange {nearest}, its {} differs first; the \
             body of the 502 says more",
            miss.differs
        );
        Answer::Missed(miss.response)
    }

    /// What CONNECT gets.
    fn tunnel(&self, request: &ReadRequest<'_>, by: By) -> Answer {
        let target = RequestTarget::parse(request.method, request.target);
        let host = std::str::from_utf8(target.host()).ok().and_then(|text| {
            let (host, _port) = text.rsplit_once(':')?;
            Some(host.trim_start_matches('[').trim_end_matches(']').to_owned())
        });
        match host.filter(|_| self.tls.is_some() && !by.tunnel) {
            Some(host) => {
                self.counts.tunnel();
                Answer::Tunnel(host)
            }
            None => {
                self.counts.missed(NotServed::Missed, request.method, b"*");
                Answer::Missed(reply::no_tunnel())
            }
        }
    }

    /// A handshake of TLS has ended.
    fn shook_hands(&self, ended: Result<(), &io::Error>) {
        self.counts.handshake(ended.is_ok());
        let Err(error) = ended else { return };
        let advice = self.authority().map(|(file, _)| {
            format!("; if it does not trust the certificate, give it {}", file.display())
        });
        emit!(
            StubHandshakeFailed,
            "stub: a client's TLS handshake failed: {error}{}",
            advice.unwrap_or_default()
        );
    }

    /// Counts bytes that a connection holds now instead of `before`.
    ///
    /// # Errors
    /// If all connections hold too much.
    fn hold(&self, before: usize, now: usize) -> Result<(), NotServed> {
        let held = self.held.fetch_add(now, Relaxed).saturating_add(now).saturating_sub(before);
        self.held.fetch_sub(before, Relaxed);
        if now > before && held > MAX_HELD_BYTES { Err(NotServed::NoRoom) } else { Ok(()) }
    }
}
