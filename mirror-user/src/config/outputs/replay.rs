//! Requests to one or several targets.

use std::sync::Arc;

use anyhow::bail;

use super::{Opened, Opening, OutputPlan, keep};
use crate::descriptors;
use crate::http::HttpOptions;
use crate::logging::emit;
use crate::pipeline::Outlet;
use crate::rules::route::TargetId;
use crate::sink::replay::{
    Forbidden, MAX_ANSWER_BYTES, ReplayMonitor, ReplayOptions, ReplaySink, Target,
};

/// A target and how it is replayed to.
pub(crate) struct ReplayTarget {
    /// What rules and summaries call it; `None` where it is the only one.
    pub(crate) name: Option<Arc<str>>,
    pub(crate) target: Target,
    pub(crate) options: ReplayOptions,
}

/// What all requests of a replay may take, whichever target they are for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bodies {
    /// Bytes of the longest request body that is sent.
    pub(crate) longest: u64,
    /// Bytes of all bodies that may wait on disk.
    pub(crate) spooled: u64,
}

impl Default for Bodies {
    fn default() -> Self {
        let longest = crate::http::KeepLimits::default().total;
        Self { longest, spooled: HttpOptions::default().max_spooled }
    }
}

/// Requests to `targets`.
pub(crate) fn replay(targets: Vec<ReplayTarget>, bodies: Bodies) -> OutputPlan {
    let counted = HttpOptions::default();
    let correlates = targets.iter().any(|to| to.options.correlate);
    let http = HttpOptions {
        request_body: keep(bodies.longest),
        response_body: match correlates {
            true => keep(MAX_ANSWER_BYTES as u64),
            false => counted.response_body,
        },
        max_spooled: bodies.spooled,
        ..counted
    };
    let keeps_pace = targets.iter().any(|to| to.options.pace.has_deadlines());
    let connects = targets.iter().filter_map(|to| to.target.port()).collect();
    let plan = OutputPlan::new(http, move |opening| open(targets, opening));
    OutputPlan { sends: true, keeps_pace, connects, ..plan }
}

fn open(mut targets: Vec<ReplayTarget>, opening: &Opening) -> anyhow::Result<Opened> {
    for to in &mut targets {
        to.admit(opening)?;
    }
    let wanted = targets.iter_mut().map(|to| &mut to.options.limits.connections);
    if let Some(bounded) = descriptors::raise().and_then(|room| descriptors::fit(room, wanted)) {
        emit!(ConnectionsReduced, "{bounded}");
    }
    probe(&targets)?;
    let mut opened = Opened::default();
    for (place, to) in targets.into_iter().enumerate() {
        let (outlet, monitor) = to.start(TargetId::new(place), opening)?;
        opened.outlets.push(outlet);
        opened.monitors.push(monitor);
    }
    Ok(opened)
}

impl ReplayTarget {
    /// Sees to it that mirror never feeds itself: refuses a target that is itself captured. From then on
    /// the target keeps to that, whatever its name comes to mean.
    ///
    /// # Errors
    /// When it is captured; the message says which address.
    pub(crate) fn admit(&mut self, opening: &Opening) -> anyhow::Result<()> {
        if let Some(is_captured) = &opening.is_captured {
            for address in self.target.addresses() {
                if is_captured(*address)? {
                    bail!(
                        "{}: is captured itself ({address} is this host's and port {} is watched), so that its shadows \
                         would be shadowed again; name another host or port",
                        self.target.authority(),
                        address.port()
                    );
                }
            }
            let is_captured = Arc::clone(is_captured);
            // What cannot be asked is not sent to.
            let captured = move |address| is_captured(address).unwrap_or(true);
            self.target.forbid(Forbidden::when(captured));
        }
        if let Some(on_connect) = &opening.on_connect {
            self.target.on_connect(on_connect.clone());
        }
        Ok(())
    }

    /// Its sink, running; for what the rules send to `id`, where it has a name.
    ///
    /// # Errors
    /// When no thread could be started.
    pub(crate) fn start(
        self,
        id: Option<TargetId>,
        opening: &Opening,
    ) -> anyhow::Result<(Outlet, ReplayMonitor)> {
        if self.target.is_unverified() {
            let target = self.name.as_deref().unwrap_or_else(|| self.target.authority());
            emit!(
                TargetUnverified,
                target,
                "{target}: its certificate is not verified, so that whoever answers there gets the requests"
            );
        }
        let sink = ReplaySink::start(self.target, self.options, opening.stop.flag())?;
        let monitor = sink.monitor();
        let outlet = match (self.name, id) {
            (Some(name), Some(id)) => Outlet::of_target(id, &name, Box::new(sink)),
            _ => Outlet::of_all(Box::new(sink)),
        };
        Ok((outlet, monitor))
    }
}

/// Reaches every target before any engine runs. One of several that is down gets a warning: the others
/// lose nothing by it.
///
/// # Errors
/// When none can be reached.
fn probe(targets: &[ReplayTarget]) -> anyhow::Result<()> {
    let probed = targets.iter().map(|ReplayTarget { target, options, .. }| {
        let reached = target.probe(options.timeouts.connect);
        reached.map_err(|why| (target.authority(), why))
    });
    let (reached, failed): (Vec<_>, Vec<_>) = probed.partition(Result::is_ok);
    let mut failed = failed.into_iter().filter_map(Result::err);
    if reached.is_empty()
        && let Some((_, first)) = failed.next()
    {
        return Err(first);
    }
    for (target, why) in failed {
        emit!(TargetUnreachable, target, reason = %format_args!("{why:#}"), "{why:#}; the other targets get theirs");
    }
    Ok(())
}
