//! The connection to a collector: one for each export request, by the dialer of targets, so that its socket is known as
//! mirror's own and a captured address is never sent to.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, anyhow};
use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use opentelemetry_http::{HttpClient, HttpError};
use tokio::runtime::Runtime;

use crate::sink::replay::{Dialer, Target};

/// The longest response that is read, in bytes. A collector's own have a few.
const MAX_RESPONSE: usize = 64 * 1024;

/// Sends export requests.
pub(super) struct Collector {
    link: Mutex<Link>,
    authority: String,
    /// Of a whole request.
    timeout: Duration,
}

struct Link {
    runtime: Runtime,
    dialer: Dialer,
}

impl Collector {
    pub(super) fn new(target: Target, timeout: Duration) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let authority = target.authority().to_owned();
        Ok(Self {
            link: Mutex::new(Link { runtime, dialer: Dialer::new(target) }),
            authority,
            timeout,
        })
    }

    fn send(&self, request: Request<Bytes>) -> anyhow::Result<Response<Bytes>> {
        let Link { runtime, dialer } = &*self.link.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = runtime.block_on(async {
            tokio::time::timeout(self.timeout, exchange(dialer, self.timeout, request)).await
        });
        let sent = sent.map_err(|_| anyhow!("no response within {} s", self.timeout.as_secs()));
        sent.flatten().with_context(|| self.authority.clone())
    }
}

/// One request and its response on a connection of their own.
async fn exchange(
    dialer: &Dialer,
    timeout: Duration,
    mut request: Request<Bytes>,
) -> anyhow::Result<Response<Bytes>> {
    let stream = dialer.connect(0, timeout).await;
    let stream = stream.map_err(|why| anyhow!("{}", <&str>::from(why)))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends with the response, or with the request that is given up.
    let connection = tokio::spawn(connection);
    let host = request.uri().authority().context("the collector's URL has no host")?;
    let host = HeaderValue::from_str(host.as_str())?;
    request.headers_mut().insert(HOST, host);
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse::<Uri>()?;
    let (head, body) = sender.send_request(request.map(Full::new)).await?.into_parts();
    let body = Limited::new(body, MAX_RESPONSE).collect().await;
    let body = body.map_err(|error| anyhow!("its response: {error}"))?.to_bytes();
    connection.abort();
    Ok(Response::from_parts(head, body))
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        Ok(self.send(request).map_err(|error| format!("{error:#}"))?)
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").field("authority", &self.authority).finish_non_exhaustive()
    }
}
