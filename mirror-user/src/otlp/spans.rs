//! Shadow requests as spans, by the semantic conventions of OpenTelemetry for HTTP clients, and their export in
//! batches.

use std::cell::Cell;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, Sender, bounded};
use futures_util::FutureExt;
use hyper::http::uri::Authority;
use opentelemetry::trace::{
    Link, Span as _, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
    Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    IdGenerator, RandomIdGenerator, SdkTracer, SdkTracerProvider, Span, SpanData,
    SpanExporter as _, SpanProcessor,
};

use super::batching::Batching;
use crate::logging::emit;
use crate::packet::Timestamp;
use crate::rules::trace::TraceParent;
use crate::sink::replay::{ShadowSpan, SpanCounts, SpanSink, TracedRequest};

/// The methods that a span may be named by (RFC 9110 §9, RFC 5789); others may be anything a client makes up.
const METHODS: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// Makes spans of shadow requests.
#[derive(Debug)]
pub(super) struct Tracing {
    tracer: SdkTracer,
    queue: Arc<Queue>,
    resource: Resource,
    receiver: Receiver<SpanData>,
    batching: Batching,
}

/// Where spans that were sampled wait.
#[derive(Debug)]
struct Queue {
    /// `None` once no more are taken.
    sender: Mutex<Option<Sender<SpanData>>>,
    counts: Arc<SpanCounts>,
}

impl Tracing {
    pub(super) fn new(resource: Resource, counts: Arc<SpanCounts>, batching: Batching) -> Self {
        let (sender, receiver) = bounded(batching.queue);
        let queue = Arc::new(Queue { sender: Mutex::new(Some(sender)), counts });
        // The sampler is that of the environment (`OTEL_TRACES_SAMPLER`).
        let provider = SdkTracerProvider::builder()
            .with_span_processor(Processor(Arc::clone(&queue)))
            .with_resource(resource.clone())
            .with_id_generator(Ids(RandomIdGenerator::default()))
            .build();
        Self { tracer: provider.tracer("mirror"), queue, resource, receiver, batching }
    }

    /// Takes no further spans.
    pub(super) fn end(&self) {
        self.queue.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Exports until no more spans come, and then for no longer than `at_end`. Without an exporter it only waits.
    pub(super) fn export(&self, exporter: Option<SpanExporter>, at_end: Duration) {
        let Some(mut exporter) = exporter else {
            while self.receiver.recv().is_ok() {}
            return;
        };
        exporter.set_resource(&self.resource);
        let counts = &self.queue.counts;
        let mut last = None;
        while let Some(batch) = self.batch() {
            let spans = batch.len() as u64;
            if last.is_none() && self.is_ended() {
                last = Some(now() + at_end);
            }
            let exported = match last {
                Some(last) if now() >= last => Err("the run has ended".to_owned()),
                // The client waits by itself, as the exporter does between its attempts.
                _ => match exporter.export(batch).now_or_never() {
                    Some(exported) => exported.map_err(|error| error.to_string()),
                    None => Err("the exporter did not wait".to_owned()),
                },
            };
            match exported {
                Ok(()) => counts.exported.fetch_add(spans, Relaxed),
                Err(why) => {
                    emit!(OtlpFailed, "otlp: {spans} spans were not exported: {why}");
                    counts.failed.fetch_add(spans, Relaxed)
                }
            };
        }
    }

    fn is_ended(&self) -> bool {
        self.queue.sender.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// The spans of the next export request; `None` if no more come.
    fn batch(&self) -> Option<Vec<SpanData>> {
        let first = self.receiver.recv().ok()?;
        let until = now() + self.batching.delay;
        let mut batch = vec![first];
        while batch.len() < self.batching.batch {
            let Ok(span) = self.receiver.recv_deadline(until) else { break };
            batch.push(span);
        }
        Some(batch)
    }
}

impl SpanSink for Tracing {
    fn take(&self, span: ShadowSpan) {
        let ShadowSpan { request, began, took, outcome } = span;
        let began = time(began);
        let is_known = METHODS.contains(&request.method.as_str());
        let name = if is_known { request.method.clone() } else { "HTTP".to_owned() };
        let status = match outcome {
            Ok(status) if status < 400 => Status::Unset,
            Ok(_) => Status::error(""),
            Err(why) => Status::error(<&str>::from(why)),
        };
        let links = request.traces.production.map(link).into_iter().collect();
        let own = request.traces.shadow;
        let mut attributes = attributes(request, is_known);
        let error = match outcome {
            Ok(code) => {
                attributes.push(KeyValue::new("http.response.status_code", i64::from(code)));
                (code >= 400).then(|| code.to_string())
            }
            Err(why) => Some(<&str>::from(why).to_owned()),
        };
        attributes.extend(error.map(|error| KeyValue::new("error.type", error)));
        let builder = self.tracer.span_builder(name).with_kind(SpanKind::Client);
        let builder = builder.with_start_time(began).with_attributes(attributes).with_links(links);
        OWN.set(own);
        // A trace of its own, whatever else goes on on this thread.
        let mut span = builder.start_with_context(&self.tracer, &Context::new());
        span.set_status(status);
        span.end_with_timestamp(began + took);
    }
}

fn attributes(request: TracedRequest, is_known: bool) -> Vec<KeyValue> {
    let TracedRequest { id, target, rule, method, path, traces: _ } = request;
    let mut attributes =
        vec![KeyValue::new("url.path", path), KeyValue::new("mirror.shadow.id", id)];
    if let Ok(authority) = target.parse::<Authority>() {
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        attributes.push(KeyValue::new("server.address", host));
        let port = authority.port_u16().map(i64::from);
        attributes.extend(port.map(|port| KeyValue::new("server.port", port)));
    }
    attributes.extend(rule.map(|rule| KeyValue::new("mirror.rule", rule.to_string())));
    if is_known {
        attributes.push(KeyValue::new("http.request.method", method));
    } else {
        attributes.push(KeyValue::new("http.request.method", "_OTHER"));
        attributes.push(KeyValue::new("http.request.method_original", method));
    }
    attributes
}

/// The span of production that a shadow was made of.
fn link(production: TraceParent) -> Link {
    let TraceParent { trace, span, sampled } = production;
    let flags = TraceFlags::default().with_sampled(sampled);
    let (trace, span) = (trace.into(), span.into());
    Link::with_context(SpanContext::new(trace, span, flags, true, TraceState::default()))
}

thread_local! {
    /// The context of the next span of this thread, as the target was told: the generator is given no other way.
    static OWN: Cell<Option<TraceParent>> = const { Cell::new(None) };
}

/// The ids of [`OWN`], so that a target's spans are children of the shadow's; otherwise random ones.
#[derive(Debug)]
struct Ids(RandomIdGenerator);

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        OWN.get().map_or_else(|| self.0.new_trace_id(), |own| own.trace.into())
    }

    fn new_span_id(&self) -> SpanId {
        OWN.get().map_or_else(|| self.0.new_span_id(), |own| own.span.into())
    }
}

fn time(at: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(at.as_nanos())
}

#[expect(clippy::disallowed_methods, reason = "exports happen in real time")]
fn now() -> Instant {
    Instant::now()
}

/// Puts spans into the queue.
#[derive(Debug)]
struct Processor(Arc<Queue>);

impl SpanProcessor for Processor {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        let Queue { sender, counts } = &*self.0;
        counts.seen.fetch_add(1, Relaxed);
        let sender = sender.lock().unwrap_or_else(PoisonError::into_inner);
        if sender.as_ref().is_none_or(|sender| sender.try_send(span).is_err()) {
            counts.queue_full.fetch_add(1, Relaxed);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
