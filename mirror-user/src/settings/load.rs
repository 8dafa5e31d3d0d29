//! Load on a target: limits, ramp, and what is dropped when it is full.

use std::num::NonZeroU32;
use std::time::Duration;

use super::define::settings;
use super::shares::FailureShare;
use crate::sink::replay::{IdleClose, Victim};
use crate::units::Bytes;

settings! {
    /// Limits on the load of a target, and how the load starts.
    pub struct LoadSettings under "Target", changed WithItsTarget {
        /// Maximum number of concurrent connections to the target
        setting max_connections: Option<NonZeroU32> { key: "max-connections", default: "256" }
        /// Maximum size of the requests that wait for the target
        setting max_queue: Option<Bytes> { key: "max-queue", default: "32MiB" }
        /// Which request is dropped when the queue is full; interfaces only (reading a file pauses instead)
        setting drop: Option<Victim> { key: "drop", default: "newest" }
        /// How often to retry a request of which no byte was sent because the target did not accept the connection
        setting retry_unsent: Option<u32> { key: "retry-unsent", default: "0" }
        /// What to do when the target closes an idle connection just as a request is sent, before any byte of a response: resend GET, HEAD, OPTIONS, TRACE, PUT and DELETE once on a new connection, or drop the request
        setting idle_close: Option<IdleClose> { key: "idle-close", default: "resend" }
        /// How the load starts.
        group ramp: RampSettings { key: "ramp" }
    }
}

settings! {
    /// The load on the target grows gradually, and stops if errors rise.
    pub struct RampSettings under "Target", changed WithItsTarget {
        /// Start with 1% of the connections and grow to all of them over this time
        setting over: Option<Duration> {
            key: "over",
            flag: "ramp",
            required: "the time until all connections are mirrored, such as 10m",
        }
        /// With --ramp: stop sending when this share of the target's requests within 10 s gets no response or a 5xx
        setting target_errors: Option<FailureShare> {
            key: "target-errors",
            flag: "ramp-target-errors",
            default: "10%",
        }
        /// With --ramp: stop sending when this share of production's responses within 10 s is a 5xx
        setting production_errors: Option<FailureShare> {
            key: "production-errors",
            flag: "ramp-production-errors",
            default: "10%",
        }
    }
}
