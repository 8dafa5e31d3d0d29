//! Which devices are wanted, and what those were called that packets were seen on.

use std::fmt;

use anyhow::{Context, bail};
use glob::Pattern;
use hashbrown::HashMap;

use super::device::Device;
use crate::packet::InterfaceId;

/// The name that means every interface that is up.
const ANY: &str = "any";

/// Names are remembered up to so many (some 4 MiB): a year of a host that starts a pod every eight
/// minutes. Devices after that share the place `OTHER`.
const MAX_NAMES: usize = 65_536;

/// The name of devices beyond `MAX_NAMES`.
const OTHER: &str = "other";

/// Which devices are wanted.
#[derive(Debug)]
pub(super) struct Wanted(Vec<Name>);

#[derive(Debug)]
enum Name {
    Any,
    Pattern(Pattern),
    Exact(String),
}

impl Wanted {
    /// From names, patterns and `any`.
    ///
    /// # Errors
    /// When a pattern is none.
    pub(super) fn new(names: &[String]) -> anyhow::Result<Self> {
        let read = |name: &String| {
            Ok(match name.as_str() {
                ANY => Name::Any,
                pattern if pattern.contains(['*', '?', '[']) => {
                    Name::Pattern(Pattern::new(pattern).with_context(|| pattern.to_owned())?)
                }
                exact => Name::Exact(exact.to_owned()),
            })
        };
        names.iter().map(read).collect::<anyhow::Result<_>>().map(Self)
    }

    /// True for a device to attach to now: `any` means those that are up.
    pub(super) fn includes(&self, device: &Device) -> bool {
        self.0.iter().any(|name| match name {
            Name::Any => device.up,
            _ => name.matches(&device.name),
        })
    }

    /// True when the device was asked for by its very name.
    pub(super) fn names(&self, device: &str) -> bool {
        self.0.iter().any(|name| matches!(name, Name::Exact(name) if name == device))
    }

    /// The first that was asked for by its very name.
    pub(super) fn first_named(&self) -> Option<&str> {
        self.0.iter().find_map(|name| match name {
            Name::Exact(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// True when devices that will come may be wanted, so that there need be none yet.
    pub(super) fn waits(&self) -> bool {
        self.0.iter().any(|name| matches!(name, Name::Pattern(_)))
    }

    /// Whoever gives a name means a device that is there.
    ///
    /// # Errors
    /// When one is not.
    pub(super) fn check_present(&self, present: &[Device]) -> anyhow::Result<()> {
        for name in &self.0 {
            if let Name::Exact(name) = name
                && !present.iter().any(|device| device.name == *name)
            {
                let have: Vec<&str> = present.iter().map(|device| device.name.as_str()).collect();
                bail!("{name}: no such interface (have: {})", have.join(", "));
            }
        }
        Ok(())
    }
}

impl Name {
    fn matches(&self, device: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Pattern(pattern) => pattern.matches(device),
            Self::Exact(name) => name == device,
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self
            .0
            .iter()
            .map(|name| match name {
                Name::Any => ANY,
                Name::Pattern(pattern) => pattern.as_str(),
                Name::Exact(name) => name,
            })
            .collect();
        f.write_str(&names.join(", "))
    }
}

/// The names of all devices that there were, and which of them a packet was seen on. Packets of a
/// device that is gone may still wait in the ring, so that nothing is forgotten.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// The name of all that were not attached to, when packets of any may come.
    others: Option<String>,
    names: Vec<String>,
    of_index: HashMap<u32, u32>,
}

impl Places {
    /// Packets come from devices of any namespace, whose indexes mean nothing here.
    pub(super) fn all_named(name: String) -> Self {
        Self { others: Some(name), ..Self::default() }
    }

    /// A device that packets will come from. One that returns under its name has its place again.
    pub(super) fn add(&mut self, device: &Device) {
        self.put(device.index, &device.name);
    }

    fn put(&mut self, index: u32, device: &str) -> u32 {
        let known = self.names.iter().position(|name| name == device);
        let place = known.unwrap_or_else(|| {
            if self.names.len() < MAX_NAMES {
                let full = self.names.len() == MAX_NAMES - 1;
                self.names.push(if full { OTHER.to_owned() } else { device.to_owned() });
            }
            self.names.len() - 1
        });
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        // Beyond the limit the place is looked up anew each time, and nothing else changes.
        if self.of_index.len() < MAX_NAMES {
            self.of_index.insert(index, place);
        }
        place
    }

    /// The place of the device with this index.
    pub(super) fn of(&mut self, index: u32) -> InterfaceId {
        if let Some(place) = self.of_index.get(&index) {
            return InterfaceId(*place);
        }
        // Otherwise one that was not attached to: the kernel moved the packet's device under it.
        let name = self.others.clone().unwrap_or_else(|| format!("#{index}"));
        InterfaceId(self.put(index, &name))
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }
}

#[cfg(test)]
mod tests {
    use mirror_common::Link;

    use super::*;

    fn device(name: &str, index: u32, up: bool) -> Device {
        Device { name: name.to_owned(), index, up, loopback: false, link: Link::Ethernet }
    }

    fn wanted(names: &[&str]) -> Wanted {
        Wanted::new(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn names_patterns_and_any() {
        let some = wanted(&["eth0", "veth*"]);
        for (name, included) in [("eth0", true), ("veth12", true), ("eth01", false), ("lo", false)]
        {
            assert_eq!(some.includes(&device(name, 1, false)), included, "{name}");
        }
        assert!(some.names("eth0") && !some.names("veth12"));
        assert!(wanted(&["any"]).includes(&device("x", 1, true)));
        assert!(!wanted(&["any"]).includes(&device("x", 1, false)));
        assert!(Wanted::new(&["veth[".to_owned()]).is_err());
    }

    #[test]
    fn a_device_that_returns_has_its_place_again() {
        let mut places = Places::default();
        places.add(&device("a", 5, true));
        places.add(&device("b", 6, true));
        places.add(&device("a", 9, true));
        assert_eq!(places.names(), ["a", "b"]);
        assert_eq!([5, 6, 9].map(|index| places.of(index).0), [0, 1, 0]);
        assert_eq!((places.of(7).0, places.names().last().map(String::as_str)), (2, Some("#7")));
    }

    #[test]
    fn devices_of_any_namespace_share_a_name() {
        let mut places = Places::all_named("cgroup x".to_owned());
        assert_eq!([1, 7, 1].map(|index| places.of(index).0), [0, 0, 0]);
        assert_eq!(places.names(), ["cgroup x"]);
    }

    #[test]
    fn names_have_a_limit() {
        let mut places = Places { names: vec![String::new(); MAX_NAMES - 1], ..Places::default() };
        for index in 0..3 {
            places.add(&device(&format!("veth{index}"), index, true));
        }
        assert_eq!(places.names().len(), MAX_NAMES);
        assert_eq!(places.names().last().map(String::as_str), Some(OTHER));
        assert_eq!(places.of(2).0 as usize, MAX_NAMES - 1);
    }
}
