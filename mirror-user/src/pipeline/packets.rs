//! The front of packets: a source, and the stages that turn its packets into exchanges.

use std::time::Duration;

use super::front::{Front, Observed, Reading};
use crate::beginnings::{Beginnings, Spoken};
use crate::decode::{Decoder, Skip};
use crate::filter::Ports;
use crate::http::message::Exchange;
use crate::http::{HttpStats, HttpTable};
use crate::packet::Packet;
use crate::recorder::Recorder;
use crate::source::{Next, PacketSource};
use crate::stats::{Account, Note, Topic};
use crate::tcp::FlowTable;
use crate::tcp::event::StreamEvent;

/// How many packets are read between two pauses, in which the pipeline looks at what other threads
/// want: a stop, the progress line, a snapshot. So few that it is 1 s where packets come just often
/// enough that the source is never idle, 250 a second.
const PACKETS_PER_PAUSE: u64 = 256;

/// What the `http` stage counted: its accounts, and what explains them.
pub(super) fn of_http(http: &HttpStats) -> (Vec<Account>, Vec<Note>) {
    let notes = [
        Note::new(Topic::Http, http.notes()),
        Note::new(Topic::RequestFlaws, http.requests.flaws.non_zero()),
        Note::new(Topic::ResponseFlaws, http.responses.flaws.non_zero()),
        Note::new(Topic::RequestsRefused, http.requests.refused.non_zero()),
        Note::new(Topic::ResponsesRefused, http.responses.refused.non_zero()),
        Note::new(Topic::BodiesNotKept, http.requests.not_kept.non_zero()),
    ];
    (http.accounts(), notes.into_iter().flatten().collect())
}

/// From packets to exchanges.
pub struct Packets {
    source: Box<dyn PacketSource>,
    decoder: Decoder,
    /// Writes down the packets that became segments, as they were seen.
    recorder: Option<Recorder>,
    flows: FlowTable,
    http: HttpTable,
    /// Reads what connections begin with, where somebody wants to know.
    beginnings: Option<Beginnings>,
    spoken: Vec<Spoken>,
    /// Between `flows` and `http`; reused for every packet.
    events: Vec<StreamEvent>,
    packets: u64,
    /// How many packets will have been read at the next pause.
    next_pause: u64,
}

impl Packets {
    /// Joins the stages.
    #[must_use]
    pub fn new(
        source: Box<dyn PacketSource>,
        decoder: Decoder,
        flows: FlowTable,
        http: HttpTable,
    ) -> Self {
        Self {
            source,
            decoder,
            recorder: None,
            flows,
            http,
            beginnings: None,
            spoken: Vec::new(),
            events: Vec::new(),
            packets: 0,
            next_pause: PACKETS_PER_PAUSE,
        }
    }

    /// The same, which also writes down the packets that become segments.
    #[must_use]
    pub fn recorded_by(self, recorder: Option<Recorder>) -> Self {
        Self { recorder, ..self }
    }

    /// The same, which also tells what connections begin with.
    #[must_use]
    pub fn telling_beginnings(self, tells: bool) -> Self {
        Self { beginnings: tells.then(Beginnings::default), ..self }
    }

    /// The way of a packet.
    fn take(&mut self, packet: &Packet, out: &mut Vec<Exchange>) -> anyhow::Result<()> {
        self.packets += 1;
        let decoded = self.decoder.push(packet);
        if let Some(recorder) = &mut self.recorder
            // A fragment's ports are known only when all of its datagram has come.
            && matches!(decoded, Ok(_) | Err(Skip::Fragment))
        {
            recorder.write(packet, self.source.interfaces())?;
        }
        let Ok(segment) = decoded else {
            return Ok(());
        };
        self.flows.push(segment, &mut self.events);
        self.flows.expire(packet.at, &mut self.events);
        // Most packets end here: what they hold is part of something, or they hold nothing.
        if !self.events.is_empty() {
            self.pass_on(out);
        }
        Ok(())
    }

