//! What happens to a cleared exchange on the pipeline's thread: whether its request is replayed, when it
//! is due, and that it is queued, or counted with the reason why not.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use super::correlate::{Count, RecordedResponse};
use super::engine::job::Submission;
use super::engine::queue::{MaxWait, Queue};
use super::key::{ExchangeKey, SessionKey};
use super::load::ramp::{Ramp, RampDecision, StopCause};
use super::outcome::log::LoggedRequest;
use super::outcome::observer::Observed;
use super::outcome::progress::Observers;
use super::outcome::span::{OpenSpan, TracedRequest};
use super::{NotDelivered, ReplaySink, WhenFull, clock};
use crate::http::message::{Exchange, Message, StartLine};
use crate::logging::emit;
use crate::rules::Cleared;
use crate::rules::route::Priority;

/// Makes the draw for asking again another one than that of samples, which would else ask all of a sample again, or none.
const AGAIN: u64 = 0x6167_6169_6e00_0000;

/// The largest number of requests whose responses of production are expected; 3 MiB.
const MAX_OPEN: usize = 64 * 1024;

impl ReplaySink {
    /// Queues the request for one copy of the capture, or counts why it is not sent.
    pub(super) fn replay(&mut self, cleared: &Cleared, request: &Message, copy: u32) {
        let Some(marks) = self.marks.get(copy as usize) else { return };
        let (id, interface) = (cleared.exchange().id, cleared.exchange().peers.interface);
        let connection = id.connection;
        let inside = self.window.contains(request.started.earlier(self.shift));
        let shadow = match (inside, self.room(cleared.priority())) {
            (false, _) => Err(NotDelivered::OutsideTime),
            // Nothing is made for a request that would be dropped.
            (true, Err(why)) => Err(why),
            (true, Ok(())) => {
                cleared.shadow_request(marks, &self.target).map_err(NotDelivered::from)
            }
        };
        let due = shadow.as_ref().ok().and_then(|_| {
            let offset = self.copies.offset(connection.number(), copy);
            self.schedule.due(request.started, offset, clock::now)
        });
        let shadow = match &mut self.ramp {
            None => shadow,
            Some(ramp) => {
                let decision =
                    ramp_decision(ramp, &self.queue, &self.target, connection.number(), due);
                shadow.and_then(|shadow| decision.map(|()| shadow))
            }
        };
        let shadow = match &mut self.cap {
            Some(cap) if shadow.is_ok() => {
                let admits = cap.admits(connection.number(), id.index == 0, request.finished);
                shadow.and_then(|shadow| admits.then_some(shadow).ok_or(NotDelivered::OverRate))
            }
            _ => shadow,
        };
        let name = || format!("{}-{id}", marks.run);
        let log_entry = self
            .log
            .as_ref()
            .map(|log| log.entry(LoggedRequest::new(name(), &self.target, request), due));
        // What is not to be sent has no span.
        let span = self.spans.as_ref().filter(|_| shadow.is_ok()).map(|sink| {
            let traces = cleared.traces(marks, &self.target);
            let request = TracedRequest::new(name(), &self.target, (cleared, request), traces);
            Box::new(OpenSpan::new(sink, request))
        });
        let observers = Observers {
            log_entry,
            span,
            group: Some(self.by_group.offered(cleared.rule_name(), interface)),
            observed: self.observer.as_ref().map(|observer| {
                let (observer, again) = (Arc::clone(observer), None);
                observer.offered(id);
                Box::new(Observed { observer, exchange: id, copy, again })
            }),
        };
        let shadow = match shadow {
            Ok(shadow) => shadow,
            Err(why) => {
                self.reasons.count(why, request);
                return self.queue.counters.settle(Err(why), observers);
            }
        };
        let host_missing = u64::from(shadow.host_missing);
        self.queue.counters.host_missing.fetch_add(host_missing, Relaxed);
        let max_wait = match (self.when_full, due) {
            (WhenFull::Drop(victim), _) => MaxWait::None(victim),
            (WhenFull::Wait, Some(due)) => MaxWait::Until(due + self.late),
            (WhenFull::Wait, None) => MaxWait::Forever,
        };
        let (session, index) = (SessionKey { connection, copy }, id.index);
        let priority = cleared.priority();
        let again = copy == 0 && shadow.is_safe() && self.ask_again.takes(id, AGAIN);
        let request = shadow;
        let submission = Submission { session, due, request, priority, index, again, observers };
        let taken = self.queue.push(submission, max_wait);
        if let Some(open) = &mut self.open
            && taken
        {
            // Some may never end, because their connections were evicted.
            if open.len() >= MAX_OPEN {
                let unseen = open.len() as u64;
                self.queue.counters.correlated.add(Count::ResponsesDropped, unseen);
                open.clear();
            }
            open.insert(ExchangeKey { session, index });
        }
    }

    /// Whether the queue has room for a small request of this priority. One that would wait for room has it.
    pub(super) fn room(&self, priority: Priority) -> Result<(), NotDelivered> {
        match self.when_full {
            WhenFull::Drop(victim) => self.queue.room(priority, victim),
            WhenFull::Wait => Ok(()),
        }
    }

    /// Reports production's responses to the ramp.
    pub(super) fn watch_production(&mut self, exchange: &Exchange) {
        let (Some(ramp), Some(response)) = (&mut self.ramp, &exchange.response) else { return };
        if let StartLine::Status { code, .. } = response.head.start {
            report_stop(&self.target, ramp.production(code >= 500, clock::now()));
        }
    }

    /// Queues production's responses to requests that were queued.
    pub(super) fn queue_response(&mut self, exchange: &Exchange) {
        let (Some(open), Some(request)) = (&mut self.open, &exchange.request) else { return };
        let max_wait = match self.when_full {
            WhenFull::Drop(victim) => MaxWait::None(victim),
            WhenFull::Wait => MaxWait::Forever,
        };
        for copy in 0..self.copies.count {
            let session = SessionKey { connection: exchange.id.connection, copy };
            let key = ExchangeKey { session, index: exchange.id.index };
            if let Some(response) = &exchange.response
                && open.remove(&key)
            {
                let (request, response) = (Arc::clone(request), Arc::clone(response));
                let recorded = RecordedResponse { key, request, response, pass: self.pass };
                self.queue.push_response(recorded, max_wait);
            }
        }
    }
}

/// Whether the ramp admits a request of this connection that is due at `due`.
fn ramp_decision(
    ramp: &mut Ramp,
    queue: &Queue,
    target: &str,
    connection: u64,
    due: Option<Instant>,
) -> Result<(), NotDelivered> {
    let now = clock::now();
    if ramp.is_check_due(now) {
        report_stop(target, ramp.outcomes(queue.counters.outcomes(), now));
    }
    let decision = ramp.decide(connection, due.unwrap_or(now));
    queue.counters.set_ramp(ramp.share());
    match decision {
        RampDecision::Admitted => Ok(()),
        RampDecision::NotYet => Err(NotDelivered::Ramping),
        RampDecision::Stopped => Err(NotDelivered::RampStopped),
    }
}

fn report_stop(target: &str, cause: Option<StopCause>) {
    if let Some(cause) = cause {
        emit!(RampStopped, target, "{target}: {cause}");
    }
}
