//! The faults of Diffy that must not be here, from a pair to its verdict.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test fails by panicking")]

use mirror_compare::comparison::{Comparison, Options, Pair, Spec};
use mirror_compare::count::COUNT_BYTES;
use mirror_compare::difference::Class;
use mirror_compare::gate::{Gate, Outcome};
use mirror_compare::lift::Content;
use mirror_compare::pair::{Answer, Failure, Request, Response};
use mirror_compare::report::html::Page;
use mirror_compare::report::table::Table;
use mirror_compare::report::{Finding, junit};
use mirror_compare::verdict::Verdict;

fn response<'a>(status: u16, kind: &'a str, body: &'a str) -> Response<'a> {
    Response {
        status,
        fields: vec![(b"Content-Type", kind.as_bytes())],
        trailers: Vec::new(),
        content: Content::Bytes(body.as_bytes().into()),
        at: None,
        latency_us: None,
    }
}

fn json(body: &str) -> Response<'_> {
    response(200, "application/json", body)
}

fn push(
    comparison: &mut Comparison,
    id: usize,
    production: Response<'_>,
    candidate: Answer<'_>,
) -> Finding {
    let request = Request { method: "GET", target: "/orders/17?x=<b>", fields: &[], body: b"" };
    let finding = comparison.push(&Pair {
        id: id.to_string().into(),
        request,
        production,
        candidate,
        control: None,
        again: None,
    });
    Finding::clone(&finding)
}

fn one(production: Response<'_>, candidate: Response<'_>) -> Vec<(String, Class)> {
    let mut comparison = Comparison::new(Options::default());
    let finding = push(&mut comparison, 1, production, Answer::Response(candidate));
    finding.differences.into_iter().map(|one| (one.path.to_string(), one.class)).collect()
}

