//! The real program in the real kernel, in network namespaces of the test's own.
//!
//! Almost every test needs root, so that `cargo test` shows it as ignored; `cargo xtask test` runs them,
//! and `cargo xtask kernels` does on older kernels.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod cgroup;
mod choose;
mod collaborators;
mod compare;
mod container;
mod faults;
#[cfg(feature = "nats")]
mod fleet;
mod guards;
mod hooks;
mod memory_limit;
mod metrics;
mod placement;
mod pods;
mod pods_real;
mod privileges;
mod reload;
mod shadow;
mod shed_load;
mod watch;
