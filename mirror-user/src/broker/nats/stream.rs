//! The stream: made where it is missing, and what its limits are.

use std::time::Duration;

use anyhow::{anyhow, ensure};
use async_nats::jetstream::Context;
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::stream::{Config, DiscardPolicy, Info, StorageType};

use super::connect::causes;
use crate::broker::address::Address;
use crate::broker::envelope::MAX_HEAD_BYTES;

/// How long the server knows ids of messages, so that what is sent again is there once. Longer than a server takes to
/// come back.
const DUPLICATES: Duration = Duration::from_secs(120);

/// The smallest message that a server must take: a head and some of a body.
const LEAST_PAYLOAD: usize = MAX_HEAD_BYTES + 32 * 1024;

/// What a stream is made with where it is missing.
#[derive(Clone, Debug)]
pub struct StreamOptions {
    /// Over how many subjects connections are spread: at most so many replayers share the work.
    pub shards: u32,
    /// How long messages are kept.
    pub max_age: Duration,
    /// How many bytes of them.
    pub max_bytes: u64,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self { shards: 16, max_age: Duration::from_secs(3600), max_bytes: 1 << 30 }
    }
}

/// A stream as it is.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) shards: u32,
    max_age: Duration,
    max_bytes: i64,
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} shards, messages kept ", self.shards)?;
        match self.max_age {
            Duration::ZERO => f.write_str("for ever")?,
            age => write!(f, "for {}", humantime::format_duration(age))?,
        }
        match u64::try_from(self.max_bytes) {
            Ok(bytes) if bytes > 0 => write!(f, ", up to {}", crate::units::Bytes(bytes)),
            _ => f.write_str(", without a limit of bytes"),
        }
    }
}

/// The stream at `address`; made if it is missing and `missing` says how.
///
/// # Errors
/// If there is none, it is another one, or it cannot be made.
pub(super) async fn open(
    jetstream: &Context,
    address: &Address,
    missing: Option<&StreamOptions>,
    max_payload: usize,
) -> anyhow::Result<Found> {
    ensure!(
        max_payload >= LEAST_PAYLOAD,
        "{address}: the server takes messages of at most {max_payload} bytes; set its max_payload to {LEAST_PAYLOAD} or more"
    );
    let info = match jetstream.get_stream(&address.stream).await {
        Ok(stream) => stream.cached_info().clone(),
        Err(why) => match (missing, why.kind()) {
            (Some(options), GetStreamErrorKind::JetStream(_)) => {
                let config = config(address, options);
                let made = jetstream.create_stream(config).await;
                let made = made.map_err(|why| {
                    anyhow!("{address}: the stream cannot be made: {}", causes(&why))
                })?;
                made.cached_info().clone()
            }
            _ => {
                return Err(anyhow!("{address}: the stream cannot be opened: {}", causes(&why)));
            }
        },
    };
    found(address, &info)
}

fn config(address: &Address, options: &StreamOptions) -> Config {
    Config {
        name: address.stream.clone(),
        subjects: vec![format!("{}.>", address.stream)],
        description: Some(describe(options.shards)),
        max_bytes: i64::try_from(options.max_bytes).unwrap_or(i64::MAX),
        max_age: options.max_age,
        // What is new is worth more: a slow replayer misses what is old, and that is counted.
        discard: DiscardPolicy::Old,
        storage: StorageType::File,
        duplicate_window: DUPLICATES.min(options.max_age),
        ..Config::default()
    }
}

const SHARDS: &str = "mirror, shards ";

/// How all hosts learn how many there are.
fn describe(shards: u32) -> String {
    format!("{SHARDS}{shards}")
}

fn found(address: &Address, info: &Info) -> anyhow::Result<Found> {
    let description = info.config.description.as_deref().unwrap_or_default();
    let shards = description.strip_prefix(SHARDS).and_then(|number| number.parse().ok());
    let shards = shards.filter(|shards| (1..=MAX_SHARDS).contains(shards));
    let shards = shards.ok_or_else(|| {
        anyhow!("{address}: not a stream of mirror's; its description has to be `{SHARDS}16`, with the number of shards")
    })?;
    Ok(Found { shards, max_age: info.config.max_age, max_bytes: info.config.max_bytes })
}

/// More are of no use, and each costs a consumer.
pub(crate) const MAX_SHARDS: u32 = 1024;
