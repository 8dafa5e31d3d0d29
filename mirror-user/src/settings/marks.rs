//! How shadow requests are marked, and whether requests that no customer sent are replayed.

use super::define::settings;
use crate::rules::Noise;
use crate::rules::tag::{Ambiguous, Baggage, HostPolicy, Mode};
use crate::rules::trace::Trace;

settings! {
    /// Marks of a shadow request. `X-Shadow-Request` is always added, so that it is never shadowed
    /// again.
    pub struct MarkSettings under "Marking", changed WithItsTarget {
        /// The Host header that the target sees: as captured (keep), with `-shadow` appended to the host name (suffix), the target's own (target), or NAME
        setting host: Option<HostPolicy> { key: "host", default: "suffix" }
        /// Append `-shadow` to IP addresses, too
        setting suffix_addresses: bool { key: "suffix-addresses" }
        /// What the target is asked to do with the effects of a request
        setting mode: Option<Mode> { key: "mode", default: "replay" }
        /// The W3C trace context of the shadow request
        setting trace: Option<Trace> { key: "trace", default: "new" }
        /// Whether to add `baggage: synthetic_request=true`
        setting baggage: Option<Baggage> { key: "baggage", default: "add" }
        /// What to do with requests whose framing is ambiguous (request smuggling)
        setting ambiguous: Option<Ambiguous> { key: "ambiguous", default: "drop", under: "Rules" }
    }
}

settings! {
    /// Requests that no customer sent.
    pub struct NoiseSettings under "Rules", changed AtOnce {
        /// What to do with health probes of kubelets, load balancers and proxies
        setting probes: Option<Noise> { key: "probes", value: "PROBES", default: "drop" }
        /// What to do with a proxy's retries of a request that was already mirrored
        setting retries: Option<Noise> { key: "retries", value: "RETRIES", default: "drop" }
    }
}
