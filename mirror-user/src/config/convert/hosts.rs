//! Host names, as Istio and the Gateway API write, match and abbreviate them.

/// Suffix of the names of a cluster's services; other cluster domains are rare.
const CLUSTER: &str = ".svc.cluster.local";

/// The fully qualified name of a service. As in Istio, a name with a dot is already qualified, and so is
/// an address.
pub(super) fn full_name(host: &str, namespace: &str) -> String {
    if host.contains(['.', ':']) || host == "*" {
        host.to_owned()
    } else {
        format!("{host}.{namespace}{CLUSTER}")
    }
}

/// Service and namespace of a fully qualified name in the cluster.
pub(super) fn in_cluster(host: &str) -> Option<(&str, &str)> {
    let (service, namespace) = host.strip_suffix(CLUSTER)?.split_once('.')?;
    (!namespace.contains('.') && !service.is_empty()).then_some((service, namespace))
}

/// The names that clients use for a host: for a service of the cluster, also the abbreviations of its
/// fully qualified name.
pub(super) fn spellings(host: &str, namespace: &str) -> Vec<String> {
    let full = full_name(host, namespace);
    match in_cluster(&full) {
        Some((service, namespace)) if !service.contains('*') => vec![
            service.to_owned(),
            format!("{service}.{namespace}"),
            format!("{service}.{namespace}.svc"),
            full,
        ],
        _ => vec![host.to_owned()],
    }
}

/// True if `host` equals the pattern, or ends with what follows its `*`.
pub(super) fn matches(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some("") => true,
        Some(end) => {
            // `*.example` matches subdomains, not `example` itself.
            let host = host.trim_start_matches('*');
            let tail = host.len().checked_sub(end.len()).and_then(|start| host.get(start..));
            tail.is_some_and(|tail| tail.eq_ignore_ascii_case(end))
        }
        None => pattern.eq_ignore_ascii_case(host),
    }
}

/// Specificity of a pattern: higher is more specific, exact names are the highest.
pub(super) fn specificity(pattern: &str) -> usize {
    if pattern.starts_with('*') { pattern.len() } else { usize::MAX }
}

/// The intersection of two hosts, each possibly with a leading `*`.
pub(super) fn intersection(a: &str, b: &str) -> Option<String> {
    if matches(a, b) { Some(b.to_owned()) } else { matches(b, a).then(|| a.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_intersect_as_the_gateway_api_says() {
        for (a, b, both) in [
            ("*", "a.example", Some("a.example")),
            ("*.example", "a.example", Some("a.example")),
            ("*.example", "b.a.example", Some("b.a.example")),
            ("*.example", "*.a.example", Some("*.a.example")),
            ("*.example", "*.example", Some("*.example")),
            ("*.example", "example", None),
            ("a.example", "A.EXAMPLE", Some("A.EXAMPLE")),
            ("a.example", "b.example", None),
            ("*.a.example", "*.b.example", None),
            ("*.local", "b.shop.svc.cluster.local", Some("b.shop.svc.cluster.local")),
        ] {
            assert_eq!(intersection(a, b).as_deref(), both, "{a} {b}");
            assert_eq!(
                intersection(b, a).map(|host| host.to_lowercase()),
                both.map(str::to_lowercase)
            );
        }
    }

    #[test]
    fn a_service_has_all_abbreviations_of_its_name() {
        let short = ["items", "items.shop", "items.shop.svc", "items.shop.svc.cluster.local"];
        assert_eq!(spellings("items", "shop"), short);
        assert_eq!(spellings("items.shop.svc.cluster.local", "elsewhere"), short);
        for whole in ["items.example", "*.shop.svc.cluster.local", "*", "192.0.2.1", "items.shop"] {
            assert_eq!(spellings(whole, "shop"), [whole]);
        }
    }
}
