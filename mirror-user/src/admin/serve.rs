//! HTTP/1 for the admin endpoint. The only file that names `hyper`.

use std::convert::Infallible;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderName};
use hyper::header::{HeaderValue, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{sleep, timeout};

use super::routes::{Asked, Reply, Routes};
use super::tls::ServerTls;
use crate::metrics::RequestsRefused;

/// Connections at the same time; others wait in the kernel's queue. A scraper, a kubelet and an
/// operator need three.
const MAX_CONNECTIONS: usize = 16;

/// For the head of a request to arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// For a whole connection: as long as Prometheus waits for a scrape by default.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest head of a request: twice a token of the largest size.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// After a connection could not be accepted, as where no descriptor is left.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Answers until `ended`.
///
/// # Errors
/// If no event loop can be started.
pub(super) fn run(
    listener: TcpListener,
    tls: Option<ServerTls>,
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
        let (tls, routes) = (tls.map(Rc::new), Rc::new(routes));
        tokio::select! {
            () = accept(&listener, tls, routes) => {}
            _ = ended => {}
        }
        Ok(())
    })
}

/// Accepts connections for ever.
async fn accept(
    listener: &tokio::net::TcpListener,
    tls: Option<Rc<ServerTls>>,
    routes: Rc<Routes>,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // The semaphore is never closed.
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(ACCEPT_RETRY).await;
            continue;
        };
        let (tls, routes) = (tls.clone(), Rc::clone(&routes));
        tokio::task::spawn_local(async move {
            let served = timeout(CONNECTION_TIMEOUT, connection(stream, tls, &routes)).await;
            if let Err(why) = served.unwrap_or(Err(RequestsRefused::Timeout)) {
                routes.refuse(why);
            }
            drop(place);
        });
    }
}

async fn connection(
    stream: TcpStream,
    tls: Option<Rc<ServerTls>>,
    routes: &Routes,
) -> Result<(), RequestsRefused> {
    match tls {
        None => serve(stream, routes).await,
        Some(tls) => {
            let stream = tls.accept(stream).await.map_err(|_| RequestsRefused::Handshake)?;
            serve(stream, routes).await
        }
    }
}

/// Answers one request.
async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    routes: &Routes,
) -> Result<(), RequestsRefused> {
    let service = service_fn(async |request: Request<Incoming>| {
        let header =
            |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
        let asked = Asked {
            method: request.method().as_str(),
            path: request.uri().path(),
            host: header(HOST),
            authorization: request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes),
            accept: header(ACCEPT).unwrap_or_default(),
        };
        Ok::<_, Infallible>(response(routes.answer(asked).await))
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await
        .map_err(|error| match error.is_timeout() {
            true => RequestsRefused::Timeout,
            false => RequestsRefused::Broken,
        })
}

fn response(reply: Reply) -> Response<Full<Bytes>> {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = Response::new(Full::from(reply.body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    match status {
        StatusCode::UNAUTHORIZED => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        _ => {}
    }
    response
}
