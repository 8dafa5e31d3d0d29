//! Diffy's own answers, for those who come from it: its lifting, its algebra of differences, its counters and the shapes
//! of its JSON API.
//!
//! Written from what Twitter's Diffy (2020) and opendiffy (2024) do, faults included: strings are parsed again wherever
//! they stand, integers wrap at 64 bits, keys of maps and places in lists are not in paths. The comparison of this crate
//! does none of that; this module is for holding one against the other, and for dashboards that read Diffy's API.

mod algebra;
mod api;
mod collector;
mod counters;
mod value;

pub use self::algebra::{Terminal, differences};
pub use self::api::{Endpoint, Joined, Stats, Told};
pub use self::collector::Collector;
pub use self::counters::Counters;
pub use self::value::{Mode, Value, message};

#[cfg(test)]
mod tests;
