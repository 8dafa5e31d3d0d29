//! The flaws of a message while it is read: a set that costs a word.

use enum_map::Enum;

use super::message::Flaw;
use crate::tcp::event::Side;

/// A set of [`Flaw`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flaws(u32);

const _: () = assert!(Flaw::LENGTH <= 32, "a bit for each flaw");

impl Flaws {
    /// Adds one.
    pub(super) fn add(&mut self, flaw: Flaw) {
        self.0 |= 1 << flaw.into_usize();
    }

    /// Adds those of `other`.
    pub(super) fn join(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// True when there is none.
    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// True when it holds `flaw`.
    pub(super) fn contains(self, flaw: Flaw) -> bool {
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
    pub(super) fn remove(&mut self, flaws: &[Flaw]) {
        for flaw in flaws {
            self.0 &= !(1 << flaw.into_usize());
        }
    }

    /// Those that it holds, in the order of their declaration.
    pub(super) fn iter(self) -> impl Iterator<Item = Flaw> {
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
