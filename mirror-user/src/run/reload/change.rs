//! A changed file as a change of the run: checked, resolved and opened as a whole before any of it
//! takes effect.

use std::sync::Arc;

use anyhow::{Context, ensure};

use crate::config::file::{File, TargetSpec};
use crate::config::filter;
use crate::config::outputs::Opening;
use crate::config::redact::options;
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

/// The parts of a run that can be changed while it runs.
pub(in crate::run) struct Handles {
    pub(in crate::run) watch: Watch,
    /// For interfaces.
    pub(in crate::run) control: Option<Control>,
    pub(in crate::run) redactor: Option<Arc<Redactor>>,
    /// How targets are opened.
    pub(in crate::run) targeting: Targeting,
    /// Where replays are reported to.
    pub(in crate::run) replays: Replays,
}

/// The configuration that is in effect.
pub(super) struct Active {
    file: File,
    /// What the run began with: its interfaces stay.
    source: SourceSettings,
    run: Run,
    /// A target learns from production's responses, so that their bodies are kept.
    correlates: bool,
    handles: Handles,
    /// The targets by their [`TargetId`]; one that goes leaves its place free.
    places: Vec<Option<TargetSpec>>,
}

impl Active {
    pub(super) fn new(file: File, run: Run, handles: Handles) -> Self {
        let places = file.targets.iter().cloned().map(Some).collect();
        let correlates = file.correlates();
        Self { source: file.source.clone(), file, run, correlates, handles, places }
    }

    /// Makes ready what `next` says otherwise. The kernel program is changed here, as the last thing
    /// that can fail; the pipeline takes the rest.
    ///
    /// # Errors
    /// Why the run cannot go on with it; then all is as it was.
    pub(super) fn change(&mut self, next: &File) -> anyhow::Result<Change> {
        let (places, fresh) = self.places(next)?;
        let names: Vec<Option<&str>> =
            places.iter().map(|spec| spec.as_ref().map(|spec| spec.name.as_str())).collect();
        let routes = routes(next, &names)?;
        let choice = self.choice(next, &routes)?;
        let redactor = self.redactor(next)?;
        let outlets = self.open(&places, &fresh, &choice)?;
        match &self.handles.control {
            Some(control) => control.reconfigure(&choice)?,
            None => self.handles.watch.set(choice.clone().into()),
        }
        let gone = |place: &usize| {
            self.places.get(*place).is_some_and(|old| old != places.get(*place).unwrap_or(&None))
        };
        let retire = (0..self.places.len()).filter(gone).filter_map(TargetId::new).collect();
        self.places = places;
        self.handles.redactor.clone_from(&redactor);
        self.file = next.clone();
        let noise = |given: Option<Noise>| given.unwrap_or(Noise::Drop);
        let (probes, retries) = (noise(next.noise.probes), noise(next.noise.retries));
        let rules = rules::RulesChange { probes, retries, redactor, routes };
        Ok(Change { server_ports: choice.ports, rules, retire, outlets })
    }

    /// What takes effect at the next start alone.
    pub(super) fn needs_restart(&self, next: &File) -> Vec<String> {
        let mut changed = at_next_start("source", &self.source, &next.source);
        changed.extend(at_next_start("pace", &self.file.pace, &next.pace));
        changed.extend(at_next_start("", &self.file.bodies, &next.bodies));
        if !self.correlates && next.correlates() {
            changed.push("correlate, the first time".to_owned());
        }
        changed
    }

    /// The places of the targets of `next`, and which of them are taken by new ones.
    fn places(&self, next: &File) -> anyhow::Result<(Vec<Option<TargetSpec>>, Vec<usize>)> {
        let same =
            |old: &TargetSpec, new: &TargetSpec| TargetSpec { at: old.at, ..new.clone() } == *old;
        let mut places: Vec<Option<TargetSpec>> = self
            .places
            .iter()
            .map(|old| old.clone().filter(|old| next.targets.iter().any(|new| same(old, new))))
            .collect();
        let mut fresh = Vec::new();
        for new in &next.targets {
            if places.iter().flatten().any(|old| same(old, new)) {
                continue;
            }
            // Not the place of one that goes: its sink has its number until it has ended.
            let free = (0..MAX_TARGETS).find(|place| {
                let taken =
                    |places: &[Option<TargetSpec>]| places.get(*place).is_some_and(Option::is_some);
                !taken(&places) && !taken(&self.places)
            });
            let place = free.with_context(|| {
                format!("more than {MAX_TARGETS} targets, with those that go; start again")
            })?;
            places.resize(places.len().max(place + 1), None);
            if let Some(slot) = places.get_mut(place) {
                *slot = Some(new.clone());
                fresh.push(place);
            }
        }
        Ok((places, fresh))
    }

    fn choice(&self, next: &File, routes: &Routes) -> anyhow::Result<Choice> {
        let choice = narrowed(filter::choice(&next.source.filter)?, routes);
        if self.run.is_live {
            ensure!(!choice.ports.is_empty(), "source.ports: none; name some");
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

    /// The sinks of new targets. One that does not respond gets a warning, which is no reason to refuse the
    /// change.
    fn open(
        &self,
        places: &[Option<TargetSpec>],
        fresh: &[usize],
        choice: &Choice,
    ) -> anyhow::Result<Vec<Outlet>> {
        let opening: Opening = self.handles.targeting.opening(&choice.ports);
        let mut outlets = Vec::new();
        for (place, spec) in places.iter().enumerate() {
            let Some(spec) = spec else { continue };
            let mut to = replay_target(spec, &self.run)?;
            to.admit(&opening)?;
            if fresh.contains(&place) {
                if let Err(why) = to.target.probe(to.options.timeouts.connect) {
                    let (authority, reason) = (to.target.authority(), format!("{why:#}"));
                    emit!(
                        TargetUnreachable,
                        target = authority,
                        reason,
                        "{why:#}; requests to it are counted until it answers"
                    );
                }
                let (outlet, monitor) = to.start(TargetId::new(place), &opening)?;
                self.handles.replays.add(monitor);
                outlets.push(outlet);
            }
        }
        Ok(outlets)
    }
}
