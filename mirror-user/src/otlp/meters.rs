//! The metrics of a run as instruments that are read when they are exported.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, MeterProvider as _};
use opentelemetry_otlp::MetricExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use tokio::runtime::Runtime;

use crate::metrics::{Families, Family, Sources};

/// All instruments of an export are read within this time, and show the figures of one moment.
const ONE_MOMENT: Duration = Duration::from_secs(1);

/// Exports every `OTEL_METRIC_EXPORT_INTERVAL`, a minute unless it is set.
pub(super) fn start(
    exporter: MetricExporter,
    resource: Resource,
    sources: Sources,
) -> anyhow::Result<SdkMeterProvider> {
    let reader = PeriodicReader::builder(exporter).build();
    let provider = SdkMeterProvider::builder().with_reader(reader).with_resource(resource).build();
    let meter = provider.meter("mirror");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let latest = Arc::new(Latest { runtime, sources, read: Mutex::default() });
    for family in Family::all() {
        let latest = Arc::clone(&latest);
        let observe =
            move |instrument: &dyn AsyncInstrument<f64>| latest.observe(family, instrument);
        let (name, help, unit) = (family.name(), family.help(), family.unit());
        match family.only_grows() {
            true => {
                let builder = meter.f64_observable_counter(name);
                builder.with_description(help).with_unit(unit).with_callback(observe).build();
            }
            false => {
                let builder = meter.f64_observable_gauge(name);
                builder.with_description(help).with_unit(unit).with_callback(observe).build();
            }
        }
    }
    Ok(provider)
}

/// The figures that were read last.
struct Latest {
    runtime: Runtime,
    sources: Sources,
    read: Mutex<Option<(Instant, Families)>>,
}

impl Latest {
    #[expect(clippy::disallowed_methods, reason = "exports happen in real time")]
    fn observe(&self, family: Family, instrument: &dyn AsyncInstrument<f64>) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let is_old = |at: &Instant| at.elapsed() > ONE_MOMENT;
        if read.as_ref().is_none_or(|(at, _)| is_old(at)) {
            let figures = self.runtime.block_on(self.sources.read());
            *read = Some((Instant::now(), Families::of(&figures)));
        }
        let Some((_, families)) = &*read else { return };
        families.each(family, |labels, value| {
            let labels: Vec<_> = labels
                .iter()
                .map(|(name, value)| KeyValue::new(*name, (*value).to_owned()))
                .collect();
            instrument.observe(value, &labels);
        });
    }
}
