//! Output that sends requests to one or several targets.

use std::sync::Arc;

use anyhow::bail;

use super::compare::Compared;
use super::{Opened, Opening, OutputPlan, keep, keep_or_digest, outlet};
use crate::descriptors;
use crate::http::{HttpOptions, KeepLimits};
use crate::logging::emit;
use crate::rules::route::TargetId;
use crate::sink::compare::store::Store;
use crate::sink::replay::{Forbidden, MAX_BODY_BYTES, ReplayOptions, ReplaySink, Target};

/// A target and its replay options.
pub(crate) struct ReplayTarget {
    /// Its name in rules and summaries; `None` if it is the only one.
    pub(crate) name: Option<Arc<str>>,
    pub(crate) target: Target,
    pub(crate) options: ReplayOptions,
    /// How its responses are compared with production's; `None`: they are not.
    pub(crate) compared: Option<Compared>,
    /// Its place among the targets that rules name.
    pub(crate) place: usize,
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
    let keeps_responses =
        targets.iter().any(|to| to.options.keeps_responses() || to.compared.is_some());
    let http = HttpOptions {
        request_body: keep(bodies.longest),
        response_body: match keeps_responses {
            true => keep_or_digest(MAX_BODY_BYTES as u64),
            false => counted.response_body,
        },
        max_spooled: bodies.spooled,
        ..counted
    };
    let keeps_pace = targets.iter().any(|to| to.options.pace.has_deadlines());
    let connects = each(&targets).filter_map(|to| to.target.port()).collect();
    let findings = targets.iter().filter_map(|to| to.compared.as_ref()?.findings.clone());
    let writes = findings.collect();
    let store = targets.iter().find_map(|to| to.compared.as_ref()?.comparison.store());
    let folder = store.and_then(Store::folder);
    let plan = OutputPlan::new(http, move |opening| open(targets, opening));
    OutputPlan { sends: true, keeps_pace, connects, writes, folder, ..plan }
}

/// The targets and their controls.
fn each(targets: &[ReplayTarget]) -> impl Iterator<Item = &ReplayTarget> {
    targets.iter().flat_map(|to| std::iter::once(to).chain(to.control()))
}

fn open(mut targets: Vec<ReplayTarget>, opening: &Opening) -> anyhow::Result<Opened> {
    for to in &mut targets {
        to.admit(opening)?;
    }
    let wanted = targets.iter_mut().flat_map(|to| {
        let control = to.compared.as_mut().and_then(|compared| compared.control.as_mut());
        let control = control.map(|control| &mut control.options.limits.connections);
        std::iter::once(&mut to.options.limits.connections).chain(control)
    });
    if let Some(bounded) = descriptors::raise().and_then(|room| descriptors::fit(room, wanted)) {
        emit!(ConnectionsReduced, "{bounded}");
    }
    probe(&targets)?;
    let mut opened = Opened::default();
    for to in targets {
        let id = TargetId::new(to.place);
        opened.add(to.start(id, opening)?);
    }
    Ok(opened)
}

impl Opening {
    /// Prevents feedback loops: refuses a target that is itself captured. The target keeps checking this,
    /// even if its name resolves to other addresses later.
    ///
    /// # Errors
    /// If it is captured; the message says which address.
    pub(crate) fn admit(&self, target: &mut Target) -> anyhow::Result<()> {
        if let Some(is_captured) = &self.is_captured {
            for address in target.addresses() {
                if is_captured(*address)? {
                    bail!(
                        "{}: is captured itself ({address} is this host's and port {} is captured), so its shadow \
                         requests would be mirrored again; use another host or port",
                        target.authority(),
                        address.port()
                    );
                }
            }
            let is_captured = Arc::clone(is_captured);
            // If that cannot be determined, nothing is sent.
            let captured = move |address| is_captured(address).unwrap_or(true);
            target.forbid(Forbidden::when(captured));
        }
        if let Some(on_connect) = &self.on_connect {
            target.on_connect(on_connect.clone());
        }
        Ok(())
    }
}

impl ReplayTarget {
    /// Admits it and its control: see [`Opening::admit`].
    ///
    /// # Errors
    /// If one is captured; the message says which address.
    pub(crate) fn admit(&mut self, opening: &Opening) -> anyhow::Result<()> {
        opening.admit(&mut self.target)?;
        match self.compared.as_mut().and_then(|compared| compared.control.as_mut()) {
            Some(control) => control.admit(opening),
            None => Ok(()),
        }
    }

    /// The second instance of production's version that it is compared with, too.
    pub(crate) fn control(&self) -> Option<&Self> {
        self.compared.as_ref()?.control.as_deref()
    }

    /// Starts its sink, for requests that the rules send to `id` if the target has a name, and its comparison.
    ///
    /// # Errors
    /// If no thread could be started, or a file cannot be written.
    pub(crate) fn start(
        mut self,
        id: Option<TargetId>,
        opening: &Opening,
    ) -> anyhow::Result<Opened> {
        if self.target.is_unverified() {
            let target = self.name.as_deref().unwrap_or_else(|| self.target.authority());
            emit!(
                TargetUnverified,
                target,
                "{target}: its certificate is not verified, so anyone who can intercept the connection gets the requests"
            );
        }
        self.options.spans.clone_from(&opening.spans);
        self.options.origins = opening.origins.clone();
        let beside = self.compared.take().map(|compared| compared.watch(&mut self.options));
        if let Some(watch) = &opening.watch {
            self.options.observer = Some(watch(self.options.observer.take()));
        }
        let sink = ReplaySink::start(self.target, self.options, opening.stop.flag())?;
        let monitor = sink.monitor().named(self.name.clone());
        let outlets = vec![outlet(self.name.clone(), id, Box::new(sink))];
        let mut opened = Opened { outlets, monitors: vec![monitor], ..Opened::default() };
        if let Some(beside) = beside {
            opened.add(beside.start(self.name, id, opening)?);
        }
        Ok(opened)
    }
}

/// Connects to every target before any engine runs. If some of several are down, a warning is emitted:
/// the others are not affected.
///
/// # Errors
/// If none can be reached.
fn probe(targets: &[ReplayTarget]) -> anyhow::Result<()> {
    let probed = each(targets).map(|ReplayTarget { target, options, .. }| {
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
