//! A recorded response: its bytes as they were on the wire, and what a server must know of them.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::http::message::{BodyLength, Exchange, Incomplete, Kept, Message, Spooled, Version};
use crate::stub::Skipped;

/// A response as it was recorded.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Interim responses, head and body; of a long body, only what comes before it.
    pub wire: Bytes,
    /// A long body, in a file, and its length.
    pub rest: Option<(Arc<Spooled>, u64)>,
    /// Its status code.
    pub status: u16,
    /// True if it ends with its connection, by its framing or by what it says.
    pub closes: bool,
}

impl Recorded {
    /// The response of an exchange, behind the interim ones that came before it.
    ///
    /// # Errors
    /// Why it cannot be given again.
    pub(super) fn of(exchange: &Exchange, interim: &[Bytes]) -> Result<Self, Skipped> {
        let response = exchange.response.as_deref().ok_or(Skipped::NoResponse)?;
        let status = response.head.status().ok_or(Skipped::NoResponse)?;
        if response.incomplete.is_some_and(|why| why != Incomplete::BodyNotSent) {
            return Err(Skipped::ResponseIncomplete);
        }
        if status == 101 {
            return Err(Skipped::Tunnel);
        }
        let (body, rest) = match &response.body.wire {
            Kept::Memory(bytes) => (bytes.clone(), None),
            Kept::Nothing if response.body.length == 0 => (Bytes::new(), None),
            Kept::File(file) => {
                let length = file.metadata().map_err(|_| Skipped::BodyNotKept)?.len();
                (Bytes::new(), Some((Arc::clone(file), length)))
            }
            Kept::Nothing | Kept::TooLarge | Kept::Withheld(_) => return Err(Skipped::BodyNotKept),
        };
        // One piece for one write; and a slice would keep the whole chunk of a capture in memory.
        let before: usize = interim.iter().map(Bytes::len).sum();
        let mut wire = BytesMut::with_capacity(before + response.head.raw.len() + body.len());
        interim.iter().for_each(|bytes| wire.extend_from_slice(bytes));
        wire.extend_from_slice(&response.head.raw);
        wire.extend_from_slice(&body);
        Ok(Self { wire: wire.freeze(), rest, status, closes: closes(response) })
    }

    /// A hash of the bytes in memory.
    pub(super) fn hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.wire.hash(&mut hasher);
        hasher.finish()
    }

    /// True if both are the same bytes; those of files are not looked at.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.rest.is_none() && other.rest.is_none() && self.wire == other.wire
    }
}

/// RFC 9112 §9.3.
fn closes(response: &Message) -> bool {
    use crate::http::message::StartLine::Status;
    let says = |option: &str| {
        let values = response.head.values("connection");
        let mut options = values.flat_map(|value| value.split(|byte| *byte == b','));
        options.any(|it| it.trim_ascii().eq_ignore_ascii_case(option.as_bytes()))
    };
    let is_old = matches!(response.head.start, Status { version: Version::Http10, .. });
    response.body.framing == BodyLength::UntilClose
        || says("close")
        || (is_old && !says("keep-alive"))
}
