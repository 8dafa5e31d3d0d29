//! Recognizes health probes. A service mesh never mirrors them, because they do not pass its proxies;
//! on the server's own wire they appear, and on an idle service they are most of the traffic.

use crate::http::message::Head;

/// Prefixes of the `User-Agent` of probes, in any case.
const PROBERS: [&str; 6] = [
    "kube-probe/",                         // the kubelet; Istio's agent forwards it
    "ELB-HealthChecker/",                  // AWS load balancers
    "Amazon-Route53-Health-Check-Service", // AWS DNS
    "GoogleHC/",                           // Google Cloud load balancers
    "Envoy/HC",                            // Envoy's active health checks
    "Consul Health Check",                 // the Consul agent
];

/// True for a health probe of a kubelet, load balancer or proxy. Only the `User-Agent` counts: a path
/// such as `/healthz` may be anything.
pub(super) fn is_probe(head: &Head) -> bool {
    head.field("user-agent").is_some_and(|agent| {
        PROBERS.iter().any(|prober| {
            agent
                .get(..prober.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(prober.as_bytes()))
        })
    })
}
