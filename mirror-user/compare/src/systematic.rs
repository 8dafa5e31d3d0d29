//! Whether the candidate's values in a field follow from production's: evidence that they are no noise, which needs neither
//! a second instance nor a second request.
//!
//! A pair counts once. It speaks for a rule behind the values if they show a cause (one is the other rounded), or if
//! production's value had the same value of the candidate before; against one if it had another. Values that are new say
//! nothing, and neither do those that are shown in part only.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;

use crate::difference::{Difference, Hint};
use crate::verdict::Followed;

/// Values of production that are remembered for each field: more than a field of few values has, in 256 bytes.
const MAX_VALUES: usize = 16;

/// What the values of one field said.
#[derive(Clone, Debug, Default)]
pub struct Systematic {
    /// Hashes of production's values, each with that of the candidate's value.
    values: Vec<(u64, u64)>,
    followed: Followed,
}

impl Systematic {
    /// Adds what one pair's differences in the field say.
    pub(crate) fn add(&mut self, differences: &[&Difference]) {
        let mut pair = Followed::default();
        for difference in differences {
            match self.known(difference) {
                Some(true) => pair.by_value = 1,
                Some(false) => pair.not = 1,
                None if shows_cause(difference) => pair.by_cause = 1,
                None => {}
            }
        }
        let Followed { by_cause, by_value, not } = &mut self.followed;
        match pair {
            Followed { not: 1, .. } => *not += 1,
            Followed { by_cause: 1, .. } => *by_cause += 1,
            Followed { by_value: 1, .. } => *by_value += 1,
            _ => {}
        }
    }

    /// Whether production's value had the same value of the candidate before; it is remembered if there is room.
    fn known(&mut self, difference: &Difference) -> Option<bool> {
        let Difference { left, right, .. } = difference;
        if [left, right].into_iter().flatten().any(|text| text.ends_with('…')) {
            return None;
        }
        let hasher = FixedState::default();
        let (left, right) = (hasher.hash_one(left), hasher.hash_one(right));
        match self.values.iter().find(|(known, _)| *known == left) {
            Some((_, known)) => Some(*known == right),
            None if self.values.len() < MAX_VALUES => {
                self.values.push((left, right));
                None
            }
            None => None,
        }
    }

    /// Adds another field's.
    pub(crate) fn merge(&mut self, other: Self) {
        self.followed.by_cause += other.followed.by_cause;
        self.followed.by_value += other.followed.by_value;
        self.followed.not += other.followed.not;
        for (left, right) in other.values {
            match self.values.iter().find(|(known, _)| *known == left) {
                Some((_, known)) if *known != right => self.followed.not += 1,
                Some(_) => {}
                None if self.values.len() < MAX_VALUES => self.values.push((left, right)),
                None => {}
            }
        }
    }

    /// How often they followed.
    #[must_use]
    pub fn followed(&self) -> Followed {
        self.followed
    }
}

/// True if the values tell why they differ. An empty one does not: whatever comes and goes is empty at times.
fn shows_cause(difference: &Difference) -> bool {
    difference.hint.is_some_and(|hint| hint != Hint::Empty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::difference::Class;

    fn difference(left: &str, right: &str, hint: Option<Hint>) -> Difference {
        Difference {
            path: "body.plan".into(),
            pointer: String::new(),
            class: Class::Value,
            hint,
            left: Some(left.to_owned()),
            right: Some(right.to_owned()),
            forgiven: None,
        }
    }

    fn followed<'d>(pairs: impl IntoIterator<Item = &'d [Difference]>) -> Followed {
        let mut systematic = Systematic::default();
        for pair in pairs {
            systematic.add(&pair.iter().collect::<Vec<_>>());
        }
        systematic.followed()
    }

    #[test]
    fn values_follow_by_their_cause_or_as_they_did_before() {
        let rounded =
            |n: u32| [difference(&format!("{n}.994"), &format!("{n}.99"), Some(Hint::Rounding))];
        let pairs: Vec<_> = (0..40).map(rounded).collect();
        assert_eq!(followed(pairs.iter().map(|pair| &pair[..])).by_cause, 40);
        let plan = [difference("\"pro\"", "\"free\"", None)];
        assert_eq!(followed([&plan[..]; 10]), Followed { by_value: 9, ..Followed::default() });
        let counter = |n: u32| [difference("7", &n.to_string(), None)];
        let pairs: Vec<_> = (0..10).map(counter).collect();
        assert_eq!(followed(pairs.iter().map(|pair| &pair[..])).not, 9);
    }

    #[test]
    fn a_pair_counts_once_and_new_or_cut_values_say_nothing() {
        let many: Vec<_> = (0..17)
            .map(|n| difference(&format!("{n}.5"), &n.to_string(), Some(Hint::Rounding)))
            .collect();
        assert_eq!(followed([&many[..]]).by_cause, 1);
        let new: Vec<_> = (0..100).map(|n| [difference(&n.to_string(), "x", None)]).collect();
        assert_eq!(followed(new.iter().map(|pair| &pair[..])), Followed::default());
        let cut = [difference("a…", "b…", None)];
        assert_eq!(followed([&cut[..]; 10]), Followed::default());
    }
}
