//! What holds for any bytes: nothing panics, the same is the same, and sides can be swapped.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::borrow::Cow;

use mirror_compare::comparison::{Comparison, Options, Pair, Spec};
use mirror_compare::difference::Class;
use mirror_compare::endpoint::{Endpoints, MAX_ENDPOINTS};
use mirror_compare::lift::Content;
use mirror_compare::pair::{Answer, Request, Response};
use mirror_compare::report::{Finding, Shown};
use proptest::prelude::*;

const TYPES: [&str; 9] = [
    "application/json",
    "application/x-ndjson",
    "text/event-stream",
    "text/html",
    "application/xml",
    "application/x-www-form-urlencoded",
    "text/plain",
    "image/png",
    "",
];

fn response<'a>(kind: &'a str, coding: &'a str, body: &'a [u8]) -> Response<'a> {
    let mut fields: Vec<(&[u8], &[u8])> = vec![(b"Content-Type", kind.as_bytes())];
    if !coding.is_empty() {
        fields.push((b"Content-Encoding", coding.as_bytes()));
    }
    Response {
        status: 200,
        fields,
        trailers: Vec::new(),
        content: Content::Bytes(Cow::Borrowed(body)),
        at: None,
        latency_us: None,
    }
}

fn compare(left: Response<'_>, right: Response<'_>) -> Finding {
    compare_by(Options::default(), left, right)
}

fn compare_by(options: Options, left: Response<'_>, right: Response<'_>) -> Finding {
    let mut comparison = Comparison::new(options);
    let request = Request { method: "GET", target: "/a", fields: &[], body: b"" };
    let finding = comparison.push(&Pair {
        id: "1".into(),
        request,
        production: left,
        candidate: Answer::Response(right),
        control: None,
        again: None,
    });
    Finding::clone(&finding)
}

/// JSON documents of any form.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|yes| yes.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        "-?[1-9][0-9]{0,30}(\\.[0-9]{1,9})?([eE][+-]?[0-9]{1,4})?",
        "[a-z0-9 ]{0,12}".prop_map(|text| format!("{text:?}")),
        Just("\"0190163d-8694-739b-aea5-966c26f8ad91\"".to_owned()),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6)
                .prop_map(|all| format!("[{}]", all.join(","))),
            proptest::collection::vec(("[a-c1-3]{1,2}|id", inner), 0..6).prop_map(|all| {
                let members: Vec<String> =
                    all.iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

/// The same document, written in another way: white space between tokens, escapes in strings.
fn rewritten(text: &str) -> String {
    let (mut out, mut in_string) = (String::new(), false);
    for c in text.chars() {
        in_string ^= c == '"';
        match c {
            'b' if in_string => out.push_str("\\u0062"),
            ',' | ':' | '[' | '{' if !in_string => out.extend([c, ' ', '\n']),
            ']' | '}' if !in_string => out.extend(['\t', c]),
            _ => out.push(c),
        }
    }
    out
}

/// Rules of each kind, which hold at many places.
const RULES: &str = r#"{"version":1,"rules":[
    {"path":"body..a","ignore":"value"},{"path":"body..b","array":"set"},{"path":"body..c","type_only":true},
    {"path":"body..1","array":{"key":["id"]}},{"path":"body..2","allow_new":true,"only":["a","id"]}]}"#;

/// A class, as it is seen from the other side.
fn mirrored(class: Class) -> Class {
    match class {
        Class::Missing => Class::Extra,
        Class::Extra => Class::Missing,
        class => class,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_the_same_as_themselves(
        kind in 0..TYPES.len(),
        coding in prop_oneof![Just(""), Just("gzip"), Just("br"), Just("zstd"), Just("deflate"), Just("x")],
        body in proptest::collection::vec(any::<u8>(), 0..300),
        other in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let same = compare(response(TYPES[kind], coding, &body), response(TYPES[kind], coding, &body));
        prop_assert_eq!(same.differences, Vec::<Shown>::new());
        compare(response(TYPES[kind], coding, &body), response(TYPES[kind], coding, &other));
    }

    #[test]
    fn any_text_of_markup_is_the_same_as_itself(kind in 0..6_usize, body in "[<>/a-c \"'=&;!\\[\\]?{}:,\n-]{0,200}") {
        let bytes = body.as_bytes();
        let same = compare(response(TYPES[kind], "", bytes), response(TYPES[kind], "", bytes));
        prop_assert_eq!(same.differences, Vec::<Shown>::new());
    }

    #[test]
    fn sides_can_be_swapped(left in json(), right in json()) {
        let kind = TYPES[0];
        let of = |a: &str, b: &str| compare(response(kind, "", a.as_bytes()), response(kind, "", b.as_bytes()));
        prop_assert_eq!(of(&left, &left).differences, Vec::<Shown>::new());
        let (there, back) = (of(&left, &right), of(&right, &left));
        prop_assert_eq!(there.differences.is_empty(), back.differences.is_empty());
        // Where lists are aligned, one of several best ways is taken: without lists, each difference is mirrored.
        if !left.contains('[') && !right.contains('[') {
            let classes = |finding: &Finding, mirror: bool| {
                let class = |one: &Shown| if mirror { mirrored(one.class) } else { one.class };
                let mut all: Vec<_> =
                    finding.differences.iter().map(|one| (one.path.clone(), class(one))).collect();
                all.sort();
                all
            };
            prop_assert_eq!(classes(&there, false), classes(&back, true));
        }
    }

    #[test]
    fn it_does_not_matter_how_a_document_is_written(left in json(), right in json(), ruled in any::<bool>()) {
        let kind = TYPES[0];
        let spec: Spec = serde_json::from_str(RULES).unwrap();
        let of = |a: &str, b: &str| {
            let options = if ruled { spec.options(Options::default()).unwrap().0 } else { Options::default() };
            compare_by(options, response(kind, "", a.as_bytes()), response(kind, "", b.as_bytes())).differences
        };
        prop_assert_eq!(of(&left, &rewritten(&left)), Vec::<Shown>::new());
        prop_assert_eq!(of(&left, &right), of(&rewritten(&left), &right));
    }

    #[test]
    fn endpoints_are_bounded_and_stable(targets in proptest::collection::vec("(/[a-z0-9%@{}*-]{0,9}){0,5}(\\?[a-z=]{0,5})?", 1..50)) {
        let mut endpoints = Endpoints::default();
        let names: Vec<String> = targets.iter().map(|target| endpoints.name("GET", target)).collect();
        prop_assert!(names.len() <= MAX_ENDPOINTS);
        for (target, name) in targets.iter().zip(&names) {
            prop_assert_eq!(&endpoints.name("GET", target), name);
        }
    }
}
