//! Any bytes as a body of any type and coding: never a panic, and the same bytes are the same tree.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mirror_compare::lift::{Content, lift};
use mirror_compare::limits::Limits;

const TYPES: [&[u8]; 8] = [
    b"application/json",
    b"application/x-ndjson",
    b"text/event-stream",
    b"text/html",
    b"application/xml",
    b"application/x-www-form-urlencoded",
    b"text/plain; charset=latin1",
    b"",
];
const CODINGS: [&[u8]; 4] = [b"identity", b"gzip", b"br", b"zstd, gzip"];

fuzz_target!(|input: (u8, &[u8])| {
    let (how, body) = input;
    let fields: [(&[u8], &[u8]); 2] = [
        (b"Content-Type", TYPES[usize::from(how & 7)]),
        (b"Content-Encoding", CODINGS[usize::from(how >> 3 & 3)]),
    ];
    let limits = Limits { nodes: 10_000, body_bytes: 1 << 16, ..Limits::default() };
    let read = || lift(&fields, &Content::Bytes(body.into()), &limits);
    let (one, two) = (read(), read());
    assert!(one.tree.count() <= limits.nodes);
    assert_eq!((one.format, one.flaw), (two.format, two.flaw));
    assert_eq!(one.tree.hash(one.tree.root()), two.tree.hash(two.tree.root()));
});
