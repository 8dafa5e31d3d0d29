//! Delivers one request: asks the circuit breaker, gets a connection, sends the request, reads the
//! response, and reports the outcome to the circuit breaker.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::time::{Duration, Instant};

use super::Engine;
use super::job::Job;
use crate::rules::tag::ShadowRequest;
use crate::sink::replay::clock::now;
use crate::sink::replay::load::breaker::Admission;
use crate::sink::replay::outcome::not_delivered::{Attribution, NotDelivered};
use crate::sink::replay::outcome::observer::ShadowResponse;
use crate::sink::replay::outcome::progress::Counters;
use crate::sink::replay::transport::connections::{Connections, Held};
use crate::sink::replay::transport::upstream::{Completed, DeadlineTimer, Upstream};

/// Counts a request as in flight, however its exchange ends.
struct InFlight<'a>(&'a Counters);

impl<'a> InFlight<'a> {
    fn begin(counters: &'a Counters) -> Self {
        // Release: a reader that sees it in flight has seen it offered.
        counters.in_flight.fetch_add(1, Release);
        Self(counters)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

/// Sends a request if the circuit breaker allows it, reads the response, and settles the outcome.
pub(in crate::sink::replay) async fn deliver<'a>(
    mut job: Job,
    engine: &'a Engine,
    held: &mut Option<Held<'a>>,
    timer: &mut DeadlineTimer,
) {
    let outcome = attempt(&job, Turn::First, engine, held, timer).await;
    if job.again && outcome.is_ok() && !engine.stopping() {
        let again = attempt(&job, Turn::Again, engine, held, timer).await;
        job.ticket.asked_again(again);
    }
    engine.settle(job, outcome);
}

/// Whether the target is asked for the first time. Figures and times are those of the first: the second is not
/// production's load.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    First,
    Again,
}

async fn attempt<'a>(
    job: &Job,
    turn: Turn,
    engine: &'a Engine,
    held: &mut Option<Held<'a>>,
    timer: &mut DeadlineTimer,
) -> Result<ShadowResponse, NotDelivered> {
    let admission = engine.admit();
    if admission == Admission::Refused {
        *held = None;
        return Err(NotDelivered::BreakerOpen);
    }
    let mut report = BreakerReport { engine, admission, pending: true };
    let outcome = send(job, turn, engine, held, timer, admission).await;
    report.outcome(outcome.as_ref().map(|response| response.service_time).map_err(|why| *why));
    outcome
}

/// Reports the outcome of a request to the circuit breaker, also if the request is cancelled.
struct BreakerReport<'a> {
    engine: &'a Engine,
    admission: Admission,
    pending: bool,
}

impl BreakerReport<'_> {
    fn outcome(&mut self, outcome: Result<Duration, NotDelivered>) {
        let now = now();
        match outcome {
            Ok(took) => self.record(Some(took), now),
            // Requests that were not sent, or failed for other reasons, say nothing about the
            // target.
            Err(NotDelivered::BreakerOpen) => {}
            Err(why) if why.attribution() == Attribution::Target => self.record(None, now),
            Err(_) => {}
        }
    }

    fn record(&mut self, response_time: Option<Duration>, now: Instant) {
        self.pending = false;
        self.engine.record(self.admission, response_time, now);
    }
}

impl Drop for BreakerReport<'_> {
    fn drop(&mut self) {
        if self.pending && self.admission == Admission::Probe {
            self.engine.abandon_probe(now());
        }
    }
}

/// Why one attempt failed.
struct FailedAttempt {
    why: NotDelivered,
    /// No byte was sent, so that the target cannot have acted on it.
    unsent: bool,
    /// The target was closing the connection, and most likely did not act on it.
    closing: bool,
}

impl FailedAttempt {
    /// No connection was made.
    fn unconnected(why: NotDelivered) -> Self {
        Self { why, unsent: true, closing: false }
    }

    /// True if a client may send the request again (RFC 9110 §9.2.2).
    fn may_be_resent(&self, request: &ShadowRequest) -> bool {
        let lost = matches!(self.why, NotDelivered::Closed | NotDelivered::Reset);
        lost && self.closing && request.is_idempotent()
    }
}

