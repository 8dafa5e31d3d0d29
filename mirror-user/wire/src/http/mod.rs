//! `StreamEvent`s in, `Exchange`s out.
//!
//! Reads both sides of each connection as HTTP/1 (RFC 9112) and pairs requests with responses. A
//! request is emitted when it is whole, and again with its response when nothing more will come.
//!
//! Refuses what has no readable start line or no knowable end, and connections that are not HTTP/1
//! (any more); each by name ([`Refusal`], [`NotHttp`]). What is readable in two ways is read as the
//! RFC prefers and reported ([`Flaw`](message::Flaw)). A gap in a body costs that message and no
//! other; a gap that loses the framing ends the message, and the next one is looked for.
//!
//! Remembers, for each open connection, the requests that wait for their response, the messages
//! under way and what [`HttpOptions`] asks to keep of them; all that within
//! [`HttpOptions::max_held`]. Never waits, never looks at a clock.

use crate::tcp::event::{Change, Side, StreamEvent};

pub mod coding;
mod content;
mod context;
mod flaws;
mod h1;
mod id;
mod keep;
pub mod message;
mod slots;
mod spool;
mod stats;
pub mod target;

pub use content::Content;
pub use h1::{
    Dechunked, InvalidRequest, InvalidResponse, ReadRequest, RequestProgress, RequestReader,
    ResponseProgress, ResponseReader, dechunk, whole,
};
pub use keep::{BodyKeep, DigestOf, KeepLimits};
pub use stats::{HttpCount, HttpStats, NotHttp, NotKept, Refusal, SideStats, Unpaired, Unread};

use context::Context;
use keep::Budget;
use message::{Exchange, HeaderLine};
use slots::{Found, Slots};

/// What to keep, and how much.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// Keep heads: exact bytes and field lines. Without them messages are counted, paired and
    /// framed all the same, but [`Head::raw`](message::Head::raw) is empty.
    pub heads: bool,
    /// What to keep of requests' bodies.
    pub request_body: BodyKeep,
    /// What to keep of responses' bodies.
    pub response_body: BodyKeep,
    /// Bytes of one head; a longer one is [`Refusal::HeadTooLarge`].
    pub max_head: usize,
    /// Requests of one connection that may wait for their responses; for those beyond, requests and
    /// responses are emitted unpaired ([`Unpaired::TooManyWaiting`]).
    pub max_waiting: usize,
    /// Bytes that all connections together may hold in memory: their state, heads, bodies, waiting
    /// exchanges. A connection for whose state there is no space is not read ([`NotHttp::NoRoom`]).
    pub max_held: u64,
    /// Bytes that all bodies together may take on disk, those included that were handed on and are
    /// still waiting somewhere.
    pub max_spooled: u64,
}

/// Two of the longest bodies that are replayed unless asked.
const DEFAULT_SPOOL: u64 = 16 << 30;

impl Default for HttpOptions {
    /// Heads are kept, bodies counted. 64 KiB is eight times what common servers take as a head;
    /// 1,000 requests are ten times what pipelining clients send ahead; 256 MiB is what a
    /// production host can spare.
    fn default() -> Self {
        Self {
            heads: true,
            request_body: BodyKeep::Count,
            response_body: BodyKeep::Count,
            max_head: 64 * 1024,
            max_waiting: 1_000,
            max_held: 256 << 20,
            max_spooled: DEFAULT_SPOOL,
        }
    }
}

impl HttpOptions {
    fn keep(&self, side: Side) -> BodyKeep {
        match side {
            Side::Client => self.request_body,
            Side::Server => self.response_body,
        }
    }
}

/// The HTTP of every open connection.
pub struct HttpTable {
    options: HttpOptions,
    conns: Slots,
    stats: HttpStats,
    budget: Budget,
    lines: Vec<HeaderLine>,
}

impl HttpTable {
    /// A table without connections.
    #[must_use]
    pub fn new(options: HttpOptions) -> Self {
        let budget = Budget::new(options.max_held, options.max_spooled);
        Self {
            options,
            conns: Slots::default(),
            stats: HttpStats::default(),
            budget,
            lines: Vec::new(),
        }
    }

    /// Takes what happened on a connection; adds to `out` what that makes known.
    pub fn push(&mut self, event: StreamEvent, out: &mut Vec<Exchange>) {
        let StreamEvent { conn: id, at, change } = event;
        let Self { options, conns, stats, budget, lines } = self;
        match change {
            Change::Opened { peers, midstream } => {
                stats.connections += 1;
                if !conns.open(id, peers, midstream, budget) {
                    stats.not_http.count(NotHttp::NoRoom);
                }
                return;
            }
            Change::Closed(reason) => {
                if let Some(mut conn) = conns.close(id, budget) {
                    conn.closed(reason, &mut Context { options, stats, budget, lines, out, at });
                }
                return;
            }
            _ => {}
        }
        let conn = conns.find(id, budget);
        let mut cx = Context { options, stats, budget, lines, out, at };
        match (conn, change) {
            (Found::Read(conn), Change::Data(side, bytes)) => conn.data(side, &bytes, &mut cx),
            (Found::Read(conn), Change::Gap(side, missing)) => conn.gap(side, missing, &mut cx),
            (Found::Read(conn), Change::Omitted(side, missing)) => {
                conn.omitted(side, missing, &mut cx);
            }
            (Found::Read(conn), Change::Finished(side)) => conn.finished(side, &mut cx),
            (Found::Unread { is_new }, change) => cx.no_room(is_new, &change),
            (Found::Nothing | Found::Read(_), _) => {}
        }
    }

    /// What was counted so far.
    #[must_use]
    pub fn stats(&self) -> &HttpStats {
        &self.stats
    }

    /// Bytes that bodies take on disk now, against [`HttpOptions::max_spooled`].
    #[must_use]
    pub fn spooled(&self) -> u64 {
        self.budget.spooled()
    }

    /// Bytes held now, and the most that were ever held, against [`HttpOptions::max_held`].
    #[must_use]
    pub fn held(&self) -> (u64, u64) {
        (self.budget.held(), self.budget.most())
    }
}
