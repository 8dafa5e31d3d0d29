//! HAR files in, what was said on connections out: HTTP Archive 1.1 and 1.2, as browsers, proxies and mirror write
//! them.
//!
//! A file is read twice and never held: once to find where its entries are and when they began ([`Index`]), then
//! entry by entry in the order of their times ([`Reader`]). An entry becomes the bytes of a request and a response
//! ([`Dialogue`]) that the `http` stage reads like captured ones, so that its limits, flaws and counters apply.
//!
//! What a HAR does not hold is not made up. A body that was left out is a gap. Bodies are kept there as content, so a
//! `Content-Encoding` is applied anew: content and fields are as recorded, the compressed bytes are not.
//!
//! Refuses files that are not JSON or have no `log.entries`; entries that hold no HTTP exchange are dropped for a
//! named reason ([`NotRead`]). Remembers 24 bytes for each entry, and one entry at a time.

mod content;
mod dialogue;
mod entry;
mod fields;
mod index;
mod place;
mod reader;
mod scan;
#[cfg(test)]
mod tests;

use enum_map::Enum;
use mirror_common::Outcome as Judged;
use strum::IntoStaticStr;

pub use self::dialogue::{Dialogue, Ends, Part};
pub use self::entry::Entry;
pub use self::index::{Index, MAX_ENTRIES};
pub use self::reader::{Outcome, Reader};
pub use self::scan::{Damage, Found, Scanner};

/// Bytes of one entry: a response of 32 MiB in base64 and its heads, beyond what redaction and comparison read of a
/// body. A longer one is [`NotRead::TooLarge`].
pub const MAX_ENTRY_BYTES: u64 = 48 << 20;

/// Why an entry was not read: "it was …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum NotRead {
    /// Not what HAR calls an entry: not an object, or without a request, its method or its URL.
    Malformed,
    /// Longer than [`MAX_ENTRY_BYTES`].
    TooLarge,
    /// One more than [`MAX_ENTRIES`].
    TooMany,
    /// Without a time with its zone (RFC 3339).
    BadTime,
    /// Of a scheme that is not HTTP, such as `data:`, `blob:` or `ws:`.
    NotHttp,
    /// Answered by a browser's cache or service worker: no server saw it.
    FromCache,
    /// With a method, field or target that HTTP cannot carry.
    BadField,
    /// With a body that says it is base64 and is not.
    BadBody,
    /// Between ports that are not watched.
    NotWatched,
    /// Of other networks.
    OtherNetwork,
    /// Not in the sample.
    SampledOut,
    /// Not readable when its turn came: the file was changed or removed meanwhile.
    Unreadable,
}

/// Why a connection is not wanted, as the kernel program would have counted it.
impl From<Judged> for NotRead {
    fn from(outcome: Judged) -> Self {
        match outcome {
            Judged::OtherNetwork => Self::OtherNetwork,
            Judged::SampledOut => Self::SampledOut,
            _ => Self::NotWatched,
        }
    }
}
