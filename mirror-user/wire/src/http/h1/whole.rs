//! Messages that lie in memory as a whole, read in one go.

use bytes::Bytes;

use super::framing::{self, Asked};
use super::head::{self, Outcome, Parsed};
use crate::http::message::{Body, BodyLength, Head, HeaderLine, Kept, StartLine};
use crate::tcp::event::Side;

/// The head of a request and what stands behind it; `None` when it is none.
pub fn request(wire: &Bytes) -> Option<(Head, Body)> {
    let (mut parsed, lines) = parse(Side::Client, wire)?;
    let StartLine::Request { version, .. } = parsed.start else { return None };
    let framing = framing::request(&mut parsed.facts, version);
    Some(message(wire, parsed, lines, framing))
}

/// The final response among the bytes that came on a connection after one request; `None` when there is none.
pub fn response(wire: &Bytes, to_head: bool) -> Option<(Head, Body)> {
    let mut wire = wire.clone();
    loop {
        let (mut parsed, lines) = parse(Side::Server, &wire)?;
        let StartLine::Status { code, version, .. } = parsed.start else { return None };
        if (100..200).contains(&code) {
            wire = wire.slice(parsed.len..);
            continue;
        }
        let asked = if to_head { Asked::Head } else { Asked::Other };
        let framing = framing::response(&mut parsed.facts, version, code, asked);
        return Some(message(&wire, parsed, lines, framing));
    }
}

fn parse(side: Side, wire: &[u8]) -> Option<(Parsed, Vec<HeaderLine>)> {
    let mut lines = Vec::new();
    match head::parse(side, wire, &mut lines) {
        Outcome::Head(parsed) => Some((parsed, lines)),
        Outcome::Partial | Outcome::Refused(_) => None,
    }
}

fn message(
    wire: &Bytes,
    parsed: Parsed,
    headers: Vec<HeaderLine>,
    framing: BodyLength,
) -> (Head, Body) {
    let raw = wire.slice(..parsed.len.min(wire.len()));
    let rest = wire.slice(raw.len()..);
    let body =
        Body { framing, length: rest.len() as u64, wire: Kept::Memory(rest), ..Body::default() };
    (Head { raw, start: parsed.start, headers }, body)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn interim_responses_are_passed_over_and_chunks_are_joined() {
        let wire = Bytes::from_static(
            b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\
              \r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        );
        let (head, body) = response(&wire, false).unwrap();
        assert!(matches!(head.start, StartLine::Status { code: 200, .. }));
        let mut content = String::new();
        body.content().unwrap().read_to_string(&mut content).unwrap();
        assert_eq!(content, "abcde");
    }

    #[test]
    fn what_is_no_message_is_none() {
        for wire in ["", "GET", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 100 Continue\r\n\r\n"] {
            assert!(response(&Bytes::from_static(wire.as_bytes()), false).is_none(), "{wire:?}");
            assert!(request(&Bytes::from_static(wire.as_bytes())).is_none(), "{wire:?}");
        }
    }
}
