//! A configuration file beside flags: what `--config` means to the commands that do one thing. The
//! file says what the flags do not; it is read once.

use super::Config;
use super::command;
use super::file::{File, TargetSpec, TargetUse};
use super::output::To;
use super::redact::RedactSpec;
use super::run::{routes, source_args, to};
use crate::cli::SourceArgs;
use crate::rules::sample::Portion;

impl File {
    /// The file that `--config` names; an empty one when there is none.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(super) fn beside(source: &SourceArgs) -> anyhow::Result<Option<Self>> {
        let Some(path) = &source.config else { return Ok(None) };
        let text = command::text(path)?;
        command::parse(path, &text).map(Some)
    }

    /// The source as flags and file say it together.
    pub(super) fn source(&self, given: &SourceArgs) -> SourceArgs {
        let own = source_args(&self.source);
        let mut source = given.clone();
        if source.from.is_empty() {
            source.from = own.from;
        }
        if source.filter.ports.is_empty() {
            source.filter.ports = own.filter.ports;
        }
        source.hook = source.hook.or(own.hook);
        source.ring_size = source.ring_size.or(own.ring_size);
        source
    }

    /// What is redacted as flags and file say it together, list by list.
    pub(super) fn redaction(&self, given: RedactSpec) -> RedactSpec {
        fn either<T: Clone>(given: Vec<T>, own: &[T]) -> Vec<T> {
            if given.is_empty() { own.to_vec() } else { given }
        }
        let own = &self.redact;
        RedactSpec {
            preset: given.preset.or(own.preset),
            key_file: given.key_file.or_else(|| own.key_file.clone()),
            headers: either(given.headers, &own.headers),
            fields: either(given.fields, &own.fields),
            json: either(given.json, &own.json),
            cookies: either(given.cookies, &own.cookies),
            detect: either(given.detect, &own.detect),
            keep: either(given.keep, &own.keep),
        }
    }

    /// Its targets, ready to be sent to.
    pub(super) fn to_targets(&self, run: &str) -> anyhow::Result<Vec<To>> {
        self.targets.iter().map(|spec| to(spec, run)).collect()
    }

    /// The same file with `count` other targets: what a rule let go anywhere goes to all of them, in
    /// the largest part that one of its own would have got.
    fn with_targets(&self, count: usize) -> Self {
        let name = |place: usize| format!("target {place}");
        let mut file = self.clone();
        let Some(model) = self.targets.first() else { return file };
        file.targets =
            (0..count).map(|place| TargetSpec { name: name(place), ..model.clone() }).collect();
        for rule in &mut file.rules {
            let Some(first) = rule.targets.first() else { continue };
            let whole = rule.targets.iter().any(|one| one.portion.is_none());
            let portion = if whole {
                None
            } else {
                rule.targets.iter().filter_map(|one| one.portion).reduce(Portion::max)
            };
            let at = first.at;
            rule.targets =
                (0..count).map(|place| TargetUse { at, name: name(place), portion }).collect();
        }
        file
    }
}

impl Config {
    /// The same with the rules of a file, for `targets` of the command's own; `None`: the file's.
    ///
    /// # Errors
    /// When a rule names a target that the file does not have.
    pub(super) fn ruled_by(
        mut self,
        file: Option<&File>,
        targets: Option<usize>,
    ) -> anyhow::Result<Self> {
        if let Some(file) = file {
            let routes = match targets {
                None => routes(file, &file.targets)?,
                Some(count) => {
                    let file = file.with_targets(count);
                    routes(&file, &file.targets)?
                }
            };
            self.route(routes);
        }
        Ok(self)
    }
}
