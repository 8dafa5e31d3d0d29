//! Any bytes as a message of a stream: an envelope that says its own sizes, or a reason, and no panic.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use mirror_user::broker::envelope::{Content, MAX_PARTS, Part, read};

fuzz_target!(|data: &[u8]| {
    let Ok(envelope) = read(&Bytes::copy_from_slice(data)) else { return };
    assert!(envelope.part < envelope.parts && envelope.parts <= MAX_PARTS);
    assert!(!envelope.run.is_empty() && envelope.run.is_ascii() && envelope.host.is_ascii());
    match (&envelope.content, envelope.part) {
        (Content::Request(request), 0) => check(&request.message, envelope.parts),
        (Content::Response(part), 0) => check(part, envelope.parts),
        (Content::RequestBody(body) | Content::ResponseBody(body), 1..) => {
            assert!(!body.is_empty())
        }
        (Content::Report(report), _) => assert!(report.dropped.len() <= 64),
        (content, part) => panic!("part {part} is {content:?}"),
    }
});

/// What it says fits what is there.
fn check(part: &Part, parts: u32) {
    assert!(!part.head.is_empty());
    let there = part.body.len() as u64;
    match (part.why_no_body.is_empty(), parts) {
        (false, _) => assert_eq!((there, parts), (0, 1)),
        (true, 1) => assert_eq!(there, part.wire_length),
        (true, _) => assert!(there < part.wire_length),
    }
}
