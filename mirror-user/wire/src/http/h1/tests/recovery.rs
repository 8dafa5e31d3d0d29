//! Reading starts again after what could not be read, where it is known that a message begins.

use super::talk::Talk;
use crate::http::message::{Flaw, Moment};
use crate::http::{NotHttp, Refusal};
use crate::tcp::event::{CloseReason, Side};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const BAD: &str = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";

fn get(n: usize) -> String {
    format!("GET /{n} HTTP/1.1\r\nHost: a.test\r\n\r\n")
}

/// The targets of the requests that came out without a flaw.
fn clear(talk: &Talk) -> Vec<String> {
    let asked = talk.moment(Moment::Asked).into_iter().filter_map(|it| it.request.as_ref());
    asked
        .filter(|request| request.flaws.is_empty())
        .map(|request| String::from_utf8_lossy(request.head.target()).into_owned())
        .collect()
}

/// What cannot be read: its first line, its fields, its framing, its end.
const UNREADABLE: [&str; 6] = [
    "GET /b ad HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "GET /\x01 HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "POST /b HTTP/1.1\r\nContent-Length: 1, 2\r\n\r\nx",
    "POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "GET /b\r\n",
    "GET /b HTTP/3.1\r\n\r\n",
];

#[test]
fn requests_behind_an_unreadable_one_are_requests_when_each_gets_a_response() {
    for unreadable in UNREADABLE {
        for answer in [BAD, OK] {
            let mut talk = Talk::new();
            talk.client(get(0)).server(OK).client(unreadable).server(answer);
            for n in 1..300 {
                talk.client(get(n)).server(OK);
            }
            talk.closed(CloseReason::Fin);
            let all: Vec<String> = (0..300).map(|n| format!("/{n}")).collect();
            assert_eq!(clear(&talk), all, "{unreadable:?}");
            let stats = talk.table.stats();
            assert_eq!(stats.requests.flaws.get(Flaw::AfterRefusal), 0);
            assert_eq!(stats.requests.refused.total(), 1);
        }
    }
}

#[test]
fn a_body_behind_an_unreadable_head_is_no_request() {
    let mut talk = Talk::new();
    talk.client("POST /b ad HTTP/1.1\r\nContent-Length: 40\r\n\r\n").server(BAD);
    // It looks like one, and gets no response.
    talk.client(get(1)).client(get(2)).server(OK).client(get(3)).server(OK);
    talk.closed(CloseReason::Fin);
    assert_eq!(clear(&talk), ["/3"]);
    assert_eq!(talk.asked(), ["/2", "/1", "/3"]);
}

#[test]
fn what_was_refused_and_got_no_response_keeps_what_follows_in_doubt() {
    let mut talk = Talk::new();
    talk.client("GET /b ad HTTP/1.1\r\n\r\n").client(get(1)).server(BAD).server(OK);
    talk.client(get(2)).closed(CloseReason::Fin);
    assert!(clear(&talk).is_empty());
    assert_eq!(talk.asked(), ["/1", "/2"]);
}

#[test]
fn requests_behind_connection_close_are_requests_when_each_gets_a_response() {
    let closing = "GET /0 HTTP/1.1\r\nConnection: close\r\n\r\n";
    let mut talk = Talk::new();
    talk.client(closing).server(OK).client(get(1)).server(OK).client(get(2)).server(OK);
    talk.closed(CloseReason::Fin);
    assert_eq!(clear(&talk), ["/0", "/1", "/2"]);
    assert_eq!(talk.table.stats().requests.refused.get(Refusal::AfterClose), 1);
    let mut talk = Talk::new();
    talk.client(closing.to_owned() + &get(1)).server(OK).closed(CloseReason::Fin);
    assert_eq!(clear(&talk), ["/0"]);
}

#[test]
fn responses_behind_an_unreadable_one_are_read_when_the_client_goes_on() {
    let mut talk = Talk::new();
    talk.client(get(1)).server("HTTP/1.1 2x0 Odd\r\nContent-Length: 0\r\n\r\n");
    talk.client(get(2)).server(OK).client(get(3)).server(OK).closed(CloseReason::Fin);
    assert_eq!(talk.ended(), ["/1 -> -", "/2 -> 200", "/3 -> 200"]);
    assert_eq!(talk.table.stats().responses.flaws.get(Flaw::AfterRefusal), 0);
    assert_eq!(talk.table.stats().responses.refused.get(Refusal::Status), 1);
}

#[test]
fn a_client_that_begins_in_another_protocol_may_go_on_in_http() {
    let mut talk = Talk::new();
    talk.client(b"\0\x01\x02junk").server(BAD).client(get(1)).server(OK).client(get(2)).server(OK);
    talk.closed(CloseReason::Fin);
    assert_eq!(clear(&talk), ["/1", "/2"]);
    assert_eq!(talk.table.stats().not_http.get(NotHttp::Unknown), 1);
}

