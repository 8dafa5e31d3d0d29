//! Any two bodies, compared: never a panic, a body is the same as itself, and every report can be written.
#![no_main]

mod common;

use common::response;
use libfuzzer_sys::fuzz_target;
use mirror_compare::comparison::{Comparison, Options, Pair};
use mirror_compare::pair::{Answer, Request};
use mirror_compare::report::html::Page;
use mirror_compare::report::junit;
use mirror_compare::report::table::Table;

const TYPES: [&[u8]; 4] = [b"application/json", b"text/html", b"application/xml", b"text/plain"];

fuzz_target!(|input: (u8, &[u8], &[u8])| {
    let (how, left, right) = input;
    let kind = TYPES[usize::from(how & 3)];
    let mut comparison = Comparison::new(Options::default());
    let mut push = |left, right| {
        comparison.push(&Pair {
            id: "1".into(),
            request: Request { method: "GET", target: "/a", fields: &[], body: b"" },
            production: response(kind, left),
            candidate: Answer::Response(response(kind, right)),
            control: None,
            again: None,
        })
    };
    assert!(push(left, left).differences.is_empty());
    let _ = push(left, right);
    let report = comparison.report();
    let _ = (Page(&report).to_string(), Table(&report).to_string());
    junit::write(&report, &mut Vec::new()).expect("a Vec takes all");
});
