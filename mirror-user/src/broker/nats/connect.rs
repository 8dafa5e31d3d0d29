//! One connection to a server: who this is, whether the server is who it says, and that the connection was lost.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use anyhow::{Context as _, anyhow};
use async_nats::jetstream::Context;
use async_nats::jetstream::context::ContextBuilder;
use async_nats::rustls::ClientConfig;
use async_nats::{ConnectError, ConnectErrorKind, ConnectOptions, Event, ServerError};
use tokio::sync::Notify;

use super::TIMEOUT;
use crate::broker::address::Address;

/// Beyond the permission of a user, and nothing that comes back by itself.
const NOT_ALLOWED: &str = "permissions violation";

/// Words of errors that a handshake of TLS fails by; the last is what a server without TLS answers.
const HANDSHAKE: [&str; 3] = ["certificate", "tls", "corrupt message"];

/// How a server is reached.
#[derive(Clone)]
pub struct Link {
    /// Where.
    pub address: Address,
    /// Who this is; `None`: nobody in particular.
    pub secret: Option<Secret>,
    /// How the server is verified, and what it is shown; `None`: as the library has it, if the server wants TLS.
    pub tls: Option<ClientConfig>,
}

/// What a user proves to be with. Cannot be printed.
#[derive(Clone)]
pub enum Secret {
    /// A seed of an nkey.
    Nkey(String),
    /// A JWT with its seed, as a `.creds` file has both.
    Credentials(String),
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("address", &self.address).finish_non_exhaustive()
    }
}

/// A connection.
pub(super) struct Connected {
    pub(super) jetstream: Context,
    pub(super) ending: Arc<Ending>,
    /// Bytes of one message, at most.
    pub(super) max_payload: usize,
}

/// That a connection was lost, or is not allowed what it tried.
#[derive(Default)]
pub(super) struct Ending {
    happened: Notify,
    pub(super) not_allowed: AtomicBool,
}

impl Ending {
    /// Waits for it.
    pub(super) async fn wait(&self) {
        self.happened.notified().await;
    }

    fn on(&self, event: &Event) {
        match event {
            Event::Disconnected | Event::Closed | Event::LameDuckMode => self.happened.notify_one(),
            Event::ServerError(ServerError::Other(why))
                if why.to_ascii_lowercase().contains(NOT_ALLOWED) =>
            {
                self.not_allowed.store(true, Relaxed);
                self.happened.notify_one();
            }
            _ => {}
        }
    }
}

impl Connected {
    /// Does something, unless the connection is lost before, or the server refuses what was asked for.
    pub(super) async fn while_it_lasts<T>(
        &self,
        what: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        tokio::select! {
            done = what => done,
            () = self.ending.wait() => match self.ending.not_allowed.load(Relaxed) {
                true => Err(anyhow!("the server does not allow this user what it needs; docs/fleet.md lists that")),
                false => Err(anyhow!("the connection was lost")),
            },
        }
    }
}

impl Link {
    /// Connects, once.
    ///
    /// # Errors
    /// Why it cannot; the message names the server, what happened and what to do.
    pub(super) async fn connect(&self, name: &str) -> anyhow::Result<Connected> {
        let ending = Arc::<Ending>::default();
        let mut options = ConnectOptions::new()
            .name(name)
            .connection_timeout(TIMEOUT)
            .request_timeout(Some(TIMEOUT))
            .max_reconnects(1)
            .ignore_discovered_servers()
            .event_callback({
                let ending = Arc::clone(&ending);
                move |event| {
                    ending.on(&event);
                    std::future::ready(())
                }
            });
        // Whoever names an authority or a certificate is not content with a server without TLS.
        if self.address.tls || self.tls.is_some() {
            options = options.require_tls(true);
        }
        if let Some(config) = &self.tls {
            options = options.tls_client_config(config.clone());
        }
        options = match &self.secret {
            None => options,
            Some(Secret::Nkey(seed)) => options.nkey(seed.clone()),
            Some(Secret::Credentials(text)) => {
                let read = options.credentials(text);
                read.context("the file of credentials holds no JWT with its seed")?
            }
        };
        let connected = tokio::time::timeout(TIMEOUT, options.connect(self.address.server()));
        let client = match connected.await {
            Ok(connected) => connected.map_err(|why| self.explain(&why))?,
            Err(_) => return Err(anyhow!("{}: no answer within 5 s", self.address.server())),
        };
        let max_payload = client.max_payload();
        // As many as are ever in flight: the publisher has a limit of its own.
        let jetstream =
            ContextBuilder::new().timeout(TIMEOUT).max_ack_inflight(1 << 16).build(client);
        Ok(Connected { jetstream, ending, max_payload })
    }

    /// The same error, which says where it happened.
    pub(super) fn named(&self, why: anyhow::Error) -> anyhow::Error {
        match why.to_string().starts_with(&self.address.server()) {
            true => why,
            false => why.context(self.address.to_string()),
        }
    }

    fn explain(&self, why: &ConnectError) -> anyhow::Error {
        let server = self.address.server();
        let text = causes(why).to_ascii_lowercase();
        // What a handshake fails by comes as an error of the connection, too.
        let kind = match why.kind() {
            _ if HANDSHAKE.iter().any(|word| text.contains(word)) => ConnectErrorKind::Tls,
            kind => kind,
        };
        match kind {
            ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => anyhow!(
                "{server}: refuses who this is; give an nkey or credentials that the server knows"
            ),
            ConnectErrorKind::Tls => anyhow!(
                "{server}: no TLS that both sides accept: {}; name the authority of its certificate, or a certificate \
                 of this client's",
                causes(why)
            ),
            ConnectErrorKind::Dns => anyhow!("{server}: the name has no address"),
            ConnectErrorKind::TimedOut => anyhow!("{server}: no answer within 5 s"),
            _ => anyhow!("{server}: cannot be connected to: {}", causes(why)),
        }
    }
}

/// What led to an error, from the outside in.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let next = cause.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        source = cause.source();
    }
    text
}