async fn send<'a>(
    job: &Job,
    turn: Turn,
    engine: &'a Engine,
    held: &mut Option<Held<'a>>,
    timer: &mut DeadlineTimer,
    admission: Admission,
) -> Result<ShadowResponse, NotDelivered> {
    let counters = &engine.queue.counters;
    // Translate before a connection is taken, because this may wait and others could use the
    // connection.
    let request = match &engine.correlate {
        None => Cow::Borrowed(&job.request),
        Some(correlate) => {
            let (copy, counts) = (job.key.session.copy, &counters.correlated);
            correlate.translate(copy, job.arrived, &job.request, counts).await
        }
    };
    let mut retries = engine.retry_unsent;
    let mut resends = u32::from(engine.resend);
    let mut resent = false;
    let mut counted = turn == Turn::Again;
    loop {
        let failed = match acquire(engine, held, admission, std::mem::take(&mut resent)).await {
            Err(why) => FailedAttempt::unconnected(why),
            Ok(connection) => {
                let begun = now();
                if !std::mem::replace(&mut counted, true) {
                    counters.times.sent(job.due, begun);
                    job.ticket.sent(begun);
                    counters.sent.fetch_add(1, Relaxed);
                }
                let upstream = &mut held.insert(connection).connection.upstream;
                let attempt = exchange(&request, engine, upstream, timer, begun).await;
                let reusable = attempt.as_ref().is_ok_and(|(_, reusable)| *reusable);
                match (reusable, engine.pool.policy) {
                    (true, Connections::Faithful | Connections::Independent(_)) => {}
                    (true, Connections::Pooled(_)) => {
                        held.take()
                            .into_iter()
                            .for_each(|connection| engine.pool.give_back(connection));
                    }
                    (false, _) => *held = None,
                }
                match attempt {
                    Ok((response, _)) => {
                        if turn == Turn::First {
                            job.ticket.completed(job.due, begun, begun + response.service_time);
                        }
                        return Ok(response);
                    }
                    Err(failed) => failed,
                }
            }
        };
        if engine.stopping() || engine.is_open() {
            return Err(failed.why);
        } else if resends > 0 && failed.may_be_resent(&request) {
            resends -= 1;
            resent = true;
            counters.resent.fetch_add(1, Relaxed);
        } else if retries > 0 && failed.unsent && failed.why.may_retry() {
            retries -= 1;
            counters.retried.fetch_add(1, Relaxed);
        } else {
            return Err(failed.why);
        }
    }
}

/// Takes the held connection, or gets another one. `new` asks for an unused connection, because
/// spare ones may be closing, too.
async fn acquire<'a>(
    engine: &'a Engine,
    held: &mut Option<Held<'a>>,
    admission: Admission,
    new: bool,
) -> Result<Held<'a>, NotDelivered> {
    let connection = match held.take() {
        Some(connection) => connection,
        None if new => engine.new_connection().await?,
        None => engine.connection().await?,
    };
    // The circuit breaker may have opened while this request waited for a connection.
    if admission == Admission::Allowed && engine.is_open() {
        return Err(NotDelivered::BreakerOpen);
    }
    Ok(connection)
}

/// Makes one attempt. Returns the response, and whether the connection can take another request.
async fn exchange(
    request: &ShadowRequest,
    engine: &Engine,
    upstream: &mut Upstream,
    timer: &mut DeadlineTimer,
    begun: Instant,
) -> Result<(ShadowResponse, bool), FailedAttempt> {
    let counters = &engine.queue.counters;
    let _in_flight = InFlight::begin(counters);
    let outcome =
        upstream.exchange(request, &engine.timeouts, &engine.scratch, timer, begun.into()).await;
    let ended = now();
    match outcome {
        Ok(completed) => {
            let Completed { status, reusable, message } = completed;
            let service_time = ended.saturating_duration_since(begun);
            let message = message.map(Arc::new);
            let response = ShadowResponse { status, service_time, message };
            Ok((response, reusable && !request.is_last))
        }
        Err(why) => {
            let (unsent, closing) = (upstream.is_untouched(), upstream.was_closing());
            Err(FailedAttempt { why, unsent, closing })
        }
    }
}
