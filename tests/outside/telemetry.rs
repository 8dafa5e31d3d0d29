//! Traces and metrics by OTLP, at a real receiver, and beside collectors that do not do their part.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::netns::until;
use crate::support::target::{Behaviour, Target};
use crate::support::wire::Talk;
use crate::support::{Run, Workspace, free_address, mirror_with_variables};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);
const PARENT: &str = "00f067aa0ba902b7";

/// A receiver of OTLP that writes down what it gets as JSON lines; ends with its owner.
struct Receiver {
    child: Child,
    endpoint: String,
    written: std::path::PathBuf,
}

impl Receiver {
    fn start(workspace: &Workspace) -> Self {
        let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/otlp/bin/oteltap");
        let (address, written) = (free_address(), workspace.path("received.jsonl"));
        let child = Command::new(tool)
            .args(["--port", &address.port().to_string()])
            .env("PYTHONUNBUFFERED", "1")
            .stdout(File::create(&written).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let receiver = Self { child, endpoint: format!("http://{address}"), written };
        let listens = || std::net::TcpStream::connect(address).is_ok();
        until("the receiver listens", listens);
        receiver
    }

    fn received(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.written).unwrap();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    fn spans(&self) -> Vec<Value> {
        self.received().into_iter().filter(|one| one.get("traceId").is_some()).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Two requests, of which the first belongs to a trace of production's.
fn talk() -> Talk {
    let traced = format!(
        "GET /a?key=1 HTTP/1.1\r\nHost: shop\r\ntraceparent: 00-{TRACE}-{PARENT}-01\r\n\r\n"
    );
    let odd = "BREW /b HTTP/1.1\r\nHost: shop\r\n\r\n";
    Talk::new().open().client(traced).server(OK).client(odd).server(OK).close()
}

fn replay(workspace: &Workspace, target: &str, variables: &[(&str, &str)]) -> Run {
    let file = workspace.file("talk.pcap", &talk().pcap());
    let to = format!("http://{target}");
    let args = ["replay", "--from", &file, "--to", &to, "--speed", "max", "--log-format", "json"];
    mirror_with_variables(&args, variables)
}

/// The value of a span's attribute.
fn attribute<'a>(span: &'a Value, name: &str) -> Option<&'a str> {
    let mut attributes = span.get("attributes")?.as_array()?.iter();
    let value = attributes.find(|one| one["key"] == name)?.get("value")?;
    value.as_object()?.values().next()?.as_str()
}

#[test]
#[ignore = "needs oteltap from PyPI, which `cargo xtask test` installs"]
fn otlp_a_span_of_each_shadow_links_to_productions_trace() {
    let (workspace, target) = (Workspace::new(), Target::start(Behaviour::Answer));
    let receiver = Receiver::start(&workspace);
    let address = target.address().to_string();
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint.as_str()),
        ("OTEL_SERVICE_NAME", "shadow-of-shop"),
    ];
    replay(&workspace, &address, &variables).exits_with(0);
    until("two spans came", || receiver.spans().len() == 2);
    let spans = receiver.spans();
    let of = |path| spans.iter().find(|span| attribute(span, "url.path") == Some(path)).unwrap();
    let (traced, odd) = (of("/a"), of("/b"));
    assert_eq!((&traced["name"], &odd["name"]), (&"GET".into(), &"HTTP".into()));
    assert_eq!(traced["links"][0]["traceId"], TRACE);
    assert_eq!(traced["links"][0]["spanId"], PARENT);
    assert_ne!(traced["traceId"], TRACE, "a shadow has a trace of its own");
    // It is the one that the target was told of, so that the target's spans become its children.
    let told = target.wait_for(2, PATIENCE);
    let told = told.iter().map(|request| String::from_utf8_lossy(&request.head).into_owned());
    let told: Vec<String> = told.filter(|head| head.starts_with("GET /a")).collect();
    let id = |name: &str| traced[name].as_str().unwrap().to_owned();
    let own = format!("traceparent: 00-{}-{}-01\r\n", id("traceId"), id("spanId"));
    assert!(told.iter().any(|head| head.contains(&own)), "{own} {told:?}");
    assert_eq!(odd["links"].as_array().map(Vec::len), Some(0));
    for (span, name, value) in [
        (traced, "http.request.method", "GET"),
        (odd, "http.request.method", "_OTHER"),
        (odd, "http.request.method_original", "BREW"),
        (traced, "http.response.status_code", "200"),
        (traced, "server.address", "127.0.0.1"),
    ] {
        assert_eq!(attribute(span, name), Some(value), "{span}");
    }
    // The query may hold what a path does not.
    assert!(!traced.to_string().contains("key=1"), "{traced}");
    let nanos = |name: &str| traced[name].as_str().unwrap().parse::<u64>().unwrap();
    assert!(nanos("startTimeUnixNano") <= nanos("endTimeUnixNano"));
    // The last metrics come at the end of the run, whatever the interval.
    let delivered = |metric: &Value| metric["name"] == "mirror_delivered_total";
    until("metrics came", || receiver.received().iter().any(delivered));
    let received = receiver.received();
    let points =
        received.iter().find(|metric| delivered(metric)).unwrap()["sum"]["dataPoints"].clone();
    let is_replays = |point: &Value| attribute(point, "seam") == Some("shadow_requests");
    let point = points.as_array().unwrap().iter().find(|point| is_replays(point)).unwrap().clone();
    assert_eq!(point["asDouble"], 2.0, "{point}");
}

#[test]
fn a_collector_that_is_away_or_never_responds_costs_counted_spans_and_nothing_else() {
    let target = Target::start(Behaviour::Answer);
    let address = target.address().to_string();
    // Takes connections into its queue, and reads nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for collector in [free_address(), silent.local_addr().unwrap()] {
        let (workspace, endpoint) = (Workspace::new(), format!("http://{collector}"));
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_METRICS_EXPORTER", "none"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "300"),
        ];
        let run = replay(&workspace, &address, &variables).exits_with(0).says("2 of 2 answered");
        let events = run.events();
        let failed = events.iter().find(|event| event["event"] == "otlp_failed");
        let message = failed.and_then(|event| event["message"].as_str()).unwrap_or_default();
        assert!(message.contains("2 spans were not exported"), "{events:?}");
    }
}

/// A batch of one span leaves at once, so that each request to the collector fails by itself.
#[test]
fn batches_are_as_large_as_the_environment_says() {
    let target = Target::start(Behaviour::Answer);
    let (workspace, endpoint) = (Workspace::new(), format!("http://{}", free_address()));
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_METRICS_EXPORTER", "none"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1"),
    ];
    let run = replay(&workspace, &target.address().to_string(), &variables).exits_with(0);
    let events = run.events();
    let failed = events.iter().filter(|event| event["event"] == "otlp_failed");
    let one = failed.filter(|event| event.to_string().contains("1 spans were not exported"));
    assert!(one.count() >= 1, "{events:?}");
}

#[test]
fn what_the_environment_asks_for_and_mirror_cannot_do_is_refused() {
    let workspace = Workspace::new();
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317");
    let variables = [endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")];
    let run = replay(&workspace, "127.0.0.1:9", &variables);
    run.complains(&["OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "http/protobuf"]);
    let variables = [endpoint, ("OTEL_BSP_MAX_QUEUE_SIZE", "0")];
    let run = replay(&workspace, "127.0.0.1:9", &variables);
    run.complains(&["OTEL_BSP_MAX_QUEUE_SIZE=0", "from 1 to 65536"]);
}
