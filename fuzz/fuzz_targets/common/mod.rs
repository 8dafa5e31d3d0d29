//! What several targets hand to a comparison.

use mirror_compare::comparison::Pair;
use mirror_compare::lift::Content;
use mirror_compare::pair::{Answer, Request, Response};

/// Two responses to one request.
pub fn pair<'a>(kind: &'a [u8], left: &'a [u8], right: &'a [u8]) -> Pair<'a> {
    Pair {
        id: "1".into(),
        request: Request { method: "GET", target: "/a", fields: &[], body: b"" },
        production: response(kind, left),
        candidate: Answer::Response(response(kind, right)),
        control: None,
        again: None,
    }
}

/// A response with this `Content-Type` and body.
fn response<'a>(kind: &'a [u8], body: &'a [u8]) -> Response<'a> {
    Response {
        status: 200,
        fields: vec![(b"Content-Type", kind)],
        trailers: Vec::new(),
        content: Content::Bytes(body.into()),
        at: Some(1_796_000_000_000_000_000),
        latency_us: Some(1),
    }
}
