//! What keeps tenants apart whose addresses are the same: VLAN ids, network identifiers, GRE keys.

/// The name of a packet's network: the innermost tag, and a digest of those around it. Labels and
/// identifiers that differ by direction (MPLS, GTP-U, L2TP) are not part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tag {
    outer: u32,
    inner: u32,
}

/// The kinds of tags.
#[derive(Clone, Copy, Debug)]
pub enum TagKind {
    /// IEEE 802.1Q and 802.1ad; 0 means that only the priority is set.
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
    pub const fn vlan(id: u32) -> Self {
        Self::NONE.with(TagKind::Vlan, id)
    }

    /// These tags with one more inside; an identifier of 0 is none.
    #[must_use]
    pub const fn with(self, kind: TagKind, id: u32) -> Self {
        if id == 0 {
            return self;
        }
        // An odd factor, so that the digest depends on every tag and on their order.
        let outer = match self.inner {
            0 => 0,
            inner => (self.outer ^ inner).wrapping_mul(0x9e37_79b1) | 1,
        };
        // Keys of more than 24 bits are folded.
        Self { outer, inner: (kind as u32) << 24 | ((id ^ id >> 24) & 0x00ff_ffff) }
    }

    /// True if both may be the network of one packet: with all its tags, and with the outer ones or
    /// all of them removed, as another interface of the same host shows it.
    #[must_use]
    pub const fn may_be(self, other: Self) -> bool {
        self.is_none()
            || other.is_none()
            || self.inner == other.inner
                && (self.outer == other.outer || self.outer == 0 || other.outer == 0)
    }

    /// All of it in one word.
    pub const fn bits(self) -> u64 {
        (self.outer as u64) << 32 | self.inner as u64
    }

    /// A digest for compact tables, with its own [`may_be`](TagDigest::may_be).
    pub const fn digest(self) -> TagDigest {
        const fn fold(n: u32) -> u8 {
            let folded = (n.wrapping_mul(0x9e37_79b1) >> 24) as u8;
            // 0 means none.
            if n != 0 && folded == 0 { 1 } else { folded }
        }
        TagDigest { outer: fold(self.outer), inner: fold(self.inner) }
    }
}

/// A [`Tag`] in 16 bits: `may_be` of two digests is true if it is for their tags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TagDigest {
    outer: u8,
    inner: u8,
}

impl TagDigest {
    /// True when a packet may have both tags.
    #[must_use]
    pub const fn may_be(self, other: Self) -> bool {
        self.inner == 0
            || other.inner == 0
            || self.inner == other.inner
                && (self.outer == other.outer || self.outer == 0 || other.outer == 0)
    }
}
