//! HTTP/1 (RFC 9112): both sides of a connection as messages, and which of them belong together.
//!
//! [`conn`] drives one [`reader`] for each side and pairs what they read. A reader looks for a start
//! line ([`start`]), reads the head ([`head`], [`fields`]), decides how the body ends ([`framing`])
//! and passes its bytes on ([`chunk`]). What is exchanged is neutral: [`super::message`].

mod chunk;
pub(super) mod conn;
pub(super) mod fields;
mod framing;
mod head;
mod proxy;
mod reader;
mod request;
mod response;
mod start;
mod waiting;
pub mod whole;

#[cfg(test)]
mod tests;

pub(super) use chunk::{Chunks, Piece};
pub use chunk::{Dechunked, dechunk};
pub use request::{InvalidRequest, ReadRequest, RequestProgress, RequestReader};
pub use response::{InvalidResponse, ResponseProgress, ResponseReader};
