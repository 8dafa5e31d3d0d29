//! Which services the captured one calls: by name and address, how often, with which methods, and whether it can be read.
//!
//! Cleared exchanges and the beginnings of other connections in; at the end, a [`Report`] out, printed, and made into files by whoever
//! knows their formats ([`Written`]). What is outbound is decided in `outbound`, from what is [`Known`].
//!
//! Refuses nothing: what is not outbound is left out. Remembers counts for each service, within [`MAX_SERVICES`].

mod calls;
mod outbound;
mod report;
mod seen;

use std::fs::File;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use anyhow::Context;
use hashbrown::hash_map::Entry;
use ipnet::IpNet;

use self::calls::{Call, Calls};
pub use self::outbound::Known;
use self::outbound::{Outbound, Way};
pub use self::report::{Report, Service, Shared};
pub use self::seen::{Seen, Speaks};
use crate::beginnings::{Protocol, Spoken};
use crate::http::message::{Exchange, Moment};
use crate::http::target::{RequestTarget, TargetForm};
use crate::packet::Timestamp;
use crate::rules::Cleared;
use crate::sink::lines::started_at;
use crate::sink::url::is_authority;
use crate::sink::{Event, Sink};
use crate::stats::{Account, Seam};

/// Services by name, address and caller that are counted. Beyond, they are counted together and a warning says so.
pub const MAX_SERVICES: usize = 10_000;

/// Bytes of a name; a longer one is none.
const MAX_NAME: usize = 255;

/// The port that a name in TLS is without.
const HTTPS: u16 = 443;

/// What is known beforehand.
#[derive(Clone, Debug)]
pub struct CollaboratorOptions {
    /// Of the service.
    pub known: Known,
    /// The addresses of shadow targets.
    pub targets: Vec<IpNet>,
    /// Prints the report as JSON.
    pub json: bool,
}

/// A file that is made of the report.
pub struct Written {
    /// The open file.
    pub file: File,
    /// Its name in messages.
    pub name: PathBuf,
    /// What it holds.
    pub text: Box<dyn Fn(&Report) -> String + Send>,
}

/// Counts what is called, and tells at the end.
pub struct Collaborators {
    options: CollaboratorOptions,
    outbound: Outbound,
    files: Vec<Written>,
    out: Box<dyn Write + Send>,
    calls: Calls,
    /// What shadow targets called.
    of_targets: Calls,
    /// Calls beyond [`MAX_SERVICES`].
    too_many: u64,
    first: Option<Timestamp>,
    last: Timestamp,
    seen: u64,
    warnings: Vec<String>,
}

impl Collaborators {
    /// Prints to `out`, and makes these files.
    #[must_use]
    pub fn new(
        options: CollaboratorOptions,
        files: Vec<Written>,
        out: Box<dyn Write + Send>,
    ) -> Self {
        let outbound = Outbound::new(options.known.clone(), options.targets.clone());
        Self {
            options,
            outbound,
            files,
            out,
            calls: Calls::new(),
            of_targets: Calls::new(),
            too_many: 0,
            first: None,
            last: Timestamp::default(),
            seen: 0,
            warnings: Vec::new(),
        }
    }

    fn passed(&mut self, at: Timestamp) {
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        self.last = self.last.max(at);
    }

    fn take(&mut self, exchange: &Exchange) {
        self.passed(started_at(exchange));
        if let Some(response) = &exchange.response {
            self.passed(response.finished);
        }
        // Decided even without a request: it may show whose address is whose.
        let way = self.outbound.way(&exchange.peers);
        let Some(request) = exchange.request.as_deref() else { return };
        let (method, target) = (request.head.method(), request.head.target());
        let parts = RequestTarget::parse(method, target);
        let (speaks, host) = match parts.form() {
            TargetForm::Authority => (Speaks::Tunnel, Some(parts.host())),
            TargetForm::Absolute => (Speaks::Http, Some(parts.host())),
            _ => (Speaks::Http, request.head.field("host")),
        };
        let name = host.filter(|host| host.len() <= MAX_NAME && is_authority(host));
        // One name, whether or not the port of `http` is said (RFC 9110 §4.2.1).
        let name = name.map(|host| host.strip_suffix(b":80").unwrap_or(host));
        let lower = |byte: &u8| char::from(byte.to_ascii_lowercase());
        let name = name.map(|host| host.iter().map(lower).collect());
        let (client, server) = (exchange.peers.client.ip(), exchange.peers.server);
        if let Some(seen) = self.seen_of(way, client, (server, name, speaks)) {
            seen.exchange(exchange, request);
        }
    }

