//! The vectors that were made with the reference model of Diffy, and by hand.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;
use crate::lift::Content;
use crate::pair::Response;
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
            it.weight,
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
