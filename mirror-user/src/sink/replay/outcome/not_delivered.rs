//! Why a shadow request has no response, and who or what caused that.

use enum_map::Enum;
use strum::IntoStaticStr;

use crate::rules::tag::NotSent;

/// Why a shadow request has no response. Once a byte was sent it is not retried, because the target
/// may have acted on it; [`ReplayOptions::resend`](crate::sink::replay::ReplayOptions::resend)
/// names the one exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum NotDelivered {
    /// The request was not captured, or is not a request.
    NoRequest,
    /// The request was not captured completely.
    Incomplete,
    /// The request can be parsed in more than one way.
    Ambiguous,
    /// The request is a CONNECT, or asks for an upgrade to another protocol.
    Tunnel,
    /// The body is longer than the part that is kept.
    BodyTooLarge,
    /// The body was not captured.
    BodyNotKept,
    /// The body could not be parsed for redaction; `bodies withheld` says why.
    Unredactable,
    /// Of a type, or in a form, that cannot take the mark in its body.
    BodyNotMarked,
    /// The body is in a file that could not be read.
    BodyUnreadable,
    /// The request was captured outside the time window of the replay.
    OutsideTime,
    /// The ramp does not admit the request's connection yet.
    Ramping,
    /// The request, or its connection, exceeds the rate cap.
    OverRate,
    /// The ramp has stopped, because too many requests failed at the target or in production.
    RampStopped,
    /// The queue was full.
    QueueFull,
    /// The request was dropped from the queue for a newer one.
    Displaced,
    /// The request has low priority, and half of the queue was full.
    Shed,
    /// The target refused the connection.
    ConnectRefused,
    /// The connection was not established before the deadline.
    ConnectTimeout,
    /// The connection failed for another reason, such as no route or no local port.
    ConnectFailed,
    /// This process, or this host, had no file descriptor left for a connection.
    NoDescriptor,
    /// The proxy in front of the target did not open a tunnel.
    ProxyRefused,
    /// The target's name now resolves to an address that is captured itself.
    TargetCaptured,
    /// The TLS handshake failed: the target could not be verified, or does not use TLS.
    HandshakeFailed,
    /// The circuit breaker was open.
    BreakerOpen,
    /// The connection was reset before the response was complete.
    Reset,
    /// The target closed the connection before the response was complete.
    Closed,
    /// The response did not begin or end before its deadline.
    #[strum(serialize = "answer_timeout")]
    ResponseTimeout,
    /// The target sent something that is not an HTTP/1 response.
    #[strum(serialize = "bad_answer")]
    InvalidResponse,
    /// The request still waited when the replay was stopped.
    Stopped,
}

/// Who or what caused a request to have no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum Attribution {
    /// The target, or the path to it.
    Target,
    /// The capture, or the request itself: it could not be sent.
    Capture,
    /// The replay: one of its limits, or its end.
    Replay,
    /// The operator, who selected a part of the capture.
    Operator,
}

impl NotDelivered {
    /// Who or what caused it.
    #[must_use]
    pub fn attribution(self) -> Attribution {
        match self {
            Self::NoRequest
            | Self::Incomplete
            | Self::Ambiguous
            | Self::Tunnel
            | Self::BodyTooLarge
            | Self::BodyNotKept
            | Self::Unredactable
            | Self::BodyNotMarked => Attribution::Capture,
            Self::OutsideTime | Self::Ramping | Self::OverRate | Self::RampStopped => {
                Attribution::Operator
            }
            Self::BodyUnreadable
            | Self::QueueFull
            | Self::Displaced
            | Self::Shed
            | Self::NoDescriptor
            | Self::Stopped => Attribution::Replay,
            Self::ConnectRefused
            | Self::ConnectTimeout
            | Self::ConnectFailed
            | Self::ProxyRefused
            | Self::TargetCaptured
            | Self::HandshakeFailed
            | Self::BreakerOpen
            | Self::Reset
            | Self::Closed
            | Self::ResponseTimeout
            | Self::InvalidResponse => Attribution::Target,
        }
    }
}

impl NotDelivered {
    /// True if the target, or this replay, had no room for it or did not come to it in time: with fewer requests, more of
    /// them would be taken.
    pub(in crate::sink::replay) fn was_not_taken(self) -> bool {
        matches!(
            self,
            Self::QueueFull
                | Self::Displaced
                | Self::Shed
                | Self::NoDescriptor
                | Self::ConnectRefused
                | Self::ConnectTimeout
                | Self::ConnectFailed
                | Self::ProxyRefused
                | Self::HandshakeFailed
                | Self::BreakerOpen
                | Self::ResponseTimeout
        )
    }

    /// True if another attempt may succeed.
    pub(in crate::sink::replay) fn may_retry(self) -> bool {
        self.attribution() == Attribution::Target
            && !matches!(self, Self::TargetCaptured | Self::BreakerOpen)
    }
}

impl From<NotSent> for NotDelivered {
    fn from(why: NotSent) -> Self {
        match why {
            NotSent::NoRequest => Self::NoRequest,
            NotSent::Incomplete => Self::Incomplete,
            NotSent::Ambiguous => Self::Ambiguous,
            NotSent::Tunnel => Self::Tunnel,
            NotSent::BodyTooLarge => Self::BodyTooLarge,
            NotSent::BodyNotKept => Self::BodyNotKept,
            NotSent::Unredactable => Self::Unredactable,
            NotSent::BodyNotMarked => Self::BodyNotMarked,
        }
    }
}