    fn spoken(&mut self, spoken: &Spoken) {
        self.passed(spoken.at);
        let way = self.outbound.way(&spoken.peers);
        let Some(speaks) = Speaks::of(&spoken.protocol) else { return };
        let server = spoken.peers.server;
        let name = match &spoken.protocol {
            Protocol::Tls(Some(name)) if server.port() == HTTPS => Some(name.clone()),
            Protocol::Tls(Some(name)) => Some(format!("{name}:{}", server.port())),
            _ => None,
        };
        if let Some(seen) = self.seen_of(way, spoken.peers.client.ip(), (server, name, speaks)) {
            seen.connection(server);
        }
    }

    /// Where it is counted, if it is.
    fn seen_of(
        &mut self,
        way: Way,
        client: IpAddr,
        (server, name, speaks): (SocketAddr, Option<String>, Speaks),
    ) -> Option<&mut Seen> {
        let (calls, only_from) = match way {
            _ if self.outbound.is_target(client) => (&mut self.of_targets, None),
            Way::Outbound => (&mut self.calls, None),
            Way::OutboundIf(own) => (&mut self.calls, Some(own)),
            Way::Other => return None,
        };
        let is_full = calls.len() >= MAX_SERVICES;
        match calls.entry(Call { only_from, server, name, speaks }) {
            Entry::Occupied(known) => Some(known.into_mut()),
            Entry::Vacant(_) if is_full => {
                self.too_many += 1;
                None
            }
            Entry::Vacant(new) => Some(new.insert(Seen::default())),
        }
    }

    fn report(&mut self) -> Report {
        let span = self.first.map(|first| self.last.since(first)).unwrap_or_default();
        let is_own = |ip| self.outbound.is_local(ip);
        let mut calls = std::mem::take(&mut self.calls);
        calls.retain(|call, _| call.only_from.is_none_or(is_own));
        let shared = calls::shared(std::mem::take(&mut self.of_targets), &calls);
        let rate = |seen: &Seen| {
            (!span.is_zero() && seen.requests > 0)
                .then(|| seen.requests as f64 / span.as_secs_f64())
        };
        let services = calls::services(calls).into_iter().map(|((name, speaks), seen)| Service {
            per_second: rate(&seen),
            name,
            speaks,
            seen,
        });
        Report { from: self.outbound.networks(), span, services: services.collect(), shared }
    }

    fn warn(&mut self, report: &Report) {
        for Shared { name, seen } in &report.shared {
            let unsafe_requests = seen.unsafe_requests;
            self.warnings.push(format!(
                "the shadow target calls {}, which production calls, too: {} requests, {unsafe_requests} of which may \
                 change something; let it call `mirror stub` instead",
                name.escape_debug(),
                seen.requests
            ));
        }
        if let (Known::Ports(_), true) = (&self.options.known, report.from.is_empty()) {
            self.warnings.push(
                "nobody was seen being called at --inbound-port, so that no address is known to be the service's; say \
                 --pod-address"
                    .to_owned(),
            );
        }
        if self.too_many > 0 {
            self.warnings.push(format!(
                "{} calls are not listed, because at most {MAX_SERVICES} services are; choose fewer by --server-net",
                self.too_many
            ));
        }
    }
}

impl Sink for Collaborators {
    fn on(&mut self, event: Event<'_>) {
        if let Event::Spoken(spoken) = event {
            self.spoken(spoken);
        }
    }

    fn accept(&mut self, cleared: &Cleared) -> anyhow::Result<()> {
        let exchange = cleared.exchange();
        if exchange.moment == Moment::Ended {
            self.seen += 1;
            self.take(exchange);
        }
        Ok(())
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        let report = self.report();
        self.warn(&report);
        match self.options.json {
            true => {
                serde_json::to_writer(&mut self.out, &report)?;
                writeln!(self.out)?;
            }
            false => write!(self.out, "{report}")?,
        }
        self.out.flush()?;
        for Written { file, name, text } in &mut self.files {
            let written = file.write_all(text(&report).as_bytes());
            written.with_context(|| format!("{}: it takes no more", name.display()))?;
        }
        Ok(())
    }

    fn account(&self) -> Account {
        Account { seen: self.seen, delivered: self.seen, ..Account::new(Seam::Exchanges) }
    }

    fn warnings(&self) -> Vec<String> {
        self.warnings.clone()
    }
}
