//! The head of a response to a request of our own: what the replay needs to know where it ends.

use super::framing::{self, Asked};
use super::head::{self, Outcome};
use super::start::refuse_start;
use crate::http::message::{BodyLength, HeaderLine, StartLine, Version};
use crate::tcp::event::Side;

/// Field lines whose memory is kept from one response to the next; servers send 5 to 20.
const KEPT_LINES: usize = 64;

/// A head, as far as it decides what follows it.
pub struct ResponseHead {
    /// Its status code.
    pub status: u16,
    /// Where its body ends (RFC 9112 §6.3).
    pub body: BodyLength,
    /// True when another response may follow on the connection (RFC 9112 §9.3).
    pub keep_alive: bool,
    /// Its length with the empty line.
    pub len: usize,
}

/// It cannot be read as a response of HTTP/1, or its end cannot be known.
pub struct Unreadable;

/// Reads heads of responses, one after the other, without allocating for each.
#[derive(Default)]
pub struct ResponseHeads {
    lines: Vec<HeaderLine>,
}

impl ResponseHeads {
    /// The head that `input` begins with; `None` while it is not whole.
    pub fn parse(
        &mut self,
        input: &[u8],
        to_head: bool,
    ) -> Result<Option<ResponseHead>, Unreadable> {
        let parsed = head::parse(Side::Server, input, &mut self.lines);
        self.lines.clear();
        self.lines.shrink_to(KEPT_LINES);
        let mut parsed = match parsed {
            Outcome::Head(parsed) => parsed,
            Outcome::Partial if refuse_start(Side::Server, input).is_none() => return Ok(None),
            Outcome::Partial | Outcome::Refused(_) => return Err(Unreadable),
        };
        let StartLine::Status { code, version, .. } = parsed.start else {
            return Err(Unreadable);
        };
        let asked = if to_head { Asked::Head } else { Asked::Other };
        let body = framing::response(&mut parsed.facts, version, code, asked);
        if !(100..600).contains(&code) || parsed.facts.flaws.losing_framing().is_some() {
            return Err(Unreadable);
        }
        let keep_alive = version != Version::Http10 && !parsed.facts.close;
        Ok(Some(ResponseHead { status: code, body, keep_alive, len: parsed.len }))
    }
}
