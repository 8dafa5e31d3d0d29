//! Any two bodies, compared: never a panic, a body is the same as itself, however it is written, and every report can be
//! written.
#![no_main]

mod common;

use std::sync::Arc;

use common::pair;
use libfuzzer_sys::fuzz_target;
use mirror_compare::comparison::{Comparison, Options};
use mirror_compare::lift::{Content, lift};
use mirror_compare::limits::Limits;
use mirror_compare::report::html::Page;
use mirror_compare::report::table::Table;
use mirror_compare::report::{Finding, junit};

fn push(comparison: &mut Comparison, kind: &[u8], left: &[u8], right: &[u8]) -> Arc<Finding> {
    comparison.push(&pair(kind, left, right))
}

/// True if it is read as what its type says.
fn is_json(body: &[u8]) -> bool {
    let fields: [(&[u8], &[u8]); 1] = [(b"Content-Type", TYPES[0])];
    lift(&fields, &Content::Bytes(body.into()), &Limits::default()).flaw.is_none()
}

const TYPES: [&[u8]; 4] = [b"application/json", b"text/html", b"application/xml", b"text/plain"];

fuzz_target!(|input: (u8, &[u8], &[u8])| {
    let (how, left, right) = input;
    let kind = TYPES[usize::from(how & 3)];
    let mut comparison = Comparison::new(Options::default());
    assert!(push(&mut comparison, kind, left, left).differences.is_empty());
    // Written in another way, so that all that is in it is compared.
    if let (0, Some((first @ (b'{' | b'['), rest))) = (how & 3, left.split_first())
        && is_json(left)
    {
        let spaced = [&[*first, b' '], rest].concat();
        assert!(push(&mut comparison, kind, left, &spaced).differences.is_empty());
    }
    let _ = push(&mut comparison, kind, left, right);
    let report = comparison.report();
    let _ = (Page(&report).to_string(), Table(&report).to_string());
    junit::write(&report, &mut Vec::new()).expect("a Vec takes all");
});
