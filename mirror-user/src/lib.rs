//! `mirror` shadows production HTTP traffic without standing in its path.
//!
//! The rooms, in the order in which a packet meets them:
//!
//! ```text
//! kernel ──PacketRecord──► source ──Packet──► decode ──Segment──► tcp ──StreamEvent──► http
//!                                                                                       │
//!              replay, files, reports ◄── sink ◄──Cleared── rules ◄──────Exchange───────┘
//! ```
//!
//! The two outer doors, [`source`] and [`sink`], are traits; the rooms between them are plain
//! structs that push into a reused `Vec`. Beside them [`guard`] sees to it that production does not feel
//! them. Nothing calls backwards. `docs/life-of-a-packet.md`
//! walks the same way with one packet in hand.
#![forbid(unsafe_code)]
// It panics where standard error is closed, and a panic ends the process at once, with its filters still
// attached. Events go through `logging`.
#![cfg_attr(not(test), deny(clippy::print_stderr))]

pub mod cli;
pub mod config;
pub mod pipeline;

// What needs no host: a crate of its own, which knows neither files nor sockets nor clocks.
pub use mirror_wire::{decode, filter, http, packet, segment, stats, syntax, tcp};

pub mod source;

pub mod rules;

pub mod sink;

pub mod confine;
pub mod demo;
pub mod descriptors;
pub mod doctor;
pub mod files;
pub mod guard;
pub mod logging;
pub mod priority;
pub mod privileges;
pub mod progress;
pub mod recorder;
pub mod report;
pub mod run;
pub mod settings;
pub mod shutdown;
pub mod summary;
pub mod units;
mod yaml;
