//! Messages as the comparison takes them.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use mirror_compare::comparison::Pair as Compared;
use mirror_compare::lift::Content;
use mirror_compare::limits::Limits;
use mirror_compare::pair::{Answer, Failure, Request, Response};
use mirror_compare::report::Finding;

use super::Shared;
use crate::http::message::{Body, Exchange, HeaderLine, Incomplete, Kept, Message};
use crate::rules::pair::ClearedPair;
use crate::sink::replay::ShadowResponse;

/// A pair, with its bodies read.
pub(super) struct Pair<'p> {
    id: String,
    request: &'p Message,
    body: Vec<u8>,
    production: Side<'p>,
    candidate: Result<Side<'p>, Failure>,
    control: Option<Result<Side<'p>, Failure>>,
}

/// A response and how long it took.
struct Side<'p> {
    message: &'p Message,
    content: Content<'static>,
    latency_us: u64,
}

impl<'p> Side<'p> {
    fn new(request: &Message, message: &'p Message) -> Self {
        Self::timed(message, message.finished.since(request.started))
    }

    fn timed(message: &'p Message, took: Duration) -> Self {
        let latency_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        Self { message, content: content(&message.body), latency_us }
    }

    fn response(&self) -> Response<'_> {
        let head = &self.message.head;
        let body = &self.message.body;
        Response {
            status: head.status().unwrap_or_default(),
            fields: head.fields().collect(),
            trailers: body.trailers.iter().map(|line| trailer(&body.trailer_bytes, line)).collect(),
            content: self.content.borrowed(),
            at: i64::try_from(self.message.started.as_nanos()).ok(),
            latency_us: Some(self.latency_us),
        }
    }
}

impl<'p> Pair<'p> {
    /// Of two recordings; `candidate` is the other exchange. `None` if one has no request or response.
    pub(super) fn of_recordings(pair: &'p ClearedPair, candidate: &'p Exchange) -> Option<Self> {
        let exchange = pair.production();
        let response = pair.candidate()?;
        let candidate = match response.incomplete {
            Some(Incomplete::Reset) => Err(Failure::Reset),
            Some(_) => Err(Failure::Closed),
            None => Ok(Side::new(candidate.request.as_deref()?, response)),
        };
        Self::new(exchange, candidate, None)
    }

    /// Of an exchange and what its targets did; `None` if it has no request or response.
    pub(super) fn of_live(
        pair: &'p ClearedPair,
        candidate: Option<&Result<ShadowResponse, Failure>>,
        control: Option<&Result<ShadowResponse, Failure>>,
    ) -> Option<Self> {
        let side = |message: Option<&'p Message>, told: &Result<ShadowResponse, Failure>| match told
        {
            Ok(response) => Some(Ok(Side::timed(message?, response.service_time))),
            Err(failure) => Some(Err(*failure)),
        };
        let candidate = side(pair.candidate(), candidate?)?;
        let control = control.and_then(|told| side(pair.control(), told));
        Self::new(pair.production(), candidate, control)
    }

    fn new(
        exchange: &'p Exchange,
        candidate: Result<Side<'p>, Failure>,
        control: Option<Result<Side<'p>, Failure>>,
    ) -> Option<Self> {
        let request = exchange.request.as_deref()?;
        let body = match content(&request.body) {
            Content::Bytes(bytes) => bytes.into_owned(),
            _ => Vec::new(),
        };
        let production = Side::new(request, exchange.response.as_deref()?);
        Some(Self { id: exchange.id.to_string(), request, body, production, candidate, control })
    }

    /// Compares it.
    pub(super) fn compare(&self, comparison: &Shared) -> Arc<Finding> {
        let head = &self.request.head;
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let (method, target) = (text(head.method()), text(head.target()));
        let fields: Vec<_> = head.fields().collect();
        comparison.push(&Compared {
            id: self.id.as_str().into(),
            request: Request {
                method: &method,
                target: &target,
                fields: &fields,
                body: &self.body,
            },
            production: self.production.response(),
            candidate: answer(&self.candidate),
            control: self.control.as_ref().map(answer),
            again: None,
        })
    }
}

fn answer<'s>(side: &'s Result<Side<'_>, Failure>) -> Answer<'s> {
    match side {
        Ok(side) => Answer::Response(side.response()),
        Err(failure) => Answer::Failed(*failure),
    }
}

/// The content, up to the bytes that a comparison reads.
fn content(body: &Body) -> Content<'static> {
    if let Kept::Withheld(why) = body.wire {
        return Content::Unknown(why);
    }
    let digest = Content::Digest(body.length, body.sha256);
    let Some(content) = body.content() else { return digest };
    let most = Limits::default().body_bytes as u64;
    let mut bytes = Vec::new();
    match content.take(most + 1).read_to_end(&mut bytes) {
        Ok(read) if read as u64 > most => digest,
        Ok(_) => Content::Bytes(bytes.into()),
        Err(_) => Content::Unknown("bad_chunks"),
    }
}

fn trailer<'b>(bytes: &'b [u8], line: &HeaderLine) -> (&'b [u8], &'b [u8]) {
    let part = |range: &std::ops::Range<u32>| {
        bytes.get(range.start as usize..range.end as usize).unwrap_or_default()
    };
    (part(&line.name), part(&line.value))
}
