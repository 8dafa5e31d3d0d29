//! Subsets of services: their URLs from flags, or the addresses of Services and endpoints that have their
//! labels.

use super::finding::Findings;
use super::hosts::in_cluster;
use super::service::{
    Address, Backend, Named, Services, Wanted, is_named, namespace, number, selects,
};
use crate::yaml::Node;

impl<'a> Services<'a> {
    /// The URL of a subset given by a flag; the outer `None` means that it is ambiguous, and a finding says why.
    pub(super) fn subset_url(
        &self,
        wanted: &Wanted<'_>,
        findings: &mut Findings,
    ) -> Option<Option<&'a str>> {
        let Some(subset) = wanted.subset else { return Some(None) };
        let short = in_cluster(wanted.host).map(|(service, _)| service);
        let known = self.subsets.iter().filter(|one| one.name == subset);
        let is_host = |host: &str| host == wanted.host || Some(host) == short;
        let exact = known.clone().find(|one| one.host.as_deref().is_some_and(is_host));
        let Some(found) = exact.or_else(|| known.clone().find(|one| one.host.is_none())) else {
            return Some(None);
        };
        let others = self.rules.iter().filter(|rule| {
            let subsets = rule.document.at(&["spec", "subsets"]).map(Node::items);
            rule.host != wanted.host
                && subsets.unwrap_or_default().iter().any(|one| is_named(one, subset))
        });
        if found.host.is_none() && others.count() > 0 {
            let why = format!(
                "several hosts have a subset {subset}; name the host in the flag: --subset \
                 {}/{subset}=URL",
                short.unwrap_or(wanted.host)
            );
            findings.refused(wanted.line, wanted.field, &why);
            return None;
        }
        Some(Some(&found.url))
    }

    /// The subset's own address: that of a Service that selects its labels, or of the only endpoint of a
    /// ServiceEntry with them.
    pub(super) fn subset_address(
        &self,
        wanted: &Wanted<'_>,
        subset: &str,
        findings: &mut Findings,
    ) -> Option<Address> {
        let Wanted { host, line, field, client, .. } = *wanted;
        let same = |one: &Backend| one.host == host && one.subset.as_deref() == Some(subset);
        let labels = self.subset(host, subset, client).and_then(|subset| subset.field("labels"));
        let labels = labels.filter(|labels| !labels.fields().is_empty());
        let shared = wanted.production.iter().any(same);
        if !shared && let Some(labels) = labels {
            if let Some(entry) = self.entry(host, client) {
                return self.external(entry, wanted, Some(labels), findings);
            }
            match self.selecting(wanted, labels).as_slice() {
                [] => {}
                [own] => {
                    let why = format!(
                        "subset {subset} is assumed to be Service {}, which selects its labels",
                        own.host
                    );
                    findings.approximated(line, field, &why);
                    let port = self.port_of(own, wanted);
                    return self.internal(&Wanted { port, ..wanted.at() }, &own.host, findings);
                }
                several => {
                    let names: Vec<&str> = several.iter().map(|one| one.host.as_str()).collect();
                    let why = format!(
                        "the Services {} all select subset {subset}; choose one: {}",
                        names.join(", "),
                        flag(wanted, subset)
                    );
                    findings.refused(line, field, &why);
                    return None;
                }
            }
        }
        let labels: Vec<String> = labels
            .map(Node::fields)
            .unwrap_or_default()
            .iter()
            .map(|(key, value)| format!("{}: {}", key.text, value.text().unwrap_or_default()))
            .collect();
        let selector = match labels.as_slice() {
            [] => String::new(),
            labels => format!(" with selector {{{}}}", labels.join(", ")),
        };
        let production = wanted.production.iter().any(|one| one.host == host);
        let why = if shared {
            format!(
                "production's requests also go to subset {subset} of {host}: its pods would get each \
                 of them twice; if there are pods that production does not use, give their URL: {}",
                flag(wanted, subset)
            )
        } else {
            format!(
                "subset {subset} of {host} has no address of its own{}; add a Service for it{selector} \
                 to the file, or give its URL: {}",
                if production { ", and the host's is also production's" } else { "" },
                flag(wanted, subset)
            )
        };
        findings.refused(line, field, &why);
        None
    }

    /// The Services of the same application that select only pods with these labels.
    fn selecting(&self, wanted: &Wanted<'_>, labels: &Node) -> Vec<&Named<'a>> {
        let selector = |one: &Named<'a>| one.document.at(&["spec", "selector"]);
        let base = self.services.iter().find(|one| one.host == wanted.host);
        let base = base.and_then(selector);
        let of = in_cluster(wanted.host).map(|(_, namespace)| namespace);
        let found = self.services.iter().filter(|one| {
            let own = selector(one);
            of == Some(namespace(one.document))
                && !wanted.production.iter().any(|other| other.host == one.host)
                && selects(own, labels)
                && base.is_none_or(|base| selects(own, base))
        });
        found.collect()
    }

    /// The port of a subset's Service: its only port, otherwise the same number.
    fn port_of(&self, own: &Named<'_>, wanted: &Wanted<'_>) -> Option<u16> {
        let ports = own.document.at(&["spec", "ports"]).map(Node::items).unwrap_or_default();
        match ports {
            [only] => number(only),
            _ => wanted.port,
        }
    }
}

impl Wanted<'_> {
    fn at(&self) -> Wanted<'_> {
        Wanted { ..*self }
    }
}

/// The flag for the URL of a subset, with an example URL.
fn flag(wanted: &Wanted<'_>, subset: &str) -> String {
    let port = wanted.port.unwrap_or(80);
    let own = match in_cluster(wanted.host) {
        Some((service, namespace)) => format!("{service}-{subset}.{namespace}.svc.cluster.local"),
        None => format!("{subset}.{}", wanted.host),
    };
    format!("--subset {subset}=http://{own}:{port}")
}
