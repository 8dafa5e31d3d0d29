//! A configuration file, read: what an importer builds, what is printed, and what a run is made of.

use std::time::Duration;

use super::Place;
use crate::cli::{BaggageArg, HookArg, NoiseArg, TraceArg};
use crate::config::redact::RedactSpec;
use crate::rules::edit::Edits;
use crate::rules::route::Priority;
use crate::rules::sample::{Portion, Sample};
use crate::rules::select::{Match, PortRange};
use crate::rules::tag::{Ambiguous, HostPolicy, Mode};

/// The format's version, the only one there is.
pub const VERSION: u32 = 1;

/// A whole file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct File {
    /// Where packets come from.
    pub source: SourceSpec,
    /// What becomes of health probes.
    pub probes: NoiseArg,
    /// What becomes of further attempts at one request.
    pub retries: NoiseArg,
    /// Bytes of one request body, at most; `None`: as `mirror replay`.
    pub max_body: Option<u64>,
    /// What is redacted before anything goes there.
    pub redact: RedactSpec,
    /// Where requests may go.
    pub targets: Vec<TargetSpec>,
    /// Which requests go there; without rules, all go to all targets.
    pub rules: Vec<RuleSpec>,
}

/// Where packets come from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceSpec {
    /// Interfaces, or files, as `--from` has them.
    pub from: Vec<String>,
    /// The TCP ports that production listens on.
    pub ports: Vec<PortRange>,
    /// Where in the kernel packets are copied; `None`: as the flag's default.
    pub hook: Option<HookArg>,
    /// Bytes of the ring between kernel and user space.
    pub ring_size: Option<u64>,
}

/// Where requests may go, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetSpec {
    /// Where it stands; the default where it was not read from a file.
    pub at: Place,
    /// What rules call it.
    pub name: String,
    /// `http://HOST:PORT`.
    pub url: String,
    /// What becomes of the host.
    pub host: HostPolicy,
    /// What the target is to do with a request.
    pub mode: Mode,
    /// Which trace a shadow belongs to.
    pub trace: TraceArg,
    /// What becomes of `baggage`.
    pub baggage: BaggageArg,
    /// What becomes of a request that can be read in two ways.
    pub ambiguous: Ambiguous,
    /// How long a connection may take to be made; `None`: as the flag's default.
    pub connect_timeout: Option<Duration>,
    /// How long the answer may take to begin.
    pub answer_timeout: Option<Duration>,
    /// Connections at the same time, at most.
    pub max_connections: Option<usize>,
    /// Bytes of requests that may wait, at most.
    pub max_queue: Option<u64>,
    /// What it sees otherwise than it was captured.
    pub edits: Edits,
}

impl TargetSpec {
    /// A target with everything at its default.
    #[must_use]
    pub fn new(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            at: Place::default(),
            name: name.into(),
            url: url.into(),
            host: HostPolicy::default(),
            mode: Mode::default(),
            trace: TraceArg::default(),
            baggage: BaggageArg::default(),
            ambiguous: Ambiguous::default(),
            connect_timeout: None,
            answer_timeout: None,
            max_connections: None,
            max_queue: None,
            edits: Edits::default(),
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
