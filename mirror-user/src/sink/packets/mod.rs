//! Writes cleared exchanges as packets: `capture --to day.pcap` without `--raw`.
//!
//! Redaction changes lengths and works on complete messages, so the captured packets cannot simply
//! be masked: a value that is split over two of them, or inside gzip, cannot be masked in place.
//! Instead each connection is synthesized as raw IP: a handshake, then each message at its own time
//! and with its own addresses, with consistent sequence numbers. Bytes that were withheld or not
//! kept are cut off their packets, as by a snaplen. Traffic that is not HTTP, such as that of a
//! tunnel, is not written.
//!
//! A reader of the file finds the same exchanges. Readers pair responses with requests in order. So
//! a response whose request was not captured, and what follows a request without a response, are
//! written on a new connection with the same addresses and ports.

mod content;
mod segment;
mod stream;
#[cfg(test)]
mod tests;

use hashbrown::HashMap;

use self::content::{omits_body, stretches};
use self::segment::PacketWriter;
use self::stream::{ResponseOrder, Stream};
use crate::http::message::{BodyLength, ConnectionId, Exchange, Flaw, Incomplete, Message, Moment};
use crate::packet::Timestamp;
use crate::recorder::Recorder;
use crate::rules::Cleared;
use crate::sink::lines::exchanges;
use crate::sink::{Event, Sink};
use crate::stats::{Account, Note, Topic};
use crate::tcp::event::Side;

/// The largest number of open connections in the file. If there is one more, all are closed; those
/// that continue start again with a handshake.
pub const MAX_STREAMS: usize = 65_536;

/// Writes cleared exchanges to a packet file.
pub struct Packets {
    writer: PacketWriter,
    streams: HashMap<ConnectionId, Stream>,
    opened: u32,
    seen: u64,
    written: u64,
}

impl Packets {
    /// Writes packets to this file.
    #[must_use]
    pub fn new(recorder: Recorder) -> Self {
        let (interfaces, buffer) = (Vec::new(), Vec::new());
        Self {
            writer: PacketWriter { recorder, interfaces, latest: Timestamp::default(), buffer },
            streams: HashMap::new(),
            opened: 0,
            seen: 0,
            written: 0,
        }
    }

    fn request(&mut self, exchange: &Exchange, request: &Message) -> anyhow::Result<()> {
        let fits =
            |stream: &Stream| stream.is_open(Side::Client) && !stream.has_only_lost_requests();
        self.stream(exchange, request.started, fits)?
            .request_written(exchange.id.index, request.started);
        self.write_message(exchange, Side::Client, request)
    }

    fn response(&mut self, exchange: &Exchange, response: &Message) -> anyhow::Result<()> {
        if exchange.moment == Moment::Interim {
            self.stream(exchange, response.started, |stream| stream.is_open(Side::Server))?;
            return self.write_message(exchange, Side::Server, response);
        }
        let (at, index) = (response.started, exchange.request.as_ref().map(|_| exchange.id.index));
        let fits = |stream: &Stream| {
            stream.is_open(Side::Server)
                && !matches!(stream.response_order(index, at), ResponseOrder::Unreadable)
        };
        self.stream(exchange, at, fits)?;
        if let Some(stream) = self.streams.get_mut(&exchange.id.connection) {
            // A gap after a response without its body would be read as that body, so the gap is put
            // before it. From there on readers pair by time, until a response is paired.
            let needs_gap_before = index.is_none() && omits_body(response);
            if needs_gap_before
                || matches!(stream.response_order(index, at), ResponseOrder::AfterLost)
            {
                stream.add_gap(at, &mut self.writer)?;
            }
            index.into_iter().for_each(|index| stream.response_written(index));
        }
        self.write_message(exchange, Side::Server, response)
    }

