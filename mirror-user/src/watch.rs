//! Which TCP ports are watched.

/// A set of ports; empty means all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ports(Vec<u16>);

impl Ports {
    /// The set of `ports`.
    #[must_use]
    pub fn new(mut ports: Vec<u16>) -> Self {
        ports.sort_unstable();
        ports.dedup();
        Self(ports)
    }

    /// True when packets between these two ports count.
    #[must_use]
    pub fn watch(&self, source: u16, destination: u16) -> bool {
        self.0.is_empty() || self.contains(source) || self.contains(destination)
    }

    /// True when `port` is one of the set.
    #[must_use]
    pub fn contains(&self, port: u16) -> bool {
        self.0.binary_search(&port).is_ok()
    }

    /// The ports in ascending order.
    #[must_use]
    pub fn as_slice(&self) -> &[u16] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_ports_are_all_ports() {
        assert!(Ports::default().watch(1, 2));
        let web = Ports::new(vec![8080, 80, 80]);
        assert!(web.watch(80, 40_000) && web.watch(40_000, 8080) && !web.watch(40_000, 443));
        assert_eq!(web.as_slice(), [80, 8080]);
    }
}
