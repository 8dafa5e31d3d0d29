//! Which response belongs to which request, and what gaps cost.

use super::talk::Talk;
use crate::http::Unpaired;
use crate::tcp::event::{CloseReason, Side};

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n")
}

fn ok(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} Fine\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn a_request_comes_out_when_it_is_whole_and_again_with_its_response() {
    let mut talk = Talk::new();
    talk.client("POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nab");
    assert!(talk.out.is_empty());
    talk.client("c");
    assert_eq!(talk.asked(), ["/a"]);
    talk.server(ok(200, "x"));
    assert_eq!(talk.ended(), ["/a -> 200"]);
    talk.closed(CloseReason::Fin);
    assert_eq!(talk.out.len(), 2);
}

#[test]
fn pipelined_requests_get_their_responses_in_their_order() {
    let mut talk = Talk::new();
    talk.client(get("/1") + &get("/2") + &get("/3"));
    talk.server(ok(201, "x") + &ok(202, "") + &ok(203, "yz"));
    assert_eq!(talk.asked(), ["/1", "/2", "/3"]);
    assert_eq!(talk.ended(), ["/1 -> 201", "/2 -> 202", "/3 -> 203"]);
}

#[test]
fn interim_responses_do_not_end_the_exchange() {
    let mut talk = Talk::new();
    talk.client("POST /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    talk.server("HTTP/1.1 100 Continue\r\n\r\n").client("abc").server(ok(200, ""));
    assert_eq!(talk.ended(), ["/a -> 200"]);
    assert_eq!(talk.table.stats().interim, 1);
}

#[test]
fn an_early_response_waits_for_the_end_of_its_request() {
    let mut talk = Talk::new();
    talk.client("POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\na").server(ok(413, ""));
    assert!(talk.out.is_empty());
    talk.client("bc").client(get("/b")).server(ok(200, ""));
    assert_eq!(talk.ended(), ["/a -> 413", "/b -> 200"]);
}

#[test]
fn an_early_response_ends_with_the_connection_that_cuts_its_request() {
    let mut talk = Talk::new();
    talk.client("POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\na").server(ok(413, ""));
    talk.closed(CloseReason::Reset);
    assert_eq!(talk.ended(), ["/a! -> 413"]);
    assert!(talk.asked().is_empty());
}

#[test]
fn an_unsolicited_response_shifts_no_pair() {
    let mut talk = Talk::new();
    talk.server(ok(408, "")).client(get("/1")).server(ok(200, "")).closed(CloseReason::Fin);
    assert_eq!(talk.ended(), ["- -> 408", "/1 -> 200"]);
    assert_eq!(talk.table.stats().unpaired.get(Unpaired::Unsolicited), 1);
}

#[test]
fn a_gap_inside_a_body_costs_that_message_alone() {
    let mut talk = Talk::new();
    talk.client(get("/1")).server("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    talk.gap(Side::Server, 4).server("hij");
    talk.client(get("/2")).server(ok(200, "x"));
    assert_eq!(talk.ended(), ["/1 -> 200!", "/2 -> 200"]);
}

#[test]
fn a_gap_that_ends_with_the_body_costs_that_message_alone() {
    let mut talk = Talk::new();
    talk.client("POST /1 HTTP/1.1\r\nContent-Length: 5\r\n\r\na").gap(Side::Client, 4);
    talk.client(get("/2")).server(ok(200, "") + &ok(201, ""));
    assert_eq!(talk.asked(), ["/2"]);
    assert_eq!(talk.ended(), ["/1! -> 200", "/2 -> 201"]);
}

#[test]
fn a_gap_inside_a_chunk_costs_that_message_alone() {
    let mut talk = Talk::new();
    talk.client(get("/1")).server("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nab");
    talk.gap(Side::Server, 3).server("fgh\r\n0\r\n\r\n");
    talk.client(get("/2")).server(ok(200, "x"));
    assert_eq!(talk.ended(), ["/1 -> 200!", "/2 -> 200"]);
}

#[test]
fn a_lost_response_is_missed_by_its_own_request_alone() {
    let mut talk = Talk::new();
    talk.client(get("/1")).gap(Side::Server, 60);
    talk.client(get("/2")).server(ok(202, "")).client(get("/3")).server(ok(203, ""));
    assert_eq!(talk.ended(), ["/1 -> -", "/2 -> 202", "/3 -> 203"]);
}

#[test]
fn a_lost_request_leaves_its_response_alone() {
    let mut talk = Talk::new();
    talk.client(get("/1")).server(ok(201, "")).gap(Side::Client, 40).server(ok(202, ""));
    talk.client(get("/3")).server(ok(203, ""));
    assert_eq!(talk.ended(), ["/1 -> 201", "- -> 202", "/3 -> 203"]);
}

#[test]
fn a_gap_over_the_end_of_a_response_costs_the_messages_it_touched() {
    let mut talk = Talk::new();
    talk.client(get("/1")).server("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    // The rest of the first response and the beginning of the second.
    talk.client(get("/2")).gap(Side::Server, 40).server("rest of the body");
    talk.client(get("/3")).server(ok(203, ""));
    talk.closed(CloseReason::Fin);
    assert_eq!(talk.ended(), ["/1 -> 200!", "/2 -> -", "/3 -> 203"]);
}

#[test]
fn a_request_is_not_given_the_response_of_the_lost_one_after_it() {
    let mut talk = Talk::new();
    talk.client(get("/1")).gap(Side::Server, 60).gap(Side::Client, 40).server(ok(202, ""));
    talk.client(get("/3")).server(ok(203, ""));
    assert_eq!(talk.ended(), ["/1 -> -", "- -> 202", "/3 -> 203"]);
}

#[test]
fn nothing_is_paired_by_guess_where_a_pipelining_client_lost_a_response() {
    let mut talk = Talk::new();
    talk.client(get("/1") + &get("/2") + &get("/3")).gap(Side::Server, 0);
    talk.server(ok(202, "")).server(ok(203, "")).closed(CloseReason::Fin);
    assert_eq!(talk.ended(), ["/1 -> -", "/2 -> -", "/3 -> -", "- -> 202", "- -> 203"]);
}

#[test]
fn a_pipelining_client_is_paired_again_after_its_connection_was_quiet() {
    let mut talk = Talk::new();
    talk.client(get("/1") + &get("/2") + &get("/3")).gap(Side::Server, 0);
    talk.server(ok(202, "")).client(get("/4")).server(ok(203, "")).server(ok(204, ""));
    talk.quiet(6).client(get("/5") + &get("/6")).server(ok(205, "") + &ok(206, ""));
    talk.closed(CloseReason::Fin);
    let paired: Vec<String> = talk
        .ended()
        .into_iter()
        .filter(|reported| !reported.contains("- ") && !reported.ends_with('-'))
        .collect();
    assert_eq!(paired, ["/5 -> 205", "/6 -> 206"]);
}

#[test]
fn a_connection_seen_from_its_middle_is_read_from_the_next_message_on() {
    let mut talk = Talk::midstream();
    talk.client("the end of a body").server("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    talk.client(get("/2")).server(ok(202, "abc"));
    assert_eq!(talk.ended(), ["- -> 200", "/2 -> 202"]);
}

#[test]
fn requests_beyond_the_limit_are_read_and_not_paired() {
    let mut options = super::talk::everything();
    options.max_waiting = 2;
    let mut talk = Talk::with(options, false);
    talk.client(get("/1") + &get("/2") + &get("/3"));
    talk.server(ok(201, "") + &ok(202, "") + &ok(203, ""));
    talk.client(get("/4")).server(ok(204, "")).closed(CloseReason::Fin);
    assert_eq!(talk.asked(), ["/1", "/2", "/3", "/4"]);
    assert_eq!(talk.ended(), ["/3 -> -", "/1 -> 201", "/2 -> 202", "- -> 203", "/4 -> 204"]);
}

#[test]
fn a_response_until_close_is_whole_after_fin_and_not_after_reset() {
    for (finished, expected) in [(true, "/1 -> 200"), (false, "/1 -> 200!")] {
        let mut talk = Talk::new();
        talk.client(get("/1")).server("HTTP/1.1 200 OK\r\n\r\nabc").server("def");
        if finished {
            talk.finished(Side::Server);
        }
        talk.closed(CloseReason::Reset);
        assert_eq!(talk.ended(), [expected]);
    }
}

#[test]
fn requests_without_a_response_end_when_the_server_has_finished() {
    let mut talk = Talk::new();
    talk.client(get("/1")).finished(Side::Server);
    assert_eq!(talk.ended(), ["/1 -> -"]);
    talk.client(get("/2"));
    assert_eq!(talk.ended(), ["/1 -> -", "/2 -> -"]);
    talk.closed(CloseReason::Fin);
}

#[test]
fn a_second_response_to_a_request_under_way_is_unsolicited() {
    let mut talk = Talk::midstream();
    talk.client("POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\na");
    talk.server(ok(413, "")).gap(Side::Server, 0).server(ok(400, "")).client("bc");
    talk.closed(CloseReason::Fin);
    assert_eq!(talk.ended(), ["- -> 400", "/a -> 413"]);
}

#[test]
fn the_end_of_a_body_does_not_spoil_the_method_that_follows_it() {
    let mut talk = Talk::new();
    talk.client(get("/1")).server(ok(201, "")).gap(Side::Client, 70).client("A");
    talk.server(ok(202, "")).client(get("/3")).server(ok(203, "")).closed(CloseReason::Fin);
    assert_eq!(talk.ended(), ["/1 -> 201", "- -> 202", "/3 -> 203"]);
}