#[test]
fn any_token_is_a_method_behind_a_gap_and_in_the_middle() {
    for method in ["QUERY", "LABEL", "FOO", "get", "X-Y", "!#$%&'*+-.^_`|~9", "FORGET", "MSEARCH"] {
        for midstream in [false, true] {
            let mut talk = if midstream { Talk::midstream() } else { Talk::new() };
            talk.gap(Side::Client, 40);
            talk.client(format!("{method} /q HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi")).server(OK);
            talk.client(get(1)).server(OK).closed(CloseReason::Fin);
            assert_eq!(talk.ended(), ["/q -> 200", "/1 -> 200"], "{method} {midstream}");
        }
    }
}

#[test]
fn the_rest_of_a_body_or_of_a_method_is_no_method() {
    let rest =
        ["uuuuuuPOST / HTTP/1.1", "ET / HTTP/1.1", "EAD / HTTP/1.1", "a b HTTP/1.1", "hello"];
    for rest in rest {
        let mut talk = Talk::new();
        talk.client("POST /a HTTP/1.1\r\nContent-Length: 9\r\n\r\n").gap(Side::Client, 90);
        talk.client(format!("{rest}\r\n\r\n")).client(get(1)).server(OK).server(OK);
        talk.closed(CloseReason::Fin);
        assert_eq!(talk.asked(), ["/1"], "{rest}");
    }
}

#[test]
fn a_line_without_a_version_is_reported_for_every_method() {
    for method in ["GET", "POST", "HEAD", "QUERY"] {
        for piece in [1, 100] {
            let mut talk = Talk::new();
            for bytes in format!("{method} /old\r\n").as_bytes().chunks(piece) {
                talk.client(bytes);
            }
            talk.server("<p>old</p>").closed(CloseReason::Fin);
            assert_eq!(talk.ended(), ["/old! -> -"], "{method}");
            assert_eq!(talk.table.stats().requests.refused.get(Refusal::Http09), 1);
        }
    }
}

#[test]
fn later_minor_versions_are_processed_as_the_highest_known() {
    let mut talk = Talk::new();
    talk.client("POST /a HTTP/1.2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n");
    talk.server("HTTP/1.9 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n");
    talk.client(get(1)).server(OK).closed(CloseReason::Fin);
    assert_eq!(talk.ended(), ["/a -> 200", "/1 -> 200"]);
    assert_eq!(clear(&talk), ["/a", "/1"]);
}

#[test]
fn a_status_below_100_is_final() {
    for (code, space) in [("000", ""), ("042", ""), ("099", ""), ("042", " ")] {
        let mut talk = Talk::new();
        talk.client(get(1));
        talk.server(format!("HTTP/1.1 {space}{code} Odd\r\nContent-Length: 2\r\n\r\nok"));
        talk.client(get(2)).server(OK).closed(CloseReason::Fin);
        let ended = talk.ended();
        assert_eq!(ended, [format!("/1 -> {}", code.parse::<u16>().unwrap()), "/2 -> 200".into()]);
        assert_eq!(talk.table.stats().interim, 0);
    }
}

#[test]
fn a_transfer_coding_overrides_lengths_that_contradict_each_other() {
    for lengths in ["Content-Length: 5\r\nContent-Length: 6\r\n", "Content-Length: x\r\n"] {
        let mut talk = Talk::new();
        talk.client(get(1));
        talk.server(format!(
            "HTTP/1.1 200 OK\r\n{lengths}Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
        ));
        talk.client(get(2)).server(OK).closed(CloseReason::Fin);
        assert_eq!(talk.ended(), ["/1 -> 200", "/2 -> 200"]);
        let ended = talk.moment(Moment::Ended);
        let response = ended[0].response.as_ref().unwrap();
        assert_eq!(response.body.length, 2);
        assert_eq!(response.flaws, [Flaw::LengthAndTransferEncoding].into());
    }
}

#[test]
fn optional_white_space_is_space_and_tab_alone() {
    let mut talk = Talk::new();
    // The slow way: a line ends in LF alone.
    talk.client("GET /1 HTTP/1.1\nHost: a.test\r\nX: \t\x0cv\x0c \t\r\n folded\x0c \r\n\r\n");
    talk.closed(CloseReason::Fin);
    let exchange = &talk.out[0];
    let head = &exchange.request.as_ref().unwrap().head;
    assert_eq!(head.field("x"), Some(&b"\x0cv\x0c \t\r\n folded\x0c"[..]));
    let mut talk = Talk::new();
    talk.client(get(1)).server("HTTP/1.1 200 OK\r\nContent-Length\x0c: 2\r\n\r\nok");
    talk.finished(Side::Server).closed(CloseReason::Fin);
    let ended = talk.moment(Moment::Ended);
    assert_eq!(
        ended[0].response.as_ref().unwrap().flaws,
        [Flaw::BadFieldName, Flaw::BadFieldValue].into()
    );
}
