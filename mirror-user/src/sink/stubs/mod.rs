//! Writes exchanges as stubs: what other servers answer from in the place of a collaborator.
//!
//! Cleared exchanges in; at the end, files of one [`Format`]. What formats have in common is here: requests that mean the same
//! are one ([`Asked`]), equal answers are merged, different ones become a sequence whose last one repeats
//! ([`Collection`]). Content is decoded, and fields that belong to one connection or one moment are left out
//! ([`Answer`]).
//!
//! Refuses what cannot be answered from, for a named reason ([`NotExported`]). Remembers all stubs, within
//! [`MAX_STUB_BYTES`].

mod answer;
mod asked;
mod collection;
mod hoverfly;
mod microcks;
mod openapi;
mod operations;
mod output;
mod schema;
mod wiremock;

use enum_map::Enum;
use strum::IntoStaticStr;

pub use self::answer::Answer;
pub use self::asked::{Asked, AskedBody, Matched};
pub use self::collection::{Collection, MAX_STEPS, MAX_STUB_BYTES, Stub};
pub use self::output::Place;
use crate::http::message::{Exchange, Message, Moment};
use crate::rules::Cleared;
use crate::sink::Sink;
use crate::stats::{Account, Note, Seam, Tally, Topic};

/// What stubs are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A simulation of Hoverfly, one file.
    Hoverfly,
    /// Mappings of WireMock, a directory.
    Wiremock,
    /// A description of OpenAPI with examples, one file.
    Openapi,
    /// Artefacts of Microcks, a directory.
    Microcks,
}

impl Format {
    /// True if it is a directory of files.
    #[must_use]
    pub fn is_folder(self) -> bool {
        match self {
            Self::Hoverfly | Self::Openapi => false,
            Self::Wiremock | Self::Microcks => true,
        }
    }

    /// Why this format cannot hold a request; `None` if it can.
    fn refusal(self, asked: &Asked) -> Option<NotExported> {
        match (self, &asked.body) {
            // Its request bodies are texts.
            (Self::Hoverfly, AskedBody::Bytes(_)) => Some(NotExported::BinaryRequest),
            (Self::Openapi | Self::Microcks, _)
                if !openapi::METHODS.contains(&asked.method.as_str()) =>
            {
                Some(NotExported::OtherMethod)
            }
            _ => None,
        }
    }
}

/// How stubs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StubOptions {
    /// What for.
    pub format: Format,
    /// Answers take as long as the recorded responses did.
    pub delays: bool,
}

/// Why an exchange is in no stub: "it was …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum NotExported {
    /// Without a whole request.
    RequestIncomplete,
    /// Without a response, or with one that was not captured whole.
    ResponseIncomplete,
    /// With a body that was not kept, or withheld by redaction.
    BodyNotKept,
    /// A tunnel: CONNECT, or a switch of protocols.
    Tunnel,
    /// A request for no resource: `OPTIONS *`, or a target that is none.
    NoPath,
    /// With a target that is no text.
    NotText,
    /// With a request body that the format cannot hold.
    BinaryRequest,
    /// With a method that the format does not know.
    OtherMethod,
    /// One more answer to the same request than [`MAX_STEPS`].
    SequenceFull,
    /// Beyond [`MAX_STUB_BYTES`].
    NoRoom,
    /// Not written: the disk is full.
    WriteFailed,
}

/// Collects stubs, and writes them at the end.
pub struct StubSink {
    options: StubOptions,
    collection: Collection,
    /// `None` once they are written.
    place: Option<Place>,
    seen: u64,
    taken: u64,
    dropped: Tally<NotExported>,
    /// Examples that were too many for a description.
    left_out: u64,
}

impl StubSink {
    /// Stubs that will be written to this place.
    #[must_use]
    pub fn new(options: StubOptions, place: Place) -> Self {
        let (collection, dropped) = (Collection::default(), Tally::default());
        Self { options, collection, place: Some(place), seen: 0, taken: 0, dropped, left_out: 0 }
    }

    fn take(&mut self, exchange: &Exchange) -> anyhow::Result<Result<(), NotExported>> {
        let (request, response) = match whole(exchange) {
            Ok(both) => both,
            Err(why) => return Ok(Err(why)),
        };
        let asked = match Asked::of(exchange, request)? {
            Ok(asked) => asked,
            Err(why) => return Ok(Err(why)),
        };
        if let Some(why) = self.options.format.refusal(&asked) {
            return Ok(Err(why));
        }
        let answer = match Answer::of(request, response)? {
            Ok(answer) => answer,
            Err(why) => return Ok(Err(why)),
        };
        Ok(self.collection.add(asked, answer))
    }
}

/// The request and the response, if both are whole.
fn whole(exchange: &Exchange) -> Result<(&Message, &Message), NotExported> {
    let request = exchange.request.as_deref().filter(|request| request.incomplete.is_none());
    let request = request.ok_or(NotExported::RequestIncomplete)?;
    if request.head.method() == b"CONNECT" {
        return Err(NotExported::Tunnel);
    }
    let response = exchange.response.as_deref().filter(|response| response.incomplete.is_none());
    let response = response.ok_or(NotExported::ResponseIncomplete)?;
    if response.head.status() == Some(101) {
        return Err(NotExported::Tunnel);
    }
    Ok((request, response))
}

impl Sink for StubSink {
    fn accept(&mut self, cleared: &Cleared) -> anyhow::Result<()> {
        let exchange = cleared.exchange();
        if exchange.moment != Moment::Ended {
            return Ok(());
        }
        self.seen += 1;
        match self.take(exchange)? {
            Ok(()) => self.taken += 1,
            Err(why) => self.dropped.count(why),
        }
        Ok(())
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        let Some(place) = self.place.take() else { return Ok(()) };
        let stubs = self.collection.stubs();
        let written = match self.options.format {
            Format::Hoverfly => hoverfly::write(&stubs, self.options, &place),
            Format::Wiremock => wiremock::write(&stubs, self.options, &place),
            Format::Openapi => openapi::write(&stubs, &place).map(|n| self.left_out = n),
            Format::Microcks => microcks::write(&stubs, &place).map(|n| self.left_out = n),
        };
        if written.is_err() {
            self.dropped.add(NotExported::WriteFailed, std::mem::take(&mut self.taken));
        }
        written
    }

    fn account(&self) -> Account {
        // Until they are written, they wait here.
        let waiting = if self.place.is_some() { self.taken } else { 0 };
        Account {
            seen: self.seen,
            delivered: self.taken.saturating_sub(waiting),
            in_flight: waiting,
            dropped: self.dropped.counts(),
            ..Account::new(Seam::Exchanges)
        }
    }

    fn notes(&self) -> Vec<Note> {
        let counts = self.collection.counts();
        let counts = [
            ("requests", counts.requests),
            ("answers", counts.answers),
            ("merged", counts.merged),
            ("examples_left_out", self.left_out),
        ];
        Note::new(Topic::ExportedStubs, counts).into_iter().collect()
    }

    fn warnings(&self) -> Vec<String> {
        let full = self.dropped.get(NotExported::NoRoom);
        let text = || {
            format!(
                "{full} exchanges are in no stub, because stubs take at most {} MiB of memory; export in parts",
                MAX_STUB_BYTES >> 20
            )
        };
        if full > 0 { vec![text()] } else { Vec::new() }
    }
}
