//! Which requests a rule matches. All conditions of a [`Match`] must hold; everything else may be
//! anything.
//!
//! Methods, header values and paths are compared byte for byte, as they were sent. Nothing is decoded or
//! normalized, so a rule sees what the server sees.

mod facts;
mod host;
mod network;
mod path;
mod signature;
mod text;

pub use self::facts::RequestFacts;
pub use self::host::HostPattern;
pub use self::network::{Network, PortRange};
pub use self::path::{PathKind, PathMatch};
pub use self::signature::Signature;
pub use self::text::{Pattern, TextMatch};

/// Conditions on the head of a request and its connection. An empty match matches every request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Match {
    /// One of these methods, case-sensitive (RFC 9110 §9.1); empty: any.
    pub methods: Vec<String>,
    /// One of these hosts; empty: any or none.
    pub hosts: Vec<HostPattern>,
    /// The path of the target, without its query.
    pub path: Option<PathMatch>,
    /// All of these query parameters; names are case-sensitive.
    pub query: Vec<(String, TextMatch)>,
    /// All of these header fields; names in any case.
    pub headers: Vec<(String, TextMatch)>,
    /// The client's address is in one of these; empty: any.
    pub sources: Vec<Network>,
    /// The client's address in a PROXY protocol header is in one of these; empty: any or none.
    pub proxied_sources: Vec<Network>,
    /// The server's address is in one of these; empty: any.
    pub destinations: Vec<Network>,
    /// The client's port is in one of these; empty: any.
    pub source_ports: Vec<PortRange>,
    /// The server's port is in one of these; empty: any.
    pub ports: Vec<PortRange>,
}

impl Match {
    /// True if the request matches. The cheapest conditions are tested first.
    #[must_use]
    pub fn holds(&self, facts: &RequestFacts<'_>) -> bool {
        let Self { methods, hosts, path, query, headers, .. } = self;
        (methods.is_empty() || methods.iter().any(|method| method.as_bytes() == facts.method()))
            && self.connection_holds(facts)
            && (hosts.is_empty() || hosts.iter().any(|host| host.matches(facts.host())))
            && path.as_ref().is_none_or(|path| path.matches(facts.path()))
            && headers.iter().all(|(name, text)| text.matches(facts.header(name).as_deref()))
            && query.iter().all(|(name, text)| text.matches(facts.query(name)))
    }

    fn connection_holds(&self, facts: &RequestFacts<'_>) -> bool {
        let Self { sources, proxied_sources, destinations, source_ports, ports, .. } = self;
        let (client, server) = (facts.client(), facts.server());
        let within =
            |nets: &[Network], ip| nets.is_empty() || nets.iter().any(|net| net.contains(ip));
        let among = |ranges: &[PortRange], port| {
            ranges.is_empty() || ranges.iter().any(|range| range.contains(port))
        };
        among(ports, server.port())
            && among(source_ports, client.port())
            && within(sources, client.ip())
            && within(destinations, server.ip())
            && (proxied_sources.is_empty()
                || facts.proxied_client().is_some_and(|it| within(proxied_sources, it.ip())))
    }

    /// True if this matches every request that `other` matches, as far as that can be determined without
    /// analysing regular expressions.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        covers_any(&self.methods, &other.methods, |a, b| a == b)
            && covers_any(&self.hosts, &other.hosts, HostPattern::covers)
            && match (&self.path, &other.path) {
                (None, _) => true,
                (Some(_), None) => false,
                (Some(wide), Some(narrow)) => wide.covers(narrow),
            }
            && covers_all(&self.query, &other.query, |a, b| a == b)
            && covers_all(&self.headers, &other.headers, |a, b| a.eq_ignore_ascii_case(b))
            && covers_any(&self.sources, &other.sources, Network::covers)
            && covers_any(&self.proxied_sources, &other.proxied_sources, Network::covers)
            && covers_any(&self.destinations, &other.destinations, Network::covers)
            && covers_any(&self.source_ports, &other.source_ports, PortRange::covers)
            && covers_any(&self.ports, &other.ports, PortRange::covers)
    }

    /// True if no request can match both, as far as that can be determined without analysing regular
    /// expressions.
    #[must_use]
    pub fn excludes(&self, other: &Self) -> bool {
        apart(&self.methods, &other.methods, |a, b| a == b)
            || apart(&self.hosts, &other.hosts, |a, b| a.covers(b) || b.covers(a))
            || self.path.as_ref().zip(other.path.as_ref()).is_some_and(|(a, b)| a.excludes(b))
            || exclude_any(&self.query, &other.query, |a, b| a == b)
            || exclude_any(&self.headers, &other.headers, |a, b| a.eq_ignore_ascii_case(b))
            || apart(&self.sources, &other.sources, |a, b| a.covers(b) || b.covers(a))
            || apart(&self.destinations, &other.destinations, |a, b| a.covers(b) || b.covers(a))
            || apart(&self.source_ports, &other.source_ports, PortRange::meets)
            || apart(&self.ports, &other.ports, PortRange::meets)
    }
}

/// For alternatives: true if no pair is compatible.
fn apart<T>(a: &[T], b: &[T], meet: impl Fn(&T, &T) -> bool) -> bool {
    !a.is_empty() && !b.is_empty() && !a.iter().any(|a| b.iter().any(|b| meet(a, b)))
}

/// For lists of which all must hold: true if two conditions on the same name are incompatible.
fn exclude_any(
    a: &[(String, TextMatch)],
    b: &[(String, TextMatch)],
    same: impl Fn(&str, &str) -> bool,
) -> bool {
    a.iter().any(|(name, a)| b.iter().any(|(other, b)| same(name, other) && a.excludes(b)))
}

/// For alternatives.
fn covers_any<T>(wide: &[T], narrow: &[T], covers: impl Fn(&T, &T) -> bool) -> bool {
    wide.is_empty()
        || !narrow.is_empty() && narrow.iter().all(|n| wide.iter().any(|w| covers(w, n)))
}

/// For lists of which all must hold.
fn covers_all(
    wide: &[(String, TextMatch)],
    narrow: &[(String, TextMatch)],
    same: impl Fn(&str, &str) -> bool,
) -> bool {
    wide.iter().all(|(name, w)| narrow.iter().any(|(other, n)| same(name, other) && w.covers(n)))
}

#[cfg(test)]
mod tests;
