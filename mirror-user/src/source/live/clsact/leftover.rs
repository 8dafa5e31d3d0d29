//! Filters that were left by mirrors that have ended.

use std::fmt;
use std::io;

use mirror_common::names;

use super::super::claim::Claim;
use super::super::netlink::{Filter, Place, Qdisc, Side};
use super::{is_of, remove};

/// A filter that seems to belong to a mirror that has ended.
pub(in crate::source::live) struct Leftover {
    pub(in crate::source::live) device: u32,
    side: Side,
    place: Place,
    pub(in crate::source::live) name: String,
    pub(in crate::source::live) program: u32,
    pub(in crate::source::live) tag: u64,
}

impl Leftover {
    /// Those of every device of this namespace. The kernel removes links with their process; filters of
    /// clsact stay.
    ///
    /// # Errors
    /// When the kernel does not list them.
    pub(in crate::source::live) fn all() -> io::Result<Vec<Self>> {
        let mut leftovers = Vec::new();
        for (device, _) in Qdisc::all()? {
            for side in Side::BOTH {
                for Filter { place, name, program, .. } in Filter::all(device, side)? {
                    let Some((program, tag)) = program else { continue };
                    let is_named = names::PROGRAMS.contains(&name.as_str());
                    if is_named && Claim::exists_on(program) == Some(false) {
                        leftovers.push(Self { device, side, place, name, program, tag });
                    }
                }
            }
        }
        Ok(leftovers)
    }

    pub(in crate::source::live) fn remove(self) {
        let Self { place, program, .. } = self;
        let which = |filter: &Filter| filter.place == place && is_of(filter, program);
        remove((self.device, self.side), which);
    }
}

impl fmt::Display for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { side, place: Place { priority, handle }, name, .. } = self;
        write!(f, "{} pref {priority} handle {handle:#x} bpf ({name})", side.name())
    }
}
