//! What keeps tenants apart whose addresses are the same: VLAN ids, network identifiers, GRE keys.

/// The tags of a packet, outermost first, as a name: the innermost one, and a digest of those
/// around it. Labels and identifiers that differ by direction (MPLS, GTP-U, L2TP) are no part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tag {
    outer: u32,
    inner: u32,
}

/// What gives a tag.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TagKind {
    /// IEEE 802.1Q and 802.1ad; 0 is priority alone.
    Vlan = 1,
    /// Of VXLAN and Geneve.
    Network,
    /// RFC 2890.
    GreKey,
}

impl Tag {
    /// No tag.
    pub const NONE: Self = Self { outer: 0, inner: 0 };

    /// True for a packet without tags.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.inner == 0
    }

    /// The tag of one VLAN.
    #[cfg(test)]
    pub(crate) const fn vlan(id: u32) -> Self {
        Self::NONE.with(TagKind::Vlan, id)
    }

    /// These tags with one more inside; an identifier of 0 is none.
    #[must_use]
    pub(crate) const fn with(self, kind: TagKind, id: u32) -> Self {
        if id == 0 {
            return self;
        }
        // An odd factor, so that every tag and the order of all have a share in it.
        let outer = match self.inner {
            0 => 0,
            inner => (self.outer ^ inner).wrapping_mul(0x9e37_79b1) | 1,
        };
        // Keys of more than 24 bits are folded.
        Self { outer, inner: (kind as u32) << 24 | ((id ^ id >> 24) & 0x00ff_ffff) }
    }

    /// True when a packet may have both names: with all its tags, and without the outer ones or
    /// any, as another interface of the same host shows it.
    #[must_use]
    pub const fn may_be(self, other: Self) -> bool {
        self.is_none()
            || other.is_none()
            || self.inner == other.inner
                && (self.outer == other.outer || self.outer == 0 || other.outer == 0)
    }

    /// All of it in one word.
    pub(crate) const fn bits(self) -> u64 {
        (self.outer as u64) << 32 | self.inner as u64
    }

    /// A digest for tables where room is scarce, with [`may_be`](Self::may_be) of its own.
    pub(crate) const fn digest(self) -> TagDigest {
        const fn fold(n: u32) -> u8 {
            let folded = (n.wrapping_mul(0x9e37_79b1) >> 24) as u8;
            // 0 stands for none.
            if n != 0 && folded == 0 { 1 } else { folded }
        }
        TagDigest { outer: fold(self.outer), inner: fold(self.inner) }
    }
}

/// A [`Tag`] in 16 bits: names that may be the same stay so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TagDigest {
    outer: u8,
    inner: u8,
}

impl TagDigest {
    pub(crate) const fn may_be(self, other: Self) -> bool {
        self.inner == 0
            || other.inner == 0
            || self.inner == other.inner
                && (self.outer == other.outer || self.outer == 0 || other.outer == 0)
    }
}
