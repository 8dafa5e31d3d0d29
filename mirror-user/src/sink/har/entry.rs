//! An exchange as an entry.

use std::borrow::Cow;
use std::io;
use std::time::Duration;

use serde::Serialize;

use super::HarOptions;
use super::cookies::{self, Cookie};
use super::message::{Content, Pair, fields, parameters, version};
use crate::http::message::{Exchange, Head, Message, StartLine};
use crate::http::target::RequestTarget;
use crate::packet::Timestamp;
use crate::sink::jsonl::{rfc3339, text};
use crate::sink::url::Url;

/// One entry of the log.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry<'e> {
    #[serde(skip)]
    pub(super) at: Timestamp,
    started_date_time: String,
    time: f64,
    request: Request<'e>,
    response: Response<'e>,
    cache: Cache,
    timings: Timings,
    #[serde(rename = "serverIPAddress", skip_serializing_if = "Option::is_none")]
    server_ip_address: Option<String>,
    connection: String,
    #[serde(rename = "_client")]
    client: String,
    #[serde(rename = "_server")]
    server: String,
}

#[derive(Debug, Serialize)]
struct Cache {}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'e> {
    method: Cow<'e, str>,
    url: String,
    http_version: String,
    cookies: Vec<Cookie>,
    headers: Vec<Pair<'e>>,
    query_string: Vec<Pair<'e>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    post_data: Option<PostData>,
    headers_size: usize,
    body_size: u64,
    #[serde(rename = "_content", skip_serializing_if = "Option::is_none")]
    content: Option<Content>,
    #[serde(rename = "_requestBodyStatus", skip_serializing_if = "Option::is_none")]
    body_status: Option<&'static str>,
    #[serde(rename = "_target", skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(rename = "_incomplete", skip_serializing_if = "Option::is_none")]
    incomplete: Option<&'static str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PostData {
    mime_type: String,
    text: String,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'e> {
    status: u16,
    status_text: Cow<'e, str>,
    http_version: String,
    cookies: Vec<Cookie>,
    headers: Vec<Pair<'e>>,
    content: Content,
    #[serde(rename = "redirectURL")]
    redirect_url: Cow<'e, str>,
    headers_size: i64,
    body_size: i64,
    #[serde(rename = "_incomplete", skip_serializing_if = "Option::is_none")]
    incomplete: Option<&'static str>,
    /// As Chrome writes it for a request without a response.
    #[serde(rename = "_error", skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
}

/// Milliseconds.
#[derive(Debug, Serialize)]
struct Timings {
    send: f64,
    wait: f64,
    receive: f64,
}

impl<'e> Entry<'e> {
    /// The entry of an exchange; `None` without a request.
    ///
    /// # Errors
    /// If a spooled body cannot be read.
    pub(super) fn of(exchange: &'e Exchange, options: &HarOptions) -> io::Result<Option<Self>> {
        let Some(request) = exchange.request.as_deref() else { return Ok(None) };
        let response = exchange.response.as_deref();
        let peers = &exchange.peers;
        let timings = Timings::of(request, response);
        let ip = peers.server.ip();
        Ok(Some(Self {
            at: request.started,
            started_date_time: rfc3339(request.started),
            time: timings.send + timings.wait + timings.receive,
            request: Request::of(exchange, request, options)?,
            response: match response {
                Some(response) => Response::of(response, options)?,
                None => Response { error: Some("no response"), ..Response::none() },
            },
            cache: Cache {},
            timings,
            server_ip_address: (!ip.is_unspecified()).then(|| ip.to_string()),
            connection: exchange.id.connection.to_string(),
            client: peers.client.to_string(),
            server: peers.server.to_string(),
        }))
    }
}

impl Timings {
    fn of(request: &Message, response: Option<&Message>) -> Self {
        let ms = |span: Duration| span.as_nanos() as f64 / 1e6;
        let send = ms(request.finished.since(request.started));
        let Some(response) = response else { return Self { send, wait: 0.0, receive: 0.0 } };
        // A response may begin before its request has ended.
        let started = response.started.max(request.finished);
        Self {
            send,
            wait: ms(started.since(request.finished)),
            receive: ms(response.finished.since(started)),
        }
    }
}

impl<'e> Request<'e> {
    fn of(exchange: &Exchange, message: &'e Message, options: &HarOptions) -> io::Result<Self> {
        let head = &message.head;
        let Url { text: url, target, .. } = Url::of(exchange, head);
        let query = RequestTarget::parse(head.method(), head.target()).query();
        let mut request = Self {
            method: text(head.method()),
            url,
            http_version: version(head),
            cookies: cookies::sent(head),
            headers: fields(head),
            query_string: parameters(query),
            post_data: None,
            headers_size: head.raw.len(),
            body_size: message.body.length,
            content: None,
            body_status: None,
            target,
            incomplete: message.incomplete.map(Into::into),
        };
        if message.body.length == 0 {
            return Ok(request);
        }
        match Content::of(message, options.no_bodies)? {
            Content { text: Some(text), encoding: None, mime_type, .. } => {
                request.post_data = Some(PostData { mime_type, text });
            }
            content if content.text.is_some() => {
                request.content = Some(content);
                request.body_status = Some("discarded:not-representable");
            }
            _ => request.body_status = Some("discarded:too-large"),
        }
        Ok(request)
    }
}

impl<'e> Response<'e> {
    /// What HAR has in the place of a response that never came.
    fn none() -> Self {
        let content = Content { mime_type: "x-unknown".to_owned(), ..Content::default() };
        Self { content, headers_size: -1, body_size: -1, ..Self::default() }
    }

    fn of(message: &'e Message, options: &HarOptions) -> io::Result<Self> {
        let head: &Head = &message.head;
        let (status, reason) = match &head.start {
            StartLine::Status { code, reason, .. } => (*code, text(head.bytes(reason))),
            StartLine::Request { .. } => (0, Cow::Borrowed("")),
        };
        Ok(Self {
            status,
            status_text: reason,
            http_version: version(head),
            cookies: cookies::set(head),
            headers: fields(head),
            content: Content::of(message, options.no_bodies)?,
            redirect_url: head.field("location").map(text).unwrap_or_default(),
            headers_size: i64::try_from(head.raw.len()).unwrap_or(-1),
            body_size: i64::try_from(message.body.length).unwrap_or(-1),
            incomplete: message.incomplete.map(Into::into),
            error: None,
        })
    }
}
