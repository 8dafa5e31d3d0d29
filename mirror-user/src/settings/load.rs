//! How much a target gets, how soon, and what gives way.

use std::num::NonZeroU32;
use std::time::Duration;

use super::define::settings;
use super::shares::FailureShare;
use crate::sink::replay::{IdleClose, Victim};
use crate::units::Bytes;

settings! {
    /// How much of a target may be used, and how its load begins.
    pub struct LoadSettings under "Target", changed WithItsTarget {
        /// Connections to the target at the same time, at most
        setting max_connections: Option<NonZeroU32> { key: "max-connections", default: "256" }
        /// Bytes of requests that may wait for the target, at most
        setting max_queue: Option<Bytes> { key: "max-queue", default: "32MiB" }
        /// Which request is dropped when no more may wait, for interfaces; files wait
        setting drop: Option<Victim> { key: "drop", default: "newest" }
        /// How often a request is tried again of which not a byte was sent: the target did not take the connection
        setting retry_unsent: Option<u32> { key: "retry-unsent", default: "0" }
        /// What becomes of a request that meets a connection as the target closes it, without a byte of a response: GET, HEAD, OPTIONS, TRACE, PUT and DELETE are sent once more on a new one, or none is
        setting idle_close: Option<IdleClose> { key: "idle-close", default: "resend" }
        /// How it begins.
        group ramp: RampSettings { key: "ramp" }
    }
}

settings! {
    /// The target's load grows little by little, and stops when that harms somebody.
    pub struct RampSettings under "Target", changed WithItsTarget {
        /// Begin with 1% of the connections, and have all of them after this time
        setting over: Option<Duration> {
            key: "over",
            flag: "ramp",
            required: "the time until all connections come, such as 10m",
        }
        /// With a ramp, send nothing more once this share of the target's requests within 10 s gets no response, or 5xx
        setting target_errors: Option<FailureShare> {
            key: "target-errors",
            flag: "ramp-target-errors",
            default: "10%",
        }
        /// With a ramp, send nothing more once this share of production's responses within 10 s is 5xx
        setting production_errors: Option<FailureShare> {
            key: "production-errors",
            flag: "ramp-production-errors",
            default: "10%",
        }
    }
}
