//! Responses that may be those to a HEAD that was not seen: whether they have content shows with what
//! follows.

use super::talk::Talk;
use crate::http::message::{BodyLength, Flaw, Moment};
use crate::tcp::event::{CloseReason, Side};

const NEXT: &str = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";

fn announcing(framing: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n")
}

const FRAMINGS: [&str; 4] =
    ["Content-Length: 7", "Content-Length: 4000", "Transfer-Encoding: chunked", "Server: a"];

/// True if the first response that ended is flagged and has no content.
fn is_flagged(talk: &Talk) -> bool {
    let ended = talk.moment(Moment::Ended);
    let response = ended.iter().find_map(|exchange| exchange.response.as_ref()).unwrap();
    let flagged = response.flaws.contains(Flaw::UnseenHead);
    assert_eq!(flagged, response.body.framing == BodyLength::None);
    flagged
}

#[test]
fn a_response_to_a_request_that_was_not_seen_has_no_content_before_a_status_line() {
    for framing in FRAMINGS {
        let mut talk = Talk::midstream();
        talk.server(announcing(framing)).server(NEXT).closed(CloseReason::Fin);
        assert_eq!(talk.ended(), ["- -> 200", "- -> 202"], "{framing}");
        assert!(is_flagged(&talk));
    }
}

#[test]
fn content_that_is_a_response_stays_content_where_the_request_is_known() {
    let framing = format!("Content-Length: {}", NEXT.len());
    let response = announcing(&framing) + NEXT;
    for piece in 1..response.len() {
        let mut talk = Talk::new();
        talk.client("GET /1 HTTP/1.1\r\n\r\n");
        for bytes in response.as_bytes().chunks(piece) {
            talk.server(bytes);
        }
        talk.closed(CloseReason::Fin);
        assert_eq!(talk.ended(), ["/1 -> 200"]);
        assert!(!is_flagged(&talk));
    }
}

#[test]
fn content_that_says_it_is_a_response_stays_content() {
    for media_type in ["message/http", "Application/HTTP; msgtype=response"] {
        let framing = format!("Content-Type: {media_type}\r\nContent-Length: {}", NEXT.len());
        let mut talk = Talk::midstream();
        talk.server(announcing(&framing)).server(NEXT).closed(CloseReason::Fin);
        assert_eq!(talk.ended(), ["- -> 200"]);
        assert!(!is_flagged(&talk));
    }
}

#[test]
fn a_response_without_its_content_is_not_that_to_a_request_found_by_time() {
    for framing in FRAMINGS {
        let mut talk = Talk::new();
        // What is missing is a HEAD.
        talk.gap(Side::Client, 40).client("GET /2 HTTP/1.1\r\n\r\n");
        talk.server(announcing(framing)).server(NEXT).closed(CloseReason::Fin);
        assert_eq!(talk.ended(), ["- -> 200", "/2 -> 202"], "{framing}");
        assert!(is_flagged(&talk));
    }
}

#[test]
fn bytes_behind_a_gap_show_whether_there_was_content() {
    for framing in ["Content-Length: 4000", "Server: a"] {
        let mut talk = Talk::midstream();
        talk.server(announcing(framing)).gap(Side::Server, 60).server(NEXT);
        talk.closed(CloseReason::Fin);
        assert_eq!(talk.ended(), ["- -> 200", "- -> 202"], "{framing}");
        assert!(is_flagged(&talk));
        assert_eq!(talk.table.stats().responses.gap_bytes, 60);

        let mut talk = Talk::midstream();
        talk.server(announcing(framing)).gap(Side::Server, 60).server("content");
        talk.gap(Side::Server, 3).closed(CloseReason::Fin);
        assert_eq!(talk.ended(), ["- -> 200!"], "{framing}");
        assert!(!is_flagged(&talk));
        assert_eq!(talk.table.stats().responses.gap_bytes, 63);
    }
}
