//! The trace of a shadow request (W3C Trace Context, Level 1; `traceparent` and `tracestate`).
//!
//! In production's trace, the spans of the shadow would count as production's: its latency, its errors,
//! and every call twice. So a shadow starts a new trace with the same sampling decision, and names the
//! captured trace in `X-Shadow-Traceparent`. `tracestate` only applies to the captured trace and is
//! dropped (§3.3.1.4). A `traceparent` that cannot be parsed, or that occurs more than once, belongs to
//! no trace: both fields are dropped, and the receiver starts a trace, as §4.3 requires anyway.

use std::hash::{BuildHasher, RandomState};
use std::io::Write;

use strum::{EnumIter, EnumMessage, IntoStaticStr};

use crate::http::message::ExchangeId;

/// Names the captured trace in a shadow that has a new one.
pub(super) const LINK: &[u8] = b"X-Shadow-Traceparent";

/// How `traceparent` and `tracestate` are treated. A request without a trace gets none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumIter, EnumMessage, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Trace {
    /// A new trace; the captured one is kept in `X-Shadow-Traceparent`
    #[default]
    New,
    /// Production's trace, unchanged
    Keep,
    /// No trace
    Off,
}

/// Generates trace ids: a keyed hash of exchange and target. They cannot be guessed, need no system
/// calls, and differ between the targets of one exchange.
#[derive(Clone, Debug, Default)]
pub struct TraceIds(RandomState);

impl TraceIds {
    fn id(&self, exchange: ExchangeId, target: &str, part: u8) -> u64 {
        // An id of zeros is invalid (§3.2.2.3).
        self.0.hash_one((exchange, target, part)).max(1)
    }

    /// The context of an exchange's shadow for a target: the same each time it is asked for.
    pub(super) fn shadow(
        &self,
        captured: &TraceParent,
        exchange: ExchangeId,
        target: &str,
    ) -> TraceParent {
        let [high, low, span] = [0, 1, 2].map(|part| self.id(exchange, target, part));
        let trace = u128::from(high) << 64 | u128::from(low);
        TraceParent { trace, span, sampled: captured.sampled }
    }
}

/// The parts of a `traceparent` that are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace's id; not 0.
    pub trace: u128,
    /// The id of the caller's span; not 0.
    pub span: u64,
    /// The caller may have recorded it (§3.2.2.5.1). Other flags are unknown and are not propagated.
    pub sampled: bool,
}

impl TraceParent {
    /// Parses the grammar of §3.2: `version "-" trace-id "-" parent-id "-" trace-flags` in lower-case
    /// hexadecimal digits. Versions above 00 may continue after another dash (§3.2.4).
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        let (known, rest) = value.split_at_checked(55)?;
        let mut parts = known.split(|byte| *byte == b'-');
        let mut part = |digits| number(parts.next()?, digits);
        let (version, trace) = (part(2)?, part(32)?);
        let (span, flags) = (u64::try_from(part(16)?).ok()?, part(2)?);
        let whole = match version {
            0xff => false,
            0 => rest.is_empty(),
            _ => rest.is_empty() || rest.starts_with(b"-"),
        };
        let valid = whole && trace != 0 && span != 0 && parts.next().is_none();
        valid.then_some(Self { trace, span, sampled: flags & 1 == 1 })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let Self { trace, span, sampled } = self;
        write!(out, "00-{trace:032x}-{span:016x}-{:02x}", u8::from(*sampled))
            .expect("writing to a Vec cannot fail");
    }
}

/// The traces of a shadow request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traces {
    /// The context that the captured request named.
    pub production: Option<TraceParent>,
    /// The new one that the shadow names, if it has one.
    pub shadow: Option<TraceParent>,
}

/// The number, if the text consists of so many lower-case hexadecimal digits.
fn number(text: &[u8], digits: usize) -> Option<u128> {
    let is_lower = text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let text = str::from_utf8(text).ok().filter(|_| text.len() == digits && is_lower)?;
    u128::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::http::message::ConnectionId;

    const ID: &str = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331";
    const EXCHANGE: ExchangeId = ExchangeId { connection: ConnectionId::local(7), index: 2 };

    fn sampled(value: &str) -> Option<bool> {
        TraceParent::parse(value.as_bytes()).map(|parent| parent.sampled)
    }

    #[test]
    fn a_traceparent_is_parsed_by_its_grammar() {
        assert_eq!(sampled(&format!("00-{ID}-01")), Some(true));
        assert_eq!(sampled(&format!("00-{ID}-00")), Some(false));
        assert_eq!(sampled(&format!("00-{ID}-03")), Some(true), "unknown flags are ignored");
        assert_eq!(sampled(&format!("cc-{ID}-01")), Some(true), "a future version");
        assert_eq!(sampled(&format!("cc-{ID}-01-what-the-future-brings")), Some(true));
        for bad in [
            String::new(),
            format!("ff-{ID}-01"),
            format!("00-{ID}-01-more"),
            format!("cc-{ID}-01.more"),
            format!("00-{ID}-1"),
            format!("0-{ID}-01"),
            format!("00-{ID}-0G"),
            format!("00-{}-01", ID.to_uppercase()),
            "00-00000000000000000000000000000000-b7ad6b7169203331-01".into(),
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01".into(),
            "00-0af7651916cd43dd8448eb211c80319-cb7ad6b7169203331-01".into(),
            format!("00_{ID}_01"),
            format!(" 00-{ID}-01"),
        ] {
            assert_eq!(sampled(&bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_shadow_gets_a_new_trace_at_every_target() {
        let ids = TraceIds::default();
        let captured = TraceParent { trace: 1, span: 2, sampled: true };
        let made = |target: &str| {
            let mut out = Vec::new();
            ids.shadow(&captured, EXCHANGE, target).write(&mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(sampled(&made("a:80")), Some(true));
        assert_eq!(made("a:80"), made("a:80"));
        assert_ne!(made("a:80").get(3..35), made("b:80").get(3..35));
        assert_ne!(made("a:80").get(3..19), made("a:80").get(19..35));
    }

    proptest! {
        #[test]
        fn generated_traceparents_can_be_parsed(connection: u64, index: u32, sampled: bool, target in ".*") {
            let captured = TraceParent { trace: 1, span: 2, sampled };
            let id = ExchangeId { connection: ConnectionId::local(connection), index };
            let mut out = Vec::new();
            let shadow = TraceIds::default().shadow(&captured, id, &target);
            shadow.write(&mut out);
            prop_assert_eq!(TraceParent::parse(&out), Some(shadow));
            prop_assert_eq!(shadow.sampled, sampled);
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = TraceParent::parse(&bytes);
        }
    }
}
