//! A bounded HTTP/1 server on a thread of its own: how the admin endpoint and the dashboard are served.
//!
//! In comes a port, taken before the process is confined; out go connections, each to the same handler. The thread
//! keeps no capability. No more than so many connections are open at once; others wait in the kernel's queue. It
//! knows nothing of routes, and a handler bounds how long its connection may take.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow};
use hyper::server::conn::http1;
use hyper_util::rt::TokioTimer;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::sleep;

use crate::privileges::{self, Duty};

/// For the head of a request to arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// After a connection could not be accepted, as where no descriptor is left.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// A port that is taken and not served yet: connections wait.
pub(crate) struct Listener {
    /// What errors begin with.
    setting: &'static str,
    socket: TcpListener,
    address: SocketAddr,
}

/// A port that is served until this is dropped.
pub(crate) struct Serving {
    _end: oneshot::Sender<()>,
}

impl Listener {
    /// Takes a port; 0 takes a free one.
    ///
    /// # Errors
    /// If it is taken, or may not be used.
    pub(crate) fn bind(setting: &'static str, listen: SocketAddr) -> anyhow::Result<Self> {
        let socket = TcpListener::bind(listen).map_err(|error| match error.kind() {
            ErrorKind::AddrInUse => anyhow!(
                "{setting} {listen}: another program listens there; choose another port, or port 0 for a free one"
            ),
            _ => anyhow!(error).context(format!("{setting} {listen}: cannot listen there")),
        })?;
        let address =
            socket.local_addr().with_context(|| format!("{setting}: the socket has no address"))?;
        Ok(Self { setting, socket, address })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves `connections` at a time on a thread of this name. Call it once this thread is confined.
    /// `prepare` makes the handler on the new thread; `failed` is told why it ended early.
    ///
    /// # Errors
    /// If no thread could be started.
    pub(crate) fn serve<H: AsyncFn(TcpStream) + 'static>(
        self,
        name: &str,
        connections: usize,
        prepare: impl FnOnce() -> H + Send + 'static,
        failed: impl FnOnce(&anyhow::Error) + Send + 'static,
    ) -> anyhow::Result<Serving> {
        let Self { setting, socket, .. } = self;
        socket.set_nonblocking(true).with_context(|| format!("{setting}: the socket blocks"))?;
        let (end, ended) = oneshot::channel();
        let serve = move || {
            let confined = privileges::keep_for(Duty::Nothing);
            let served = confined.and_then(|()| run(socket, connections, prepare(), ended));
            if let Err(error) = served {
                failed(&error);
            }
        };
        thread::Builder::new()
            .name(name.into())
            .spawn(serve)
            .with_context(|| format!("{setting}: no thread could be started"))?;
        Ok(Serving { _end: end })
    }
}

/// Serves until `ended`.
fn run(
    socket: TcpListener,
    connections: usize,
    handler: impl AsyncFn(TcpStream) + 'static,
    ended: oneshot::Receiver<()>,
) -> anyhow::Result<()> {
    let runtime = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build_local(LocalOptions::default())
        .context("no event loop could be started")?;
    runtime.block_on(async {
        let socket =
            tokio::net::TcpListener::from_std(socket).context("the socket cannot be waited for")?;
        tokio::select! {
            () = accept(&socket, connections, Rc::new(handler)) => {}
            _ = ended => {}
        }
        Ok(())
    })
}

/// Accepts connections for ever.
async fn accept(
    socket: &tokio::net::TcpListener,
    connections: usize,
    handler: Rc<impl AsyncFn(TcpStream) + 'static>,
) {
    let places = Arc::new(Semaphore::new(connections));
    // The semaphore is never closed.
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let Ok((stream, _)) = socket.accept().await else {
            sleep(ACCEPT_RETRY).await;
            continue;
        };
        let handler = Rc::clone(&handler);
        tokio::task::spawn_local(async move {
            handler(stream).await;
            drop(place);
        });
    }
}

/// One request a connection, with a head of at most `max_head` bytes.
pub(crate) fn one_request(max_head: usize) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(max_head)
        .keep_alive(false);
    builder
}
