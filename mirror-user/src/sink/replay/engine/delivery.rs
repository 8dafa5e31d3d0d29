//! One request on its way: it may go out or not, gets a connection, is sent, and its answer is read.
//! The breaker is told how that ended.

use std::borrow::Cow;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::time::{Duration, Instant};

use super::Engine;
use super::queue::Job;
use crate::rules::tag::ShadowRequest;
use crate::sink::replay::clock::now;
use crate::sink::replay::load::breaker::Pass;
use crate::sink::replay::outcome::progress::{Blame, Counters, NotDelivered};
use crate::sink::replay::transport::connections::{Connections, Held};
use crate::sink::replay::transport::upstream::{DeadlineTimer, Upstream};

/// Counts a request as in flight, however its exchange ends.
struct InFlight<'a>(&'a Counters);

impl<'a> InFlight<'a> {
    fn begin(counters: &'a Counters) -> Self {
        // What is seen in flight is seen offered, too.
        counters.in_flight.fetch_add(1, Release);
        Self(counters)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

/// A request that was answered.
struct Sent {
    status: u16,
    /// How long the target took.
    took: Duration,
    /// What it answered, where that is kept.
    answer: Option<Vec<u8>>,
}

/// Sends a request and reads the response, if it may go out at all, and settles what became of it.
pub(in crate::sink::replay) async fn carry_out<'a>(
    job: Job,
    engine: &'a Engine,
    held: &mut Option<Held<'a>>,
    timer: &mut DeadlineTimer,
) {
    let outcome = attempt(&job, engine, held, timer).await;
    let status = outcome.as_ref().map(|sent| sent.status).map_err(|why| *why);
    engine.answered(&job, outcome.ok().and_then(|sent| sent.answer));
    job.ticket.settle(status);
}

async fn attempt<'a>(
    job: &Job,
    engine: &'a Engine,
    held: &mut Option<Held<'a>>,
    timer: &mut DeadlineTimer,
) -> Result<Sent, NotDelivered> {
    let pass = engine.pass();
    if pass == Pass::No {
        *held = None;
        return Err(NotDelivered::BreakerOpen);
    }
    let mut judged = Judged { engine, pass, open: true };
    let outcome = send(job, engine, held, timer, pass).await;
    judged.tell(outcome.as_ref().map(|sent| sent.took).map_err(|why| *why));
    outcome
}

/// Tells the breaker how a request ended; one that is given up on its way, too.
struct Judged<'a> {
    engine: &'a Engine,
    pass: Pass,
    open: bool,
}

impl Judged<'_> {
    fn tell(&mut self, outcome: Result<Duration, NotDelivered>) {
        let now = now();
        match outcome {
            Ok(took) => self.record(Some(took), now),
            // What was not sent, or failed for another reason, says nothing of it.
            Err(NotDelivered::BreakerOpen) => {}
            Err(why) if why.blame() == Blame::Target => self.record(None, now),
            Err(_) => {}
        }
    }

    fn record(&mut self, answered: Option<Duration>, now: Instant) {
        self.open = false;
        self.engine.record(self.pass, answered, now);
    }
}

impl Drop for Judged<'_> {
    fn drop(&mut self) {
        if self.open && self.pass == Pass::Probe {
            self.engine.give_up_probe(now());
        }
    }
}

/// Why one attempt failed.
struct Failed {
    why: NotDelivered,
    /// Not a byte was sent, so that the target cannot have acted on it.
    unsent: bool,
    /// The target was closing the connection, and most probably did not act on it.
    closing: bool,
}

impl Failed {
    /// There was no connection to send anything on.
    fn unconnected(why: NotDelivered) -> Self {
        Self { why, unsent: true, closing: false }
    }

    /// True when a client would send the request again (RFC 9110 §9.2.2).
    fn may_be_resent(&self, request: &ShadowRequest) -> bool {
        let lost = matches!(self.why, NotDelivered::Closed | NotDelivered::Reset);
        lost && self.closing && request.is_idempotent()
    }
}

async fn send<'a>(
    job: &Job,
    engine: &'a Engine,
    held: &mut Option<Held<'a>>,
    timer: &mut DeadlineTimer,
    pass: Pass,
) -> Result<Sent, NotDelivered> {
    let counters = &engine.queue.counters;
    // Before a connection is taken that others could use meanwhile.
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
    let mut counted = false;
    loop {
        let failed = match connection(engine, held, pass, std::mem::take(&mut resent)).await {
            Err(why) => Failed::unconnected(why),
            Ok(mine) => {
                let begun = now();
                if !std::mem::replace(&mut counted, true) {
                    counters.times.sent(job.due, begun);
                    job.ticket.sent(begun);
                    counters.sent.fetch_add(1, Relaxed);
                }
                let upstream = &mut held.insert(mine).connection.upstream;
                let attempt = exchange(job, &request, engine, upstream, timer, begun).await;
                let reusable = attempt.as_ref().is_ok_and(|(_, reusable)| *reusable);
                match (reusable, engine.pool.policy) {
                    (true, Connections::Faithful | Connections::Independent(_)) => {}
                    (true, Connections::Pooled(_)) => {
                        held.take().into_iter().for_each(|mine| engine.pool.give_back(mine));
                    }
                    (false, _) => *held = None,
                }
                match attempt {
                    Ok((sent, _)) => return Ok(sent),
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
        } else if retries > 0 && failed.unsent && failed.why.may_pass() {
            retries -= 1;
            counters.retried.fetch_add(1, Relaxed);
        } else {
            return Err(failed.why);
        }
    }
}

/// The connection that is held, or another one; a `new` one where others may be closing, too.
async fn connection<'a>(
    engine: &'a Engine,
    held: &mut Option<Held<'a>>,
    pass: Pass,
    new: bool,
) -> Result<Held<'a>, NotDelivered> {
    let mine = match held.take() {
        Some(mine) => mine,
        None if new => engine.new_connection().await?,
        None => engine.connection().await?,
    };
    // While it waited for a connection, others may have failed.
    if pass == Pass::Yes && engine.is_open() {
        return Err(NotDelivered::BreakerOpen);
    }
    Ok(mine)
}

/// One attempt; with its answer, whether the connection can take another request.
async fn exchange(
    job: &Job,
    request: &ShadowRequest,
    engine: &Engine,
    upstream: &mut Upstream,
    timer: &mut DeadlineTimer,
    begun: Instant,
) -> Result<(Sent, bool), Failed> {
    let counters = &engine.queue.counters;
    let _in_flight = InFlight::begin(counters);
    upstream.keep_response(engine.correlate.is_some());
    let outcome =
        upstream.exchange(request, &engine.timeouts, &engine.scratch, timer, begun.into()).await;
    let answer = upstream.take_response();
    let ended = now();
    match outcome {
        Ok(answered) => {
            counters.times.answered(job.due, begun, ended);
            let took = ended.saturating_duration_since(begun);
            let sent = Sent { status: answered.status, took, answer };
            Ok((sent, answered.reusable && !job.request.is_last))
        }
        Err(why) => {
            let (unsent, closing) = (upstream.is_untouched(), upstream.was_closing());
            Err(Failed { why, unsent, closing })
        }
    }
}
