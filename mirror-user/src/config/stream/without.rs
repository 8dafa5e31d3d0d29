//! A build without the feature `nats`: says so where a stream is named.

use std::io::Write;

use anyhow::bail;

use crate::config::file::TargetSpec;
use crate::config::outputs::{OutputPlan, WatchOutcomes};
use crate::config::target::Run;
use crate::filter::Watch;
use crate::http::HttpTable;
use crate::pipeline::Front;
use crate::settings::StreamSourceSettings;

/// There is none.
pub(crate) enum StreamSource {}

/// There is none.
pub(crate) enum Input {}

impl StreamSource {
    /// Never.
    ///
    /// # Errors
    /// Always.
    pub(crate) fn new(url: &str, _: &StreamSourceSettings) -> anyhow::Result<Self> {
        bail!("{url}: this build knows no broker; build it with the feature `nats`")
    }

    pub(crate) fn watch(&mut self) -> WatchOutcomes {
        match *self {}
    }

    pub(crate) fn open(self) -> anyhow::Result<Input> {
        match self {}
    }
}

impl Input {
    pub(crate) fn into_front(self, _: Watch, _: HttpTable) -> Box<dyn Front> {
        match self {}
    }
}

/// The same output.
///
/// # Errors
/// If there are streams.
pub(crate) fn publishing(
    output: OutputPlan,
    streams: &[(usize, &TargetSpec)],
    _: &Run,
    _: bool,
) -> anyhow::Result<OutputPlan> {
    match streams {
        [] => Ok(output),
        [(_, spec), ..] => {
            bail!("{}: this build knows no broker; build it with the feature `nats`", spec.url)
        }
    }
}

/// Never.
///
/// # Errors
/// Always.
pub(crate) fn fleet_report(
    url: &str,
    settings: &StreamSourceSettings,
    _: bool,
    _: &mut dyn Write,
) -> anyhow::Result<()> {
    StreamSource::new(url, settings).map(|none| match none {})
}