#[test]
fn f1_what_cannot_be_read_is_a_difference() {
    let good = || json(r#"{"a":1}"#);
    let told = |path: &str, class| vec![(path.to_owned(), class)];
    assert_eq!(one(good(), response(500, "text/plain", "oops")), told("status", Class::Value));
    assert_eq!(one(good(), json("{\"a\":")), told("body", Class::Unreadable));
    assert_eq!(one(json("{"), good()), told("body", Class::Unreadable));
    let kind = one(good(), response(200, "text/plain", "oops"));
    assert!(kind.contains(&("body".to_owned(), Class::Format)), "{kind:?}");
    let plain = |body| response(200, "text/plain", body);
    assert_eq!(one(plain("a\nb"), plain("a\nc")), told("body[]", Class::Value));
    // Both unreadable in one way: the bytes are compared.
    assert_eq!(one(json("{\"a\":"), json("{\"a\":")), []);
    assert_eq!(one(json("{\"a\":"), json("{\"b\":")), told("body[]", Class::Value));
}

#[test]
fn f7_body_and_headers_have_paths_of_their_own() {
    let mut with = json(r#"{"etag":"a"}"#);
    with.fields.push((b"Etag", b"x"));
    let found = one(with, json(r#"{"etag":"b"}"#));
    let paths: Vec<&str> = found.iter().map(|(path, _)| &**path).collect();
    assert_eq!(paths, ["body.etag", "header.etag"]);
}

#[test]
fn f8_one_request_is_not_enough_data_and_ten_are() {
    let mut comparison = Comparison::new(Options::default());
    let gate: Gate = "failing_fields=0".parse().unwrap();
    push(&mut comparison, 0, json(r#"{"a":1}"#), Answer::Response(json(r#"{"a":2}"#)));
    assert_eq!(comparison.report().fields().next().unwrap().1.verdict, Verdict::Insufficient);
    assert!(matches!(gate.judge(&comparison.report()), Outcome::NotEnough(_)));
    for id in 1..10 {
        push(&mut comparison, id, json(r#"{"a":1}"#), Answer::Response(json(r#"{"a":2}"#)));
    }
    let report = comparison.report();
    assert_eq!(report.fields().next().unwrap().1.verdict, Verdict::Regression);
    assert_eq!((report.failing_rate, report.endpoints[0].failing), (1.0, 10));
    let Outcome::Failed(why) = gate.judge(&report) else { panic!("it fails") };
    assert_eq!(why, ["1 fields fail"]);
}

#[test]
fn f9_samples_are_chosen_from_all_pairs() {
    let mut comparison = Comparison::new(Options::default());
    for id in 0..1_000 {
        push(&mut comparison, id, json(r#"{"a":1}"#), Answer::Response(json(r#"{"a":2}"#)));
    }
    let report = comparison.report();
    let (_, field) = report.fields().next().unwrap();
    assert_eq!(field.samples.len(), 5);
    assert!(field.samples.iter().any(|sample| sample.id.parse::<usize>().unwrap() >= 100));
}

#[test]
fn f10_failures_are_classes_of_their_own_and_all_sides_come_together() {
    let mut comparison = Comparison::new(Options::default());
    for id in 0..20 {
        push(&mut comparison, id, json("{}"), Answer::Failed(Failure::Timeout));
    }
    let report = comparison.report();
    let (_, field) = report.fields().next().unwrap();
    assert_eq!(
        (&*field.path, field.class, field.verdict),
        ("failure.timeout", Class::Failure, Verdict::Regression)
    );
    assert_eq!(report.endpoints[0].failures[&Failure::Timeout], 20);
}

#[test]
fn a_rule_that_never_matched_is_told_and_one_that_did_counts() {
    let spec: Spec = serde_json::from_str(
        r#"{"version":1,"rules":[{"path":"body.a","ignore":"value"},{"path":"body.typo","ignore":"all"}]}"#,
    )
    .unwrap();
    let (options, _) = spec.options(Options::default()).unwrap();
    let mut comparison = Comparison::new(options);
    for id in 0..3 {
        push(&mut comparison, id, json(r#"{"a":1}"#), Answer::Response(json(r#"{"a":2}"#)));
    }
    let report = comparison.report();
    assert_eq!(report.idle_rules().collect::<Vec<_>>(), [r#"{"path":"body.typo","ignore":"all"}"#]);
    assert_eq!(report.rules[0].hits, 3);
    let (_, field) = report.fields().next().unwrap();
    assert_eq!((field.verdict, field.raw), (Verdict::Forgiven, 0));
    assert_eq!(field.forgiven[r#"{"path":"body.a","ignore":"value"}"#], 3);
}

#[test]
fn fields_are_bounded_in_bytes_and_those_beyond_are_counted() {
    let mut comparison = Comparison::new(Options::default());
    let name = "k".repeat(250);
    let deep = |leaf: &str| {
        let (open, close) = (format!("{{\"{name}\":").repeat(100), "}".repeat(100));
        format!("{open}{{{leaf}}}{close}")
    };
    let pairs = 1_200;
    for id in 0..pairs {
        let leaf = |value: u32| {
            deep(&format!("\"field-{}\":{value}", "x".repeat(1 + id % 90) + &letters(id)))
        };
        push(&mut comparison, id, json(&leaf(1)), Answer::Response(json(&leaf(2))));
    }
    let report = comparison.report();
    let endpoint = &report.endpoints[0];
    let bytes: usize = endpoint.fields.iter().map(|field| field.path.len()).sum();
    assert!(2 * bytes <= COUNT_BYTES, "{bytes}");
    assert_eq!(endpoint.fields.len() as u64 + endpoint.beyond, pairs as u64);
    assert!(endpoint.beyond > 0 && endpoint.differing == pairs as u64);
}

/// A number that no name takes for an identifier.
fn letters(n: usize) -> String {
    n.to_string().bytes().map(|digit| char::from(digit - b'0' + b'a')).collect()
}

#[test]
fn reports_hold_what_was_captured_as_text() {
    let mut comparison = Comparison::new(Options::default());
    let evil = r#"{"a":"<script>alert(1)</script>\u001b[31m\u0000"}"#;
    for id in 0..10 {
        push(&mut comparison, id, json(evil), Answer::Response(json(r#"{"a":"</pre><b>"}"#)));
    }
    let report = comparison.report();
    let page = Page(&report).to_string();
    assert!(!page.contains("<script") && !page.contains("</pre><b>"), "{page}");
    let table = Table(&report).to_string();
    assert!(
        !table.contains('\u{1b}') && table.contains("REGRESSION        body.a  10 of 10"),
        "{table}"
    );
    let mut xml = Vec::new();
    junit::write(&report, &mut xml).unwrap();
    let xml = String::from_utf8(xml).unwrap();
    assert!(
        xml.contains("<testcase classname=\"GET /orders/{id}\" name=\"body.a value\">"),
        "{xml}"
    );
    assert!(xml.contains("failures=\"1\"") && !xml.contains("<script"), "{xml}");
}
