//! What of a message is written, and how long the hole is in place of the rest.

use std::borrow::Cow;
use std::io;
use std::os::unix::fs::FileExt;

use crate::http::message::{Body, BodyLength, Flaw, Flaws, Incomplete, Kept, Message, StartLine};

/// A stretch of a stream: bytes that are there, and how many that are not follow them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) bytes: Vec<u8>,
    pub(super) missing: u64,
}

/// The message as it goes into the file: whoever reads that finds the same end of it. The hole of a
/// body that was not kept or may not leave is as long as its framing says (RFC 9112 §6.3). Of one
/// that its connection cut short only the head is written: nothing follows it.
///
/// # Errors
/// When a body that waits in a file cannot be read.
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
        // The framing goes on behind both.
        Some(Incomplete::Gap) => {}
        Some(Incomplete::Refused) => {
            if let Some(damage) = damage(message.flaws) {
                return Ok(vec![whole(damage)]);
            }
        }
        Some(_) => return Ok(vec![whole(&[])]),
    }
    // What a gap lost of a body without a length was one byte at least.
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
            // As one chunk, since its framing was not kept.
            let size = format!("{seen_and_lost:x}\r\n");
            vec![
                Stretch { bytes: [head, size.as_bytes()].concat(), missing: seen_and_lost },
                Stretch { bytes: [b"\r\n", &last[..]].concat(), missing: 0 },
            ]
        }
    })
}

/// True for a whole response without the body that its head announces: it answered HEAD (RFC 9112
/// §6.3). A reader who did not see the request knows that only by what follows.
pub(super) fn omits_body(response: &Message) -> bool {
    let bodiless =
        matches!(response.head.start, StartLine::Status { code: 100..=199 | 204 | 304, .. });
    response.incomplete.is_none() && response.body.framing == BodyLength::None && !bodiless
}

/// The wire bytes of a body; `None` when they were not kept or may not leave.
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

/// Chunk framing that is wrong in the way for which the message was refused.
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
