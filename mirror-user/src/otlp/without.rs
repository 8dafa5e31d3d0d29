//! A build without the feature `otlp`: nothing is ever exported, and a run says so where the environment asks for it.

use std::sync::Arc;

use crate::logging::emit;
use crate::metrics::Sources;
use crate::sink::replay::{SpanCounts, SpanSink, Target};

/// There is none.
#[derive(Debug)]
pub enum Plan {}

/// There is none.
pub enum Telemetry {}

/// There is none.
pub enum Exporting {}

impl Plan {
    /// Never a plan.
    ///
    /// # Errors
    /// Never.
    pub fn from_environment() -> anyhow::Result<Option<Self>> {
        if std::env::var_os("OTEL_EXPORTER_OTLP_ENDPOINT").is_some() {
            emit!(
                OtlpUnavailable,
                "OTEL_EXPORTER_OTLP_ENDPOINT is set, and this build exports nothing; build it with the feature `otlp`"
            );
        }
        Ok(None)
    }

    /// None.
    pub fn ports(&self) -> impl Iterator<Item = u16> {
        match *self {}
        #[expect(unreachable_code, reason = "it says of which type nothing is")]
        std::iter::empty()
    }
}

impl Telemetry {
    /// Never.
    ///
    /// # Errors
    /// Never.
    pub fn new(
        plan: Plan,
        _: impl FnMut(&mut Target) -> anyhow::Result<()>,
    ) -> anyhow::Result<Self> {
        match plan {}
    }

    /// Never.
    #[must_use]
    pub fn spans(&self) -> Option<Arc<dyn SpanSink>> {
        match *self {}
    }

    /// Never.
    #[must_use]
    pub fn counts(&self) -> Arc<SpanCounts> {
        match *self {}
    }

    /// Never.
    ///
    /// # Errors
    /// Never.
    pub fn start(self, _: Sources) -> anyhow::Result<Exporting> {
        match self {}
    }
}
