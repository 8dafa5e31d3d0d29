//! Traces and metrics by OTLP, to a collector that the standard environment variables of OpenTelemetry name.
//!
//! In come finished shadow requests ([`SpanSink`](crate::sink::replay::SpanSink)) and the metrics of the run; out go export requests over HTTP with
//! protobuf. A span is the shadow's own trace, and links to the span of production that the captured request named
//! (`traceparent`). Metrics are those of `/metrics`, every interval.
//!
//! It refuses gRPC, and a collector whose address is captured: its exports would be shadowed, and each shadow exported
//! again. Nobody waits for the collector: spans that find no room in their queue (`batching`) are dropped and counted, a batch that could not
//! be exported is counted as lost. What is remembered are those counts and the batch on its way.
//!
//! ```text
//! replay ──ShadowSpan─► Tracing ──queue──┐
//!                                        ├─► thread `otlp` ──► Collector ──HTTP─► collector
//! metrics ──Family─► Meters, each interval ┘
//! ```

#[cfg(feature = "otlp")]
mod batching;
#[cfg(feature = "otlp")]
mod collector;
#[cfg(feature = "otlp")]
mod environment;
#[cfg(feature = "otlp")]
mod export;
#[cfg(feature = "otlp")]
mod meters;
#[cfg(feature = "otlp")]
mod spans;
#[cfg(not(feature = "otlp"))]
mod without;

#[cfg(feature = "otlp")]
pub use self::environment::Plan;
#[cfg(feature = "otlp")]
pub use self::export::{Exporting, Telemetry};
#[cfg(not(feature = "otlp"))]
pub use self::without::{Exporting, Plan, Telemetry};
