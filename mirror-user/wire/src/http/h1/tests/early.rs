//! Final responses that come before the body of their request has begun: what the client sends next
//! is that body, or it is the next request (RFC 9110 §10.1.1, RFC 9112 §9.3).

use super::talk::Talk;
use crate::http::message::{Incomplete, Moment};
use crate::http::{HttpOptions, NotHttp};
use crate::tcp::event::{CloseReason, Side};

const ASKS_LEAVE: &str =
    "POST /up HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 12\r\n\r\n";
const CHUNKED: &str = "POST /up HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n";
const POST: &str = "POST /up HTTP/1.1\r\nHost: a.test\r\nContent-Length: 12\r\n\r\n";
const GET: &str = "GET /1 HTTP/1.1\r\nHost: a.test\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

fn refusal(code: u16) -> String {
    format!("HTTP/1.1 {code} No\r\nContent-Length: 2\r\n\r\nno")
}

/// The bodies of the requests that came out whole.
fn bodies(talk: &Talk) -> Vec<String> {
    let asked = talk.moment(Moment::Asked).into_iter();
    asked
        .map(|exchange| {
            let mut content = String::new();
            let body = &exchange.request.as_ref().unwrap().body;
            std::io::Read::read_to_string(&mut body.content().unwrap(), &mut content).unwrap();
            content
        })
        .collect()
}

/// Sends `bytes` from the client in pieces of every size, behind a head and its response.
fn continued(head: &str, response: &str, bytes: &str, check: impl Fn(&Talk, usize)) {
    for piece in 1..=bytes.len() {
        let mut talk = Talk::new();
        talk.client(head).server(response);
        for bytes in bytes.as_bytes().chunks(piece) {
            talk.client(bytes);
        }
        talk.server(OK).server(OK).closed(CloseReason::Fin);
        check(&talk, piece);
    }
}

#[test]
fn after_an_early_response_the_next_request_is_no_body() {
    let next = POST.to_owned() + "hello, world" + GET;
    let both = CHUNKED.replace("\r\n\r\n", "\r\nExpect: 100-Continue\r\n\r\n");
    for head in [ASKS_LEAVE, CHUNKED, POST, &both] {
        for code in [417, 413, 401, 200, 302] {
            continued(head, &refusal(code), &next, |talk, piece| {
                let expected = [format!("/up! -> {code}"), "/up -> 200".into(), "/1 -> 200".into()];
                assert_eq!(talk.ended(), expected, "in pieces of {piece}");
                assert_eq!(bodies(talk), ["hello, world", ""]);
                let refused = talk.out.iter().find(|it| it.moment == Moment::Ended).unwrap();
                let refused = refused.request.as_ref().unwrap();
                assert_eq!(refused.incomplete, Some(Incomplete::BodyNotSent));
                assert_eq!(refused.body.length, 0);
            });
        }
    }
}

#[test]
fn after_an_early_response_the_body_may_still_come() {
    let length = |body: &str| POST.replace("12", &body.len().to_string());
    let bodies_sent =
        ["hello, world", "{\"a\":1}", "abc", "a=1&b=2", "GET", "GET /x", "\r\nGET", "x y HTTP/2"];
    for body in bodies_sent {
        for code in [417, 413, 401] {
            continued(&length(body), &refusal(code), &(body.to_owned() + GET), |talk, piece| {
                let expected = [format!("/up -> {code}"), "/1 -> 200".into(), "- -> 200".into()];
                assert_eq!(talk.ended(), expected, "{body:?} in pieces of {piece}");
                assert_eq!(bodies(talk), [body, ""]);
            });
        }
    }
    let chunks = "c\r\nhello, world\r\n0\r\n\r\n".to_owned() + GET;
    continued(CHUNKED, &refusal(413), &chunks, |talk, piece| {
        assert_eq!(bodies(talk), ["hello, world", ""], "in pieces of {piece}");
    });
}

