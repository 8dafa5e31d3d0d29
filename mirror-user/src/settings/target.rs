//! How a target is reached, what it gets, and when it is left alone.

use std::path::PathBuf;
use std::time::Duration;

use super::define::settings;
use super::fields::FieldLines;
use super::load::LoadSettings;
use super::marks::MarkSettings;
use super::shares::Threshold;
use crate::rules::edit::{Edits, PathPrefix, field_name};

settings! {
    /// How a target is reached, and what it gets. In a configuration file each target has its own.
    pub struct TargetSettings under "Target", changed WithItsTarget {
        /// For an https target.
        group tls: TlsSettings { key: "tls" }
        /// What marks a request.
        group marks: MarkSettings { }
        /// Learn which of the target's values stand for which of production's (cookies, tokens, ids), and replace them in what follows
        setting correlate: bool { key: "correlate" }
        /// How long a connection to the target may take to be made
        setting connect_timeout: Option<Duration> { key: "connect-timeout", default: "2s" }
        /// How long the target may take none of a request, and how long it may take to begin its response; it has three times that to end it
        setting response_timeout: Option<Duration> {
            key: "response-timeout",
            alias: "answer-timeout",
            default: "10s",
        }
        /// How much it gets.
        group load: LoadSettings { }
        /// When it is left alone.
        group breaker: BreakerSettings { key: "breaker" }
        /// What changes of the header.
        group headers: HeaderSettings { key: "headers" }
        /// Replace the first segments of the path: what was asked for below FROM is asked for below TO
        setting path_prefix: Option<PathPrefix> { key: "path-prefix" }
    }
}

settings! {
    /// For an https target: whom to trust, and who we are. Files hold PEM.
    pub struct TlsSettings under "Target", changed WithItsTarget {
        /// Trust the authorities whose certificates are in this PEM file, and no others
        setting ca: Option<PathBuf> { key: "ca", flag: "tls-ca" }
        /// Show this certificate (PEM, with its chain) to a target that asks for one
        setting cert: Option<PathBuf> { key: "cert", flag: "tls-cert", requires: "key" }
        /// The key of that certificate (PEM)
        setting key: Option<PathBuf> { key: "key", flag: "tls-key", requires: "cert" }
        /// The name that the target's certificate must have, sent as SNI; the URL's host unless given
        setting server_name: Option<String> { key: "server-name", flag: "tls-server-name" }
        /// Do not verify the target's certificate: whoever answers at its address is taken for it
        setting insecure: bool { key: "insecure", flag: "tls-insecure", conflicts: &["ca"] }
    }
}

settings! {
    /// Changes of the header, after the marks: first removed, then set, then added.
    pub struct HeaderSettings under "Target", changed WithItsTarget {
        /// Fields that are left out
        setting remove: Vec<String> {
            key: "remove",
            file_only: true,
            check: |name| field_name(name).map(|_| ()),
        }
        /// Give each request this field in place of the captured ones of its name
        setting set: FieldLines { key: "set", flag: "header", value: "NAME: VALUE" }
        /// Fields that are added to those of the same name
        setting add: FieldLines { key: "add", file_only: true }
    }
}

settings! {
    /// When the target is left alone for a while: its circuit breaker.
    pub struct BreakerSettings under "Target", changed WithItsTarget {
        /// Open the circuit breaker, so that the target is left alone, once this share of its requests fails within 10 s; `auto` is 50% for interfaces and off for files
        setting failures: Option<Threshold> { key: "failures", flag: "breaker", default: "auto" }
        /// Count a response that takes longer as a failure
        setting latency: Option<Duration> { key: "latency", flag: "breaker-latency" }
        /// How long a target is left alone before one request probes whether it is well again
        setting rest: Option<Duration> { key: "rest", flag: "breaker-rest", default: "5s" }
    }
}

impl TargetSettings {
    /// What the target sees otherwise than it was captured.
    #[must_use]
    pub fn edits(&self) -> Edits {
        let HeaderSettings { remove, set, add } = self.headers.clone();
        let path_prefix = self.path_prefix.clone();
        Edits { remove, set: set.0, add: add.0, path_prefix, ..Edits::default() }
    }
}
