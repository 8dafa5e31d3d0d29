//! What capturing and replaying hosts have in common when a broker stands between them: cleared exchanges as
//! envelopes, and the stream of NATS JetStream that holds them.
//!
//! In come cleared exchanges on one side (`envelope::Writer` takes nothing but `Cleared`),
//! and messages of a stream on the other. The sink that publishes is `sink/broker`, the front that takes is
//! `pipeline/broker`; this module knows neither.
//!
//! ```text
//! rules ──Cleared─► sink/broker ──queue─► Publisher ──► STREAM.shard.K ──► Consumer ──channel─► pipeline/broker ──Exchange─► rules
//! ```
//!
//! Nobody waits for the broker: what does not fit into a queue is dropped and counted by the reason why the broker
//! does not take it. A connection's envelopes lie on one shard, in their order, and one replayer at a time owns a
//! shard (`nats/lease`), so that order holds from the wire to the target.

pub mod address;
#[cfg(feature = "nats")]
pub(crate) mod clock;
#[cfg(feature = "nats")]
pub mod envelope;
#[cfg(feature = "nats")]
pub mod nats;
