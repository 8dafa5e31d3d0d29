//! A pair as bytes, for whoever stores it, and back: what was compared once can be compared again, by other rules.
//!
//! Borrows from what it is given, both ways. Bytes that are no pair are refused; they come from a file. The only file that
//! uses `postcard`, whose format is specified and stable.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::comparison::Pair;
use crate::headers::Field;
use crate::pair::{Answer, Request, Response};

/// The version of the bytes. Whoever stores them writes it beside them.
pub const VERSION: u32 = 1;

/// A pair as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Kept<'b> {
    /// Its name within the run.
    pub id: &'b str,
    method: &'b str,
    target: &'b str,
    #[serde(borrow)]
    fields: Vec<Field<'b>>,
    body: &'b [u8],
    production: Response<'b>,
    candidate: Answer<'b>,
    control: Option<Answer<'b>>,
    again: Option<Answer<'b>>,
}

/// Bytes that are no pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPair;

impl fmt::Display for NoPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a pair")
    }
}

impl std::error::Error for NoPair {}

/// The bytes of a pair.
#[must_use]
pub fn bytes(pair: &Pair<'_>) -> Vec<u8> {
    let Request { method, target, fields, body } = pair.request;
    let kept = Kept {
        id: &pair.id,
        method,
        target,
        fields: fields.to_vec(),
        body,
        production: pair.production.borrowed(),
        candidate: pair.candidate.borrowed(),
        control: pair.control.as_ref().map(Answer::borrowed),
        again: pair.again.as_ref().map(Answer::borrowed),
    };
    // It has no type that the format does not know, and a vector takes any length.
    postcard::to_stdvec(&kept).unwrap_or_default()
}

impl<'b> Kept<'b> {
    /// Reads bytes.
    ///
    /// # Errors
    /// If they are no pair.
    pub fn read(bytes: &'b [u8]) -> Result<Self, NoPair> {
        match postcard::take_from_bytes(bytes) {
            Ok((kept, [])) => Ok(kept),
            _ => Err(NoPair),
        }
    }

    /// The pair.
    #[must_use]
    pub fn pair(&self) -> Pair<'_> {
        Pair {
            id: self.id.into(),
            request: Request {
                method: self.method,
                target: self.target,
                fields: &self.fields,
                body: self.body,
            },
            production: self.production.borrowed(),
            candidate: self.candidate.borrowed(),
            control: self.control.as_ref().map(Answer::borrowed),
            again: self.again.as_ref().map(Answer::borrowed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lift::Content;
    use crate::pair::Failure;

    fn response<'a>(content: Content<'a>) -> Response<'a> {
        Response {
            status: 200,
            fields: vec![(b"Content-Type", b"application/json"), (b"X", b"\xff\0")],
            trailers: vec![(b"T", b"t")],
            content,
            at: Some(-5),
            latency_us: Some(u64::MAX),
        }
    }

    #[test]
    fn a_pair_comes_back_as_it_was() {
        let pair = Pair {
            id: "7-1".into(),
            request: Request {
                method: "POST",
                target: "/a?b",
                fields: &[(b"Host", b"shop")],
                body: b"x",
            },
            production: response(Content::Bytes((&b"{}"[..]).into())),
            candidate: Answer::Response(response(Content::Digest(9, Some([7; 32])))),
            control: Some(Answer::Failed(Failure::Reset)),
            again: Some(Answer::Response(response(Content::Unknown("bomb".into())))),
        };
        let stored = bytes(&pair);
        let kept = Kept::read(&stored).unwrap();
        assert_eq!(format!("{:?}", kept.pair()), format!("{pair:?}"));
        assert_eq!(Kept::read(&[]).unwrap_err(), NoPair);
        for end in 0..stored.len() {
            assert!(Kept::read(&stored[..end]).is_err(), "{end}");
        }
        let more = [&stored[..], b"x"].concat();
        assert!(Kept::read(&more).is_err());
    }
}
