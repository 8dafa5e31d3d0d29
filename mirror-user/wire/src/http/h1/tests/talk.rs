//! A conversation on one connection, event by event.

use std::sync::Arc;

use bytes::Bytes;

use crate::http::message::{Exchange, Message, Moment};
use crate::http::{BodyKeep, DigestOf, HttpOptions, HttpTable, KeepLimits};
use crate::packet::{InterfaceId, Timestamp};
use crate::stats::Account;
use crate::tcp::event::{Change, CloseReason, ConnId, Peers, Side, StreamEvent};

pub(crate) const CONN: ConnId = ConnId { slot: 0, serial: 7 };

pub(crate) fn peers() -> Arc<Peers> {
    let at = |text: &str| text.parse().unwrap();
    Arc::new(Peers {
        client: at("192.0.2.1:40000"),
        server: at("192.0.2.2:80"),
        interface: InterfaceId(0),
    })
}

/// Keeps everything.
pub(crate) fn everything() -> HttpOptions {
    let keep = BodyKeep::Keep(KeepLimits { digest: DigestOf::All, ..KeepLimits::default() });
    HttpOptions { request_body: keep, response_body: keep, ..HttpOptions::default() }
}

pub(crate) struct Talk {
    pub(crate) table: HttpTable,
    pub(crate) out: Vec<Exchange>,
    now: u64,
}

impl Talk {
    pub(crate) fn new() -> Self {
        Self::with(everything(), false)
    }

    pub(crate) fn midstream() -> Self {
        Self::with(everything(), true)
    }

    pub(crate) fn with(options: HttpOptions, midstream: bool) -> Self {
        let mut talk = Self { table: HttpTable::new(options), out: Vec::new(), now: 0 };
        talk.change(Change::Opened { peers: peers(), midstream });
        talk
    }

    pub(crate) fn quiet(&mut self, seconds: u64) -> &mut Self {
        self.now += seconds * 1_000_000_000;
        self
    }

    pub(crate) fn change(&mut self, change: Change) {
        self.now += 1000;
        let at = Timestamp::from_nanos(self.now);
        self.table.push(StreamEvent { conn: CONN, at, change }, &mut self.out);
        let accounts = self.table.stats().accounts();
        assert!(accounts.iter().all(Account::balances), "while it goes on: {accounts:?}");
    }

    pub(crate) fn data(&mut self, side: Side, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.change(Change::Data(side, Bytes::copy_from_slice(bytes.as_ref())));
        self
    }

    /// The time of the last event, in nanoseconds.
    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    /// Bytes of one side that had to wait since `nanos`.
    pub(crate) fn at(&mut self, nanos: u64, side: Side, bytes: impl AsRef<[u8]>) -> &mut Self {
        let change = Change::Data(side, Bytes::copy_from_slice(bytes.as_ref()));
        let event = StreamEvent { conn: CONN, at: Timestamp::from_nanos(nanos), change };
        self.table.push(event, &mut self.out);
        self
    }

    pub(crate) fn client(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.data(Side::Client, bytes)
    }

    pub(crate) fn server(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.data(Side::Server, bytes)
    }

    pub(crate) fn gap(&mut self, side: Side, missing: u64) -> &mut Self {
        self.change(Change::Gap(side, missing));
        self
    }

    pub(crate) fn omitted(&mut self, side: Side, n: u64) -> &mut Self {
        self.change(Change::Omitted(side, n));
        self
    }

    pub(crate) fn finished(&mut self, side: Side) -> &mut Self {
        self.change(Change::Finished(side));
        self
    }

    pub(crate) fn closed(&mut self, reason: CloseReason) -> &mut Self {
        self.change(Change::Closed(reason));
        let accounts = self.table.stats().accounts();
        assert!(accounts.iter().all(Account::is_settled), "{accounts:?}");
        assert_eq!(self.table.held().0, 0, "the budget gets back what was taken");
        self
    }

    pub(crate) fn moment(&self, moment: Moment) -> Vec<&Exchange> {
        self.out.iter().filter(|exchange| exchange.moment == moment).collect()
    }

    /// Each ended exchange as `target -> status`, with `-` for what was not seen and `!` after what
    /// is not whole.
    pub(crate) fn ended(&self) -> Vec<String> {
        let mark = |message: &Message| if message.incomplete.is_some() { "!" } else { "" };
        self.moment(Moment::Ended)
            .into_iter()
            .map(|exchange| {
                let request = exchange.request.as_ref().map_or("-".to_owned(), |m| {
                    format!("{}{}", String::from_utf8_lossy(m.head.target()), mark(m))
                });
                let response = exchange
                    .response
                    .as_ref()
                    .map_or("-".to_owned(), |m| format!("{}{}", m.head.status().unwrap(), mark(m)));
                format!("{request} -> {response}")
            })
            .collect()
    }

    /// The targets of the requests that came out when they were whole.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.moment(Moment::Asked)
            .into_iter()
            .map(|exchange| {
                String::from_utf8_lossy(exchange.request.as_ref().unwrap().head.target())
                    .into_owned()
            })
            .collect()
    }
}
