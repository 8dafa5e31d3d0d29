//! The dashboard's connections: a request becomes a question for the routes, a reply becomes a response.

use std::cell::Cell;
use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderName,
    HeaderValue, ORIGIN, REFERRER_POLICY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::access::Asker;
use super::events::{Events, LONGEST};
use super::routes::{Asked, Content, Reply, Routes};
use crate::listener;

/// Connections at the same time; others wait in the kernel's queue. A browser opens six.
pub(super) const MAX_CONNECTIONS: usize = 32;

/// For a whole connection, other than a stream of events.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(20);

/// The longest head of a request: a token of the largest size, and the longest path.
const MAX_HEAD_BYTES: usize = 32 * 1024;

/// The page loads nothing that this server does not serve, runs no inline script, and stands in no other page.
const POLICY: &str =
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Answers one request. Whoever breaks off or takes too long has seen enough.
pub(super) async fn connection(stream: TcpStream, routes: &Routes) {
    let is_stream = Cell::new(false);
    let service = service_fn(async |request: Request<Incoming>| {
        let header =
            |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
        let asked = Asked {
            method: request.method().as_str(),
            path: request.uri().path(),
            query: request.uri().query().unwrap_or_default(),
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
    let mut served =
        pin!(listener::one_request(MAX_HEAD_BYTES).serve_connection(TokioIo::new(stream), service));
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
