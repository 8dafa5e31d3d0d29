//! What is in flight while messages are read.

use super::talk::Talk;

#[test]
fn what_has_not_ended_is_in_flight() {
    let mut talk = Talk::new();
    let in_flight = |talk: &Talk| -> Vec<u64> {
        talk.table.stats().accounts().iter().map(|account| account.in_flight).collect()
    };
    talk.client("POST /a HTTP/1.1\r\n");
    assert_eq!(in_flight(&talk), [0, 0, 18, 0], "the bytes of a head");
    talk.client("Content-Length: 2\r\n\r\n");
    assert_eq!(in_flight(&talk), [1, 0, 0, 0], "a message without its body");
    talk.client("ab").server("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n");
    assert_eq!(in_flight(&talk), [0, 1, 0, 0]);
    talk.server("c");
    assert_eq!(in_flight(&talk), [0; 4]);
}
