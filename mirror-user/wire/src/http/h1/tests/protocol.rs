//! What is not HTTP/1, what stops being it, and what cannot be read on.

use super::talk::Talk;
use crate::http::message::{Flaw, Incomplete};
use crate::http::{NotHttp, Refusal, Unread};
use crate::tcp::event::{CloseReason, Side};

const GET: &str = "GET /1 HTTP/1.1\r\nHost: a.test\r\n\r\n";
const UPGRADE: &str =
    "GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#[test]
fn other_protocols_are_recognised_by_their_first_bytes() {
    let cases: [(&[u8], NotHttp); 5] = [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", NotHttp::Tls),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", NotHttp::Http2),
        (b"SSH-2.0-OpenSSH_9.2\r\n", NotHttp::Unknown),
        (b"\x00\x00\x00\x17", NotHttp::Unknown),
        (b"EHLO a.test\r\n", NotHttp::Unknown),
    ];
    for (bytes, expected) in cases {
        for piece in [1, bytes.len()] {
            let mut talk = Talk::new();
            for bytes in bytes.chunks(piece) {
                talk.client(bytes);
            }
            talk.server("something").closed(CloseReason::Fin);
            let stats = talk.table.stats();
            assert_eq!(stats.not_http.get(expected), 1, "{bytes:?}");
            assert_eq!(stats.requests.unread.get(Unread::NotHttp), bytes.len() as u64);
            assert!(talk.out.is_empty());
        }
    }
}

#[test]
fn a_response_in_http_to_another_protocol_is_read() {
    let mut talk = Talk::new();
    talk.client(b"\x16\x03\x01\x02\x00").server("HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n");
    talk.closed(CloseReason::Fin);
    assert_eq!(talk.ended(), ["- -> 400"]);
    assert_eq!(talk.table.stats().not_http.get(NotHttp::Tls), 1);
}

#[test]
fn an_http_0_9_request_is_reported_and_refused() {
    for piece in [1, 100] {
        let mut talk = Talk::new();
        for bytes in b"GET /old\r\n".chunks(piece) {
            talk.client(bytes);
        }
        talk.server("<p>old</p>").closed(CloseReason::Fin);
        assert_eq!(talk.ended(), ["/old! -> -"]);
        assert_eq!(talk.table.stats().requests.refused.get(Refusal::Http09), 1);
    }
}

#[test]
fn a_server_that_speaks_first_speaks_another_protocol() {
    let mut talk = Talk::new();
    talk.server("220 mail.test ESMTP\r\n").client("HELO\r\n");
    assert_eq!(talk.table.stats().not_http.get(NotHttp::Unknown), 1);
}

#[test]
fn tls_is_recognised_in_the_middle() {
    let mut talk = Talk::midstream();
    talk.client(b"\x17\x03\x03\x00\x20abcdef").server(b"\x17\x03\x03\x00\x20");
    assert_eq!(talk.table.stats().not_http.get(NotHttp::Tls), 1);
}

#[test]
fn after_101_nothing_is_read_as_http() {
    let mut talk = Talk::new();
    talk.client(UPGRADE);
    talk.server("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x01\x05Hello");
    assert_eq!(talk.ended(), ["/ws -> 101"]);
    talk.client(GET).server(OK).closed(CloseReason::Fin);
    assert_eq!(talk.ended().len(), 1);
    assert_eq!(talk.table.stats().not_http.get(NotHttp::Upgraded), 1);
}

#[test]
fn bytes_that_come_before_the_101_are_no_request() {
    let mut talk = Talk::new();
    talk.client(UPGRADE.to_owned() + GET);
    talk.server("HTTP/1.1 101 Switching Protocols\r\n\r\n").closed(CloseReason::Fin);
    assert_eq!(talk.ended(), ["/ws -> 101"]);
    assert_eq!(talk.asked(), ["/ws"]);
}

#[test]
fn a_declined_upgrade_leaves_http() {
    let mut talk = Talk::new();
    talk.client(UPGRADE.to_owned() + GET).server(OK).server(OK);
    talk.client(GET).server(OK).closed(CloseReason::Fin);
    assert_eq!(talk.ended(), ["/ws -> 200", "/1 -> 200", "/1 -> 200"]);
}

