use proptest::prelude::*;

use crate::http::h1::request::{InvalidRequest, RequestProgress, RequestReader};
use crate::http::message::Flaw;
use crate::http::stats::Refusal;

const MAX_BODY: usize = 64;

/// A request as it was read: method, target, content, length, and whether the connection persists.
type Read = (String, String, String, usize, bool);

/// Reads the first request of `wire`, which comes in one piece; `None` if more is needed.
fn read(wire: &str) -> Result<Option<Read>, InvalidRequest> {
    read_in(&[wire.len()], wire.as_bytes())
}

/// Reads the first request, of which so many bytes are there at each look.
fn read_in(looks: &[usize], wire: &[u8]) -> Result<Option<Read>, InvalidRequest> {
    let mut reader = RequestReader::new(MAX_BODY);
    for end in looks {
        let input = &wire[..*end];
        if reader.read(input)? == RequestProgress::Complete {
            let request = reader.request(input).unwrap();
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let (method, target) = (text(request.method), text(request.target));
            return Ok(Some((
                method,
                target,
                text(request.content),
                request.len,
                request.persists,
            )));
        }
    }
    Ok(None)
}

#[test]
fn a_request_ends_where_its_framing_says() {
    for (wire, content, rest, persists) in [
        ("GET /a HTTP/1.1\r\nHost: x\r\n\r\n", "", "", true),
        ("GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "", "", false),
        ("GET /a HTTP/1.0\r\n\r\n", "", "", false),
        ("\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n", "", "", true),
        ("GET /a HTTP/1.1\nHost: x\n\n", "", "", true),
        ("GET /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET", "abc", "GET", true),
        (
            "GET /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
             2;a=b\r\nab\r\n1\r\nc\r\n0\r\nT: 1\r\n\r\nPOST",
            "abc",
            "POST",
            true,
        ),
    ] {
        let expected = (
            "GET".to_owned(),
            "/a".to_owned(),
            content.to_owned(),
            wire.len() - rest.len(),
            persists,
        );
        assert_eq!(read(wire), Ok(Some(expected)), "{wire:?}");
    }
}

#[test]
fn what_a_server_must_refuse_is_refused_by_name() {
    let host = |fields: &str| format!("GET / HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n");
    for (wire, why) in [
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), InvalidRequest::NoHost),
        ("\u{16}\u{3}\u{1}".to_owned(), InvalidRequest::Start(Refusal::Method)),
        ("GET /\r\n".to_owned(), InvalidRequest::Start(Refusal::Http09)),
        ("GET / HTTP/2.0\r\n".to_owned(), InvalidRequest::Start(Refusal::Version)),
        (host("Host: y"), InvalidRequest::Flaw(Flaw::RepeatedHost)),
        (host("A : b"), InvalidRequest::Flaw(Flaw::SpaceBeforeColon)),
        (host("Content-Length: -1"), InvalidRequest::Flaw(Flaw::BadLength)),
        (host("Content-Length: 65"), InvalidRequest::BodyTooLarge),
        (host("Content-Length: 99999999999999999999"), InvalidRequest::Flaw(Flaw::BadLength)),
        (host("Transfer-Encoding: chunked\r\n\r\nx"), InvalidRequest::Flaw(Flaw::BadChunkSize)),
        (
            host("Transfer-Encoding: chunked\r\n\r\n41\r\n") + &"x".repeat(65),
            InvalidRequest::BodyTooLarge,
        ),
        ("GET /".to_owned() + &"x".repeat(70_000), InvalidRequest::HeadTooLarge),
    ] {
        assert_eq!(read(&wire), Err(why), "{:.60}", wire);
        assert!((400..500).contains(&why.status()) && !why.name().is_empty());
    }
}

#[test]
fn chunk_framing_without_content_is_bounded() {
    let head = "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let wire = head.to_owned() + &format!("1;{}\r\nx\r\n", "e".repeat(4000)).repeat(40);
    assert_eq!(read(&wire), Err(InvalidRequest::BodyTooLarge));
}

#[test]
fn a_client_that_waits_is_told_to_go_on() {
    let head = "PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    let mut reader = RequestReader::new(MAX_BODY);
    assert_eq!(reader.read(head.as_bytes()), Ok(RequestProgress::NeedContinue));
    let more = head.to_owned() + "a";
    assert_eq!(reader.read(more.as_bytes()), Ok(RequestProgress::NeedMore));
    let whole = head.to_owned() + "ab";
    assert_eq!(reader.read(whole.as_bytes()), Ok(RequestProgress::Complete));
}

proptest! {
    #[test]
    fn it_does_not_matter_in_which_pieces_a_request_comes(
        blank in "(\r\n)?",
        target in "/[a-z]{0,5}",
        body in "[ab]{0,20}",
        is_chunked: bool,
        rest in "[ -~]{0,10}",
        step in 1_usize..40,
    ) {
        let (field, body) = match is_chunked {
            false => (format!("Content-Length: {}", body.len()), body),
            true if body.is_empty() => ("Transfer-Encoding: chunked".to_owned(), "0\r\n\r\n".to_owned()),
            true => (
                "Transfer-Encoding: chunked".to_owned(),
                format!("{:x}\r\n{body}\r\n0\r\nT: x\r\n\r\n", body.len()),
            ),
        };
        let wire = format!("{blank}POST {target} HTTP/1.1\r\nHost: x\r\n{field}\r\n\r\n{body}{rest}");
        let looks: Vec<usize> = (0..wire.len()).step_by(step).chain([wire.len()]).collect();
        let in_pieces = read_in(&looks, wire.as_bytes());
        prop_assert!(matches!(in_pieces, Ok(Some(_))), "{in_pieces:?}");
        prop_assert_eq!(in_pieces, read(&wire));
    }

    #[test]
    fn any_bytes_are_a_request_or_not(wire in "(GET|P|\\PC|[\r\n: ]){0,30}", cut in 0_usize..30) {
        let wire = wire.as_bytes();
        let _ = read_in(&[cut.min(wire.len()), wire.len()], wire);
    }
}
