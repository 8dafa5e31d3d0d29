//! Moves bytes between the replay and its target: addresses, dialing (through proxies and TLS), the
//! connection pool, and one request/response exchange over a connection.

pub(in crate::sink::replay) mod backoff;
pub(in crate::sink::replay) mod connections;
pub(in crate::sink::replay) mod dial;
mod probe;
pub(in crate::sink::replay) mod proxy;
pub(in crate::sink::replay) mod room;
pub(in crate::sink::replay) mod stream;
pub(in crate::sink::replay) mod target;
pub(in crate::sink::replay) mod target_url;
pub(in crate::sink::replay) mod tls;
pub(in crate::sink::replay) mod upstream;
