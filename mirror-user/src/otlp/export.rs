//! The life of an export: prepared before targets are opened, started once a run is put together, and ended after the
//! last request has its outcome.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;

use super::collector::Collector;
use super::environment::Plan;
use super::meters;
use super::spans::Tracing;
use crate::logging::emit;
use crate::metrics::Sources;
use crate::privileges::{self, Duty};
use crate::sink::replay::{SpanCounts, SpanSink, Target};
use crate::version;

/// How long the end of a run waits for what is not exported yet, beside an export that has begun.
const AT_END: Duration = Duration::from_secs(5);

/// What exports while a run goes on.
pub struct Telemetry {
    plan: Plan,
    tracing: Arc<Tracing>,
    counts: Arc<SpanCounts>,
}

/// Exports until it is dropped, which exports what is left.
pub struct Exporting {
    tracing: Arc<Tracing>,
    thread: Option<JoinHandle<()>>,
}

impl Telemetry {
    /// Prepares it: spans are taken from now on. `admit` is asked for each collector before anything connects to it.
    ///
    /// # Errors
    /// If a collector is not admitted.
    pub fn new(
        mut plan: Plan,
        mut admit: impl FnMut(&mut Target) -> anyhow::Result<()>,
    ) -> anyhow::Result<Self> {
        for target in plan.targets_mut() {
            admit(target).context("OTLP")?;
        }
        let counts = Arc::<SpanCounts>::default();
        let tracing = Arc::new(Tracing::new(resource(), Arc::clone(&counts), plan.batching));
        Ok(Self { plan, tracing, counts })
    }

    /// Who takes spans, if they are exported.
    #[must_use]
    pub fn spans(&self) -> Option<Arc<dyn SpanSink>> {
        let tracing = Arc::clone(&self.tracing) as _;
        self.plan.traces.is_some().then_some(tracing)
    }

    /// The counts of spans.
    #[must_use]
    pub fn counts(&self) -> Arc<SpanCounts> {
        Arc::clone(&self.counts)
    }

    /// Starts the thread that exports.
    ///
    /// # Errors
    /// If there is none to be had.
    pub fn start(self, sources: Sources) -> anyhow::Result<Exporting> {
        let tracing = Arc::clone(&self.tracing);
        let thread = std::thread::Builder::new()
            .name("otlp".to_owned())
            .spawn(move || {
                // The threads that the metrics' reader starts inherit it.
                if let Err(error) = privileges::keep_for(Duty::Send(false)) {
                    emit!(PrivilegesKept, thread = "otlp", "otlp: {error:#}");
                }
                if let Err(error) = self.export(sources) {
                    emit!(OtlpFailed, "otlp: {error:#}");
                }
            })
            .context("otlp: no thread could be started")?;
        Ok(Exporting { tracing, thread: Some(thread) })
    }

    fn export(self, sources: Sources) -> anyhow::Result<()> {
        let Plan { traces, metrics, timeout, batching } = self.plan;
        let meters = metrics.map(|target| {
            let collector = Collector::new(target, timeout)?;
            let exporter = MetricExporter::builder().with_http().with_http_client(collector);
            let exporter = exporter.with_timeout(timeout).build()?;
            meters::start(exporter, resource(), sources)
        });
        let meters = meters.transpose()?;
        let exporter = traces.map(|target| {
            let timeout = timeout.min(batching.timeout);
            let collector = Collector::new(target, timeout)?;
            let exporter = SpanExporter::builder().with_http().with_http_client(collector);
            anyhow::Ok(exporter.with_timeout(timeout).build()?)
        });
        self.tracing.export(exporter.transpose()?, AT_END);
        if let Some(Err(error)) = meters.map(|meters| meters.shutdown_with_timeout(AT_END)) {
            emit!(OtlpFailed, "otlp: the last metrics were not exported: {error}");
        }
        Ok(())
    }
}

impl Drop for Exporting {
    fn drop(&mut self) {
        self.tracing.end();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Who sends: `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` say more.
fn resource() -> Resource {
    let says = |name: &str, what: &str| std::env::var(name).is_ok_and(|text| text.contains(what));
    let is_named =
        says("OTEL_SERVICE_NAME", "") || says("OTEL_RESOURCE_ATTRIBUTES", "service.name=");
    let version = opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let commit =
        opentelemetry::KeyValue::new("mirror.commit", version::COMMIT.unwrap_or("unknown"));
    let resource = Resource::builder().with_attributes([version, commit]);
    match is_named {
        true => resource.build(),
        false => resource.with_service_name("mirror").build(),
    }
}
