//! NATS JetStream. The only folder that names `async_nats`.
//!
//! A session is one connection and everything on it: its end is the end of the runtime that it runs in, so that nothing
//! of a lost connection is sent later, out of order, by a library that reconnects. What a session did not finish, the
//! next one does.

mod connect;
mod consume;
mod engine;
mod held;
mod intake;
mod lease;
mod ledger;
mod members;
mod numbers;
mod publish;
mod report;
mod shard;
mod stream;

use std::time::Duration;

pub use self::connect::{Link, Secret};
pub use self::consume::{Consumer, ConsumerOptions, Settler, Start};
pub use self::held::{NotHandedOn, Receipt, Taken};
pub use self::ledger::Outcome;
pub use self::members::Member;
pub use self::publish::{NotPublished, Publisher, PublisherOptions};
pub use self::report::{FleetReport, MemberReport, RunReport, fleet_report};
pub use self::stream::StreamOptions;

/// The longest wait between two attempts to connect.
const MAX_BACKOFF: Duration = Duration::from_secs(5);

/// The first one.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);

/// How long the server may take for anything.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The wait before the next attempt: twice the one before.
fn longer(backoff: Duration) -> Duration {
    backoff.saturating_mul(2).min(MAX_BACKOFF)
}
