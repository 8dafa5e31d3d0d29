//! How a target is reached, what it receives, and when its circuit breaker opens.

use std::path::PathBuf;
use std::time::Duration;

use super::body_mark::BodyMarkSettings;
use super::define::settings;
use super::fields::FieldLines;
use super::load::LoadSettings;
use super::marks::MarkSettings;
use super::shares::{FailureShare, Threshold};
use super::stream::StreamTargetSettings;
use crate::rules::edit::{PathPrefix, RequestEdits, field_name};

settings! {
    /// How a target is reached, and what it receives. In a configuration file, each target has its own.
    pub struct TargetSettings under "Target", changed WithItsTarget {
        /// For an https target.
        group tls: TlsSettings { key: "tls" }
        /// Marks of a request.
        group marks: MarkSettings { }
        /// The mark in the body.
        group body: BodyMarkSettings { key: "mark-body" }
        /// Learn which of the target's values correspond to production's (cookies, tokens, ids), and replace them in later requests
        setting correlate: bool { key: "correlate" }
        /// Timeout for connecting to the target
        setting connect_timeout: Option<Duration> { key: "connect-timeout", default: "2s" }
        /// Timeout for the target to accept more of a request, and to start its response; the whole response may take three times as long
        setting response_timeout: Option<Duration> {
            key: "response-timeout",
            alias: "answer-timeout",
            default: "10s",
        }
        /// Load limits.
        group load: LoadSettings { }
        /// Circuit breaker.
        group breaker: BreakerSettings { key: "breaker" }
        /// What readiness says of it.
        group health: HealthSettings { key: "health" }
        /// A stream as the target.
        group stream: StreamTargetSettings { key: "stream" }
        /// Changes of header fields.
        group headers: HeaderSettings { key: "headers" }
        /// Replace the first segments of the request path: FROM becomes TO
        setting path_prefix: Option<PathPrefix> { key: "path-prefix" }
    }
}

settings! {
    /// TLS for https targets: trusted authorities and the client certificate. Files are PEM.
    pub struct TlsSettings under "Target", changed WithItsTarget {
        /// Trust only the certificate authorities in this PEM file
        setting ca: Option<PathBuf> { key: "ca", flag: "tls-ca" }
        /// Client certificate with its chain (PEM), for a target that asks for one
        setting cert: Option<PathBuf> { key: "cert", flag: "tls-cert", requires: "key" }
        /// Private key of the client certificate (PEM)
        setting key: Option<PathBuf> { key: "key", flag: "tls-key", requires: "cert" }
        /// Name that the target's certificate must have, also sent as SNI [default: the host of the URL]
        setting server_name: Option<String> { key: "server-name", flag: "tls-server-name" }
        /// Do not verify the target's certificate: anyone who can intercept the connection can read it
        setting insecure: bool { key: "insecure", flag: "tls-insecure", conflicts: &["ca"] }
    }
}

settings! {
    /// Changes of header fields, after the marks: remove first, then set, then add.
    pub struct HeaderSettings under "Target", changed WithItsTarget {
        /// Header fields to remove
        setting remove: Vec<String> {
            key: "remove",
            file_only: true,
            check: |name| field_name(name).map(|_| ()),
        }
        /// Set this header field in each request; it replaces captured fields of the same name
        setting set: FieldLines { key: "set", flag: "header", value: "NAME: VALUE" }
        /// Header fields to add; existing fields of the same name stay
        setting add: FieldLines { key: "add", file_only: true }
    }
}

settings! {
    /// The circuit breaker of a target.
    pub struct BreakerSettings under "Target", changed WithItsTarget {
        /// Open the circuit breaker when this share of requests fails within 10 s: no requests are sent until it closes. `auto` is 50% for interfaces and off for files
        setting failures: Option<Threshold> { key: "failures", flag: "breaker", default: "auto" }
        /// Count a response that takes longer than this as a failure
        setting latency: Option<Duration> { key: "latency", flag: "breaker-latency" }
        /// How long the circuit breaker stays open before one request probes the target
        setting rest: Option<Duration> { key: "rest", flag: "breaker-rest", default: "5s" }
    }
}

settings! {
    /// When a target counts as failing: then `/readyz` says so, and a rollout stops.
    pub struct HealthSettings under "Target", changed WithItsTarget {
        /// Not ready while this share of the target's requests within 30 s gets no response or a 5xx, its circuit breaker is open, or its ramp has stopped
        setting errors: Option<FailureShare> { key: "errors", flag: "health-errors", default: "off" }
    }
}

impl TargetSettings {
    /// The edits that are applied to each request for this target.
    #[must_use]
    pub fn edits(&self) -> RequestEdits {
        let HeaderSettings { remove, set, add } = self.headers.clone();
        let path_prefix = self.path_prefix.clone();
        RequestEdits { remove, set: set.0, add: add.0, path_prefix, ..RequestEdits::default() }
    }
}
