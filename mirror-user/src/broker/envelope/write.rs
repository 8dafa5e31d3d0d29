//! Makes envelopes of cleared exchanges, part by part, so that a body on disk is never in memory as a whole.

use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use enum_map::Enum;
use strum::IntoStaticStr;

use super::{MAX_HEAD_BYTES, MAX_NAME_BYTES, MAX_PARTS, Report, VERSION, proto};
use crate::http::message::{Body, BodyLength, Kept, Message, Moment};
use crate::rules::Cleared;

/// Why a cleared request is not published: "it was …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum NotPublishable {
    /// Not captured completely.
    Incomplete,
    /// Larger in its body than the limit.
    BodyTooLarge,
    /// Captured without its body, or its body could not be read again.
    BodyNotKept,
    /// Not parseable where it had to be redacted; the rules count why.
    Unredactable,
    /// Longer in its head than [`MAX_HEAD_BYTES`].
    HeadTooLarge,
}

/// The numbers of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// As [`Envelope::sequence`](super::Envelope::sequence).
    pub sequence: u64,
    /// As [`Envelope::place`](super::Envelope::place), of the first part.
    pub place: u64,
}

/// Makes the envelopes of one run.
#[derive(Clone, Debug)]
pub struct Writer {
    run: Bytes,
    host: Bytes,
    responses: bool,
    /// Bytes of body in one message.
    part: usize,
}

/// What may be published: a request, or the response to one that was published.
#[derive(Clone, Debug)]
pub struct Outgoing {
    cleared: Cleared,
    message: Arc<Message>,
}

impl Outgoing {
    /// The request of a cleared exchange.
    ///
    /// # Errors
    /// The reason why it cannot be published.
    pub fn request(cleared: &Cleared) -> Result<Self, NotPublishable> {
        let request = cleared.exchange().request.as_ref().ok_or(NotPublishable::Incomplete)?;
        if request.incomplete.is_some() {
            return Err(NotPublishable::Incomplete);
        }
        if request.head.raw.len() > MAX_HEAD_BYTES {
            return Err(NotPublishable::HeadTooLarge);
        }
        match request.body.wire {
            Kept::TooLarge => return Err(NotPublishable::BodyTooLarge),
            Kept::Withheld(_) => return Err(NotPublishable::Unredactable),
            Kept::Nothing if request.body.length > 0 => return Err(NotPublishable::BodyNotKept),
            Kept::Nothing | Kept::Memory(_) | Kept::File(_) => {}
        }
        Ok(Self { cleared: cleared.clone(), message: Arc::clone(request) })
    }

    /// The response of one that has ended; `None` where there is none, or not the whole head.
    #[must_use]
    pub fn response(cleared: &Cleared) -> Option<Self> {
        let exchange = cleared.exchange();
        let response = exchange.response.as_ref().filter(|_| exchange.moment == Moment::Ended)?;
        let is_whole = response.incomplete.is_none() && !response.head.raw.is_empty();
        let fits = response.head.raw.len() <= MAX_HEAD_BYTES;
        (is_whole && fits).then(|| Self { cleared: cleared.clone(), message: Arc::clone(response) })
    }

    /// Bytes that it holds in memory while it waits.
    #[must_use]
    pub fn memory(&self) -> usize {
        let body = match &self.message.body.wire {
            Kept::Memory(bytes) => bytes.len(),
            _ => 0,
        };
        size_of::<Self>() + self.message.head.raw.len() + body
    }

    /// The exchange that it is of.
    #[must_use]
    pub fn cleared(&self) -> &Cleared {
        &self.cleared
    }

    /// True for a response.
    #[must_use]
    pub fn is_response(&self) -> bool {
        self.message.head.status().is_some()
    }
}

impl Writer {
    /// For messages of at most `limit` bytes, as the broker takes them. `responses`: those follow.
    #[must_use]
    pub fn new(run: &str, host: &str, responses: bool, limit: usize) -> Self {
        let name = |text: &str| {
            let graphic = text.bytes().filter(u8::is_ascii_graphic);
            graphic.take(MAX_NAME_BYTES).collect::<Vec<_>>().into()
        };
        // Names, numbers and addresses take less than 1 KiB; a head at most what one may have.
        let part = limit.saturating_sub(MAX_HEAD_BYTES + 1024).max(16 * 1024);
        Self { run: name(run), host: name(host), responses, part }
    }

    /// How many messages it takes.
    ///
    /// # Errors
    /// If that is more than [`MAX_PARTS`].
    pub fn parts(&self, outgoing: &Outgoing) -> Result<u32, NotPublishable> {
        let parts = wire_length(&outgoing.message.body).div_ceil(self.part as u64).max(1);
        let parts = u32::try_from(parts).ok().filter(|parts| *parts <= MAX_PARTS);
        parts.ok_or(NotPublishable::BodyTooLarge)
    }

