//! Publishes cleared requests to a broker, and their responses if those are wanted.
//!
//! A request is published when it is whole, its response when the exchange has ended. What waits is bounded; see
//! [`Publisher`].

use crate::broker::envelope::{NotPublishable, Outgoing};
use crate::broker::nats::Publisher;
use crate::http::message::Moment;
use crate::rules::Cleared;
use crate::sink::Sink;
use crate::stats::{Account, Note};

/// Publishes to one stream.
pub struct BrokerSink {
    publisher: Publisher,
    responses: bool,
}

impl BrokerSink {
    /// Publishes with `publisher`; `responses`, too.
    #[must_use]
    pub fn new(publisher: Publisher, responses: bool) -> Self {
        Self { publisher, responses }
    }
}

impl Sink for BrokerSink {
    fn accept(&mut self, cleared: &Cleared) -> anyhow::Result<()> {
        let exchange = cleared.exchange();
        if exchange.is_first_moment() {
            let request: Result<Outgoing, NotPublishable> = Outgoing::request(cleared);
            self.publisher.offer(request);
        }
        if self.responses
            && exchange.moment == Moment::Ended
            && let Some(response) = Outgoing::response(cleared)
        {
            self.publisher.offer_response(response);
        }
        Ok(())
    }

    fn needs_responses(&self) -> bool {
        self.responses
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        self.publisher.finish()
    }

    fn account(&self) -> Account {
        self.publisher.account()
    }

    fn notes(&self) -> Vec<Note> {
        self.publisher.notes()
    }
}