    fn pass_on(&mut self, out: &mut Vec<Exchange>) {
        let before = out.len();
        for event in self.events.drain(..) {
            if let Some(beginnings) = &mut self.beginnings {
                beginnings.push(&event, &mut self.spoken);
            }
            self.http.push(event, out);
        }
        for exchange in out.iter().skip(before).filter(|exchange| exchange.is_first_moment()) {
            self.source.count_request(exchange.peers.interface);
        }
    }

    /// Time passes on an idle link, too: what waits for a time-out is let go.
    fn idle(&mut self, out: &mut Vec<Exchange>) -> anyhow::Result<()> {
        if let Some(now) = self.source.now() {
            self.flows.expire(now, &mut self.events);
            self.pass_on(out);
        }
        self.recorder.as_mut().map_or(Ok(()), Recorder::flush)
    }
}

impl Front for Packets {
    fn read(&mut self, wait: Duration, out: &mut Vec<Exchange>) -> anyhow::Result<Reading> {
        while self.packets < self.next_pause {
            // Looked at where it was put: to move a packet that was just written makes a CPU wait.
            let next = self.source.next(wait);
            match &next {
                Ok(Next::Packet(packet)) => self.take(packet, out)?,
                Ok(Next::Idle) => {
                    self.idle(out)?;
                    self.next_pause = self.packets.saturating_add(PACKETS_PER_PAUSE);
                    return Ok(Reading::Idle);
                }
                Ok(Next::Again(shift)) => {
                    let shift = *shift;
                    self.flows.finish(&mut self.events);
                    self.pass_on(out);
                    return Ok(Reading::Rewound(shift));
                }
                Ok(Next::End) => return self.source.verdict().map(|()| Reading::End),
                Err(_) => return next.map(|_| Reading::End),
            }
            if !out.is_empty() {
                return Ok(Reading::Exchanges);
            }
        }
        self.next_pause = self.packets.saturating_add(PACKETS_PER_PAUSE);
        Ok(Reading::Pause)
    }

    fn stop(&mut self) {
        self.source.stop();
    }

    fn finish(&mut self, out: &mut Vec<Exchange>) -> anyhow::Result<()> {
        self.flows.finish(&mut self.events);
        self.pass_on(out);
        self.recorder.as_mut().map_or(Ok(()), Recorder::finish)
    }

    fn spoken(&mut self) -> Vec<Spoken> {
        std::mem::take(&mut self.spoken)
    }

    fn interfaces(&self) -> &[String] {
        self.source.interfaces()
    }

    fn packets(&self) -> u64 {
        self.packets
    }

    fn server_ports(&mut self, ports: Ports) {
        self.flows.watch_ports(ports);
    }

    fn observe(&self) -> Observed {
        let tcp = self.flows.stats();
        let (of_messages, of_http) = of_http(self.http.stats());
        let mut accounts = vec![self.source.account(), self.decoder.account(), tcp.bytes()];
        accounts.extend(of_messages);
        let of_stages = [
            Note::new(Topic::SegmentsByKind, tcp.segments.non_zero()),
            Note::new(Topic::Gaps, tcp.gaps.non_zero()),
            Note::new(Topic::Omitted, [("bytes_of_responses", tcp.omitted_bytes)]),
            Note::new(Topic::ConnectionsEnded, tcp.closed.non_zero()),
            Note::new(Topic::Datagrams, self.decoder.datagrams().non_zero()),
        ];
        let mut notes = self.source.notes();
        notes.extend(self.decoder.notes());
        notes.extend(of_stages.into_iter().flatten());
        notes.extend(of_http);
        let copies = self.recorder.as_ref().map(Recorder::account).into_iter().collect();
        Observed { accounts, copies, notes }
    }

    fn warnings(&self) -> Vec<String> {
        self.source.warnings()
    }

    fn when_nothing_was_seen(&self) -> Option<String> {
        self.source.when_nothing_was_seen()
    }
}
