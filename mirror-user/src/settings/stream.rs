//! A stream of NATS JetStream: as the source of a run, and as its target.

use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;

use super::define::settings;
use crate::units::Bytes;

settings! {
    /// Where a stream is the source (`--from nats://HOST:4222/STREAM`): which part of it is taken, and who takes it.
    pub struct StreamSourceSettings under "Stream as source", changed AtNextStart {
        /// Share the stream with all that belong to this group: each request is taken by one of them, and the group goes on where it was. Without it, replay, run and compare belong to the group of the command's name, and others read what is there
        setting group: Option<String> {
            key: "group",
            check: |text| name("a group", text),
            conflicts: &["from-sequence", "to-sequence"],
        }
        /// Begin with this message of the stream, for this process alone, and end with the last that is there at the start
        setting from_sequence: Option<NonZeroU64> { key: "from-sequence" }
        /// End with this message of the stream
        setting to_sequence: Option<NonZeroU64> { key: "to-sequence", requires: "from-sequence" }
        /// File with the seed of the nkey that the server knows this user by
        setting nkey: Option<PathBuf> { key: "nkey", flag: "from-nkey", conflicts: &["credentials"] }
        /// File with a JWT and its seed (`.creds`)
        setting credentials: Option<PathBuf> { key: "credentials", flag: "from-credentials" }
        /// Trust only the certificate authorities in this PEM file
        setting ca: Option<PathBuf> { key: "ca", flag: "from-tls-ca" }
        /// Client certificate with its chain (PEM), for a server that asks for one
        setting cert: Option<PathBuf> { key: "cert", flag: "from-tls-cert", requires: "key" }
        /// Private key of the client certificate (PEM)
        setting key: Option<PathBuf> { key: "key", flag: "from-tls-key", requires: "cert" }
    }
}

settings! {
    /// Where a stream is the target (`nats://HOST:4222/STREAM`): who publishes, what, and what the stream is made with where it is missing. Its TLS is set as an https target's.
    pub struct StreamTargetSettings under "Stream as target", changed AtNextStart {
        /// Publish production's responses, too, for those who compare or store them
        setting responses: bool { key: "responses", flag: "publish-responses" }
        /// Where the stream is missing, make it with so many subjects, over which connections are spread: as many replayers can share the work
        setting shards: Option<NonZeroU32> { key: "shards", flag: "stream-shards", default: "16" }
        /// Where the stream is missing, make it to keep requests so long
        setting age: Option<Duration> { key: "age", flag: "stream-age", default: "1h" }
        /// Where the stream is missing, make it of this size; when it is full, the oldest go
        setting size: Option<Bytes> { key: "size", flag: "stream-size", default: "1GiB" }
        /// File with the seed of the nkey that the server knows this user by
        setting nkey: Option<PathBuf> { key: "nkey", flag: "to-nkey", conflicts: &["credentials"] }
        /// File with a JWT and its seed (`.creds`)
        setting credentials: Option<PathBuf> { key: "credentials", flag: "to-credentials" }
    }
}

/// What a bucket of NATS can be called by.
fn name(what: &str, text: &str) -> Result<(), String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    match !text.is_empty() && text.len() <= 64 && text.chars().all(is_name) {
        true => Ok(()),
        false => Err(format!("{what} has at most 64 letters, digits, - and _")),
    }
}
