//! The admin endpoint: metrics for Prometheus, health for an orchestrator, and the summary and the
//! configuration for an operator, by HTTP.
//!
//! In come requests of scrapers and probes; out go answers that are made of [`Figures`](crate::metrics::Figures) at that moment.
//! It has a thread of its own with an event loop, and nothing that captures or sends waits for it: the
//! pipeline gives its counters between two packets, when it was asked. The thread keeps no capability,
//! and Landlock's rules hold for it.
//!
//! | route | answer |
//! |---|---|
//! | `/metrics` | all metrics, as Prometheus text, or as OpenMetrics if `Accept` names that |
//! | `/livez` | 200 while this thread answers |
//! | `/readyz` | 200, or 503 with the reasons, one a line |
//! | `/debug/summary` | the summary so far, as `--json` prints it |
//! | `/debug/config` | the configuration in effect, without secrets |
//!
//! It refuses other routes and methods, requests without the token where there is one, and hosts that
//! are names where there is none. A connection carries one request, and is closed when that takes too
//! long, so a client that never reads or never writes costs a descriptor and a few KiB for some seconds.

mod access;
mod routes;
mod serve;
mod tls;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

pub use self::access::Access;
use self::routes::Routes;
pub use self::tls::ServerTls;
use crate::listener::{self, Listener};
use crate::logging::emit;
use crate::metrics::Sources;

/// How the endpoint is served.
pub struct Options {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Who may ask.
    pub access: Access,
    /// HTTPS in place of HTTP.
    pub tls: Option<ServerTls>,
    /// The configuration in effect, without secrets.
    pub config: ConfigText,
}

/// The configuration in effect, as text without secrets. A cheap handle: whoever changes the
/// configuration sets it.
#[derive(Clone, Debug, Default)]
pub struct ConfigText(Arc<Mutex<String>>);

impl ConfigText {
    /// Another configuration is in effect.
    pub fn set(&self, text: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = text;
    }

    fn get(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// An endpoint that listens and does not answer yet: connections wait.
pub struct Admin {
    listener: Listener,
    options: Options,
}

/// An endpoint that answers, until this is dropped.
pub struct Serving {
    _serving: listener::Serving,
}

impl Admin {
    /// Takes the port.
    ///
    /// # Errors
    /// If it is taken, or may not be used.
    pub fn bind(options: Options) -> anyhow::Result<Self> {
        let listener = Listener::bind("admin", options.listen)?;
        Ok(Self { listener, options })
    }

    /// Answers, on a thread of its own. Call it once this thread is confined and before the first
    /// packet is read.
    ///
    /// # Errors
    /// If no thread could be started.
    pub fn serve(self, sources: Sources) -> anyhow::Result<Serving> {
        let Self { listener, options: Options { access, tls, config, .. } } = self;
        let address = listener.address();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let routes = Routes::new(access, config, sources);
        let handler =
            move || async move |stream| serve::connection(stream, tls.as_ref(), &routes).await;
        let serving = listener.serve("admin", serve::MAX_CONNECTIONS, handler, |error| {
            emit!(AdminFailed, "admin: {error:#}");
        })?;
        emit!(
            AdminListening,
            address = %address,
            "admin: {scheme}://{address}/metrics, /livez, /readyz, /debug/summary, /debug/config"
        );
        Ok(Serving { _serving: serving })
    }
}
