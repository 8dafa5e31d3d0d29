//! HTTP/1 for the dashboard. The only file, beside the body of `events`, that names `hyper`.

use std::cell::Cell;
use std::convert::Infallible;
use std::net::TcpListener;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderName,
    HeaderValue, ORIGIN, REFERRER_POLICY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{sleep, timeout};

use super::access::Asker;
use super::events::{Events, LONGEST};
use super::routes::{Asked, Content, Reply, Routes};

/// Connections at the same time; others wait in the kernel's queue. A browser opens six.
const MAX_CONNECTIONS: usize = 32;

/// For the head of a request to arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// For a whole connection, other than a stream of events.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(20);

/// The longest head of a request: a token of the largest size, and the longest path.
const MAX_HEAD_BYTES: usize = 32 * 1024;

/// After a connection could not be accepted, as where no descriptor is left.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// The page loads nothing that this server does not serve, runs no inline script, and stands in no other page.
const POLICY: &str =
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Answers until `ended`.
///
/// # Errors
/// If no event loop can be started.
pub(super) fn run(
    listener: TcpListener,
    routes: Routes,
    ended: oneshot::Receiver<()>,
) -> anyhow::Result<()> {
    let runtime = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build_local(LocalOptions::default())
        .context("no event loop could be started")?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)
            .context("the socket cannot be waited for")?;
        tokio::select! {
            () = accept(&listener, Rc::new(routes)) => {}
            _ = ended => {}
        }
        Ok(())
    })
}

/// Accepts connections for ever.
async fn accept(listener: &tokio::net::TcpListener, routes: Rc<Routes>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // The semaphore is never closed.
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(ACCEPT_RETRY).await;
            continue;
        };
        let routes = Rc::clone(&routes);
        tokio::task::spawn_local(async move {
            connection(stream, &routes).await;
            drop(place);
        });
    }
}

/// Answers one request. Whoever breaks off or takes too long has seen enough.
async fn connection(stream: TcpStream, routes: &Routes) {
    let is_stream = Cell::new(false);
    let service = service_fn(async |request: Request<Incoming>| {
        let header =
            |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
        let asked = Asked {
            method: request.method().as_str(),
            path: request.uri().path(),
            asker: Asker {
                authorization: request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes),
                host: header(HOST),
                origin: header(ORIGIN),
                site: header(HeaderName::from_static("sec-fetch-site")),
            },
        };
        let reply = routes.answer(asked).await;
        is_stream.set(matches!(reply.content, Content::Events(_)));
        Ok::<_, Infallible>(response(reply))
    });
    let mut served = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(MAX_HEAD_BYTES)
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service)
    );
    if timeout(CONNECTION_TIMEOUT, served.as_mut()).await.is_err() && is_stream.get() {
        let _ = timeout(LONGEST, served).await;
    }
}

fn response(reply: Reply) -> Response<Either<Full<Bytes>, Events>> {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let (content_type, body) = match reply.content {
        Content::Text(content_type, text) => (content_type, Either::Left(Full::from(text))),
        Content::Events(events) => ("text/event-stream", Either::Right(events)),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let fields = [
        (CONTENT_TYPE, content_type),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    let headers = response.headers_mut();
    for (name, value) in fields {
        headers.insert(name, HeaderValue::from_static(value));
    }
    match status {
        StatusCode::UNAUTHORIZED => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            headers.insert(ALLOW, HeaderValue::from_static(reply.allow));
        }
        _ => {}
    }
    response
}