#[test]
fn a_long_word_and_a_line_without_an_end_are_a_body() {
    for body in ["x".repeat(300_000), format!("x {}", "y".repeat(300_000))] {
        let head =
            format!("POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
        let mut talk = Talk::new();
        talk.client(&head).server(OK);
        for bytes in body.as_bytes().chunks(1_400) {
            talk.client(bytes);
        }
        talk.client(GET).server(OK).closed(CloseReason::Fin);
        assert_eq!(talk.ended(), ["/up -> 200", "/1 -> 200"]);
        assert_eq!(bodies(&talk), [&body, ""]);
    }
}

#[test]
fn a_body_that_has_begun_goes_on_whatever_the_response() {
    let mut talk = Talk::new();
    talk.client(POST.to_owned() + "GET / ").server(refusal(413)).client("HTTP/1").client(GET);
    talk.server(OK).closed(CloseReason::Fin);
    assert_eq!(bodies(&talk), ["GET / HTTP/1", ""]);
}

#[test]
fn leave_to_send_the_body_makes_anything_the_body() {
    let like_a_request = "GET / HTTP/1.1\r\n\r\n";
    let head = ASKS_LEAVE.replace("12", &like_a_request.len().to_string());
    for before in [true, false] {
        let mut talk = Talk::new();
        talk.client(&head);
        // The leave may be seen late.
        if before {
            talk.server("HTTP/1.1 100 Continue\r\n\r\n").client(like_a_request);
        } else {
            talk.client(like_a_request).server("HTTP/1.1 100 Continue\r\n\r\n");
        }
        talk.client(GET).server(OK).server(OK).closed(CloseReason::Fin);
        assert_eq!(talk.ended(), ["/up -> 200", "/1 -> 200"], "{before}");
        assert_eq!(bodies(&talk), [like_a_request, ""]);
    }
    // A client that does not wait for it (RFC 9110 §10.1.1).
    let mut talk = Talk::new();
    talk.client(&head).client(like_a_request).server(OK).client(GET).server(OK);
    assert_eq!(bodies(&talk), [like_a_request, ""]);
    let mut talk = Talk::new();
    talk.client(ASKS_LEAVE).client("hello, world");
    assert_eq!(bodies(&talk), ["hello, world"]);
}

#[test]
fn a_refusal_that_is_seen_late_still_refuses() {
    let next = POST.to_owned() + "hello, world";
    let mut talk = Talk::new();
    talk.client(ASKS_LEAVE);
    // Its segments waited for a hole, the client's did not.
    let early = talk.now();
    talk.client(&next);
    talk.at(early, Side::Server, refusal(417)).server(OK).closed(CloseReason::Fin);
    assert_eq!(talk.ended(), ["/up! -> 417", "/up -> 200"]);
    assert_eq!(bodies(&talk), ["hello, world"]);
}

#[test]
fn without_responses_what_looks_like_the_next_request_is_it() {
    let mut talk = Talk::new();
    talk.client(ASKS_LEAVE).client(POST.to_owned() + "hello, world").closed(CloseReason::Fin);
    assert_eq!(talk.ended(), ["/up! -> -", "/up -> -"]);
    let mut talk = Talk::new();
    talk.client(ASKS_LEAVE).client("POST /up HTTP/1.1\r\nHost:").closed(CloseReason::Reset);
    assert_eq!(talk.ended(), ["/up! -> -"]);
    assert_eq!(talk.table.stats().requests.cut_heads.get(Incomplete::Reset), 1);
}

#[test]
fn what_waits_for_leave_is_bounded_and_counted() {
    let options = HttpOptions { max_head: 1000, ..super::talk::everything() };
    let mut talk = Talk::with(options, false);
    talk.client(ASKS_LEAVE.replace("12", "100000"));
    talk.client(POST).client(GET.repeat(10));
    assert!((1..5000).contains(&talk.table.held().0), "{}", talk.table.held().0);
    talk.client(GET.repeat(40)).closed(CloseReason::Fin);
    assert!(talk.table.held().1 < 100_000);
}

#[test]
fn leave_that_is_taken_back_and_responses_to_others_are_told_apart() {
    let leave = "HTTP/1.1 100 Continue\r\n\r\n";
    let mut talk = Talk::new();
    talk.client(ASKS_LEAVE).server(leave).server(refusal(401)).client(GET).server(OK);
    talk.closed(CloseReason::Fin);
    assert_eq!(talk.ended(), ["/up! -> 401", "/1 -> 200"]);
    // The first response belongs to the request before.
    let mut talk = Talk::new();
    talk.client(GET.to_owned() + ASKS_LEAVE).server(OK).server(leave).client("GET / HTTP/1");
    talk.server(OK).closed(CloseReason::Fin);
    assert_eq!(talk.ended(), ["/1 -> 200", "/up -> 200"]);
    assert_eq!(bodies(&talk), ["", "GET / HTTP/1"]);
}

#[test]
fn a_body_where_none_is_due_costs_that_response_alone() {
    for head in ["HTTP/1.1 304 Not Modified", "HTTP/1.1 204 No Content"] {
        let mut talk = Talk::new();
        talk.client(GET).server(format!("{head}\r\nContent-Length: 5\r\n\r\nhello"));
        talk.client(GET).server(OK).client(GET).server(OK).closed(CloseReason::Fin);
        assert_eq!(talk.ended()[1..], ["/1 -> 200", "/1 -> 200"], "{head}");
        let ended = talk.moment(Moment::Ended);
        assert!(ended[1].response.as_ref().unwrap().flaws.is_empty());
    }
}

#[test]
fn a_gap_where_the_body_may_be_absent_ends_the_request() {
    let mut talk = Talk::new();
    talk.client(POST).server(refusal(417)).gap(Side::Client, 5).client(GET).server(OK);
    talk.closed(CloseReason::Fin);
    assert_eq!(talk.ended(), ["/up! -> 417", "/1 -> 200"]);
}

#[test]
fn a_connection_that_ends_after_an_early_response_cuts_the_request() {
    let mut talk = Talk::new();
    talk.client(ASKS_LEAVE).server(refusal(417)).finished(Side::Client).closed(CloseReason::Fin);
    assert_eq!(talk.ended(), ["/up! -> 417"]);
    assert!(talk.asked().is_empty());
}

#[test]
fn a_client_finishes_its_request_before_it_switches() {
    let upgrade = POST.replace("\r\n\r\n", "\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n");
    let mut talk = Talk::new();
    talk.client(&upgrade).server("HTTP/1.1 101 Switching Protocols\r\n\r\n\0\0\x12");
    talk.client("hello,").client(" world").client(GET).server(OK).closed(CloseReason::Fin);
    assert_eq!(talk.ended(), ["/up -> 101"]);
    assert_eq!(bodies(&talk), ["hello, world"]);
    assert_eq!(talk.table.stats().not_http.get(NotHttp::Upgraded), 1);
    // A refused one, whose response goes on while the client sends the next request.
    let mut talk = Talk::new();
    talk.client(upgrade + "hello,").server("HTTP/1.1 400 No\r\nContent-Length: 2\r\n\r\nn");
    talk.client(" world").client(GET).server("o").server(OK);
    assert_eq!(talk.ended(), ["/up -> 400", "/1 -> 200"]);
}

#[test]
fn a_response_without_a_body_is_followed_by_the_next_however_it_is_cut() {
    let responses = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n".to_owned()
        + "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"
        + "HTTP/1.1 204 No Content\r\n\r\n"
        + OK;
    for piece in 1..responses.len() {
        let mut talk = Talk::new();
        for method in ["HEAD", "GET", "DELETE", "GET"] {
            talk.client(format!("{method} /1 HTTP/1.1\r\n\r\n"));
        }
        // Of an exchange that was not seen: HEAD, or not.
        let mut unseen = Talk::midstream();
        for bytes in responses.as_bytes().chunks(piece) {
            talk.server(bytes);
            unseen.server(bytes);
        }
        talk.closed(CloseReason::Fin);
        unseen.closed(CloseReason::Fin);
        assert_eq!(talk.ended(), ["/1 -> 200", "/1 -> 304", "/1 -> 204", "/1 -> 200"]);
        if piece >= "HTTP/1.".len() {
            assert_eq!(unseen.ended(), ["- -> 200", "- -> 304", "- -> 204", "- -> 200"]);
        }
    }
    let mut talk = Talk::midstream();
    talk.server("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
    for byte in b"HTTP/1.0!" {
        talk.server([*byte]);
    }
    talk.closed(CloseReason::Fin);
    assert_eq!(talk.table.stats().responses.messages, 1);
}
