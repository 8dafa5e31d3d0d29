//! TCP sequence numbers: 32 bits that wrap (RFC 9293 §3.4).

use std::fmt;

/// A sequence number. There is no `PartialOrd`: "before" is not transitive on a circle, so the
/// order is available only through named methods, for numbers less than 2³¹ apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SeqNumber(pub u32);

impl SeqNumber {
    /// The number `n` bytes later.
    #[must_use]
    pub const fn advanced_by(self, n: u32) -> Self {
        Self(self.0.wrapping_add(n))
    }

    /// The distance from `origin` to this; negative if this is before it.
    #[must_use]
    pub const fn distance_from(self, origin: Self) -> i32 {
        self.0.wrapping_sub(origin.0).cast_signed()
    }

    /// True when this comes after `other`.
    #[must_use]
    pub const fn is_after(self, other: Self) -> bool {
        self.distance_from(other) > 0
    }
}

impl fmt::Display for SeqNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
