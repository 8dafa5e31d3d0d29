//! Outputs that compare: one that keeps a candidate's recording, one that compares production's exchanges with it, and
//! a target whose responses are compared.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mirror_compare::comparison::Options;
use mirror_compare::gate::Gate;

use super::replay::ReplayTarget;
use super::{Opened, Opening, OutputPlan, keep, keep_or_digest, outlet};
use crate::files::{self, Existing};
use crate::http::HttpOptions;
use crate::pipeline::Outlet;
use crate::rules::redact::MAX_BODY_BYTES;
use crate::rules::route::TargetId;
use crate::rules::sample::Portion;
use crate::sink::compare::store::{Store, StoreSink};
use crate::sink::compare::{
    CompareSink, Judge, LiveSink, Meeting, RecordSink, Recording, Redaction, Role, Shared,
};
use crate::sink::replay::ReplayOptions;

/// Keeps no more of bodies than redaction reads.
fn for_comparison() -> HttpOptions {
    let (request_body, response_body) =
        (keep(MAX_BODY_BYTES as u64), keep_or_digest(MAX_BODY_BYTES as u64));
    HttpOptions { request_body, response_body, ..HttpOptions::default() }
}

/// Keeps exchanges in memory.
pub(crate) fn record(recording: Recording) -> OutputPlan {
    OutputPlan::new(for_comparison(), move |_| Ok(Opened::of(RecordSink::new(recording))))
}

/// Compares exchanges with a recording; pairs that differ are also written as JSON lines.
pub(crate) fn compare(
    recording: Recording,
    comparison: Shared,
    findings: Option<Box<dyn Write + Send>>,
) -> OutputPlan {
    OutputPlan::new(for_comparison(), move |_| {
        let store = comparison.store().cloned();
        let mut opened = Opened::of(CompareSink::new(recording, comparison, findings));
        opened.keep_in(store)?;
        Ok(opened)
    })
}

/// How the responses of a target are compared with production's.
pub(crate) struct Compared {
    /// A second instance of production's version.
    pub(crate) control: Option<Box<ReplayTarget>>,
    /// Which part of the safe requests the candidate is asked twice.
    pub(crate) ask_again: Portion,
    pub(crate) options: Options,
    /// The gate of the rules.
    pub(crate) gate: Option<Gate>,
    /// Where pairs that differ are written.
    pub(crate) findings: Option<PathBuf>,
    pub(crate) comparison: Shared,
    pub(crate) redaction: Redaction,
}

/// A compared target whose replay has not started yet.
pub(super) struct Beside {
    meeting: Arc<Meeting>,
    compared: Compared,
}

impl Compared {
    /// Lets the comparison see what the candidate does, which is replayed with these options.
    pub(super) fn watch(self, candidate: &mut ReplayOptions) -> Beside {
        let meeting = Meeting::new(self.control.is_some());
        candidate.observer = Some(meeting.observer(Role::Candidate));
        candidate.ask_again = self.ask_again;
        candidate.needs_all = self.gate.is_some();
        Beside { meeting, compared: self }
    }
}

impl Beside {
    /// Starts the control, then the comparison, beside the candidate of this name.
    ///
    /// # Errors
    /// If the findings cannot be written, or no thread could be started.
    pub(super) fn start(
        self,
        name: Option<Arc<str>>,
        id: Option<TargetId>,
        opening: &Opening,
    ) -> anyhow::Result<Opened> {
        let Self { meeting, compared } = self;
        let mut opened = Opened::default();
        if let Some(mut control) = compared.control {
            control.options.observer = Some(meeting.observer(Role::Control));
            opened = control.start(id, opening)?;
        }
        let is_first = compared.comparison.begun() == 0;
        let findings = compared.findings.as_deref().map(|path| findings(path, is_first));
        let findings = findings.transpose()?;
        let findings = findings.map(|file| Box::new(BufWriter::new(file)) as Box<dyn Write + Send>);
        let comparison = compared.comparison.begin(compared.options, compared.gate);
        let store = comparison.store().cloned().filter(|_| is_first);
        let judge = Judge { comparison, redaction: compared.redaction, findings };
        opened.outlets.push(outlet(name, id, Box::new(LiveSink::start(meeting, judge)?)));
        opened.keep_in(store)?;
        Ok(opened)
    }
}

impl Opened {
    /// Starts the store of a run, which stays when its targets change.
    fn keep_in(&mut self, store: Option<Store>) -> anyhow::Result<()> {
        if let Some(store) = store {
            self.outlets.push(Outlet::of_all(Box::new(StoreSink::start(store)?)));
        }
        Ok(())
    }
}

/// A reload goes on with the file of the run.
fn findings(path: &Path, is_first: bool) -> anyhow::Result<File> {
    if is_first { files::create(path, Existing::Overwrite) } else { files::append(path) }
}
