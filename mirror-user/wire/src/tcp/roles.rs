//! Which end is the client of a connection whose SYN was not captured.

use super::event::Side;
use super::key::{End, FlowKey};
use crate::filter::Ports;
use crate::syntax::is_token;

/// Which end is the client: by the known server ports, else by the first payload and its sender,
/// else by the port numbers, of which the lower one is the server's.
pub(super) fn client_end(key: &FlowKey, server_ports: &Ports, first: Option<(End, &[u8])>) -> End {
    if let Some(client) = by_ports(key, server_ports) {
        return client;
    }
    if let Some((sender, payload)) = first {
        if payload.starts_with(b"HTTP/1.") {
            return sender.other();
        }
        if starts_like_request(payload) {
            return sender;
        }
    }
    let [low, high] = ports(key);
    match low.cmp(&high) {
        std::cmp::Ordering::Less => End::High,
        std::cmp::Ordering::Greater => End::Low,
        std::cmp::Ordering::Equal => first.map_or(End::Low, |(sender, _)| sender),
    }
}

/// Which end is the client, if exactly one of the ports is known to be a server's.
pub(super) fn by_ports(key: &FlowKey, server_ports: &Ports) -> Option<End> {
    let [low, high] = ports(key).map(|port| server_ports.contains(port));
    match (low, high) {
        (true, false) => Some(End::High),
        (false, true) => Some(End::Low),
        _ => None,
    }
}

fn ports(key: &FlowKey) -> [u16; 2] {
    [End::Low, End::High].map(|end| key.address(end).port())
}

/// Which side sends a message that begins with these bytes: a status line is the server's, a whole
/// request line the client's (RFC 9112 §3, §4). Stricter than [`starts_like_request`], because this
/// may reverse an earlier decision.
pub(super) fn speaker(payload: &[u8]) -> Option<Side> {
    if let [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor, b' ', code @ ..] = payload {
        let code = code.get(..3)?;
        let is_status = minor.is_ascii_digit() && code.iter().all(u8::is_ascii_digit);
        return is_status.then_some(Side::Server);
    }
    let line = payload.get(..LONGEST_LINE).unwrap_or(payload);
    let line = line.split(|b| *b == b'\n').next().filter(|line| line.len() < payload.len())?;
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut words = line.split(|b| *b == b' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let is_request = is_token(method)
        && !target.is_empty()
        && matches!(version, [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor] if minor.is_ascii_digit())
        && words.next().is_none();
    is_request.then_some(Side::Client)
}

/// Request lines are searched for in this many bytes.
const LONGEST_LINE: usize = 8192;

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
