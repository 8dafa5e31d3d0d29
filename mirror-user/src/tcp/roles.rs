//! Who is the client of a connection whose SYN was not seen.

use super::key::{End, FlowKey};
use crate::watch::Ports;

/// Which end is the client, from the known server ports, else from the first payload and who sent
/// it, else from the port numbers: the lower one is the server's.
pub(super) fn client_end(key: &FlowKey, server_ports: &Ports, first: Option<(End, &[u8])>) -> End {
    let [low, high] = [End::Low, End::High].map(|end| key.address(end).port());
    match (server_ports.contains(low), server_ports.contains(high)) {
        (true, false) => return End::High,
        (false, true) => return End::Low,
        _ => {}
    }
    if let Some((sender, payload)) = first {
        if payload.starts_with(b"HTTP/1.") {
            return sender.other();
        }
        if starts_like_request(payload) {
            return sender;
        }
    }
    match low.cmp(&high) {
        std::cmp::Ordering::Less => End::High,
        std::cmp::Ordering::Greater => End::Low,
        std::cmp::Ordering::Equal => first.map_or(End::Low, |(sender, _)| sender),
    }
}

/// The longest registered method (IANA HTTP Method Registry), UPDATEREDIRECTREF, has 17 letters.
const LONGEST_METHOD: usize = 17;

/// True for upper-case letters or `-`, a space, and a target in one of its four forms (RFC 9112
/// §3.2). Stricter than a token, because a piece of a body must not pass for a request.
fn starts_like_request(payload: &[u8]) -> bool {
    let method = payload.iter().take_while(|b| b.is_ascii_uppercase() || **b == b'-').count();
    (3..=LONGEST_METHOD).contains(&method)
        && payload.get(method) == Some(&b' ')
        && payload
            .get(method + 1)
            .is_some_and(|b| *b == b'/' || *b == b'*' || b.is_ascii_alphanumeric())
}
