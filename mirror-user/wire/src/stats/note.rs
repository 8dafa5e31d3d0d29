//! Counts that explain an account and are no losses.

use std::sync::Arc;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use strum::IntoStaticStr;

/// What a note is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, IntoStaticStr)]
pub enum Topic {
    /// What the kernel programs copied.
    #[strum(serialize = "copied")]
    Copied,
    /// What the maps take of the kernel's memory.
    #[strum(serialize = "kernel memory")]
    KernelMemory,
    /// Why an interface had to be attached to again.
    #[strum(serialize = "attached again")]
    AttachedAgain,
    /// What the packets were that are not IP.
    #[strum(serialize = "not_ip by kind")]
    NotIpByKind,
    /// What the packets were that are not TCP.
    #[strum(serialize = "not_tcp by kind")]
    NotTcpByKind,
    /// What became of segments.
    #[strum(serialize = "segments by kind")]
    SegmentsByKind,
    /// Why gaps were given up.
    #[strum(serialize = "gaps")]
    Gaps,
    /// What was not copied because nobody wants it.
    #[strum(serialize = "left out on purpose")]
    Omitted,
    /// How connections ended.
    #[strum(serialize = "connections ended")]
    ConnectionsEnded,
    /// How fragmented datagrams ended.
    #[strum(serialize = "datagrams")]
    Datagrams,
    /// Connections and exchanges of `http`.
    #[strum(serialize = "http")]
    Http,
    /// Ways in which requests can be read in two ways.
    #[strum(serialize = "request flaws")]
    RequestFlaws,
    /// The same of responses.
    #[strum(serialize = "response flaws")]
    ResponseFlaws,
    /// Why a client's side could not be read on.
    #[strum(serialize = "requests refused")]
    RequestsRefused,
    /// Why a server's side could not be read on.
    #[strum(serialize = "responses refused")]
    ResponsesRefused,
    /// Why bodies were not kept.
    #[strum(serialize = "bodies not kept")]
    BodiesNotKept,
    /// Why bodies of a target's responses were not kept.
    #[strum(serialize = "target's bodies not kept")]
    ResponsesNotKept,
    /// What each rule did.
    #[strum(serialize = "rules")]
    Rules,
    /// What was redacted, by detector.
    #[strum(serialize = "values redacted")]
    ValuesRedacted,
    /// Why bodies could not be redacted.
    #[strum(serialize = "bodies withheld")]
    BodiesWithheld,
    /// What would be redacted, by detector.
    #[strum(serialize = "values found")]
    ValuesFound,
    /// Why bodies could not be looked into.
    #[strum(serialize = "bodies not read")]
    BodiesNotRead,
    /// Exchanges that were forgotten before they ended.
    #[strum(serialize = "open exchanges")]
    OpenExchanges,
    /// Changes of the configuration while it runs.
    #[strum(serialize = "configuration")]
    Configuration,
    /// What was done so that production does not feel it.
    #[strum(serialize = "guard")]
    Guard,
    /// What a replay's request log holds.
    #[strum(serialize = "request log")]
    RequestLog,
    /// A replay's circuit breaker.
    #[strum(serialize = "breaker")]
    Breaker,
    /// Requests that were tried again because nothing of them had been sent.
    #[strum(serialize = "retried")]
    Retried,
    /// Requests that were sent once more.
    #[strum(serialize = "resent")]
    Resent,
    /// Requests that a target was asked twice, so that what differs between its responses is known.
    #[strum(serialize = "asked again")]
    AskedAgain,
    /// Why requests were sent late.
    #[strum(serialize = "late by 1 s or more")]
    Late,
    /// What became of values that differ between production and a target.
    #[strum(serialize = "correlated")]
    Correlated,
    /// Why requests could be read in two ways and were not sent.
    #[strum(serialize = "ambiguous by flaw")]
    AmbiguousByFlaw,
    /// Why requests were incomplete and were not sent.
    #[strum(serialize = "incomplete by cause")]
    IncompleteByCause,
    /// What tunnels were begun by requests that were not sent.
    #[strum(serialize = "tunnel by kind")]
    TunnelByKind,
    /// Messages to or from a broker.
    #[strum(serialize = "broker")]
    Broker,
    /// Responses from a broker whose request was not there, and those that did not come.
    #[strum(serialize = "stream responses")]
    TakenResponses,
    /// Messages of the run that were left out as repeats.
    #[strum(serialize = "log")]
    Log,
    /// Stored pairs that were deleted again.
    #[strum(serialize = "store")]
    Store,
    /// What recorded exchanges are as stubs.
    #[strum(serialize = "stubs")]
    Stubs,
    /// Requests to a stub server without a recorded response, by method and template of paths.
    #[strum(serialize = "stub misses")]
    StubMisses,
    /// Connections to a stub server.
    #[strum(serialize = "stub connections")]
    StubConnections,
    /// Packets that a sink wrote.
    #[strum(serialize = "packets")]
    WrittenPackets,
    /// What exchanges became as stubs.
    #[strum(serialize = "exported stubs")]
    ExportedStubs,
}

impl Topic {
    /// Its name in summaries; stable.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// Counts of one stage that explain its account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What is counted.
    pub topic: Topic,
    /// For which target, where there are several.
    pub target: Option<Arc<str>>,
    /// Each count by its name.
    pub counts: Vec<(String, u64)>,
}

impl Note {
    /// A note without its zeros; `None` when nothing is left.
    pub fn new<N: Into<String>>(
        topic: Topic,
        counts: impl IntoIterator<Item = (N, u64)>,
    ) -> Option<Self> {
        let counts: Vec<_> =
            counts.into_iter().filter(|(_, n)| *n > 0).map(|(name, n)| (name.into(), n)).collect();
        (!counts.is_empty()).then_some(Self { topic, target: None, counts })
    }

    /// How often this was counted.
    #[must_use]
    pub fn count(&self, what: impl Into<&'static str>) -> u64 {
        let what = what.into();
        self.counts.iter().filter(|(name, _)| name == what).map(|(_, n)| n).sum()
    }

    /// Each count by its name, which says for which target it is where there are several.
    #[must_use]
    pub fn titled(&self) -> Vec<(String, u64)> {
        let title = |name: &String| match &self.target {
            None => name.clone(),
            Some(target) => format!("to {target} {name}"),
        };
        self.counts.iter().map(|(name, n)| (title(name), *n)).collect()
    }
}

/// As in the summary's JSON form.
impl Serialize for Note {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut note = serializer.serialize_struct("Note", 2)?;
        note.serialize_field("name", self.topic.name())?;
        note.serialize_field("counts", &self.titled())?;
        note.end()
    }
}
