//! Turns a changed configuration file into a change of the run. It is checked, resolved and opened
//! completely before any of it takes effect.

use std::sync::Arc;

use anyhow::{Context, ensure};

use crate::admin::ConfigText;
use crate::broker::address::Address;
use crate::config::admin;
use crate::config::file::{File, TargetSpec};
use crate::config::filter;
use crate::config::outputs::Opening;
use crate::config::redact::{of_pairs, options};
use crate::config::routes::{narrowed, routes};
use crate::config::target::{Run, replay_target};
use crate::filter::{Choice, Watch};
use crate::logging::emit;
use crate::pipeline::{Change, Outlet};
use crate::rules::redact::{Preset, Redactor};
use crate::rules::route::{MAX_TARGETS, Routes, TargetId};
use crate::rules::{self, Noise};
use crate::run::{Replays, Targeting};
use crate::settings::SourceSettings;
use crate::settings::changes::at_next_start;
use crate::source::live::Control;

/// Handles to the parts of a run that can be changed while it runs.
pub(in crate::run) struct Handles {
    pub(in crate::run) watch: Watch,
    /// With a live source.
    pub(in crate::run) control: Option<Control>,
    pub(in crate::run) redactor: Option<Arc<Redactor>>,
    /// How targets are opened.
    pub(in crate::run) targeting: Targeting,
    /// Where new replays are added.
    pub(in crate::run) replays: Replays,
    /// What the admin endpoint shows of the configuration.
    pub(in crate::run) config_text: ConfigText,
}

/// The configuration that is in effect.
pub(super) struct Active {
    file: File,
    /// The source at the start of the run; it cannot be changed.
    source: SourceSettings,
    run: Run,
    /// Somebody looked at responses when the run started, so that their bodies are kept.
    keeps_responses: bool,
    handles: Handles,
    /// The targets by their [`TargetId`]; the slot of a removed target is `None`.
    slots: Vec<Option<TargetSpec>>,
}

impl Active {
    pub(super) fn new(file: File, run: Run, handles: Handles) -> Self {
        let slots = file.targets.iter().cloned().map(Some).collect();
        let keeps_responses = file.keeps_responses();
        Self { source: file.source.clone(), file, run, keeps_responses, handles, slots }
    }

    /// Prepares the change from the current file to `next`. The kernel program is reconfigured
    /// here, as the last step that can fail; the pipeline applies the rest.
    ///
    /// # Errors
    /// Why the change is refused. Then nothing has changed.
    pub(super) fn change(&mut self, next: &File) -> anyhow::Result<Change> {
        let (slots, added) = self.slots(next)?;
        let names: Vec<Option<&str>> =
            slots.iter().map(|spec| spec.as_ref().map(|spec| spec.name.as_str())).collect();
        let routes = routes(next, &names)?;
        let choice = self.choice(next, &routes)?;
        let redactor = self.redactor(next)?;
        let of_pairs = self.redactor_of_pairs(next, redactor.as_deref())?;
        let outlets = self.open(&slots, &added, &choice)?;
        match &self.handles.control {
            Some(control) => control.reconfigure(&choice)?,
            None => self.handles.watch.set(choice.clone().into()),
        }
        let is_removed = |slot: &usize| {
            self.slots.get(*slot).is_some_and(|old| old != slots.get(*slot).unwrap_or(&None))
        };
        let retire = (0..self.slots.len()).filter(is_removed).filter_map(TargetId::new).collect();
        self.slots = slots;
        self.handles.redactor.clone_from(&redactor);
        self.run.comparing.redaction.set(of_pairs);
        self.file = next.clone();
        self.handles.config_text.set(admin::shown(next));
        let noise = |given: Option<Noise>| given.unwrap_or(Noise::Drop);
        let (probes, retries) = (noise(next.noise.probes), noise(next.noise.retries));
        let rules = rules::RulesChange { probes, retries, redactor, routes };
        Ok(Change { server_ports: choice.ports, rules, retire, outlets })
    }

    /// The changed settings that take effect only at the next start.
    pub(super) fn needs_restart(&self, next: &File) -> Vec<String> {
        let mut changed = at_next_start("source", &self.source, &next.source);
        changed.extend(at_next_start("pace", &self.file.pace, &next.pace));
        changed.extend(at_next_start("", &self.file.bodies, &next.bodies));
        changed.extend(at_next_start("admin", &self.file.admin, &next.admin));
        changed.extend(at_next_start("metrics", &self.file.metrics, &next.metrics));
        changed.extend(at_next_start("dashboard", &self.file.dashboard, &next.dashboard));
        changed.extend(at_next_start("store", &self.file.store, &next.store));
        changed.extend(at_next_start("hooks", &self.file.hooks, &next.hooks));
        let first = [("correlate", next.correlates()), ("compare", next.compares())];
        for (key, _) in first.into_iter().filter(|(_, is)| *is && !self.keeps_responses) {
            changed.push(format!("{key}, the first time"));
        }
        changed
    }

