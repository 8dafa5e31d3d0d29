//! Requests that ask only whether a server is alive. A mesh never shadows them, as they do not pass
//! its proxies; on the server's own wire they do pass, and on an idle service they are most of what
//! does.

use crate::http::message::Head;

/// How the `User-Agent` of a probe begins, in any case.
const PROBERS: [&str; 6] = [
    "kube-probe/",                         // the kubelet; Istio's agent passes it on
    "ELB-HealthChecker/",                  // AWS load balancers
    "Amazon-Route53-Health-Check-Service", // AWS DNS
    "GoogleHC/",                           // Google Cloud load balancers
    "Envoy/HC",                            // Envoy's active health checks
    "Consul Health Check",                 // the Consul agent
];

/// True for the request of a kubelet, a load balancer or a proxy that looks after its servers. Only
/// its name says so: a path such as `/healthz` may be anything.
pub(super) fn is_probe(head: &Head) -> bool {
    head.field("user-agent").is_some_and(|agent| {
        PROBERS.iter().any(|prober| {
            agent
                .get(..prober.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(prober.as_bytes()))
        })
    })
}
