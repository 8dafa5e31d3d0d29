//! Capturing and replaying hosts with a real server of NATS between them.

mod hosts;
mod kill;
mod publish;
mod subscribe;

pub(super) use self::hosts::{Host, requests};
