//! The data of a configuration file: built by the reader or an importer, printed, and executed by a run.

use super::Place;
use crate::config::target::watches_production;
use crate::rules::route::Priority;
use crate::rules::sample::{Portion, Sample};
use crate::rules::select::Match;
use crate::settings::{
    AdminSettings, BodySettings, CompareSettings, DashboardSettings, HookSettings, MetricsSettings,
    NoiseSettings, PaceSettings, RedactSettings, SourceSettings, StoreSettings, TargetSettings,
};
use crate::sink::replay::Credentials;

/// The format's version, the only one so far.
pub const VERSION: u32 = 1;

/// A whole file. Flags are parsed into the same structs, so that they can be layered over a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct File {
    /// Where packets come from.
    pub source: SourceSettings,
    /// When and how often requests are sent, over which connections.
    pub pace: PaceSettings,
    /// Requests that no customer sent.
    pub noise: NoiseSettings,
    /// Limits on waiting request bodies.
    pub bodies: BodySettings,
    /// What is redacted before anything is sent.
    pub redact: RedactSettings,
    /// Where metrics and health are served.
    pub admin: AdminSettings,
    /// What metrics tell apart.
    pub metrics: MetricsSettings,
    /// Where a comparison is shown.
    pub dashboard: DashboardSettings,
    /// Where compared pairs are kept.
    pub store: StoreSettings,
    /// What is run at the turning points of a run.
    pub hooks: HookSettings,
    /// Where requests may go.
    pub targets: Vec<TargetSpec>,
    /// Which requests go where; without rules, all requests go to all targets.
    pub rules: Vec<RuleSpec>,
}

impl File {
    /// True if a target learns from production's responses.
    #[must_use]
    pub fn correlates(&self) -> bool {
        self.targets.iter().any(|target| target.how.correlate)
    }

    /// True if the responses of a target are compared with production's.
    #[must_use]
    pub fn compares(&self) -> bool {
        self.targets.iter().any(|target| target.compare.is_some())
    }

    /// True if somebody looks at the content of responses.
    #[must_use]
    pub fn keeps_responses(&self) -> bool {
        self.correlates() || self.compares()
    }

    /// True if sending to a target stops when production's responses fail.
    #[must_use]
    pub fn watches_production(&self) -> bool {
        self.targets.iter().any(|target| watches_production(&target.how.load))
    }
}

/// A target and its settings.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetSpec {
    /// Its position; the default if it was not read from a file.
    pub at: Place,
    /// The name that rules use.
    pub name: String,
    /// URL, in the syntax of `--to`, without user and password.
    pub url: String,
    /// User and password of the URL.
    pub credentials: Option<Credentials>,
    /// Its settings.
    pub how: TargetSettings,
    /// How its responses are compared with production's; `None`: they are not.
    pub compare: Option<CompareSettings>,
}

impl TargetSpec {
    /// A target with default settings.
    #[must_use]
    pub fn new(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            at: Place::default(),
            name: name.into(),
            url: url.into(),
            credentials: None,
            how: TargetSettings::default(),
            compare: None,
        }
    }
}

/// A rule, with its targets by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleSpec {
    /// Its position; the default if it was not read from a file.
    pub at: Place,
    /// The name in summaries.
    pub name: String,
    /// Alternatives, of which one must match; empty: every request matches.
    pub matches: Vec<Match>,
    /// Which of the matching requests are sent; `None`: all.
    pub sample: Option<Sample>,
    /// Which requests stay when the queue is full.
    pub priority: Priority,
    /// Where they are sent; empty: nowhere.
    pub targets: Vec<TargetUse>,
}

/// A target named by a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetUse {
    /// Its position; the default if it was not read from a file.
    pub at: Place,
    /// The target's name.
    pub name: String,
    /// Its portion of the matching requests; `None`: the rule's sample.
    pub portion: Option<Portion>,
}
