//! The content of a message, with its codings undone: what formats hold that know no wire.

use std::borrow::Cow;
use std::io::{self, Read};

use crate::http::coding::{self, Undecodable};
use crate::http::message::{Kept, Message};
use crate::rules::multipart::parameter;

/// Bytes of content after decoding; beyond, it is left out. Twice what redaction reads.
pub(super) const MAX_DECODED_BYTES: usize = 32 << 20;

/// Content as far as it is there.
pub(super) struct Decoded {
    /// The bytes.
    pub(super) bytes: Vec<u8>,
    /// They are still in the codings of `Content-Encoding`, because those could not be undone.
    pub(super) is_coded: bool,
}

/// Why content is not there: "it was …".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absent {
    /// Not kept, because it was too long.
    TooLarge,
    /// Withheld by the rules, with this name of the reason.
    Withheld(&'static str),
    /// Not asked for.
    NotKept,
}

/// The content of a message. Of an incomplete one, what there is.
///
/// # Errors
/// If a spooled body cannot be read.
pub(super) fn content(message: &Message) -> io::Result<Result<Decoded, Absent>> {
    let body = &message.body;
    let Some(content) = body.content() else {
        return Ok(Err(match body.wire {
            Kept::Withheld(why) => Absent::Withheld(why),
            Kept::TooLarge => Absent::TooLarge,
            _ => Absent::NotKept,
        }));
    };
    let mut bytes = Vec::new();
    match content.take(MAX_DECODED_BYTES as u64 + 1).read_to_end(&mut bytes) {
        Ok(_) => {}
        // Chunks that break off in disorder; what came before is content.
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {}
        Err(error) => return Err(error),
    }
    if bytes.len() > MAX_DECODED_BYTES {
        return Ok(Err(Absent::TooLarge));
    }
    let undone = coding::codings(message.head.values("content-encoding")).and_then(|codings| {
        match bytes.is_empty() {
            true => Ok(Cow::Borrowed(&[][..])),
            false => coding::undo(&codings, Cow::Borrowed(&bytes), MAX_DECODED_BYTES),
        }
    });
    Ok(match undone {
        Ok(Cow::Owned(bytes)) => Ok(Decoded { bytes, is_coded: false }),
        Ok(Cow::Borrowed(_)) => Ok(Decoded { bytes, is_coded: false }),
        Err(Undecodable::TooLarge | Undecodable::Bomb) => Err(Absent::TooLarge),
        Err(Undecodable::Unknown | Undecodable::Broken) => Ok(Decoded { bytes, is_coded: true }),
    })
}

/// Content as text, if it is UTF-8 and does not say that it is anything else.
pub(super) fn as_text<'b>(bytes: &'b [u8], content_type: Option<&[u8]>) -> Option<&'b str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let set = content_type.and_then(|kind| parameter(kind, b"charset"));
    let is_utf8 = match set.map(<[u8]>::to_ascii_lowercase).as_deref() {
        None | Some(b"utf-8" | b"utf8" | b"us-ascii") => true,
        Some(_) => text.is_ascii(),
    };
    is_utf8.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_what_every_reader_takes_for_the_same_characters() {
        let of = |bytes: &'static [u8], kind: &'static str| as_text(bytes, Some(kind.as_bytes()));
        assert_eq!(of(b"a", "text/plain; charset=Shift_JIS"), Some("a"));
        assert_eq!(of("ü".as_bytes(), "text/plain"), Some("ü"));
        assert_eq!(of("ü".as_bytes(), "text/plain; Charset=UTF-8"), Some("ü"));
        assert_eq!(of("ü".as_bytes(), "text/plain; charset=iso-8859-1"), None);
        assert_eq!(of(b"\xfc", "text/plain; charset=iso-8859-1"), None);
        assert_eq!(as_text(b"", None), Some(""));
    }
}
