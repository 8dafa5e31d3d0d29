//! The admin endpoint's connections: a request becomes a question for the routes, a reply becomes a response.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderName};
use hyper::header::{HeaderValue, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::routes::{Asked, Reply, Routes};
use super::tls::ServerTls;
use crate::listener;
use crate::metrics::RequestsRefused;

/// Connections at the same time; others wait in the kernel's queue. A scraper, a kubelet and an
/// operator need three.
pub(super) const MAX_CONNECTIONS: usize = 16;

/// For a whole connection: as long as Prometheus waits for a scrape by default.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest head of a request: twice a token of the largest size.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// Answers one request, and counts why another was not.
pub(super) async fn connection(stream: TcpStream, tls: Option<&ServerTls>, routes: &Routes) {
    let served = timeout(CONNECTION_TIMEOUT, secured(stream, tls, routes)).await;
    if let Err(why) = served.unwrap_or(Err(RequestsRefused::Timeout)) {
        routes.refuse(why);
    }
}

async fn secured(
    stream: TcpStream,
    tls: Option<&ServerTls>,
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
    listener::one_request(MAX_HEAD_BYTES)
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
