//! The vectors that were made with the reference model of Diffy, and by hand.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;
use crate::comparison::Pair;
use crate::lift::Content;
use crate::pair::{Answer, Request, Response};
use crate::verdict::Thresholds;

#[derive(Deserialize)]
struct Row {
    left: String,
    right: String,
    twitter: Vec<String>,
    opendiffy_head: Vec<String>,
}

fn paths(left: &str, right: &str, mode: Mode) -> Vec<String> {
    let lift = |text| Value::json(text, mode).expect("JSON");
    differences(&lift(left), &lift(right), mode).into_keys().collect()
}

#[test]
fn every_pair_of_the_vectors() {
    let rows: Vec<Row> =
        serde_json::from_str(include_str!("../../tests/diffy_pairs.json")).unwrap();
    assert_eq!(rows.len(), 18);
    for row in rows {
        assert_eq!(
            paths(&row.left, &row.right, Mode::Twitter),
            row.twitter,
            "{} {}",
            row.left,
            row.right
        );
        assert_eq!(
            paths(&row.left, &row.right, Mode::OpenDiffy),
            row.opendiffy_head,
            "{} {}",
            row.left,
            row.right
        );
    }
}

#[test]
fn integers_wrap_as_diffys_do() {
    assert_eq!(Value::json("9223372036854775808", Mode::Twitter), Some(Value::Int(i64::MIN)));
    assert_eq!(Value::json("18446744073709551616", Mode::Twitter), Some(Value::Int(0)));
}

fn response<'a>(status: u16, fields: &[(&'a str, &'a str)], body: &'a str) -> Response<'a> {
    Response {
        status,
        fields: fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect(),
        trailers: Vec::new(),
        content: Content::Bytes(body.as_bytes().into()),
        at: None,
        latency_us: None,
    }
}

fn message_paths(left: &Response<'_>, right: &Response<'_>, headers: bool) -> Vec<String> {
    let lift = |response| message(response, headers, Mode::Twitter).expect("liftable");
    differences(&lift(left), &lift(right), Mode::Twitter).into_keys().collect()
}

const JSON: (&str, &str) = ("Content-Type", "application/json");

