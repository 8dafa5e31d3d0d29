//! Limits the load on a target: the circuit breaker and the ramp.

pub(in crate::sink::replay) mod breaker;
pub(in crate::sink::replay) mod health;
pub(in crate::sink::replay) mod ramp;
pub(in crate::sink::replay) mod recent;
