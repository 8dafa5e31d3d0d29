//! `mirror` shadows production HTTP traffic without standing in its path.
//!
//! The modules, in the order in which a packet meets them:
//!
//! ```text
//! kernel ──PacketRecord──► source ──Packet──► decode ──Segment──► tcp ──StreamEvent──► http
//!                                                                                       │
//!              replay, files, reports ◄── sink ◄──Cleared── rules ◄──────Exchange───────┘
//! ```
//!
//! Both ends, [`source`] and [`sink`], are traits; the stages between them are plain structs that push
//! into a reused `Vec`, joined by [`pipeline`]. [`config`] says what is meant and [`run`] puts it into
//! practice. [`guard`] keeps production from feeling it. Nothing calls backwards:
//! `tests/outside/layering.rs` holds who may import whom, and `docs/architecture.md` explains it.
#![forbid(unsafe_code)]
// It panics where standard error is closed, and a panic ends the process at once, with its filters still
// attached. Events go through `logging`.
#![cfg_attr(not(test), deny(clippy::print_stderr))]

pub mod admin;
pub mod broker;
pub mod cli;
pub mod config;
pub mod pipeline;

// What needs no host: a crate of its own, which knows neither files nor sockets nor clocks.
pub use mirror_wire::{decode, filter, http, json_path, packet, segment, stats, syntax, tcp};

pub mod beginnings;
pub mod har;
pub mod source;

pub mod rules;

pub mod sink;

mod command;
pub mod compare;
pub mod confine;
pub mod dashboard;
pub mod demo;
pub mod descriptors;
pub mod doctor;
pub mod files;
pub mod fleet;
pub mod guard;
pub mod hooks;
mod listener;
pub mod logging;
pub mod metrics;
pub mod origin;
pub mod otlp;
mod pem;
pub mod priority;
pub mod privileges;
pub mod process;
pub mod progress;
mod psql;
pub mod recorder;
pub mod report;
pub mod run;
pub mod settings;
pub mod shutdown;
pub mod stub;
pub mod summary;
pub mod units;
pub mod version;
mod yaml;

// A server that tests of several modules send to.
#[cfg(test)]
#[path = "../../tests/support/target.rs"]
mod test_target;
