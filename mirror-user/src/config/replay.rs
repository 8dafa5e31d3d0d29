//! The configuration of `mirror replay`.

use std::sync::Arc;

use anyhow::Error;

use super::file::{File, TargetSpec};
use super::target::Run;
use super::{Config, SummaryForm, admin};
use crate::cli::{OutcomeArgs, ReplayArgs, SourceArgs};
use crate::files::apart::Apart;
use crate::files::{self, Existing};
use crate::report::ReportFile;
use crate::settings::HookSettings;
use crate::sink::replay::TargetUrl;

impl Config {
    /// The configuration of `mirror replay`.
    ///
    /// # Errors
    /// As [`for_capture`](Self::for_capture).
    pub fn for_replay(args: &ReplayArgs) -> anyhow::Result<Self> {
        let beside = File::beside(args.source.config.as_deref())?;
        let has_rules = beside.is_some();
        let file = File::try_from(args)?.or(beside.unwrap_or_default(), &args.target);
        let mut apart = file.reads();
        args.source.reads(&mut apart);
        args.outcome.writes(&mut apart);
        apart.ensure()?;
        let log = args.outcome.log_requests.as_deref();
        let log = log.map(|path| files::create(path, Existing::Overwrite)).transpose()?;
        let log = log.map(Arc::new);
        let run = Run { log, fail_on: args.outcome.fail_on.clone(), ..Run::of(&file)? };
        let summary = if args.outcome.json { SummaryForm::Json } else { SummaryForm::Text };
        // A single target on the command line needs no name in the summary.
        let named = args.to.len() != 1;
        let mut config = Self::sending(&file, &run, named, summary)?;
        if has_rules {
            config.route(file.routes()?);
        }
        config.admin = admin::options(&file, &config.ports())?;
        config.show(&file, &run)?;
        let report = args.outcome.report.as_deref();
        config.report = report.map(ReportFile::prepare).transpose()?;
        Ok(config)
    }
}

/// The flags in the form of a configuration file.
impl TryFrom<&ReplayArgs> for File {
    type Error = anyhow::Error;

    fn try_from(args: &ReplayArgs) -> anyhow::Result<Self> {
        let mut targets: Vec<TargetSpec> = Vec::new();
        for (place, url) in args.to.iter().enumerate() {
            let TargetUrl { text: url, credentials } = TargetUrl::read(url).map_err(Error::msg)?;
            let is_known = targets.iter().any(|other| other.name == url);
            let name = if is_known { format!("{url} ({place})") } else { url.clone() };
            let how = args.target.clone();
            targets.push(TargetSpec { how, credentials, ..TargetSpec::new(name, url) });
        }
        Ok(Self {
            source: args.source.settings.clone(),
            pace: args.pace.clone(),
            noise: args.noise.clone(),
            bodies: args.bodies.clone(),
            redact: args.redact.clone(),
            admin: args.admin.clone(),
            metrics: args.metrics.clone(),
            dashboard: args.dashboard.clone(),
            store: args.store.clone(),
            hooks: HookSettings::default(),
            targets,
            rules: Vec::new(),
        })
    }
}

impl SourceArgs {
    /// Registers the configuration file as one that is read.
    pub(super) fn reads(&self, apart: &mut Apart) {
        self.config.iter().for_each(|path| apart.reads("--config", path));
    }
}

impl OutcomeArgs {
    fn writes(&self, apart: &mut Apart) {
        let files = [("--report", &self.report), ("--log-requests", &self.log_requests)];
        for (flag, path) in files {
            path.iter().for_each(|path| apart.writes(flag, path));
        }
    }
}