#[test]
fn messages_have_diffys_paths() {
    let plain = |status, body| response(status, &[JSON], body);
    assert_eq!(
        message_paths(&plain(200, r#"{"id":1}"#), &plain(200, r#"{"id":2}"#), false),
        ["result.200.values.id.PrimitiveDifference"]
    );
    assert_eq!(
        message_paths(&plain(200, r#"{"id":1}"#), &plain(500, r#"{"err":"x"}"#), false),
        ["result.200.MissingField", "result.500.ExtraField"]
    );
    let with = |fields: &[(&'static str, &'static str)]| {
        response(200, &[&[JSON], fields].concat(), r#"{"id":1}"#)
    };
    assert_eq!(
        message_paths(&with(&[("Date", "a"), ("X", "1")]), &with(&[("Date", "b")]), true),
        ["result.200.values.Date.PrimitiveDifference", "result.200.values.X.MissingField"]
    );
    let page = |class| {
        let html = format!("<html><body><div><h1 class={class:?}>Hello</h1></div></body></html>");
        let html: &'static str = html.leak();
        response(200, &[("Content-Type", "text/html")], html)
    };
    assert_eq!(
        message_paths(&page("box"), &page("round"), false),
        ["result.200.values.body.children.children.attributes.class.PrimitiveDifference"]
    );
    assert!(
        message(&response(500, &[("Content-Type", "text/plain")], "oops"), false, Mode::Twitter)
            .is_none()
    );
    // Without content, or a type of it, the headers alone are compared: a status that changes is not seen.
    let empty = |status| response(status, &[JSON, ("Content-Length", "0")], "");
    assert_eq!(message_paths(&empty(200), &empty(500), true), [""; 0]);
    assert_eq!(
        message_paths(&response(200, &[("X", "1")], "a"), &response(200, &[("X", "2")], "b"), true),
        ["result.headers.X.PrimitiveDifference"]
    );
}

fn asked(collector: &mut Collector, path: &str) -> serde_json::Value {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let path: Vec<&str> = path.split(' ').collect();
    match collector.answer(&path, query) {
        Told::Json(json) | Told::Cleared(json) => json,
        Told::NoRoute => panic!("{path:?}"),
    }
}

#[test]
fn the_api_answers_as_diffys() {
    let mut collector = Collector::new(Thresholds::default(), ["p", "c", "s"].map(str::to_owned));
    for i in 0..100 {
        let body = |ts: u32, plan: &str, flaky: u32| {
            format!(r#"{{"ts":{ts},"plan":"{plan}","flaky":{flaky}}}"#)
        };
        let bodies = [
            body(i, "pro", 0),
            body(i + 2_000, if i < 10 { "free" } else { "pro" }, u32::from(i < 4)),
            body(i + 1_000, "pro", u32::from(i < 3)),
        ];
        let [p, c, s] = bodies.each_ref().map(|body| response(200, &[JSON], body));
        collector.push(&Pair {
            id: i.to_string().into(),
            request: Request {
                method: "GET",
                target: "/json?i",
                fields: &[(b"Canonical-Resource", b"a/json")],
                body: b"",
            },
            production: Response { at: Some(5_000_000), ..p },
            candidate: Answer::Response(c),
            control: Some(Answer::Response(s)),
            again: None,
        });
    }
    let plan = "result.200.values.plan.PrimitiveDifference";
    let totals = serde_json::json!({"total": 100, "differences": 100});
    assert_eq!(asked(&mut collector, "endpoints"), serde_json::json!({"a-json": totals}));
    let stats = serde_json::json!({
        "endpoint": totals,
        "fields": {plan: {"differences": 10, "noise": 0, "relative_difference": 100.0, "absolute_difference": 10.0}},
    });
    assert_eq!(asked(&mut collector, "overview"), serde_json::json!({"a-json": stats}));
    assert_eq!(asked(&mut collector, "endpoints a-json stats"), stats);
    let all =
        asked(&mut collector, "endpoints a-json stats?exclude_noise=false&include_weights=true");
    assert_eq!(all["fields"].as_object().unwrap().len(), 3, "{all:#}");
    assert_eq!(all["fields"][plan]["weight"], 24);
    let none = asked(&mut collector, "endpoints other stats");
    assert_eq!(none, serde_json::json!({"error": "key not found: other"}));

    let results = asked(&mut collector, "endpoints a-json fields result.200.values.plan results");
    assert_eq!(results["requests"].as_array().unwrap().len(), 5, "{results:#}");
    let first = &results["requests"][0];
    assert_eq!(
        first["differences"][plan],
        serde_json::json!({"type": "PrimitiveDifference", "left": "pro", "right": "free"})
    );
    assert_eq!((&first["timestamp_msec"], &first["trace_id"]), (&5.into(), &().into()));
    assert!(first.get("left").is_none());
    let id = first["id"].as_str().unwrap().to_owned();
    let whole = asked(&mut collector, &format!("requests {id}"));
    assert_eq!(whole["left"]["200"]["content"]["plan"], "pro", "{whole:#}");
    let ts = &whole["differences"]["result.200.values.ts.PrimitiveDifference"];
    assert!(ts["left"].is_string(), "{ts}");
    assert!(whole["request"]["request"].as_str().unwrap().starts_with("GET /json?i HTTP/1.1"));
    let by_index = format!("endpoints a-json fields {plan} results ");
    assert_eq!(asked(&mut collector, &format!("{by_index}0"))["id"], id.as_str());
    let beyond = asked(&mut collector, &format!("{by_index}5"));
    assert_eq!(beyond, serde_json::json!({"error": "Request index out of bounds"}));
    assert_eq!(asked(&mut collector, "info")["candidate"]["target"], "c");
    assert_eq!(asked(&mut collector, "clear"), serde_json::json!({"success": "Diffs cleared"}));
    assert_eq!(asked(&mut collector, "overview"), serde_json::json!({}));
    let purged = asked(&mut collector, &format!("requests {id}"));
    assert_eq!(purged, serde_json::json!({"error": "Request purged"}));
    assert_eq!(collector.answer(&["report"], ""), Told::NoRoute);
}

#[test]
fn the_aggregate_vector() {
    let mut counters = Counters::default();
    for i in 0..100 {
        let body = |ts: u32, plan: &str, flaky: u32| {
            format!(r#"{{"ts":{ts},"plan":"{plan}","flaky":{flaky}}}"#)
        };
        let lift = |text: String| Value::json(&text, Mode::Twitter).unwrap();
        let primary = lift(body(i, "pro", 0));
        let secondary = lift(body(i + 1_000, "pro", u32::from(i < 3)));
        let plan = if i < 10 { "free" } else { "pro" };
        let candidate = lift(body(i + 2_000, plan, u32::from(i < 4)));
        let of = |other| differences(&primary, other, Mode::Twitter);
        counters.add("ep", &of(&candidate), &of(&secondary));
    }
    let stats = counters.stats("ep", false, &Thresholds::default()).unwrap();
    assert_eq!(stats.endpoint, Endpoint { total: 100, differences: 100 });
    let field = |name: &str| stats.fields[&format!("{name}.PrimitiveDifference")];
    let figures = |name: &str| {
        let it = field(name);
        (
            it.differences,
            it.noise,
            (it.relative_difference * 1e4).round() / 1e4,
            it.absolute_difference,
            it.weight.unwrap(),
        )
    };
    assert_eq!(figures("ts"), (100, 100, 0.0, 0.0, 114));
    assert_eq!(figures("plan"), (10, 0, 100.0, 10.0, 24));
    assert_eq!(figures("flaky"), (4, 3, 14.2857, 1.0, 12));
    let reported = counters.stats("ep", true, &Thresholds::default()).unwrap();
    assert_eq!(reported.fields.into_keys().collect::<Vec<_>>(), ["plan.PrimitiveDifference"]);
    let shape = serde_json::to_value(stats.endpoint).unwrap();
    assert_eq!(shape, serde_json::json!({"total": 100, "differences": 100}));
    let _: BTreeMap<String, Endpoint> = counters.endpoints();
}
