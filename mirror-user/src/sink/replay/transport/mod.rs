//! How bytes get to the target and back: its address, the dial through proxies and TLS, the connections
//! that are held, and one exchange over one of them.

pub(in crate::sink::replay) mod connections;
pub(in crate::sink::replay) mod dial;
pub(in crate::sink::replay) mod gate;
pub(in crate::sink::replay) mod proxy;
pub(in crate::sink::replay) mod response;
pub(in crate::sink::replay) mod stream;
pub(in crate::sink::replay) mod target;
pub(in crate::sink::replay) mod target_url;
pub(in crate::sink::replay) mod tls;
pub(in crate::sink::replay) mod upstream;
