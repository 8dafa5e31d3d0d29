//! What is said of a target, with the defaults of the run, as the options of its replay.

use std::fs::File as Opened;
use std::sync::Arc;

use super::file::TargetSpec;
use super::outputs::replay::ReplayTarget;
use crate::cli::{
    BreakerArg, IdleCloseArg, LoadArgs, MarkArgs, PaceArgs, ShareArg, Speed, TargetArgs,
};
use crate::rules::edit::Edits;
use crate::rules::tag::{HostPolicy, Marks};
use crate::sink::replay::{
    BreakerOptions, Connections, Copies, FailOn, Limits, Pace, RampOptions, ReplayOptions, Target,
    TargetUrl, Timeouts, TlsOptions, WhenFull, Window,
};

/// Connections to one target at the same time, at most. Half of what a sink could have, so that
/// several targets fit into the 1,024 descriptors of a process.
const MAX_CONNECTIONS: usize = 256;

/// What all targets of a run have in common.
pub(crate) struct Run {
    /// What tells its shadows from those of others.
    pub(crate) name: String,
    pub(crate) pace: PaceArgs,
    pub(crate) is_live: bool,
    /// Where each request leaves a line.
    pub(crate) log: Option<Arc<Opened>>,
    pub(crate) fail_on: Vec<FailOn>,
}

/// The target, ready to be sent to.
///
/// # Errors
/// When it is no target, or its TLS files cannot be used; the message says why.
pub(crate) fn to(spec: &TargetSpec, run: &Run) -> anyhow::Result<ReplayTarget> {
    let how = &spec.how;
    let tls = TlsOptions {
        authorities: how.tls_ca.clone(),
        certificate: how.tls_cert.clone(),
        key: how.tls_key.clone(),
        server_name: how.tls_server_name.clone(),
        insecure: how.tls_insecure,
    };
    let url = TargetUrl { text: spec.url.clone(), credentials: spec.credentials.clone() };
    let target = Target::open(url, &tls)?;
    let mut edits = spec.edits();
    target.complete(&mut edits);
    let (pace, when_full) = match run.is_live {
        true => (Pace::Live, WhenFull::Drop(how.load.drop.map(Into::into).unwrap_or_default())),
        false => (pace(&run.pace), WhenFull::Wait),
    };
    let copies = Copies::default();
    let options = ReplayOptions {
        window: Window::new(run.pace.from_time, run.pace.to_time),
        copies: Copies {
            count: run.pace.copies.unwrap_or(copies.count),
            over: run.pace.copies_over.unwrap_or(copies.over),
        },
        max_gap: run.pace.max_gap,
        cap: run.pace.rate.filter(|_| run.is_live),
        connections: run.pace.connections.unwrap_or_default(),
        limits: limits(how, run),
        timeouts: timeouts(how, &run.pace),
        correlate: how.correlate,
        retry_unsent: how.load.retry_unsent.unwrap_or_default(),
        resend: how.load.idle_close.unwrap_or(IdleCloseArg::Resend) == IdleCloseArg::Resend,
        ramp: ramp(&how.load),
        breaker: breaker(how, run.is_live),
        log: run.log.clone(),
        fail_on: run.fail_on.clone(),
        ..ReplayOptions::new(marks(&how.marks, edits, &run.name), pace, when_full)
    };
    Ok(ReplayTarget { name: Some(spec.name.as_str().into()), target, options })
}

fn pace(args: &PaceArgs) -> Pace {
    match (args.rate, args.speed.unwrap_or(Speed::Times(1.0))) {
        (Some(rate), _) => Pace::Rate(rate),
        (None, Speed::Times(speed)) => Pace::Recorded { speed },
        (None, Speed::Max) => Pace::Max,
    }
}

fn marks(args: &MarkArgs, edits: Edits, run: &str) -> Marks {
    let host = match args.host.clone().unwrap_or_default() {
        HostPolicy::Suffix { .. } => HostPolicy::Suffix { ip_literals: args.suffix_addresses },
        host => host,
    };
    Marks {
        host,
        mode: args.mode.map(Into::into).unwrap_or_default(),
        run: run.to_owned(),
        ambiguous: args.ambiguous.map(Into::into).unwrap_or_default(),
        trace: args.trace.map(Into::into).unwrap_or_default(),
        baggage: args.baggage.map(Into::into).unwrap_or_default(),
        edits,
    }
}

fn limits(how: &TargetArgs, run: &Run) -> Limits {
    let defaults = Limits::default();
    // Who names a number of connections means it.
    let named = run.pace.connections.and_then(Connections::limit).unwrap_or_default();
    let queue_bytes = how.load.max_queue.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    Limits {
        connections: how.load.max_connections.unwrap_or(MAX_CONNECTIONS.max(named)),
        queue_bytes: queue_bytes.unwrap_or(defaults.queue_bytes),
        queue_requests: if run.is_live { Limits::LIVE_REQUESTS } else { defaults.queue_requests },
    }
}

fn timeouts(how: &TargetArgs, pace: &PaceArgs) -> Timeouts {
    let defaults = Timeouts::default();
    let first_byte = how.answer_timeout.unwrap_or(defaults.first_byte);
    Timeouts {
        connect: how.connect_timeout.unwrap_or(defaults.connect),
        first_byte,
        total: first_byte.saturating_mul(3),
        late: pace.max_late.unwrap_or(defaults.late),
        ..defaults
    }
}

/// From this share of failures on a ramp stops, unless another one is given.
const RAMP_ERRORS: f64 = 0.1;

fn ramp(load: &LoadArgs) -> Option<RampOptions> {
    let share = |arg: Option<ShareArg>| arg.map_or(Some(RAMP_ERRORS), ShareArg::share);
    Some(RampOptions {
        over: load.ramp?,
        target_errors: share(load.ramp_target_errors),
        production_errors: share(load.ramp_production_errors),
    })
}

/// True when a target gets no more once production's answers are not well.
pub(super) fn watches_production(load: &LoadArgs) -> bool {
    ramp(load).is_some_and(|ramp| ramp.production_errors.is_some())
}

/// When a target is left alone. What is live has a production behind it that cannot be slowed down,
/// only its shadow can; a file is read by somebody who wants every outcome.
fn breaker(how: &TargetArgs, is_live: bool) -> Option<BreakerOptions> {
    let defaults = BreakerOptions::default();
    let share = match how.breaker.unwrap_or(BreakerArg::Auto) {
        BreakerArg::Auto => is_live.then_some(defaults.share)?,
        BreakerArg::At(share) => share.share()?,
    };
    let rest = how.breaker_rest.unwrap_or(defaults.rest);
    Some(BreakerOptions { share, slow: how.breaker_latency, rest })
}
