//! The front of a stream: envelopes, and the `http` stage that reads what was said in them.
//!
//! Each exchange has a connection of its own at the `http` stage (`assembly`), so that what is missing of one costs no
//! other; its id names the connection that it was captured on, so that replays keep the order of that. Large bodies go to
//! the `http` stage part by part, which keeps them where it keeps those of captured ones. A message is settled when
//! nobody has its exchange any more (`settle`).

mod assembly;
mod origins;
mod settle;

use std::sync::Arc;
use std::time::{Duration, Instant};

use self::assembly::{Assembly, Handed};
pub use self::settle::{Settlement, Watching};
use super::front::{Front, Observed, Reading};
use super::packets::of_http;
use crate::broker::clock::now;
use crate::broker::nats::{Consumer, Outcome};
use crate::filter::{Ports, Watch};
use crate::http::HttpTable;
use crate::http::message::Exchange;

/// Messages that are read between two pauses.
const MESSAGES_PER_PAUSE: u32 = 64;
/// How often sinks write out what they have, so that it is settled.
const FLUSH_EVERY: Duration = Duration::from_millis(100);

/// From messages to exchanges.
pub struct BrokerFront {
    consumer: Consumer,
    settlement: Arc<Settlement>,
    assembly: Assembly,
    /// Handed on before the sinks last wrote out what they had.
    flushed: Vec<Handed>,
    last_flush: Instant,
    stopping: bool,
}

impl BrokerFront {
    /// What `consumer` takes, of the connections that are watched. `settlement` says when requests are settled.
    #[must_use]
    pub fn new(
        consumer: Consumer,
        settlement: Arc<Settlement>,
        watch: Watch,
        http: HttpTable,
    ) -> Self {
        settlement.settles_by(consumer.settler());
        Self {
            consumer,
            assembly: Assembly::new(Arc::clone(&settlement), watch, http),
            settlement,
            flushed: Vec::new(),
            last_flush: now(),
            stopping: false,
        }
    }

    /// What was handed on before the sinks wrote out what they had is not the front's any more.
    fn release(&mut self) {
        for handed in self.flushed.drain(..) {
            match handed {
                Handed::Request(id) => self.settlement.release(id),
                Handed::Rest(receipt) => self.settlement.settle(receipt, Outcome::Delivered),
            }
        }
    }
}

impl Front for BrokerFront {
    fn read(&mut self, wait: Duration, out: &mut Vec<Exchange>) -> anyhow::Result<Reading> {
        self.release();
        if self.last_flush.elapsed() >= FLUSH_EVERY {
            self.last_flush = now();
            self.flushed = self.assembly.handed();
            return Ok(Reading::Idle);
        }
        for number in 0..MESSAGES_PER_PAUSE {
            if self.stopping || self.consumer.has_ended() {
                return Ok(Reading::End);
            }
            let wait = if number == 0 { wait } else { Duration::ZERO };
            match self.consumer.next(wait) {
                Some(taken) => self.assembly.take(taken, out),
                None if number == 0 => return Ok(Reading::Pause),
                None => break,
            }
        }
        Ok(if out.is_empty() { Reading::Pause } else { Reading::Exchanges })
    }

    fn stop(&mut self) {
        self.stopping = true;
        self.consumer.stop();
    }

    fn finish(&mut self, out: &mut Vec<Exchange>) -> anyhow::Result<()> {
        self.assembly.end_all(out);
        Ok(())
    }

    /// The hosts that published.
    fn interfaces(&self) -> &[String] {
        self.assembly.origins.hosts()
    }

    /// Messages, as there are no packets.
    fn packets(&self) -> u64 {
        self.consumer.account().seen
    }

    fn server_ports(&mut self, _: Ports) {}

    fn observe(&self) -> Observed {
        let (of_messages, mut notes) = of_http(self.assembly.http.stats());
        let mut accounts = vec![self.consumer.account(), self.assembly.account()];
        accounts.extend(of_messages);
        notes.extend(self.consumer.notes());
        notes.extend(self.assembly.responses());
        Observed { accounts, copies: Vec::new(), notes }
    }

    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    fn when_nothing_was_seen(&self) -> Option<String> {
        Some("the stream gave nothing: does anything publish to it, and has this group not taken it before?".to_owned())
    }
}

impl Drop for BrokerFront {
    /// The sinks are finished: everything is settled that they did not drop.
    fn drop(&mut self) {
        self.release();
        self.flushed = self.assembly.handed();
        self.release();
    }
}
