//! Output that sends requests to one or several targets.

use std::sync::Arc;

use anyhow::bail;

use super::{Opened, Opening, OutputPlan, keep};
use crate::descriptors;
use crate::http::{HttpOptions, KeepLimits};
use crate::logging::emit;
use crate::pipeline::Outlet;
use crate::rules::route::TargetId;
use crate::sink::replay::{
    Forbidden, MAX_BODY_BYTES, ReplayMonitor, ReplayOptions, ReplaySink, Target,
};

/// A target and its replay options.
pub(crate) struct ReplayTarget {
    /// Its name in rules and summaries; `None` if it is the only one.
    pub(crate) name: Option<Arc<str>>,
    pub(crate) target: Target,
    pub(crate) options: ReplayOptions,
}

/// Limits on request bodies, over all targets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bodies {
    /// Maximum size of a request body, in bytes.
    pub(crate) longest: u64,
    /// Maximum size of all bodies spooled to disk, in bytes.
    pub(crate) spooled: u64,
}

impl Default for Bodies {
    fn default() -> Self {
        let longest = KeepLimits::default().total;
        Self { longest, spooled: HttpOptions::default().max_spooled }
    }
}

/// Sends requests to `targets`.
pub(crate) fn replay(targets: Vec<ReplayTarget>, bodies: Bodies) -> OutputPlan {
    let counted = HttpOptions::default();
    let keeps_responses = targets.iter().any(|to| to.options.keeps_responses());
    let http = HttpOptions {
        request_body: keep(bodies.longest),
        response_body: match keeps_responses {
            true => keep(MAX_BODY_BYTES as u64),
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
    /// Prevents feedback loops: refuses a target that is itself captured. The target keeps checking this,
    /// even if its name resolves to other addresses later.
    ///
    /// # Errors
    /// If it is captured; the message says which address.
    pub(crate) fn admit(&mut self, opening: &Opening) -> anyhow::Result<()> {
        if let Some(is_captured) = &opening.is_captured {
            for address in self.target.addresses() {
                if is_captured(*address)? {
                    bail!(
                        "{}: is captured itself ({address} is this host's and port {} is captured), so its shadow \
                         requests would be mirrored again; use another host or port",
                        self.target.authority(),
                        address.port()
                    );
                }
            }
            let is_captured = Arc::clone(is_captured);
            // If that cannot be determined, nothing is sent.
            let captured = move |address| is_captured(address).unwrap_or(true);
            self.target.forbid(Forbidden::when(captured));
        }
        if let Some(on_connect) = &opening.on_connect {
            self.target.on_connect(on_connect.clone());
        }
        Ok(())
    }

    /// Starts its sink, for requests that the rules send to `id` if the target has a name.
    ///
    /// # Errors
    /// If no thread could be started.
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
                "{target}: its certificate is not verified, so anyone who can intercept the connection gets the requests"
            );
        }
        let sink = ReplaySink::start(self.target, self.options, opening.stop.flag())?;
        let monitor = sink.monitor().named(self.name.clone());
        let outlet = match (self.name, id) {
            (Some(name), Some(id)) => Outlet::of_target(id, name, Box::new(sink)),
            _ => Outlet::of_all(Box::new(sink)),
        };
        Ok((outlet, monitor))
    }
}

/// Connects to every target before any engine runs. If some of several are down, a warning is emitted:
/// the others are not affected.
///
/// # Errors
/// If none can be reached.
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
        emit!(TargetUnreachable, target, reason = %format_args!("{why:#}"), "{why:#}; the other targets are not affected");
    }
    Ok(())
}
