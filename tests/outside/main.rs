//! What needs no privilege: the program as its user has it, and the library as a program has it.
//! Where a server or a judge is missing, its tests are ignored.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod admin;
mod behaviour;
mod bodies;
mod brief;
mod chart;
mod cli;
mod compare;
mod config;
mod contract;
mod correlate;
mod dashboard;
mod database;
mod exact;
mod faults;
#[cfg(feature = "nats")]
mod fleet;
mod har;
mod hooks;
mod hostile;
mod layering;
mod memory;
mod metrics;
mod packages;
mod pipeline;
mod plan;
mod preflight;
mod redaction;
mod replay;
mod stages;
mod store;
mod stub;
mod stubs;
mod targets;
#[cfg(feature = "otlp")]
mod telemetry;