    /// The slots of the targets of `next`, and the indexes of new ones.
    fn slots(&self, next: &File) -> anyhow::Result<(Vec<Option<TargetSpec>>, Vec<usize>)> {
        let same =
            |old: &TargetSpec, new: &TargetSpec| TargetSpec { at: old.at, ..new.clone() } == *old;
        let mut slots: Vec<Option<TargetSpec>> = self
            .slots
            .iter()
            .map(|old| old.clone().filter(|old| next.targets.iter().any(|new| same(old, new))))
            .collect();
        let mut added = Vec::new();
        for new in &next.targets {
            if slots.iter().flatten().any(|old| same(old, new)) {
                continue;
            }
            // Not the slot of a removed target: its sink keeps the id until it has finished.
            let free = (0..MAX_TARGETS).find(|slot| {
                let taken =
                    |slots: &[Option<TargetSpec>]| slots.get(*slot).is_some_and(Option::is_some);
                !taken(&slots) && !taken(&self.slots)
            });
            let slot = free.with_context(|| {
                format!("more than {MAX_TARGETS} targets, including removed ones that still finish; restart mirror")
            })?;
            slots.resize(slots.len().max(slot + 1), None);
            if let Some(entry) = slots.get_mut(slot) {
                *entry = Some(new.clone());
                added.push(slot);
            }
        }
        Ok((slots, added))
    }

    fn choice(&self, next: &File, routes: &Routes) -> anyhow::Result<Choice> {
        let choice = narrowed(filter::choice(&next.source.filter)?, routes);
        // Whether bodies of responses are seen was decided at the start.
        let is_brief = self.handles.watch.choice().brief_responses;
        let choice = if is_brief { choice.with_brief_responses() } else { choice };
        if self.run.is_live {
            ensure!(!choice.ports.is_empty(), "source.ports: none; name some");
            admin::ensure_sound(&next.admin, &choice.ports)?;
        } else {
            filter::ensure_of_files(&choice)?;
        }
        Ok(choice)
    }

    fn redactor(&self, next: &File) -> anyhow::Result<Option<Arc<Redactor>>> {
        if next.redact == self.file.redact {
            return Ok(self.handles.redactor.clone());
        }
        let options = options(next.redact.clone(), Preset::None)?;
        let redactor = match &self.handles.redactor {
            Some(former) => former.successor(options)?,
            None => Redactor::new(options)?,
        };
        Ok(redactor.map(Arc::new))
    }

    /// What redacts the pairs of a comparison from now on.
    fn redactor_of_pairs(
        &self,
        next: &File,
        rules: Option<&Redactor>,
    ) -> anyhow::Result<Option<Arc<Redactor>>> {
        let former = self.run.comparing.redaction.get();
        if next.redact == self.file.redact || !self.keeps_responses {
            return Ok(former);
        }
        of_pairs(&next.redact, rules.or(former.as_deref()))
    }

    /// Opens the sinks of new targets. A target that cannot be reached causes a warning; the change
    /// is not refused.
    fn open(
        &self,
        slots: &[Option<TargetSpec>],
        added: &[usize],
        choice: &Choice,
    ) -> anyhow::Result<Vec<Outlet>> {
        let opening: Opening = self.handles.targeting.opening(&choice.ports);
        let mut outlets = Vec::new();
        for (slot, spec) in slots.iter().enumerate() {
            let Some(spec) = spec else { continue };
            if Address::is_meant(&spec.url) {
                ensure!(
                    !added.contains(&slot),
                    "{}: a stream is published to from the next start on; restart mirror",
                    spec.url
                );
                continue;
            }
            let mut to = replay_target(spec, &self.run)?;
            to.admit(&opening)?;
            // Without production's bodies every pair would differ.
            to.compared = to.compared.filter(|_| self.keeps_responses);
            if added.contains(&slot) {
                if let Err(why) = to.target.probe(to.options.timeouts.connect) {
                    let (authority, reason) = (to.target.authority(), format!("{why:#}"));
                    emit!(
                        TargetUnreachable,
                        target = authority,
                        reason,
                        "{why:#}; requests to it are counted until it responds"
                    );
                }
                let mut opened = to.start(TargetId::new(slot), &opening)?;
                opened.monitors.drain(..).for_each(|monitor| self.handles.replays.add(monitor));
                outlets.append(&mut opened.outlets);
            }
        }
        Ok(outlets)
    }
}
