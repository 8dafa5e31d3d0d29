//! What several targets hand to a comparison.

use mirror_compare::lift::Content;
use mirror_compare::pair::Response;

/// A response with this `Content-Type` and body.
pub fn response<'a>(kind: &'a [u8], body: &'a [u8]) -> Response<'a> {
    Response {
        status: 200,
        fields: vec![(b"Content-Type", kind)],
        trailers: Vec::new(),
        content: Content::Bytes(body.into()),
        at: Some(1_796_000_000_000_000_000),
        latency_us: Some(1),
    }
}
