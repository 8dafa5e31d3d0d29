//! Turns the settings of streams into where a run subscribes and publishes.

#[cfg(feature = "nats")]
mod with;
#[cfg(not(feature = "nats"))]
mod without;

#[cfg(feature = "nats")]
pub(crate) use self::with::{Input, StreamSource, fleet_report, publishing};
#[cfg(not(feature = "nats"))]
pub(crate) use self::without::{Input, StreamSource, fleet_report, publishing};
use crate::broker::address::Address;
use crate::settings::{SourceSettings, StreamSourceSettings};

/// The group of those that replay.
pub(crate) const DEFAULT_GROUP: &str = "replay";

/// The same source; a stream is shared with `group`, if nothing else is said.
pub(crate) fn shared(source: &SourceSettings, group: &str) -> SourceSettings {
    let mut source = source.clone();
    let StreamSourceSettings { group: named, from_sequence, .. } = &mut source.stream;
    if source.from.iter().any(|from| Address::is_meant(from)) && from_sequence.is_none() {
        named.get_or_insert_with(|| group.to_owned());
    }
    source
}
