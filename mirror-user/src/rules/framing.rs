//! Removes and restores the framing of a body (RFC 9112 §6, §7).

use std::borrow::Cow;
use std::io::Write;
use std::os::unix::fs::FileExt;

use super::redact::Unredactable;
use crate::http::message::{Body, BodyLength, Kept};
use crate::http::{Dechunked, dechunk};

/// Maximum size of a body that is scanned or changed, encoded and decoded, in bytes: both are in memory at once.
pub const MAX_BODY_BYTES: usize = 16 << 20;

/// A body without its framing.
pub(super) struct Unframed<'a> {
    pub(super) content: Cow<'a, [u8]>,
    /// True if its chunks have extensions.
    pub(super) extended: bool,
}

/// Removes the framing; `None` if nothing was kept.
pub(super) fn unframe(body: &Body) -> Result<Option<Unframed<'_>>, Unredactable> {
    let wire = match &body.wire {
        Kept::Nothing | Kept::TooLarge | Kept::Withheld(_) => return Ok(None),
        Kept::Memory(bytes) => Cow::Borrowed(&bytes[..]),
        Kept::File(file) => Cow::Owned(read(file)?),
    };
    if wire.len() > MAX_BODY_BYTES {
        return Err(Unredactable::TooLarge);
    }
    if body.framing != BodyLength::Chunked {
        return Ok(Some(Unframed { content: wire, extended: false }));
    }
    // The input ends before the body does, or is not a chunked body.
    let Dechunked { content, extended, .. } = dechunk(&wire).ok_or(Unredactable::Incomplete)?;
    // Also where a trailer has a `;`; then it is built anew for nothing.
    Ok(Some(Unframed { content: Cow::Owned(content), extended }))
}

fn read(file: &std::fs::File) -> Result<Vec<u8>, Unredactable> {
    let length = file.metadata().map_err(|_| Unredactable::ReadFailed)?.len();
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > MAX_BODY_BYTES {
        return Err(Unredactable::TooLarge);
    }
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, 0).map_err(|_| Unredactable::ReadFailed)?;
    Ok(bytes)
}

/// True for a field that is a digest of the body: wrong once the body was changed, and before, something to try values
/// against.
pub(super) fn is_digest(name: &[u8]) -> bool {
    const DIGESTS: [&[u8]; 5] =
        [b"content-md5", b"content-digest", b"digest", b"repr-digest", b"x-amz-content-sha256"];
    DIGESTS.iter().any(|digest| digest.eq_ignore_ascii_case(name))
}

/// Frames content like the original body; a chunked one becomes a single chunk.
pub(super) fn frame(framing: BodyLength, content: Vec<u8>, trailer: &[u8]) -> Vec<u8> {
    if framing != BodyLength::Chunked {
        return content;
    }
    let mut wire = Vec::with_capacity(content.len() + trailer.len() + 32);
    if !content.is_empty() {
        write!(wire, "{:x}\r\n", content.len()).expect("writing to a Vec cannot fail");
        wire.extend_from_slice(&content);
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b"0\r\n");
    wire.extend_from_slice(trailer);
    wire.extend_from_slice(b"\r\n");
    wire
}
