//! Messages as the comparison takes them.

use std::borrow::Cow;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use mirror_compare::comparison::Pair as Compared;
use mirror_compare::lift::Content;
use mirror_compare::limits::Limits;
use mirror_compare::pair::{Answer, Failure, Request, Response};
use mirror_compare::report::Finding;

use super::Shared;
use super::meeting::Told;
use crate::http::message::{Body, BodyLength, Exchange, HeaderLine, Incomplete, Kept, Message};
use crate::rules::pair::ClearedPair;

/// Bytes that an exchange takes beside its heads and bodies, about.
const OVERHEAD: usize = 1_024;

/// Bytes of a keyed digest that tell two bodies apart which redaction withheld.
const SHOWN_DIGEST: usize = 8;

/// A pair, with its bodies read.
pub(super) struct Pair<'p> {
    id: String,
    request: &'p Message,
    body: Cow<'p, [u8]>,
    production: Side<'p>,
    candidate: Answered<'p>,
    control: Option<Answered<'p>>,
    again: Option<Answered<'p>>,
}

/// What a side did.
type Answered<'p> = Result<Side<'p>, Failure>;

/// What the targets did with a shadow.
#[derive(Clone, Copy)]
pub(super) struct Live<'t> {
    pub(super) candidate: &'t Told,
    pub(super) control: &'t Told,
    pub(super) again: &'t Told,
}

/// A response and how long it took.
struct Side<'p> {
    message: &'p Message,
    content: Content<'p>,
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
        Self::new(exchange, [Some(candidate), None, None])
    }

    /// Of an exchange and what its targets did; `None` if it has no request or response.
    pub(super) fn of_live(pair: &'p ClearedPair, live: Live<'_>) -> Option<Self> {
        let side = |message: Option<&'p Message>, told: &Told| match told.as_ref()? {
            Ok(response) => Some(Ok(Side::timed(message?, response.service_time))),
            Err(failure) => Some(Err(*failure)),
        };
        let sides = [
            side(pair.candidate(), live.candidate),
            side(pair.control(), live.control),
            side(pair.again(), live.again),
        ];
        Self::new(pair.production(), sides)
    }

    /// The candidate, the control, and the candidate again.
    fn new(exchange: &'p Exchange, sides: [Option<Answered<'p>>; 3]) -> Option<Self> {
        let [candidate, control, again] = sides;
        let candidate = candidate?;
        let request = exchange.request.as_deref()?;
        let body = match content(&request.body) {
            Content::Bytes(bytes) => bytes,
            _ => Cow::default(),
        };
        let production = Side::new(request, exchange.response.as_deref()?);
        let id = exchange.id.to_string();
        Some(Self { id, request, body, production, candidate, control, again })
    }

    /// Compares it, and keeps it; `None` if another comparison has begun.
    pub(super) fn compare(&self, comparison: &Shared) -> Option<Arc<Finding>> {
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
            again: self.again.as_ref().map(answer),
        })
    }
}

fn answer<'s>(side: &'s Answered<'_>) -> Answer<'s> {
    match side {
        Ok(side) => Answer::Response(side.response()),
        Err(failure) => Answer::Failed(*failure),
    }
}

/// Bytes that the messages of an exchange take, about.
pub(super) fn memory(exchange: &Exchange) -> usize {
    let messages = [&exchange.request, &exchange.response].into_iter().flatten();
    messages.map(|message| memory_of(message)).sum::<usize>().saturating_add(OVERHEAD)
}

/// Bytes that a message takes, about.
pub(super) fn memory_of(message: &Message) -> usize {
    let body = match &message.body.wire {
        Kept::Memory(bytes) => bytes.len(),
        _ => 0,
    };
    message.head.raw.len().saturating_add(body)
}

/// The content, up to the bytes that a comparison reads.
fn content(body: &Body) -> Content<'_> {
    let most = Limits::default().body_bytes as u64;
    if let Kept::Memory(bytes) = &body.wire
        && body.framing != BodyLength::Chunked
        && bytes.len() as u64 <= most
    {
        return Content::Bytes(Cow::Borrowed(bytes));
    }
    if let Kept::Withheld(why) = body.wire {
        let keyed = body.keyed.iter().flatten().take(SHOWN_DIGEST);
        let keyed: String = keyed.map(|byte| format!("{byte:02x}")).collect();
        return Content::Unknown(format!("{why}, digest {keyed}").into());
    }
    let digest =
        || Content::Digest(body.length, body.sha256.or(body.keyed).or_else(|| body.digest()));
    let Some(content) = body.content() else { return digest() };
    let mut bytes = Vec::new();
    match content.take(most + 1).read_to_end(&mut bytes) {
        Ok(read) if read as u64 > most => digest(),
        Ok(_) => Content::Bytes(bytes.into()),
        Err(_) => Content::Unknown("bad_chunks".into()),
    }
}

fn trailer<'b>(bytes: &'b [u8], line: &HeaderLine) -> (&'b [u8], &'b [u8]) {
    let part = |range: &std::ops::Range<u32>| {
        bytes.get(range.start as usize..range.end as usize).unwrap_or_default()
    };
    (part(&line.name), part(&line.value))
}
