//! What became of a shadow request, for those who look at the target's responses: correlation, and a
//! comparison with production's.
//!
//! Every request that was offered to the replay is reported once: with the target's response, or
//! with the reason why there is none. Responses are kept only if somebody wants them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::not_delivered::NotDelivered;
use crate::http::message::{ExchangeId, Message};

/// What became of one shadow request.
#[derive(Clone, Debug)]
pub struct ShadowOutcome {
    /// The captured exchange whose request was replayed.
    pub exchange: ExchangeId,
    /// The copy of the capture that the request belongs to, from 0 on.
    pub copy: u32,
    /// The target's response, or why there is none.
    pub result: Result<ShadowResponse, NotDelivered>,
    /// The same when it was asked again; `None` if it was not.
    pub again: Option<Result<ShadowResponse, NotDelivered>>,
}

/// The target's response to a shadow request, read to its end.
#[derive(Clone, Debug)]
pub struct ShadowResponse {
    /// Its status code.
    pub status: u16,
    /// The time from sending the request to the last byte of the response.
    pub service_time: Duration,
    /// The response, if the replay has an observer or correlates. A body of more than
    /// [`MAX_BODY_BYTES`](crate::sink::replay::MAX_BODY_BYTES) is
    /// [`TooLarge`](crate::http::message::Kept::TooLarge), and its length is known. Nothing in it
    /// is redacted.
    pub message: Option<Arc<Message>>,
}

/// Takes the outcomes of a replay's shadow requests.
pub trait OutcomeObserver: fmt::Debug + Send + Sync {
    /// Takes an outcome. It is called by the pipeline's thread for a request that was not queued,
    /// and otherwise by the thread that sends requests, which must not wait: what does not fit is
    /// to be dropped and counted.
    fn observe(&self, outcome: ShadowOutcome);

    /// A request was offered to the replay, whose outcome will come.
    fn offered(&self, exchange: ExchangeId) {
        let _ = exchange;
    }

    /// The replay has ended: no more outcomes come.
    fn ended(&self) {}

    /// True if it looks at responses, which are then kept.
    fn wants_responses(&self) -> bool {
        true
    }
}

/// A request whose outcome is observed.
pub(in crate::sink::replay) struct Observed {
    pub(in crate::sink::replay) observer: Arc<dyn OutcomeObserver>,
    pub(in crate::sink::replay) exchange: ExchangeId,
    pub(in crate::sink::replay) copy: u32,
    /// What came of it when the target was asked again.
    pub(in crate::sink::replay) again: Option<Result<ShadowResponse, NotDelivered>>,
}

impl Observed {
    /// Reports the outcome.
    pub(super) fn settle(self, result: Result<ShadowResponse, NotDelivered>) {
        let Self { observer, exchange, copy, again } = self;
        observer.observe(ShadowOutcome { exchange, copy, result, again });
    }
}
