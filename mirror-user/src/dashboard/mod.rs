//! The dashboard of `mirror compare`: a page in a browser that shows a comparison while it goes on, and afterwards.
//!
//! In come requests of browsers; out go one page of plain modules and CSS, which is compiled in and asks nobody else,
//! and JSON that is made of the comparison at that moment. It has a thread of its own with an event loop. A comparison is
//! locked for as long as it takes to copy one endpoint; what that means is worked out from the copy. All that it shows
//! has been through the rules: a comparison knows nothing else.
//!
//! | route | answer |
//! |---|---|
//! | `/`, `/app.js`, … | the page |
//! | `/api/v1/overview` | the endpoints, and what the capture saw and dropped |
//! | `/api/v1/endpoints/{id}` | one endpoint with its fields and times |
//! | `/api/v1/endpoints/{id}/fields/{path}/{class}` | one field with its sample pairs, and the rule that ignores it |
//! | `/api/v1/endpoints/{id}/fields/{path}/{class}/pairs` | the last stored pairs in which it differs |
//! | `/api/v1/pairs/{place}` | both sides of a stored pair |
//! | `/api/v1/requests` | the last pairs, those without a difference, too |
//! | `/api/v1/requests/{id}` | both sides of one pair |
//! | `/api/v1/rules` | what is forgiven, why, and how often |
//! | `/api/v1/events` | server-sent events: there is something new |
//! | `POST /api/v1/reset` | counts from zero |
//! | `POST /api/v1/ignore/{endpoint}/{path}/{class}` | judges anew what is stored, with a rule that ignores a field |
//! | `POST /api/v1/range/{from}/{to}` | judges anew what is stored of a part of the time: seconds since 1970, or `-` |
//! | `POST /api/v1/live` | shows the run's own comparison again |
//!
//! With `--diffy-compatible`, the routes of Diffy's API below `/api/1/` are answered, too.
//!
//! It refuses other routes and methods, requests without the token where there is one, hosts that are names where there
//! is none, and requests that another site's page makes. A connection carries one request. It is closed when that takes
//! too long, so that a browser that never reads costs a descriptor and a few KiB for some seconds.

mod access;
mod events;
mod judgement;
mod page;
mod requests;
mod routes;
mod rule;
mod serve;
mod trend;
mod view;
mod watched;

use std::net::SocketAddr;
use std::sync::Arc;

use self::routes::Routes;
use self::view::View;
pub use self::watched::Watched;
use crate::admin::Access;
use crate::listener::{self, Listener};
use crate::logging::emit;

/// How the dashboard is served.
pub struct Options {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Who may ask.
    pub access: Access,
}

/// A dashboard that listens and does not answer yet: connections wait.
pub struct Dashboard {
    listener: Listener,
    access: Access,
}

/// A dashboard that answers, until this is dropped.
pub struct Serving {
    address: SocketAddr,
    _serving: listener::Serving,
}

impl Dashboard {
    /// Takes the port.
    ///
    /// # Errors
    /// If it is taken, or may not be used.
    pub fn bind(options: Options) -> anyhow::Result<Self> {
        let Options { listen, access } = options;
        let listener = Listener::bind("--dashboard", listen)?;
        Ok(Self { listener, access })
    }

    /// Answers, on a thread of its own. Call it once this thread is confined.
    ///
    /// # Errors
    /// If no thread could be started.
    pub fn serve(self, watched: Arc<Watched>) -> anyhow::Result<Serving> {
        let Self { listener, access } = self;
        let address = listener.address();
        let handler = move || {
            let routes = Routes::new(access, View::new(watched));
            async move |stream| serve::connection(stream, &routes).await
        };
        let serving = listener.serve("dashboard", serve::MAX_CONNECTIONS, handler, |error| {
            emit!(DashboardFailed, "dashboard: {error:#}");
        })?;
        emit!(DashboardListening, address = %address, "dashboard: http://{address}/");
        Ok(Serving { address, _serving: serving })
    }
}

/// Answers a request as the dashboard does, without a connection: the status and what is in the answer. For those who
/// try any request.
pub async fn answer(
    watched: Arc<Watched>,
    access: Access,
    method: &str,
    path: &str,
    query: &str,
) -> (u16, bytes::Bytes) {
    let routes = Routes::new(access, View::new(watched));
    let asker = access::Asker { host: Some("localhost"), ..access::Asker::default() };
    let reply = routes.answer(routes::Asked { method, path, query, asker }).await;
    match reply.content {
        routes::Content::Text(_, text) => (reply.status, text),
        routes::Content::Events(_) => (reply.status, bytes::Bytes::new()),
    }
}

impl Serving {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