    /// The connection of an exchange in the file: the current one if it `fits`, otherwise a new
    /// one.
    fn stream(
        &mut self,
        exchange: &Exchange,
        at: Timestamp,
        fits: impl Fn(&Stream) -> bool,
    ) -> anyhow::Result<&mut Stream> {
        let connection = exchange.id.connection;
        if let Some(stream) = self.streams.remove(&connection) {
            if fits(&stream) {
                return Ok(self.streams.entry(connection).insert(stream).into_mut());
            }
            stream.close(&mut self.writer)?;
        }
        if self.streams.len() >= MAX_STREAMS {
            self.close_all()?;
        }
        self.opened = self.opened.wrapping_add(1);
        // Initial sequence numbers are far apart, so that a connection with the same ports is not
        // taken for another.
        let first = self.opened.wrapping_mul(0x9e37_79b1);
        let stream = Stream::open(&exchange.peers, first, at, &mut self.writer)?;
        Ok(self.streams.entry(connection).insert(stream).into_mut())
    }

    /// Writes a message, and the FIN of its side if the message shows that it was sent.
    fn write_message(
        &mut self,
        exchange: &Exchange,
        from: Side,
        message: &Message,
    ) -> anyhow::Result<()> {
        let Some(stream) = self.streams.get_mut(&exchange.id.connection) else { return Ok(()) };
        let writer = &mut self.writer;
        let times = (message.started, message.finished);
        stream.write_message(from, &stretches(message)?, times, writer)?;
        if from == Side::Server {
            stream.needs_status_line(message.flaws.contains(Flaw::UnseenHead));
        }
        let ends_with_side = message.body.framing == BodyLength::UntilClose;
        match message.incomplete {
            Some(Incomplete::Closed) => stream.finish(from, message.finished, writer),
            None | Some(Incomplete::Gap | Incomplete::Omitted) if ends_with_side => {
                stream.finish(from, message.finished, writer)
            }
            Some(Incomplete::Idle | Incomplete::Evicted | Incomplete::EndOfInput) => {
                stream.leave_open();
                Ok(())
            }
            None
            | Some(
                Incomplete::Gap
                | Incomplete::Omitted
                | Incomplete::Reset
                | Incomplete::Refused
                | Incomplete::BodyNotSent,
            ) => Ok(()),
        }
    }

    /// Ends an exchange.
    fn end(&mut self, exchange: &Exchange) -> anyhow::Result<()> {
        let Exchange { id, request, response, .. } = exchange;
        if let (Some(_), None) = (request, response)
            && let Some(stream) = self.streams.get_mut(&id.connection)
        {
            stream.give_up(id.index);
        }
        let was_reset = |message: &&Message| message.incomplete == Some(Incomplete::Reset);
        if let Some(last) = request.iter().chain(response).map(AsRef::as_ref).rfind(was_reset)
            && let Some(stream) = self.streams.remove(&id.connection)
        {
            return stream.reset(last.finished, &mut self.writer);
        }
        Ok(())
    }

    fn close_all(&mut self) -> anyhow::Result<()> {
        for (_, stream) in std::mem::take(&mut self.streams) {
            stream.close(&mut self.writer)?;
        }
        Ok(())
    }
}

impl Sink for Packets {
    fn on(&mut self, event: Event<'_>) {
        if let Event::Interfaces(names) = event {
            self.writer.interfaces = names.to_vec();
        }
    }

    fn accept(&mut self, cleared: &Cleared) -> anyhow::Result<()> {
        let exchange = cleared.exchange();
        let ended = exchange.moment == Moment::Ended;
        self.seen += u64::from(ended);
        if let Some(request) = &exchange.request
            // A complete request was written when it was sent.
            && (!ended || request.incomplete.is_some())
        {
            self.request(exchange, request)?;
        }
        if let Some(response) = &exchange.response {
            self.response(exchange, response)?;
        }
        if ended {
            self.end(exchange)?;
        }
        self.written += u64::from(ended);
        Ok(())
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        self.writer.recorder.flush()
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        let closed = self.close_all();
        closed.and(self.writer.recorder.finish())
    }

    fn notes(&self) -> Vec<Note> {
        let Account { delivered, dropped, .. } = self.writer.recorder.account();
        let counts = std::iter::once(("written", delivered)).chain(dropped);
        Note::new(Topic::WrittenPackets, counts).into_iter().collect()
    }

    fn account(&self) -> Account {
        exchanges(self.seen, self.written)
    }
}
