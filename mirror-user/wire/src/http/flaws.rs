//! What makes a message readable in two ways, and the set of such flaws that each message has.

use enum_map::Enum;
use strum::IntoStaticStr;

#[cfg(doc)]
use super::message::Incomplete;
use crate::tcp::event::Side;

/// What makes a message readable in two ways; such a message is not replayed unless asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Flaw {
    /// `Content-Length` more than once, always with the same value (RFC 9110 §8.6).
    RepeatedLength,
    /// `Content-Length` values that differ.
    ConflictingLengths,
    /// A `Content-Length` that is no decimal number of at most 64 bits: signs, blanks, parameters.
    BadLength,
    /// Both `Content-Length` and `Transfer-Encoding` (RFC 9112 §6.1).
    LengthAndTransferEncoding,
    /// `Transfer-Encoding` in an HTTP/1.0 message (RFC 9112 §6.1).
    TransferEncodingInHttp10,
    /// A `Transfer-Encoding` list with empty elements.
    OddTransferEncoding,
    /// A transfer coding that nobody registered, `chunked` twice, or a request whose last coding
    /// is not `chunked` (RFC 9112 §6.1, §6.3, §7).
    BadTransferEncoding,
    /// A line that ends in LF alone (RFC 9112 §2.2).
    BareLf,
    /// A CR that no LF follows (RFC 9112 §2.2).
    BareCr,
    /// A field value that goes on in the next line (RFC 9112 §5.2).
    ObsFold,
    /// A continued line, or a space before a colon, that hides a framing field from some.
    HiddenFraming,
    /// White space between field name and colon (RFC 9112 §5.1).
    SpaceBeforeColon,
    /// White space before the first field line (RFC 9112 §2.2).
    SpaceBeforeFields,
    /// A field line without a colon.
    NoColon,
    /// A field name that is no token.
    BadFieldName,
    /// A control character, such as NUL, in a field value.
    BadFieldValue,
    /// More or other white space in the start line than one space between its parts.
    StartLineSpace,
    /// `Host` more than once (RFC 9112 §3.2).
    RepeatedHost,
    /// A target that names one authority and a `Host` that names another (RFC 9112 §3.2.2).
    HostMismatch,
    /// White space after a chunk size.
    ChunkSpace,
    /// A chunk size that is no hexadecimal number of at most 64 bits, or is followed by junk.
    BadChunkSize,
    /// Chunk data that is not followed by CRLF.
    BadChunkEnd,
    /// A trailer section with a line that is no field line, or that is too long.
    BadTrailer,
    /// It is an HTTP/0.9 request: a line, no fields, no version.
    Http09,
    /// It follows bytes of the same side that could not be read, so it may be part of them.
    AfterRefusal,
    /// It is a response whose request was not seen, and a status line follows its head, although the
    /// head announces content: it is read as the response to a HEAD (RFC 9110 §9.3.2).
    UnseenHead,
}

impl Flaw {
    /// True when the framing of the rest of its side is lost with it: where this message ends
    /// cannot be known.
    #[must_use]
    pub const fn loses_framing(self) -> bool {
        matches!(
            self,
            Self::ConflictingLengths
                | Self::BadLength
                | Self::BadTransferEncoding
                | Self::HiddenFraming
                | Self::Http09
                | Self::BadChunkSize
                | Self::BadChunkEnd
                | Self::BadTrailer
        )
    }

    /// True when RFC 9112 has a recipient refuse the message ([`Incomplete::Refused`]); otherwise it
    /// may be read, but not everyone reads it alike. Recipients of responses are asked to bear more
    /// than recipients of requests.
    #[must_use]
    pub const fn refuses(self, side: Side) -> bool {
        self.loses_framing()
            || matches!(side, Side::Client)
                && matches!(
                    self,
                    Self::BareCr
                        | Self::SpaceBeforeColon
                        | Self::SpaceBeforeFields
                        | Self::NoColon
                        | Self::BadFieldName
                        | Self::BadFieldValue
                        | Self::RepeatedHost
                )
    }
}

/// A set of [`Flaw`]s, in one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flaws(u32);

const _: () = assert!(Flaw::LENGTH <= 32, "a bit for each flaw");

impl Flaws {
    /// Adds one.
    pub fn add(&mut self, flaw: Flaw) {
        self.0 |= 1 << flaw.into_usize();
    }

    /// Adds those of `other`.
    pub fn join(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// True when it holds `flaw`.
    #[must_use]
    pub fn contains(self, flaw: Flaw) -> bool {
        self.0 & (1 << flaw.into_usize()) != 0
    }

    /// Takes away those of lengths and codings, where nothing depends on them.
    pub(super) fn remove_framing(&mut self) {
        self.remove(&[
            Flaw::RepeatedLength,
            Flaw::ConflictingLengths,
            Flaw::BadLength,
            Flaw::OddTransferEncoding,
        ]);
    }

    /// Takes these away.
    pub fn remove(&mut self, flaws: &[Flaw]) {
        for flaw in flaws {
            self.0 &= !(1 << flaw.into_usize());
        }
    }

    /// Those that it holds, in the order of their declaration.
    pub fn iter(self) -> impl Iterator<Item = Flaw> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let lowest = (left != 0).then(|| left.trailing_zeros())?;
            left &= !(1 << lowest);
            Some(Flaw::from_usize(lowest as usize))
        })
    }

    /// True when one of them makes a recipient refuse the message.
    pub(super) fn refuse(self, side: Side) -> bool {
        self.iter().any(|flaw| flaw.refuses(side))
    }

    /// The first that loses the framing of the side.
    pub(super) fn losing_framing(self) -> Option<Flaw> {
        self.iter().find(|flaw| flaw.loses_framing())
    }
}

impl<const N: usize> From<[Flaw; N]> for Flaws {
    fn from(flaws: [Flaw; N]) -> Self {
        let mut set = Self::default();
        flaws.into_iter().for_each(|flaw| set.add(flaw));
        set
    }
}
