//! `--config` for commands other than `mirror run`: flags layered over a configuration file, which is
//! read once.

use std::path::Path;

use super::command;
use super::file::{File, TargetSpec, TargetUse};
use super::{Config, source};
use crate::files::apart::Apart;
use crate::rules::sample::Portion;
use crate::settings::{AdminSettings, TargetSettings, over};

impl File {
    /// Reads the file given by `--config`; `None` if there is none.
    ///
    /// # Errors
    /// All problems of the file.
    pub(super) fn beside(config: Option<&Path>) -> anyhow::Result<Option<Self>> {
        let Some(path) = config else { return Ok(None) };
        let text = command::text(path)?;
        command::parse(path, &text).map(Some)
    }

    /// Layers the flags (`self`) over `file`. Targets given by flags replace those of the file; if there
    /// are none, `how` is applied to each target of the file.
    pub(super) fn or(self, file: Self, how: &TargetSettings) -> Self {
        let File { targets, rules, .. } = match self.targets.as_slice() {
            [] => file.clone().with_how(how),
            targets => file.for_targets(targets),
        };
        Self {
            source: over(self.source, &file.source),
            pace: over(self.pace, &file.pace),
            noise: over(self.noise, &file.noise),
            bodies: over(self.bodies, &file.bodies),
            redact: over(self.redact, &file.redact),
            admin: over(self.admin, &file.admin),
            metrics: over(self.metrics, &file.metrics),
            dashboard: over(self.dashboard, &file.dashboard),
            store: over(self.store, &file.store),
            hooks: over(self.hooks, &file.hooks),
            targets,
            rules,
        }
    }

    fn with_how(mut self, how: &TargetSettings) -> Self {
        for target in &mut self.targets {
            target.how = over(how.clone(), &target.how);
        }
        self
    }

    /// The same file with other targets. A rule that had targets now sends to all of them, with the
    /// largest portion of its former targets.
    fn for_targets(&self, targets: &[TargetSpec]) -> Self {
        let mut file = Self { targets: targets.to_vec(), ..self.clone() };
        for rule in &mut file.rules {
            let Some(first) = rule.targets.first() else { continue };
            let whole = rule.targets.iter().any(|one| one.portion.is_none());
            let portion = if whole {
                None
            } else {
                rule.targets.iter().filter_map(|one| one.portion).reduce(Portion::max)
            };
            let at = first.at;
            let used = |spec: &TargetSpec| TargetUse { at, name: spec.name.clone(), portion };
            rule.targets = targets.iter().map(used).collect();
        }
        file
    }
}

impl File {
    /// The files that a run reads, except the configuration file itself, and those that its targets write.
    pub(super) fn reads(&self) -> Apart {
        let mut apart = Apart::default();
        for from in self.source.from.iter().filter(|from| source::is_file(from)) {
            apart.reads("--from", from.as_ref());
        }
        let tls = self.targets.iter().flat_map(|TargetSpec { how, .. }| {
            let tls = &how.tls;
            [("--tls-ca", &tls.ca), ("--tls-cert", &tls.cert), ("--tls-key", &tls.key)]
        });
        let rules = self.targets.iter().filter_map(|target| target.compare.as_ref());
        let rules = rules.map(|compare| ("--rules", &compare.rules));
        let AdminSettings { token_file, tls: admin, .. } = &self.admin;
        let alone = [
            ("--dashboard-token-file", &self.dashboard.token_file),
            ("--redact-key-file", &self.redact.key_file),
            ("--admin-token-file", token_file),
            ("--admin-tls-cert", &admin.cert),
            ("--admin-tls-key", &admin.key),
            ("--admin-tls-client-ca", &admin.client_ca),
        ];
        for (flag, path) in tls.chain(rules).chain(alone) {
            path.iter().for_each(|path| apart.reads(flag, path));
        }
        for compare in self.targets.iter().filter_map(|target| target.compare.as_ref()) {
            compare.findings.iter().for_each(|path| apart.writes("--findings", path));
        }
        self.store.file.iter().for_each(|path| apart.writes("--store", path));
        apart
    }
}

impl Config {
    /// Adds the rules of a file, for one output that stands for all of its targets.
    ///
    /// # Errors
    /// If a rule names a target that is not in the file.
    pub(super) fn ruled_by(mut self, file: &File) -> anyhow::Result<Self> {
        self.route(file.for_targets(&[TargetSpec::new("output", "")]).routes()?);
        Ok(self)
    }
}