#[test]
fn without_a_response_the_looks_of_the_bytes_decide() {
    let mut talk = Talk::new();
    talk.client(UPGRADE.to_owned() + GET).closed(CloseReason::Fin);
    assert_eq!(talk.asked(), ["/ws", "/1"]);
    let mut talk = Talk::new();
    talk.client(UPGRADE).client(b"\x81\x85\x01\x02\x03\x04iMNmM").closed(CloseReason::Fin);
    assert_eq!(talk.asked(), ["/ws"]);
    assert_eq!(talk.table.stats().not_http.get(NotHttp::Upgraded), 1);
}

#[test]
fn connect_begins_a_tunnel_when_it_is_granted() {
    let connect = "CONNECT b.test:443 HTTP/1.1\r\nHost: b.test:443\r\n\r\n";
    let mut talk = Talk::new();
    talk.client(connect).server("HTTP/1.1 200 Go\r\nContent-Length: 5\r\n\r\n").client(GET);
    assert_eq!(talk.ended(), ["b.test:443 -> 200"]);
    assert_eq!(talk.table.stats().not_http.get(NotHttp::Tunnel), 1);
    let mut talk = Talk::new();
    talk.client(connect)
        .server("HTTP/1.1 407 No\r\nContent-Length: 2\r\n\r\nno")
        .client(GET)
        .server(OK);
    assert_eq!(talk.ended(), ["b.test:443 -> 407", "/1 -> 200"]);
}