    /// The message of one part.
    ///
    /// # Errors
    /// If a body on disk cannot be read.
    pub fn part(&self, outgoing: &Outgoing, at: Place, part: u32) -> Result<Bytes, NotPublishable> {
        let parts = self.parts(outgoing)?;
        let body = self.body(&outgoing.message.body, part)?;
        let message = match part {
            0 => first(&outgoing.message, body),
            _ => proto::Message { size: size(&body), body, ..proto::Message::default() },
        };
        let content = match (outgoing.is_response(), part) {
            (true, _) => proto::Content::Response(message),
            (false, 0) => proto::Content::Request(self.request(&outgoing.cleared, message)),
            (false, _) => {
                let message = Some(message);
                proto::Content::Request(proto::Request { message, ..proto::Request::default() })
            }
        };
        let envelope = proto::Envelope {
            version: VERSION,
            run: self.run.clone(),
            host: self.host.clone(),
            sequence: at.sequence,
            place: at.place.saturating_add(u64::from(part)),
            part,
            parts,
            content: Some(content),
        };
        Ok(envelope.encode())
    }

    fn request(&self, cleared: &Cleared, message: proto::Message) -> proto::Request {
        let exchange = cleared.exchange();
        let text = |address: &dyn ToString| Bytes::from(address.to_string());
        let peers = &exchange.peers;
        let proxied_client = exchange.proxied_client.as_ref().map(|client| text(client));
        proto::Request {
            connection: Some(proto::Connection {
                number: exchange.id.connection.number(),
                client: text(&peers.client),
                server: text(&peers.server),
                proxied_client: proxied_client.unwrap_or_default(),
            }),
            index: exchange.id.index,
            response_follows: self.responses,
            redacted: cleared.is_redacted(),
            message: Some(message),
        }
    }

    /// The bytes of one part.
    fn body(&self, body: &Body, part: u32) -> Result<Bytes, NotPublishable> {
        let from = u64::from(part).saturating_mul(self.part as u64);
        let length = wire_length(body).saturating_sub(from).min(self.part as u64);
        let unread = NotPublishable::BodyNotKept;
        let (at, length) = (
            usize::try_from(from).map_err(|_| unread)?,
            usize::try_from(length).map_err(|_| unread)?,
        );
        match &body.wire {
            Kept::Memory(bytes) => Ok(bytes.slice(at..at.saturating_add(length))),
            Kept::File(file) => {
                let mut bytes = vec![0; length];
                file.read_exact_at(&mut bytes, from).map_err(|_| unread)?;
                Ok(bytes.into())
            }
            Kept::Nothing | Kept::TooLarge | Kept::Withheld(_) => Ok(Bytes::new()),
        }
    }
}

/// Bytes of the body on the wire, as far as it is there.
fn wire_length(body: &Body) -> u64 {
    match &body.wire {
        Kept::Memory(bytes) => bytes.len() as u64,
        Kept::File(file) => file.metadata().map_or(0, |metadata| metadata.len()),
        Kept::Nothing | Kept::TooLarge | Kept::Withheld(_) => 0,
    }
}

fn size(body: &Bytes) -> u32 {
    u32::try_from(body.len()).unwrap_or(u32::MAX)
}

fn first(message: &Message, body: Bytes) -> proto::Message {
    let why_no_body = match &message.body.wire {
        Kept::TooLarge => "too_large",
        Kept::Withheld(why) => why,
        Kept::Nothing if message.body.length > 0 => "not_kept",
        Kept::Nothing | Kept::Memory(_) | Kept::File(_) => "",
    };
    let length = message.body.length;
    let framing = match message.body.framing {
        BodyLength::None => proto::Framing::None,
        BodyLength::Length(_) => proto::Framing::Length,
        BodyLength::Chunked => proto::Framing::Chunked,
        BodyLength::UntilClose => proto::Framing::UntilClose,
    };
    proto::Message {
        started: message.started.as_nanos(),
        finished: message.finished.as_nanos(),
        head: message.head.raw.clone(),
        framing: framing.into(),
        content_length: length,
        // Of a body that is not there, what is known.
        wire_length: if why_no_body.is_empty() { wire_length(&message.body) } else { length },
        why_no_body: Bytes::from_static(why_no_body.as_bytes()),
        size: size(&body),
        body,
    }
}

/// The message of a report of `run` on `host`.
#[must_use]
pub fn report(writer: &Writer, report: &Report) -> Bytes {
    let dropped = report
        .dropped
        .iter()
        .map(|(reason, count)| proto::Dropped { reason: reason.to_string(), count: *count });
    let content = proto::Content::Report(proto::Report {
        time: report.time.as_nanos(),
        seen: report.seen,
        published: report.published,
        dropped: dropped.collect(),
        ended: report.ended,
    });
    let envelope = proto::Envelope {
        version: VERSION,
        run: writer.run.clone(),
        host: writer.host.clone(),
        sequence: 0,
        place: 0,
        part: 0,
        parts: 1,
        content: Some(content),
    };
    envelope.encode()
}
