//! A configuration file, read: what an importer builds, what is printed, and what a run is made of.

use super::Place;
use crate::config::target::watches_production;
use crate::rules::route::Priority;
use crate::rules::sample::{Portion, Sample};
use crate::rules::select::Match;
use crate::settings::{
    BodySettings, NoiseSettings, PaceSettings, RedactSettings, SourceSettings, TargetSettings,
};
use crate::sink::replay::Credentials;

/// The format's version, the only one there is.
pub const VERSION: u32 = 1;

/// A whole file. Flags are read into the same structs, so that both can be laid over one another.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct File {
    /// Where packets come from.
    pub source: SourceSettings,
    /// When requests of a capture are sent, how often, over which connections.
    pub pace: PaceSettings,
    /// What becomes of requests that no customer sent.
    pub noise: NoiseSettings,
    /// How much is kept of requests that wait.
    pub bodies: BodySettings,
    /// What is redacted before anything goes there.
    pub redact: RedactSettings,
    /// Where requests may go.
    pub targets: Vec<TargetSpec>,
    /// Which requests go there; without rules, all go to all targets.
    pub rules: Vec<RuleSpec>,
}

impl File {
    /// True when a target learns from production's responses.
    #[must_use]
    pub fn correlates(&self) -> bool {
        self.targets.iter().any(|target| target.how.correlate)
    }

    /// True when a target gets no more once production's responses fail.
    #[must_use]
    pub fn watches_production(&self) -> bool {
        self.targets.iter().any(|target| watches_production(&target.how.load))
    }
}

/// Where requests may go, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetSpec {
    /// Where it stands; the default where it was not read from a file.
    pub at: Place,
    /// What rules call it.
    pub name: String,
    /// As `--to` has it, without user and password.
    pub url: String,
    /// Those.
    pub credentials: Option<Credentials>,
    /// How it is reached, and what marks its requests.
    pub how: TargetSettings,
}

impl TargetSpec {
    /// A target with everything at its default.
    #[must_use]
    pub fn new(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            at: Place::default(),
            name: name.into(),
            url: url.into(),
            credentials: None,
            how: TargetSettings::default(),
        }
    }
}

/// A rule, its targets by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleSpec {
    /// Where it stands; the default where it was not read from a file.
    pub at: Place,
    /// What summaries call it.
    pub name: String,
    /// One of these must hold; empty: every request matches.
    pub matches: Vec<Match>,
    /// Which of them go on; `None`: all.
    pub sample: Option<Sample>,
    /// Which stay when there is room for some alone.
    pub priority: Priority,
    /// Where they go; empty: nowhere.
    pub targets: Vec<TargetUse>,
}

/// A target as a rule names it.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetUse {
    /// Where it stands; the default where it was not read from a file.
    pub at: Place,
    /// The target's name.
    pub name: String,
    /// Its part of the matching requests; `None`: as the rule's sample.
    pub portion: Option<Portion>,
}
