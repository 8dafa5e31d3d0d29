//! Which bytes of a message are written, and how long the gap is in place of the others.

use std::borrow::Cow;
use std::io;
use std::os::unix::fs::FileExt;

use crate::http::message::{Body, BodyLength, Flaw, Flaws, Incomplete, Kept, Message, StartLine};

/// A stretch of a stream: bytes that are written, followed by a number of missing bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) bytes: Vec<u8>,
    pub(super) missing: u64,
}

/// The message as it is written: a reader finds the same end of it. The gap of a body that was not
/// kept, or was withheld, is as long as the framing says (RFC 9112 §6.3). If the connection ended
/// within the body, only the head is written, and nothing follows.
///
/// # Errors
/// If a body in a file cannot be read.
pub(super) fn stretches(message: &Message) -> io::Result<Vec<Stretch>> {
    let (head, body) = (&message.head.raw[..], &message.body);
    let whole = |bytes: &[u8]| Stretch { bytes: [head, bytes].concat(), missing: 0 };
    let has_gap = message.incomplete == Some(Incomplete::Gap);
    match message.incomplete {
        None => {
            if let Some(kept) = kept_bytes(body)? {
                return Ok(vec![whole(&kept)]);
            }
        }
        // Both keep their framing.
        Some(Incomplete::Gap) => {}
        Some(Incomplete::Refused) => {
            if let Some(damage) = damage(message.flaws) {
                return Ok(vec![whole(damage)]);
            }
        }
        Some(_) => return Ok(vec![whole(&[])]),
    }
    // A gap in a body without a length is at least one byte.
    let seen_and_lost = body.length.saturating_add(u64::from(has_gap));
    Ok(match body.framing {
        BodyLength::None => vec![whole(&[])],
        BodyLength::Length(n) => {
            vec![Stretch { bytes: head.to_vec(), missing: if has_gap { n } else { body.length } }]
        }
        BodyLength::UntilClose => vec![Stretch { bytes: head.to_vec(), missing: seen_and_lost }],
        BodyLength::Chunked => {
            let last = [b"0\r\n", &body.trailer_bytes[..], b"\r\n"].concat();
            if seen_and_lost == 0 {
                return Ok(vec![whole(&last)]);
            }
            // As one chunk, because the original chunks were not kept.
            let size = format!("{seen_and_lost:x}\r\n");
            vec![
                Stretch { bytes: [head, size.as_bytes()].concat(), missing: seen_and_lost },
                Stretch { bytes: [b"\r\n", &last[..]].concat(), missing: 0 },
            ]
        }
    })
}

/// True for a complete response without the body that its head announces: a response to HEAD (RFC
/// 9112 §6.3). Without the request, a reader knows this only from what follows.
pub(super) fn omits_body(response: &Message) -> bool {
    let bodiless =
        matches!(response.head.start, StartLine::Status { code: 100..=199 | 204 | 304, .. });
    response.incomplete.is_none() && response.body.framing == BodyLength::None && !bodiless
}

/// The wire bytes of a body; `None` if they were not kept or were withheld.
fn kept_bytes(body: &Body) -> io::Result<Option<Cow<'_, [u8]>>> {
    Ok(match &body.wire {
        Kept::Memory(bytes) => Some(Cow::Borrowed(&bytes[..])),
        Kept::File(file) => {
            let mut bytes = vec![0; usize::try_from(file.metadata()?.len()).unwrap_or_default()];
            file.read_exact_at(&mut bytes, 0)?;
            Some(Cow::Owned(bytes))
        }
        Kept::Nothing => Some(Cow::default()),
        Kept::TooLarge | Kept::Withheld(_) => None,
    })
}

/// Chunk framing with the same flaw as the one for which the message was refused.
fn damage(flaws: Flaws) -> Option<&'static [u8]> {
    flaws.iter().find_map(|flaw| {
        Some(match flaw {
            Flaw::BadChunkSize => &b"!\r\n"[..],
            Flaw::BadChunkEnd => b"1\r\n!!!",
            Flaw::BadTrailer => b"0\r\n!\r\n\r\n",
            _ => return None,
        })
    })
}
