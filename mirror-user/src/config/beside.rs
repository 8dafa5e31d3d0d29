//! A configuration file beside flags: what `--config` means to the commands that do one thing. The
//! file says what the flags do not; it is read once.

use super::command;
use super::file::{File, TargetSpec, TargetUse};
use super::redact::RedactSpec;
use super::{Config, source};
use crate::cli::{SourceArgs, TargetArgs, either};
use crate::files::apart::Apart;
use crate::rules::sample::Portion;

impl File {
    /// The file that `--config` names; `None` when there is none.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(super) fn beside(source: &SourceArgs) -> anyhow::Result<Option<Self>> {
        let Some(path) = &source.config else { return Ok(None) };
        let text = command::text(path)?;
        command::parse(path, &text).map(Some)
    }

    /// What the flags say, and what they do not say as `file` says it. Targets of the flags stand in
    /// for those of the file; where they name none, `how` holds for each of the file's.
    pub(super) fn or(self, file: Self, how: &TargetArgs) -> Self {
        let File { targets, rules, .. } = match self.targets.as_slice() {
            [] => file.clone().with_how(how),
            targets => file.for_targets(targets),
        };
        Self {
            source: self.source.or(file.source),
            pace: self.pace.or(file.pace),
            noise: self.noise.or(file.noise),
            room: self.room.or(file.room),
            redact: self.redact.or(file.redact),
            targets,
            rules,
        }
    }

    fn with_how(mut self, how: &TargetArgs) -> Self {
        for target in &mut self.targets {
            target.how = how.clone().or(std::mem::take(&mut target.how));
        }
        self
    }

    /// The same file with other targets: what a rule let go anywhere goes to all of them, in the
    /// largest part that one of its own would have got.
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
    /// The files that a run of this reads.
    pub(super) fn reads(&self) -> Apart {
        let mut apart = Apart::default();
        for from in self.source.from.iter().filter(|from| source::is_file(from)) {
            apart.reads("--from", from.as_ref());
        }
        let tls = self.targets.iter().flat_map(|TargetSpec { how, .. }| {
            [("--tls-ca", &how.tls_ca), ("--tls-cert", &how.tls_cert), ("--tls-key", &how.tls_key)]
        });
        let keys =
            [("--config", &self.source.config), ("--redact-key-file", &self.redact.key_file)];
        for (flag, path) in tls.chain(keys) {
            path.iter().for_each(|path| apart.reads(flag, path));
        }
        apart
    }
}

impl RedactSpec {
    /// This, and what it does not say as `other` says it, list by list.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            preset: self.preset.or(other.preset),
            key_file: self.key_file.or(other.key_file),
            headers: either(self.headers, other.headers),
            fields: either(self.fields, other.fields),
            json: either(self.json, other.json),
            cookies: either(self.cookies, other.cookies),
            detect: either(self.detect, other.detect),
            custom: either(self.custom, other.custom),
            paths: either(self.paths, other.paths),
            keep: either(self.keep, other.keep),
            skip: either(self.skip, other.skip),
        }
    }
}

impl Config {
    /// The same with the rules of a file, for one output that all of its targets stand for.
    ///
    /// # Errors
    /// When a rule names a target that the file does not have.
    pub(super) fn ruled_by(mut self, file: &File) -> anyhow::Result<Self> {
        self.route(file.for_targets(&[TargetSpec::new("output", "")]).routes()?);
        Ok(self)
    }
}
