//! The file of a stub server.

use std::net::SocketAddr;

use super::FilterSettings;
use super::define::settings;

settings! {
    /// What `mirror stub --config` reads, and `mirror inspect --collaborators --stub-config` writes.
    pub struct StubFileSettings under "Source", changed AtNextStart {
        /// Recordings: capture files, .jsonl files of `mirror capture`, HAR files, or directories of them
        setting from: Vec<String> { key: "from", value: "FILE|DIR" }
        /// Where to listen, as server and as HTTP proxy
        setting listen: Option<SocketAddr> { key: "listen" }
        /// Other names for recorded hosts
        setting aliases: Vec<String> { key: "aliases", value: "NAME[=HOST]" }
        /// Which connections of capture files
        group filter: FilterSettings { key: "filter" }
    }
}
