//! Calls as they were seen, and the services that they make up.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use hashbrown::{HashMap, HashSet};

use super::report::Shared;
use super::seen::{Seen, Speaks};

/// Who is called.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Call {
    /// Outbound only if this is the service's own address.
    pub(super) only_from: Option<IpAddr>,
    pub(super) server: SocketAddr,
    /// `None`: the address is all that is known.
    pub(super) name: Option<String>,
    pub(super) speaks: Speaks,
}

impl Call {
    /// What the one that is called is known as.
    fn into_name(self) -> String {
        self.name.unwrap_or_else(|| self.server.to_string())
    }
}

/// What was said in calls.
pub(super) type Calls = HashMap<Call, Seen>;

/// Services by name and protocol.
pub(super) fn services(calls: Calls) -> BTreeMap<(String, Speaks), Seen> {
    // A connection that was joined in its middle begins with anything.
    let is_http = |call: &&Call| call.speaks == Speaks::Http;
    let read: HashSet<SocketAddr> = calls.keys().filter(is_http).map(|call| call.server).collect();
    let mut services = BTreeMap::<_, Seen>::new();
    for (call, seen) in calls {
        let speaks = call.speaks;
        if speaks != Speaks::Other || !read.contains(&call.server) {
            services.entry((call.into_name(), speaks)).or_default().add(seen);
        }
    }
    services
}

/// What targets called at an address that production calls. The same name at another address is another server, such as a stub.
pub(super) fn shared(of_targets: Calls, production: &Calls) -> Vec<Shared> {
    let called: HashSet<SocketAddr> = production.keys().map(|call| call.server).collect();
    let mut shared = BTreeMap::<String, Seen>::new();
    for (call, seen) in of_targets {
        if called.contains(&call.server) {
            shared.entry(call.into_name()).or_default().add(seen);
        }
    }
    shared.into_iter().map(|(name, seen)| Shared { name, seen }).collect()
}
