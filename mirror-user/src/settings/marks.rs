//! How shadow requests are marked, and what becomes of requests that no customer sent.

use super::define::settings;
use crate::rules::Noise;
use crate::rules::tag::{Ambiguous, Baggage, HostPolicy, Mode};
use crate::rules::trace::Trace;

settings! {
    /// What marks a shadow request besides `X-Shadow-Request`, which it always bears, so that it is
    /// never shadowed again.
    pub struct MarkSettings under "Marking", changed WithItsTarget {
        /// The Host that the target sees: as recorded, with `-shadow` before its port, the target's own, or NAME
        setting host: Option<HostPolicy> { key: "host", default: "suffix" }
        /// Append the suffix to IP addresses, too
        setting suffix_addresses: bool { key: "suffix-addresses" }
        /// What the target is asked to do with a request (rollback adds `X-Shadow-Mode: rollback`)
        setting mode: Option<Mode> { key: "mode", default: "replay" }
        /// The W3C trace that the shadow belongs to
        setting trace: Option<Trace> { key: "trace", default: "new" }
        /// Whether `baggage: synthetic_request=true` is added
        setting baggage: Option<Baggage> { key: "baggage", default: "add" }
        /// Whether requests that can be read in two ways are sent, byte for byte
        setting ambiguous: Option<Ambiguous> { key: "ambiguous", default: "drop", under: "Rules" }
    }
}

settings! {
    /// What becomes of requests that no customer sent.
    pub struct NoiseSettings under "Rules", changed AtOnce {
        /// Whether health probes of kubelets, load balancers and proxies are sent
        setting probes: Option<Noise> { key: "probes", value: "PROBES", default: "drop" }
        /// Whether a proxy's further attempts at a request that was let out are sent
        setting retries: Option<Noise> { key: "retries", value: "RETRIES", default: "drop" }
    }
}