#[test]
fn responses_to_head_have_no_body_whatever_they_say() {
    let mut talk = Talk::new();
    talk.client("HEAD /h HTTP/1.1\r\nHost: a.test\r\n\r\n")
        .server("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
    talk.client(GET).server(OK);
    assert_eq!(talk.ended(), ["/h -> 200", "/1 -> 200"]);
}

#[test]
fn a_refused_request_comes_out_refused_with_its_response() {
    let mut talk = Talk::new();
    talk.client("GET /a HTTP/1.1\r\nHost: a.test\r\nX : 1\r\n\r\n");
    talk.server("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").closed(CloseReason::Fin);
    assert_eq!(talk.ended(), ["/a! -> 400"]);
    let request = talk.out[0].request.clone().unwrap();
    assert_eq!(request.incomplete, Some(Incomplete::Refused));
    assert_eq!(request.flaws, [Flaw::SpaceBeforeColon].into());
}

#[test]
fn what_follows_a_refusal_is_read_with_a_flaw() {
    let mut talk = Talk::new();
    talk.client("POST /a HTTP/1.1\r\nContent-Length: 5, 6\r\n\r\nhello!").client(GET);
    talk.server(OK).closed(CloseReason::Fin);
    assert_eq!(talk.table.stats().requests.refused.get(Refusal::Framing), 1);
    let after = talk.out.iter().rfind(|exchange| exchange.request.is_some()).unwrap();
    assert_eq!(after.request.as_ref().unwrap().flaws, [Flaw::AfterRefusal].into());
}

#[test]
fn a_bad_chunk_ends_the_message_that_it_is_in() {
    let mut talk = Talk::new();
    talk.client("POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX\r\n0\r\n\r\n");
    talk.closed(CloseReason::Fin);
    assert_eq!(talk.ended(), ["/a! -> -"]);
    assert_eq!(talk.out[0].request.as_ref().unwrap().flaws, [Flaw::BadChunkEnd].into());
}

#[test]
fn a_head_that_a_gap_cuts_is_counted_and_the_next_one_is_found() {
    let mut talk = Talk::new();
    talk.client("GET /a HTTP/1.1\r\nHo").gap(Side::Client, 9).client("est\r\n\r\n").client(GET);
    talk.server(OK).closed(CloseReason::Fin);
    assert_eq!(talk.ended(), ["/1 -> 200"]);
    assert_eq!(talk.table.stats().requests.cut_heads.get(Incomplete::Gap), 1);
}

#[test]
fn a_doubtful_chunked_response_is_read_as_its_first_bytes_show() {
    let doubts = [
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n",
    ];
    for head in doubts {
        for (body, length) in [("2\r\nhi\r\n0\r\n\r\n", 2), ("hello world!", 12)] {
            let mut talk = Talk::new();
            talk.client(GET).server(format!("{head}Content-Length: 12\r\n\r\n{body}"));
            assert_eq!(talk.ended(), ["/1 -> 200"], "{head}{body}");
            assert_eq!(talk.out[1].response.as_ref().unwrap().body.length, length);
        }
    }
}

const PROXIED: [(&[u8], &str); 3] = [
    (b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 80\r\n", "192.0.2.1:56324"),
    (
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x11\xcb\0\x71\x09\x0a\x01\0\x01\xc7\x38\x1f\x90\xea\0\x02\x01x",
        "203.0.113.9:51000",
    ),
    (b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", "-"),
];

#[test]
fn a_header_of_the_proxy_protocol_names_the_client_and_is_no_part_of_the_request() {
    for (header, client) in PROXIED {
        for piece in [1, 13, 1000] {
            let mut talk = Talk::new();
            for bytes in [header, GET.as_bytes()].concat().chunks(piece) {
                talk.client(bytes);
            }
            talk.server(OK).client(GET).server(OK).closed(CloseReason::Fin);
            assert_eq!(talk.ended(), ["/1 -> 200", "/1 -> 200"], "{client} in {piece}");
            for exchange in &talk.out {
                let named = exchange.proxied_client.map_or("-".to_owned(), |it| it.to_string());
                assert_eq!(named, client);
                if let Some(request) = &exchange.request {
                    assert_eq!(&request.head.raw[..], GET.as_bytes());
                    assert!(request.flaws.is_empty());
                }
            }
            let stats = talk.table.stats();
            assert_eq!(stats.proxied, 1);
            assert_eq!(stats.requests.unread.get(Unread::BetweenMessages), header.len() as u64);
        }
    }
}

#[test]
fn a_header_of_the_proxy_protocol_comes_once_and_first() {
    let (header, _) = PROXIED[0];
    let mut talk = Talk::new();
    talk.client(header.repeat(100_000));
    assert_eq!(talk.table.stats().not_http.get(NotHttp::Unknown), 1);
    let mut talk = Talk::new();
    talk.client(GET).server(OK).client(header).client(GET).closed(CloseReason::Fin);
    assert_eq!(talk.table.stats().requests.refused.get(Refusal::RequestLine), 1);
    assert_eq!(talk.table.stats().proxied, 0);
    let mut talk = Talk::new();
    talk.client("PROXY TCP4 192.0.2.1\r\n").client(GET).closed(CloseReason::Fin);
    assert_eq!(talk.table.stats().not_http.get(NotHttp::Unknown), 1);
    // Empty lines begin one, too, and are nothing else.
    for end in ["", "\0", GET] {
        let mut talk = Talk::new();
        talk.client("\r\n\r").client("\n").client(end).closed(CloseReason::Fin);
        let requests = &talk.table.stats().requests;
        assert_eq!(requests.unread.get(Unread::BetweenMessages), 4 * u64::from(end != "\0"));
        assert_eq!(
            (requests.cut_heads.total(), talk.asked().len()),
            (u64::from(end == "\0"), usize::from(end == GET))
        );
    }
    // A connection that is joined at its first byte.
    let mut talk = Talk::midstream();
    talk.client(header).client(GET).server(OK).closed(CloseReason::Fin);
    assert_eq!(talk.ended(), ["/1 -> 200"]);
    for body in ["\r\n", "PRO", "\r\n\r\n"] {
        let mut talk = Talk::midstream();
        talk.client(body).client("the rest").client(GET).server(OK).closed(CloseReason::Fin);
        assert_eq!(talk.ended(), ["/1 -> 200"], "{body:?}");
    }
}

#[test]
fn a_gap_behind_an_upgrade_ends_what_is_read_after_all() {
    let mut talk = Talk::new();
    talk.client(UPGRADE.to_owned() + UPGRADE + "POST /a HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc");
    talk.gap(Side::Client, 3).closed(CloseReason::Fin);
    assert_eq!(talk.ended(), ["/ws -> -", "/ws -> -", "/a! -> -"]);
}
