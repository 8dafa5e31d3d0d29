//! Bodies of responses of which only the beginning was captured, on purpose.

use proptest::prelude::*;

use super::talk::Talk;
use crate::http::HttpOptions;
use crate::http::message::Moment;
use crate::tcp::event::{CloseReason, Side};

/// A response, and which of its bytes are its head.
#[derive(Clone, Debug)]
struct Response {
    head: String,
    body: Vec<u8>,
}

impl Response {
    fn with_length(body: usize) -> Self {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {body}\r\n\r\n");
        Self { head, body: vec![b'x'; body] }
    }

    fn in_chunks(chunks: &[usize]) -> Self {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
        let mut body = Vec::new();
        for chunk in chunks {
            body.extend(format!("{chunk:x}\r\n").bytes());
            body.extend(vec![b'x'; *chunk]);
            body.extend(b"\r\n");
        }
        body.extend(b"0\r\n\r\n");
        Self { head, body }
    }

    fn wire(&self) -> Vec<u8> {
        [self.head.as_bytes(), &self.body].concat()
    }
}

/// What became of requests and responses, each sent in packets of which no more than `kept` bytes were captured.
fn told(responses: &[Response], packet: usize, kept: usize) -> (Vec<String>, Vec<u64>) {
    let mut talk = Talk::with(HttpOptions::default(), false);
    for (n, response) in responses.iter().enumerate() {
        talk.client(format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n"));
        for packet in response.wire().chunks(packet) {
            let (seen, left_out) = packet.split_at(packet.len().min(kept));
            talk.server(seen);
            if !left_out.is_empty() {
                talk.omitted(Side::Server, left_out.len() as u64);
            }
        }
    }
    talk.closed(CloseReason::Fin);
    let lengths = talk.moment(Moment::Ended).into_iter();
    let lengths = lengths.filter_map(|one| Some(one.response.as_ref()?.body.length)).collect();
    (talk.ended(), lengths)
}

#[test]
fn a_body_whose_length_is_known_is_whole_without_its_bytes() {
    let responses = [Response::with_length(60_000), Response::with_length(10)];
    let (ended, lengths) = told(&responses, 65_536, 4_000);
    assert_eq!(ended, ["/0 -> 200", "/1 -> 200"]);
    assert_eq!(lengths, [60_000, 10]);
}

#[test]
fn a_chunk_whose_size_was_seen_is_passed_over() {
    let responses = [Response::in_chunks(&[8_000]), Response::in_chunks(&[3])];
    // The first packet ends within the chunk, so that the end of the body begins another one.
    let (ended, lengths) = told(&responses, 7_000, 4_000);
    assert_eq!(ended, ["/0 -> 200", "/1 -> 200"]);
    assert_eq!(lengths, [8_000, 3]);
}

#[test]
fn an_end_that_was_left_out_is_told_and_the_next_response_is_read() {
    let responses = [Response::in_chunks(&[3_000, 3_000]), Response::with_length(5)];
    let (ended, _) = told(&responses, 65_536, 1_000);
    assert_eq!(ended, ["/0 -> 200!", "/1 -> 200"]);
}

#[test]
fn until_the_connection_ends() {
    let mut talk = Talk::with(HttpOptions::default(), false);
    talk.client("GET /0 HTTP/1.1\r\nHost: a\r\n\r\n");
    talk.server("HTTP/1.1 200 OK\r\n\r\nxxx").omitted(Side::Server, 1_000_000);
    talk.finished(Side::Server).closed(CloseReason::Fin);
    assert_eq!(talk.ended(), ["/0 -> 200"]);
}

#[test]
fn a_head_that_was_left_out_is_lost_alone() {
    let mut talk = Talk::with(HttpOptions::default(), false);
    talk.client("GET /0 HTTP/1.1\r\nHost: a\r\n\r\n");
    talk.server("HTTP/1.1 200 OK\r\nX-Long: aaa").omitted(Side::Server, 5_000);
    talk.client("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
    talk.server("HTTP/1.1 204 No Content\r\n\r\n").closed(CloseReason::Fin);
    let ended = talk.ended();
    assert!(ended.iter().any(|one| one.starts_with("/0")), "{ended:?}");
    assert!(ended.iter().any(|one| one.starts_with("/1")), "{ended:?}");
}

proptest! {
    /// As long as a packet's beginning holds a head, leaving out the rest changes nothing of what has a length.
    #[test]
    fn what_is_left_out_of_bodies_with_a_length_changes_nothing(
        bodies in prop::collection::vec(0_usize..20_000, 1..6),
        packet in 200_usize..30_000,
        kept in 100_usize..5_000,
    ) {
        let responses: Vec<_> = bodies.iter().map(|body| Response::with_length(*body)).collect();
        prop_assert_eq!(told(&responses, packet, kept), told(&responses, packet, usize::MAX));
    }

    /// Whatever is left out, every request is read, and every response is whole or said not to be.
    #[test]
    fn requests_are_read_whatever_is_left_out(
        responses in prop::collection::vec(
            prop_oneof![
                (0_usize..20_000).prop_map(Response::with_length),
                prop::collection::vec(1_usize..9_000, 0..5).prop_map(|chunks| Response::in_chunks(&chunks)),
            ],
            1..6,
        ),
        packet in 100_usize..30_000,
        kept in 1_usize..5_000,
    ) {
        let (ended, _) = told(&responses, packet, kept);
        for n in 0..responses.len() {
            let start = format!("/{n} ");
            prop_assert_eq!(ended.iter().filter(|one| one.starts_with(&start)).count(), 1, "{:?}", &ended);
        }
    }
}
