//! A tower layer that runs every request in a database transaction, and rolls it back at the end
//! when the request is marked so.

use std::convert::Infallible;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio_postgres::{Client, Config, Error, NoTls};
use tower_layer::Layer;
use tower_service::Service;

/// What a request asks for. Handlers find it in the request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Do the work and keep it.
    Commit,
    /// Do the work, answer as if it were kept, and roll it back.
    Rollback,
}

/// A longer body with a mark in it is not read.
const MAX_BODY_BYTES: usize = 1 << 20;

impl Mode {
    /// By the header, or by `"meta": {"shadow": "rollback"}` in a JSON body, for what sends flags there. The handler reads the
    /// body, too.
    async fn of(request: Request) -> Result<(Self, Request), StatusCode> {
        let headers = request.headers();
        if headers.get("x-shadow-mode").is_some_and(|mode| mode == "rollback") {
            return Ok((Self::Rollback, request));
        }
        let media_type = headers.get("content-type").and_then(|value| value.to_str().ok());
        let essence = media_type.and_then(|value| value.split(';').next());
        if essence.map(str::trim) != Some("application/json") {
            return Ok((Self::Commit, request));
        }
        let (head, body) = request.into_parts();
        let body = axum::body::to_bytes(body, MAX_BODY_BYTES).await;
        let body = body.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
        let document: Value = serde_json::from_slice(&body).unwrap_or_default();
        let is_marked = document.pointer("/meta/shadow") == Some(&"rollback".into());
        let mode = if is_marked { Self::Rollback } else { Self::Commit };
        Ok((mode, Request::from_parts(head, body.into())))
    }
}

/// The transaction of a request. Handlers find it in the request's extensions.
///
/// Its connection belongs to this request alone. If the request is given up half-way, the
/// connection is dropped and the server rolls back. A service with a pool must see to that itself.
#[derive(Clone)]
pub(crate) struct Transaction(Arc<Client>);

impl Transaction {
    async fn begin(database: &Config, mode: Mode) -> Result<Self, Error> {
        let (client, connection) = database.connect(NoTls).await?;
        tokio::spawn(connection);
        client.batch_execute("BEGIN").await?;
        if mode == Mode::Rollback {
            // Seen by the trigger in orders.sql, the net below this layer.
            client.batch_execute("SET LOCAL shadow.synthetic = '1'").await?;
        }
        Ok(Self(Arc::new(client)))
    }

    async fn end(&self, mode: Mode, status: StatusCode) -> Result<(), Error> {
        let keep = mode == Mode::Commit && status.is_success();
        self.0.batch_execute(if keep { "COMMIT" } else { "ROLLBACK" }).await
    }

    /// The connection on which it runs.
    pub(crate) fn client(&self) -> &Client {
        &self.0
    }
}

/// Puts [`InTransaction`] around a service.
#[derive(Clone)]
pub(crate) struct TransactionLayer {
    database: Arc<Config>,
}

impl TransactionLayer {
    pub(crate) fn new(database: Config) -> Self {
        Self { database: Arc::new(database) }
    }
}

impl<S> Layer<S> for TransactionLayer {
    type Service = InTransaction<S>;

    fn layer(&self, inner: S) -> Self::Service {
        InTransaction { inner, database: Arc::clone(&self.database) }
    }
}

/// A service whose requests each run in a transaction.
#[derive(Clone)]
pub(crate) struct InTransaction<S> {
    inner: S,
    database: Arc<Config>,
}

impl<S> Service<Request> for InTransaction<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let database = Arc::clone(&self.database);
        // The one that was polled ready goes on; its clone waits for the next request.
        let next = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, next);
        Box::pin(async move {
            let (mode, mut request) = match Mode::of(request).await {
                Ok(request) => request,
                Err(status) => return Ok(status.into_response()),
            };
            let transaction = match Transaction::begin(&database, mode).await {
                Ok(transaction) => transaction,
                Err(error) => return Ok(unavailable(&error)),
            };
            request.extensions_mut().insert(mode);
            request.extensions_mut().insert(transaction.clone());
            let response = inner.call(request).await?;
            // The answer leaves when the transaction is over, so that it never says too much.
            match transaction.end(mode, response.status()).await {
                Ok(()) => Ok(response),
                Err(error) => Ok(unavailable(&error)),
            }
        })
    }
}

fn unavailable(error: &Error) -> Response {
    eprintln!("database: {error}");
    StatusCode::SERVICE_UNAVAILABLE.into_response()
}
