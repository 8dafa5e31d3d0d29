//! What a request gets, and the responses of the server's own.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::http::InvalidRequest;
use crate::stub::book::Recorded;
use crate::stub::pass::Passed;

/// What a request gets.
pub(super) enum Answer {
    /// A recorded response, after this time.
    Recorded(Arc<Recorded>, Duration),
    /// The response that says that there is none.
    Missed(Bytes),
    /// On purpose another response, after this time.
    Fault(Bytes, Duration),
    /// On purpose the end of its connection, after this time.
    Reset(Duration),
    /// That of a real server.
    Pass(Passed),
    /// None: what follows is for this host.
    Tunnel(String),
}

/// A client waits for it before it sends a body (RFC 9110 §10.1.1).
pub(super) const CONTINUE: Bytes = Bytes::from_static(b"HTTP/1.1 100 Continue\r\n\r\n");

/// The response to CONNECT, behind which the tunnel begins (RFC 9110 §9.3.6).
pub(super) const TUNNEL: Bytes = Bytes::from_static(b"HTTP/1.1 200 Connection Established\r\n\r\n");

/// A response without content.
pub(super) fn status(code: u16) -> Bytes {
    let length = if matches!(code, 204 | 304) { "" } else { "Content-Length: 0\r\n" };
    format!("HTTP/1.1 {code} \r\n{length}X-Mirror-Stub: fault\r\n\r\n").into()
}

/// A last response, to what is no request.
pub(super) fn invalid(why: InvalidRequest) -> Bytes {
    let reason = match why {
        InvalidRequest::BodyTooLarge => "Content Too Large",
        InvalidRequest::HeadTooLarge => "Request Header Fields Too Large",
        _ => "Bad Request",
    };
    let text = match why {
        InvalidRequest::BodyTooLarge => {
            "mirror stub: the body is longer than --max-body allows\n".to_owned()
        }
        why => format!("mirror stub: not a request that a server may read: {}\n", why.name()),
    };
    last(&format!("{} {reason}", why.status()), &text)
}

/// A last response, where there is no memory left.
pub(super) fn no_room() -> Bytes {
    last("503 Service Unavailable", "mirror stub: too many requests are under way\n")
}

/// A last response, where a request did not come whole in time.
pub(super) fn timed_out() -> Bytes {
    last("408 Request Timeout", "mirror stub: the request did not come whole in time\n")
}

/// A response to CONNECT where there is no certificate, or within a tunnel.
pub(super) fn no_tunnel() -> Bytes {
    let text = "mirror stub: CONNECT leads to a host within TLS, once, and where --tls-authority or --tls-cert is given\n";
    own("501 Not Implemented", "", text)
}

/// A last response, where a server to which requests may pass did not answer.
pub(super) fn not_passed() -> Bytes {
    last("504 Gateway Timeout", "mirror stub: the host of --pass did not give a whole response\n")
}

fn last(status: &str, text: &str) -> Bytes {
    own(status, "Connection: close\r\n", text)
}

fn own(status: &str, field: &str, text: &str) -> Bytes {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
         {field}\r\n{text}",
        text.len()
    )
    .into()
}
