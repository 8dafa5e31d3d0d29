//! Metrics as text. The only file that names `prometheus_client`.

use std::fmt;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{self, DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{self, Registry};
use strum::IntoEnumIterator;

use super::collect::{Point, Points, Requests, Value, collect};
use super::figures::Figures;
use super::table::{Kind, Metric, Unit};

/// A text format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' own, version 0.0.4.
    #[default]
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// The one that a client prefers, by its header field `Accept`.
    #[must_use]
    pub fn accepted(accept: &str) -> Self {
        // Prometheus names OpenMetrics first if it reads it. Who takes anything gets what every
        // program reads.
        if accept.contains("application/openmetrics-text") {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    /// The value of `Content-Type`.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => encoding::prometheus_text::CONTENT_TYPE,
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The metrics of a run.
#[must_use]
pub fn text(figures: &Figures, requests: &Requests, format: Format) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape(collect(figures, requests))));
    let mut text = String::new();
    let written = match format {
        Format::Prometheus => encoding::prometheus_text::encode(&mut text, &registry),
        Format::OpenMetrics => encoding::text::encode(&mut text, &registry),
    };
    // Writing to a String does not fail, and nothing else can.
    debug_assert!(written.is_ok());
    text
}

/// The values of one scrape.
#[derive(Debug)]
struct Scrape(Points);

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for metric in Metric::iter() {
            let definition = metric.definition();
            let points = self.0.of(metric);
            if points.is_empty() {
                continue;
            }
            let unit = match definition.unit {
                Unit::Count => None,
                unit => Some(registry::Unit::Other(unit.name().to_owned())),
            };
            let kind = match definition.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
                Kind::Histogram => MetricType::Histogram,
            };
            let (stem, help) = (definition.stem, definition.help);
            let mut family = encoder.encode_descriptor(stem, help, unit.as_ref(), kind)?;
            for Point { labels, value } in points {
                let names = definition.labels.iter().copied();
                let labels: Vec<(&str, &str)> = names
                    .zip(labels.iter().map(String::as_str))
                    .filter(|(_, value)| !value.is_empty())
                    .collect();
                put(family.encode_family(&labels)?, definition.kind, value)?;
            }
        }
        Ok(())
    }
}

fn put(mut to: MetricEncoder<'_>, kind: Kind, value: &Value) -> fmt::Result {
    match (kind, value) {
        (Kind::Counter, Value::Whole(value)) => {
            to.encode_counter::<NoLabelSet, _, f64>(value, None)
        }
        (Kind::Counter, Value::Real(value)) => to.encode_counter::<NoLabelSet, _, f64>(value, None),
        (_, Value::Whole(value)) => to.encode_gauge(value),
        (_, Value::Real(value)) => to.encode_gauge(value),
        (_, Value::Times(times)) => {
            let seconds =
                |bound: Option<Duration>| bound.map_or(f64::INFINITY, |it| it.as_secs_f64());
            let buckets: Vec<(f64, u64)> =
                times.buckets().map(|(bound, count)| (seconds(bound), count)).collect();
            let sum = times.sum.as_secs_f64();
            to.encode_histogram::<NoLabelSet>(sum, times.count(), &buckets, None)
        }
    }
}
