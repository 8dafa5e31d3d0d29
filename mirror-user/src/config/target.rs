//! Turns the settings of a target, with the run's defaults, into replay options.

use std::fs::File as Opened;
use std::sync::Arc;

use super::compared::{Comparing, compared};
use super::file::TargetSpec;
use super::outputs::replay::ReplayTarget;
use crate::rules::edit::RequestEdits;
use crate::rules::tag::{HostPolicy, Marks};
use crate::rules::trace::TraceIds;
use crate::settings::{
    FailureShare, LoadSettings, MarkSettings, PaceSettings, Speed, TargetSettings, Threshold,
};
use crate::sink::replay::{
    BreakerOptions, Connections, Copies, FailOn, IdleClose, Limits, Pace, RampOptions,
    ReplayOptions, Target, TargetUrl, Timeouts, TlsOptions, WhenFull, Window,
};

/// Default maximum of concurrent connections to one target: small enough for several targets within
/// the 1,024 file descriptors of a process.
const MAX_CONNECTIONS: usize = 256;

/// What all targets of a run have in common.
pub(crate) struct Run {
    /// Distinguishes its shadows from those of other runs.
    pub(crate) name: String,
    pub(crate) pace: PaceSettings,
    pub(crate) is_live: bool,
    /// True for a stream, which gives requests as they come unless a pace is named.
    pub(crate) is_stream: bool,
    /// The log of requests.
    pub(crate) log: Option<Arc<Opened>>,
    pub(crate) fail_on: Vec<FailOn>,
    /// What the comparison of a target adds to.
    pub(crate) comparing: Comparing,
}

/// Builds the target with its replay options.
///
/// # Errors
/// If a URL is invalid, or its TLS files or rules cannot be used.
pub(crate) fn replay_target(spec: &TargetSpec, run: &Run) -> anyhow::Result<ReplayTarget> {
    let how = &spec.how;
    let tls = TlsOptions {
        authorities: how.tls.ca.clone(),
        certificate: how.tls.cert.clone(),
        key: how.tls.key.clone(),
        server_name: how.tls.server_name.clone(),
        insecure: how.tls.insecure,
    };
    let url = TargetUrl { text: spec.url.clone(), credentials: spec.credentials.clone() };
    let target = Target::open(url, &tls)?;
    let mut edits = how.edits();
    target.complete(&mut edits);
    let (pace, when_full) = match run.is_live {
        true => (Pace::Live, WhenFull::Drop(how.load.drop.unwrap_or_default())),
        false if run.is_stream && !run.pace.is_given() => (Pace::Live, WhenFull::Wait),
        false => (pace(&run.pace), WhenFull::Wait),
    };
    let copies = Copies::default();
    let options = ReplayOptions {
        window: Window::new(run.pace.from_time, run.pace.to_time),
        copies: Copies {
            count: run.pace.copies.map_or(copies.count, |copies| copies.0),
            over: run.pace.copies_over.unwrap_or(copies.over),
        },
        max_gap: run.pace.max_gap,
        cap: run.pace.rate.filter(|_| run.is_live),
        connections: run.pace.connections.unwrap_or_default(),
        limits: limits(how, run),
        timeouts: timeouts(how, &run.pace),
        correlate: how.correlate,
        retry_unsent: how.load.retry_unsent.unwrap_or_default(),
        resend: how.load.idle_close.unwrap_or_default() == IdleClose::Resend,
        ramp: ramp(&how.load),
        breaker: breaker(how, run.is_live),
        health: how.health.errors.and_then(FailureShare::share),
        log: run.log.clone(),
        fail_on: run.fail_on.clone(),
        ..ReplayOptions::new(
            Marks { body: (&how.body).into(), ..marks(&how.marks, edits, &run.name) },
            pace,
            when_full,
        )
    };
    let (name, compared) = (Some(spec.name.as_str().into()), compared(spec, run)?);
    Ok(ReplayTarget { name, target, options, compared, place: 0 })
}

fn pace(args: &PaceSettings) -> Pace {
    match (args.rate, args.speed.unwrap_or(Speed::Times(1.0))) {
        (Some(rate), _) => Pace::Rate(rate),
        (None, Speed::Times(speed)) => Pace::Recorded { speed },
        (None, Speed::Max) => Pace::Max,
    }
}

fn marks(args: &MarkSettings, edits: RequestEdits, run: &str) -> Marks {
    let host = match args.host.clone().unwrap_or_default() {
        HostPolicy::Suffix { .. } => HostPolicy::Suffix { ip_literals: args.suffix_addresses },
        host => host,
    };
    Marks {
        host,
        mode: args.mode.unwrap_or_default(),
        run: run.to_owned(),
        ambiguous: args.ambiguous.unwrap_or_default(),
        trace: args.trace.unwrap_or_default(),
        trace_ids: TraceIds::default(),
        baggage: args.baggage.unwrap_or_default(),
        edits,
        ..Marks::default()
    }
}

