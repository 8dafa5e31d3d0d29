//! Names of hosts, as Istio and the Gateway API write, match and shorten them.

/// What the names of a cluster's services end in; another domain is set up by few.
const CLUSTER: &str = ".svc.cluster.local";

/// The full name of a service: a name with a dot is one already, as Istio has it, and so is an
/// address.
pub(super) fn full_name(host: &str, namespace: &str) -> String {
    if host.contains(['.', ':']) || host == "*" {
        host.to_owned()
    } else {
        format!("{host}.{namespace}{CLUSTER}")
    }
}

/// The service and the namespace of a full name in the cluster.
pub(super) fn in_cluster(host: &str) -> Option<(&str, &str)> {
    let (service, namespace) = host.strip_suffix(CLUSTER)?.split_once('.')?;
    (!namespace.contains('.') && !service.is_empty()).then_some((service, namespace))
}

/// The names under which a host is asked for: a service of the cluster is also asked for by the
/// beginnings of its full name.
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

/// True when `host` is this name, or ends as this one does behind its `*`.
pub(super) fn matches(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some("") => true,
        Some(end) => {
            // `*.example` stands for what is below it, not for itself.
            let host = host.trim_start_matches('*');
            let tail = host.len().checked_sub(end.len()).and_then(|start| host.get(start..));
            tail.is_some_and(|tail| tail.eq_ignore_ascii_case(end))
        }
        None => pattern.eq_ignore_ascii_case(host),
    }
}

/// How specific a pattern is: more is greater, an exact name the greatest.
pub(super) fn specificity(pattern: &str) -> usize {
    if pattern.starts_with('*') { pattern.len() } else { usize::MAX }
}

/// The hosts that are in both, as far as each may have a `*` in front.
pub(super) fn intersection(a: &str, b: &str) -> Option<String> {
    if matches(a, b) { Some(b.to_owned()) } else { matches(b, a).then(|| a.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_two_lists_meet_as_the_gateway_api_says() {
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
    fn a_service_is_asked_for_by_each_beginning_of_its_name() {
        let short = ["items", "items.shop", "items.shop.svc", "items.shop.svc.cluster.local"];
        assert_eq!(spellings("items", "shop"), short);
        assert_eq!(spellings("items.shop.svc.cluster.local", "elsewhere"), short);
        for whole in ["items.example", "*.shop.svc.cluster.local", "*", "192.0.2.1", "items.shop"] {
            assert_eq!(spellings(whole, "shop"), [whole]);
        }
    }
}
