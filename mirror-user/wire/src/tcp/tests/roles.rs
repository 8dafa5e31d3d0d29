//! Who is the client of a connection that was joined in its middle.

use super::talk::{Observer, Talk};
use crate::filter::Ports;
use crate::tcp::TcpLimits;

/// The ports alone would take the client for the server.
fn joined() -> (Talk, Observer) {
    let mut talk = Talk::new(100, 500);
    (talk.client, talk.server) =
        ("10.0.0.2:33000".parse().unwrap(), "10.0.0.1:50000".parse().unwrap());
    (talk, Observer::new(TcpLimits::default()))
}

const ASK: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

fn short(story: &str) -> String {
    let long = |bytes| String::from_utf8_lossy(bytes).into_owned();
    story.replace(&long(ASK), "ask").replace(&long(ANSWER), "answer")
}

#[test]
fn a_request_from_the_server_exchanges_the_sides() {
    let (mut talk, mut observer) = joined();
    observer.push([talk.server(b"the rest of a body"), talk.client(ASK), talk.server(ANSWER)]);
    let expected = "open~ c:the rest of a body sides_changed open~ c:ask s:answer end_of_input";
    assert_eq!(short(&observer.end()), expected);
}

#[test]
fn a_status_line_from_the_client_exchanges_the_sides() {
    let (mut talk, mut observer) = joined();
    observer.push([talk.server(b"the rest of a body"), talk.server(ANSWER), talk.client(ASK)]);
    let expected = "open~ c:the rest of a body sides_changed open~ s:answer c:ask end_of_input";
    assert_eq!(short(&observer.end()), expected);
}

#[test]
fn what_both_ends_have_said_is_not_reconsidered() {
    let (mut talk, mut observer) = joined();
    observer.push([talk.client(ASK), talk.server(ANSWER)]);
    // An upload of packets, and a download of requests.
    observer.push([talk.client(ANSWER), talk.server(ASK)]);
    assert_eq!(short(&observer.end()), "open~ c:ask s:answer c:answer s:ask end_of_input");
}

#[test]
fn a_known_server_port_is_not_reconsidered() {
    let (mut talk, _) = joined();
    let server_ports = Ports::new(vec![50000]);
    let mut observer = Observer::new(TcpLimits { server_ports, ..TcpLimits::default() });
    observer.push([talk.server(b"x"), talk.client(ANSWER), talk.server(ASK)]);
    assert_eq!(short(&observer.end()), "open~ s:x c:answer s:ask end_of_input");
}
