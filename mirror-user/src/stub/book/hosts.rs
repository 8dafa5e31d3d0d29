//! Which recorded host a request means.

use std::net::IpAddr;

use hashbrown::HashMap;

use super::Scope;
use crate::stub::canonical;

/// The hosts that stubs were recorded of.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    /// Each as it was recorded, and by its name alone where no other port of it was recorded.
    known: HashMap<Box<[u8]>, Known>,
    aliases: HashMap<Box<[u8]>, Option<Box<[u8]>>>,
}

#[derive(Clone, Debug)]
enum Known {
    /// As it was recorded.
    Whole,
    /// The name alone of this one.
    Name(Box<[u8]>),
    /// The name alone of several.
    Several,
}

impl Hosts {
    /// With other names: of a recorded host, or, as `None`, of this server.
    pub(super) fn new(aliases: &[(String, Option<String>)]) -> Self {
        let plain =
            |name: &String| canonical::host(name.as_bytes()).into_owned().into_boxed_slice();
        let alias =
            |(name, host): &(String, Option<String>)| (plain(name), host.as_ref().map(plain));
        Self { aliases: aliases.iter().map(alias).collect(), known: HashMap::new() }
    }

    /// A stub was recorded of this host.
    pub(super) fn add(&mut self, host: &[u8]) {
        if matches!(self.known.insert(host.into(), Known::Whole), Some(Known::Whole)) {
            return;
        }
        let name = name(host);
        match self.known.get_mut(name) {
            None => {
                self.known.insert(name.into(), Known::Name(host.into()));
            }
            Some(known @ Known::Name(_)) => *known = Known::Several,
            Some(Known::Whole | Known::Several) => {}
        }
    }

    /// Those that were recorded.
    pub(super) fn names(&self) -> Vec<String> {
        let whole = self.known.iter().filter(|(_, known)| matches!(known, Known::Whole));
        let mut names: Vec<String> =
            whole.map(|(host, _)| String::from_utf8_lossy(host).into_owned()).collect();
        names.sort();
        names
    }

    /// Whose stubs answer a request to `host`. One that reaches this server under a name that was not recorded is
    /// answered by nobody, so that one service never answers for another; unless it names this server itself: by
    /// an address, as `localhost`, or by an alias. A proxy is told the host on purpose, so that there only
    /// recorded ones count.
    pub(super) fn scope<'a>(&'a self, host: &'a [u8], is_absolute: bool) -> Scope<'a> {
        match self.known(host) {
            Scope::Unknown => {}
            found => return found,
        }
        let alias = self.aliases.get(host).or_else(|| self.aliases.get(name(host)));
        match alias {
            Some(Some(of)) => self.known(of),
            Some(None) => Scope::Any,
            None if !is_absolute && is_of_itself(host) => Scope::Any,
            None => Scope::Unknown,
        }
    }

    fn known<'a>(&'a self, host: &'a [u8]) -> Scope<'a> {
        let found = self.known.get_key_value(host).or_else(|| self.known.get_key_value(name(host)));
        match found {
            Some((whole, Known::Whole)) => Scope::Host(whole),
            Some((_, Known::Name(of))) => Scope::Host(of),
            Some((_, Known::Several)) | None => Scope::Unknown,
        }
    }
}

/// A host without its port.
fn name(host: &[u8]) -> &[u8] {
    match memchr::memrchr(b':', host) {
        Some(at) if host.get(at + 1..).is_some_and(|port| port.iter().all(u8::is_ascii_digit)) => {
            host.get(..at).unwrap_or(host)
        }
        _ => host,
    }
}

fn is_of_itself(host: &[u8]) -> bool {
    let name = name(host);
    let address = name.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]")).unwrap_or(name);
    let is_address =
        || std::str::from_utf8(address).is_ok_and(|text| text.parse::<IpAddr>().is_ok());
    name == b"localhost" || is_address()
}
