//! Comparing a target's responses with production's, and the page that shows it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::admin::captured;
use super::define::settings;
use crate::rules::sample::Portion;
use crate::sink::replay::TargetUrl;
use crate::units::Bytes;

settings! {
    /// Compares the target's responses with production's. `true` compares with the defaults.
    pub struct CompareSettings under "Comparison", changed WithItsTarget {
        /// URL of a second instance of production's version, which gets a shadow of every request, too. What differs there is noise
        setting control: Option<String> {
            key: "control",
            value: "URL",
            under: "Candidate",
            check: |text| TargetUrl::read(text).map(|_| ()),
        }
        /// Ask the candidate this part of the safe requests (GET, HEAD, OPTIONS) twice, one time after the other. What differs between the two responses is noise
        setting double_send: Option<Portion> { key: "double-send", under: "Candidate", default: "0%" }
        /// Rules about endpoints, fields and noise, as YAML
        setting rules: Option<PathBuf> { key: "rules", under: "Judgement" }
        /// Write one line of JSON for each pair that differs
        setting findings: Option<PathBuf> { key: "findings", under: "Output" }
        /// URL of the candidate in the curl commands of findings [default: that of the candidate, or http://localhost:8080]
        setting curl_url: Option<String> { key: "curl-url", value: "URL", under: "Output" }
    }
}

settings! {
    /// A page in a browser that shows a comparison.
    pub struct DashboardSettings under "Dashboard", changed AtNextStart {
        /// Show the comparison in a browser, at this address; port 0 takes a free one. After the end of recordings `mirror compare` keeps it until Ctrl-C
        setting listen: Option<SocketAddr> { key: "listen", flag: "dashboard" }
        /// File with the token that a browser must show; needed where others than this host reach the address. A new one takes effect at once
        setting token_file: Option<PathBuf> {
            key: "token-file",
            flag: "dashboard-token-file",
            requires: "listen",
        }
        /// Count as Diffy does, too, and answer its JSON API at the dashboard's address: /api/1/overview, /endpoints and so on
        setting diffy_compatible: bool { key: "diffy-compatible", requires: "listen" }
    }
}

settings! {
    /// A file that keeps compared pairs, redacted, so that they can be judged again.
    pub struct StoreSettings under "Store", changed AtNextStart {
        /// Keep compared pairs in this file, redacted, for `mirror compare --report` to judge them again; a file of earlier runs gets more
        setting file: Option<PathBuf> { key: "file", flag: "store" }
        /// Size of the file. When it is full, pairs of which there are many alike go first, and those that stay stand for them
        setting size: Option<Bytes> { key: "size", flag: "store-size", requires: "file", default: "1GiB" }
        /// Delete pairs so long after they were stored
        setting age: Option<Duration> { key: "age", flag: "store-age", requires: "file", default: "7d" }
    }
}

impl DashboardSettings {
    /// What is wrong with the address, for flags and file alike; `None` if nothing is. `is_captured` tells
    /// whether a port is.
    #[must_use]
    pub fn problem(&self, is_captured: impl Fn(u16) -> bool) -> Option<String> {
        let listen = self.listen?;
        if !listen.ip().is_loopback() && self.token_file.is_none() {
            return Some(format!(
                "dashboard {listen}: other hosts could read what is captured; listen on 127.0.0.1, or add a token \
                 file (--dashboard-token-file, dashboard.token-file)"
            ));
        }
        captured("dashboard", listen, is_captured)
    }
}
