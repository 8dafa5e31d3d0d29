//! Which devices are wanted, and the names of those that packets were seen on.

use std::fmt;

use anyhow::{Context, bail};
use glob::Pattern;
use hashbrown::HashMap;

use super::device::Device;
use crate::packet::InterfaceId;

/// The name that means every interface that is up.
const ANY: &str = "any";

/// How many names are remembered (some 4 MiB): a year of a host that starts a pod every eight minutes.
/// Further devices share the name `OTHER`.
const MAX_NAMES: usize = 65_536;

/// The name of devices beyond `MAX_NAMES`.
pub(super) const OTHER: &str = "other";

/// Which devices are wanted.
#[derive(Debug)]
pub(super) struct Selection(Vec<Name>);

#[derive(Debug)]
enum Name {
    Any,
    Pattern(Pattern),
    Exact(String),
}

impl Selection {
    /// Reads names, patterns and `any`.
    ///
    /// # Errors
    /// When a pattern is not valid.
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

    /// True if the device is to be attached to now: `any` means those that are up.
    pub(super) fn includes(&self, device: &Device) -> bool {
        self.0.iter().any(|name| match name {
            Name::Any => device.up,
            _ => name.matches(&device.name),
        })
    }

    /// True if the device was named exactly.
    pub(super) fn names(&self, device: &str) -> bool {
        self.0.iter().any(|name| matches!(name, Name::Exact(name) if name == device))
    }

    /// The first device that was named exactly.
    pub(super) fn first_named(&self) -> Option<&str> {
        self.0.iter().find_map(|name| match name {
            Name::Exact(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// True if devices that appear later may be wanted, so that none needs to exist yet.
    pub(super) fn waits(&self) -> bool {
        self.0.iter().any(|name| matches!(name, Name::Pattern(_)))
    }

    /// Checks that every device that was named exactly exists.
    ///
    /// # Errors
    /// When one does not.
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

impl fmt::Display for Selection {
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

/// The names of all devices so far, and which of them a packet was seen on. Packets of a device that is
/// gone may still be in the ring, so no name is forgotten.
#[derive(Debug, Default)]
pub(super) struct Interfaces {
    /// The name for devices that were not attached to, if their packets are captured, too.
    others: Option<String>,
    names: Vec<String>,
    of_index: HashMap<u32, u32>,
}

impl Interfaces {
    /// For packets of devices of any namespace, whose indexes mean nothing here.
    pub(super) fn under_one_name(name: String) -> Self {
        Self { others: Some(name), ..Self::default() }
    }

    /// Adds a device. One that returns under its name has the same id again.
    pub(super) fn add(&mut self, device: &Device) {
        self.put(device.index, &device.name);
    }

    fn place(&mut self, device: &str) -> u32 {
        let known = self.names.iter().position(|name| name == device);
        let place = known.unwrap_or_else(|| {
            if self.names.len() < MAX_NAMES {
                let full = self.names.len() == MAX_NAMES - 1;
                self.names.push(if full { OTHER.to_owned() } else { device.to_owned() });
            }
            self.names.len() - 1
        });
        u32::try_from(place).unwrap_or(u32::MAX)
    }

    fn put(&mut self, index: u32, device: &str) -> u32 {
        let place = self.place(device);
        // Beyond the limit the id is looked up each time, and nothing else changes.
        if self.of_index.len() < MAX_NAMES {
            self.of_index.insert(index, place);
        }
        place
    }

    /// The id of the device with this index, if it was seen before.
    pub(super) fn known(&self, index: u32) -> Option<InterfaceId> {
        self.of_index.get(&index).copied().map(InterfaceId)
    }

    /// The id of this name, which stands for what has no index, as a pod.
    pub(super) fn named(&mut self, name: &str) -> InterfaceId {
        InterfaceId(self.place(name))
    }

    /// Packets with this index belong to what has this id.
    pub(super) fn learn(&mut self, index: u32, id: InterfaceId) {
        // Cgroups come and go without end, and can be learned anew.
        if self.of_index.len() >= MAX_NAMES {
            self.of_index.clear();
        }
        self.of_index.insert(index, id.0);
    }

    /// The id of the device with this index.
    pub(super) fn of(&mut self, index: u32) -> InterfaceId {
        if let Some(known) = self.known(index) {
            return known;
        }
        // It was not attached to: the kernel changed the device of the packet on its way.
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

    fn selection(names: &[&str]) -> Selection {
        Selection::new(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn names_patterns_and_any() {
        let some = selection(&["eth0", "veth*"]);
        for (name, included) in [("eth0", true), ("veth12", true), ("eth01", false), ("lo", false)]
        {
            assert_eq!(some.includes(&device(name, 1, false)), included, "{name}");
        }
        assert!(some.names("eth0") && !some.names("veth12"));
        assert!(selection(&["any"]).includes(&device("x", 1, true)));
        assert!(!selection(&["any"]).includes(&device("x", 1, false)));
        assert!(Selection::new(&["veth[".to_owned()]).is_err());
    }

    #[test]
    fn a_device_that_returns_has_the_same_id_again() {
        let mut interfaces = Interfaces::default();
        interfaces.add(&device("a", 5, true));
        interfaces.add(&device("b", 6, true));
        interfaces.add(&device("a", 9, true));
        assert_eq!(interfaces.names(), ["a", "b"]);
        assert_eq!([5, 6, 9].map(|index| interfaces.of(index).0), [0, 1, 0]);
        assert_eq!(
            (interfaces.of(7).0, interfaces.names().last().map(String::as_str)),
            (2, Some("#7"))
        );
    }

    #[test]
    fn devices_of_any_namespace_share_a_name() {
        let mut interfaces = Interfaces::under_one_name("cgroup x".to_owned());
        assert_eq!([1, 7, 1].map(|index| interfaces.of(index).0), [0, 0, 0]);
        assert_eq!(interfaces.names(), ["cgroup x"]);
    }

    #[test]
    fn names_have_a_limit() {
        let mut interfaces =
            Interfaces { names: vec![String::new(); MAX_NAMES - 1], ..Interfaces::default() };
        for index in 0..3 {
            interfaces.add(&device(&format!("veth{index}"), index, true));
        }
        assert_eq!(interfaces.names().len(), MAX_NAMES);
        assert_eq!(interfaces.names().last().map(String::as_str), Some(OTHER));
        assert_eq!(interfaces.of(2).0 as usize, MAX_NAMES - 1);
    }
}