fn limits(how: &TargetSettings, run: &Run) -> Limits {
    let defaults = Limits::default();
    // An explicit number of pooled connections raises the default.
    let named = run.pace.connections.and_then(Connections::limit).unwrap_or_default();
    let queue_bytes =
        how.load.max_queue.map(|bytes| usize::try_from(bytes.0).unwrap_or(usize::MAX));
    let connections = how.load.max_connections.map(|count| count.get() as usize);
    Limits {
        connections: connections.unwrap_or(MAX_CONNECTIONS.max(named)),
        queue_bytes: queue_bytes.unwrap_or(defaults.queue_bytes),
        queue_requests: if run.is_live { Limits::LIVE_REQUESTS } else { defaults.queue_requests },
    }
}

fn timeouts(how: &TargetSettings, pace: &PaceSettings) -> Timeouts {
    let defaults = Timeouts::default();
    let first_byte = how.response_timeout.unwrap_or(defaults.first_byte);
    Timeouts {
        connect: how.connect_timeout.unwrap_or(defaults.connect),
        first_byte,
        total: first_byte.saturating_mul(3),
        late: pace.max_late.unwrap_or(defaults.late),
        ..defaults
    }
}

/// The default share of failures at which a ramp stops.
const RAMP_ERRORS: f64 = 0.1;

fn ramp(load: &LoadSettings) -> Option<RampOptions> {
    let share = |given: Option<FailureShare>| given.map_or(Some(RAMP_ERRORS), FailureShare::share);
    Some(RampOptions {
        over: load.ramp.over?,
        target_errors: share(load.ramp.target_errors),
        production_errors: share(load.ramp.production_errors),
    })
}

/// True if sending to the target stops when production's responses fail.
pub(super) fn watches_production(load: &LoadSettings) -> bool {
    ramp(load).is_some_and(|ramp| ramp.production_errors.is_some())
}

/// Options of the circuit breaker. By default it is on for live traffic, which cannot be slowed down when
/// the target fails, and off for files, whose every outcome is of interest.
fn breaker(how: &TargetSettings, is_live: bool) -> Option<BreakerOptions> {
    let defaults = BreakerOptions::default();
    let share = match how.breaker.failures.unwrap_or(Threshold::Auto) {
        Threshold::Auto => is_live.then_some(defaults.share)?,
        Threshold::At(share) => share.share()?,
    };
    let rest = how.breaker.rest.unwrap_or(defaults.rest);
    Some(BreakerOptions { share, slow: how.breaker.latency, rest })
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::*;
    use crate::http::HttpOptions;
    use crate::settings::define::{Setting, Settings, Slot, Visit};
    use crate::settings::{BodySettings, SourceSettings, flags};
    use crate::source::live::DEFAULT_RING_BYTES;

    /// The flags that spell out the defaults.
    #[derive(Default)]
    struct Defaults(Vec<String>);

    impl Visit for Defaults {
        fn setting<S: Slot>(&mut self, setting: &'static Setting, _: &mut S, _: &S) {
            let default = setting.default;
            // A default with a space is a sentence.
            if let (Some(flag), false) =
                (setting.flag(), default.is_empty() || default.contains(' '))
            {
                self.0.push(format!("--{flag}={default}"));
            }
        }

        fn group<G: Settings>(&mut self, _: Option<&'static str>, own: &mut G, other: &G) {
            own.visit(other, self);
        }
    }

    fn defaults<G: Settings + clap::Args>() -> G {
        let mut spelled_out = Defaults::default();
        G::default().visit(&G::default(), &mut spelled_out);
        let command = clap::Command::new("mirror").no_binary_name(true);
        let command = command.arg(clap::Arg::new("config").long("config").num_args(0));
        let args = spelled_out.0.into_iter().chain(["--config".to_owned()]);
        let matches = flags::define::<G>(command).try_get_matches_from(args).unwrap();
        FromArgMatches::from_arg_matches(&matches).unwrap()
    }

    #[test]
    fn the_documented_defaults_are_those_that_apply() {
        let options = |how: TargetSettings, pace: PaceSettings, is_live| {
            let spec = TargetSpec { how, ..TargetSpec::new("a", "http://127.0.0.1:1") };
            let (name, log, fail_on, comparing, is_stream) = Default::default();
            let run = Run { name, pace, is_live, is_stream, log, fail_on, comparing };
            format!("{:?}", replay_target(&spec, &run).unwrap().options)
        };
        for is_live in [false, true] {
            let implicit = options(TargetSettings::default(), PaceSettings::default(), is_live);
            let mut how: TargetSettings = defaults();
            // There is no ramp by default.
            how.load.ramp = Default::default();
            assert_eq!(options(how, defaults(), is_live), implicit);
        }
        let bodies: BodySettings = defaults();
        assert_eq!(bodies.max_body.unwrap().0, crate::config::run::MAX_BODY);
        assert_eq!(bodies.max_spool.unwrap().0, HttpOptions::default().max_spooled);
        let source: SourceSettings = defaults();
        assert_eq!(source.ring_size.unwrap().0, u64::from(DEFAULT_RING_BYTES));
        let ramp = defaults::<TargetSettings>().load.ramp;
        let share = |share: Option<FailureShare>| share.and_then(FailureShare::share);
        assert_eq!(share(ramp.target_errors), Some(RAMP_ERRORS));
        assert_eq!(share(ramp.production_errors), Some(RAMP_ERRORS));
    }
}
