//! Identifiers that each side gave itself: production's 5001 is the candidate's 1000000001, from the first response that
//! shows both, and one to one.

use hashbrown::HashMap;

/// Pairs of one kind that are remembered; what comes later and is not known is a difference.
pub(super) const MAX_IDS: usize = 100_000;
/// Bytes of an identifier; a longer one is content.
const MAX_ID_BYTES: usize = 128;

/// Which identifiers correspond, by kind.
#[derive(Clone, Debug, Default)]
pub struct Correlations {
    kinds: HashMap<Box<str>, Pairs>,
}

#[derive(Clone, Debug, Default)]
struct Pairs {
    of_left: HashMap<Box<str>, Box<str>>,
    of_right: HashMap<Box<str>, Box<str>>,
}

impl Correlations {
    /// Learns that two correspond; false if one of them corresponds to another one already, which is a real
    /// difference, or if there is no room to remember them.
    pub fn learn(&mut self, kind: &str, left: &str, right: &str) -> bool {
        if left.len().max(right.len()) > MAX_ID_BYTES {
            return left == right;
        }
        let pairs = self.kinds.entry_ref(kind).or_default();
        match (pairs.of_left.get(left), pairs.of_right.get(right)) {
            (None, None) if pairs.of_left.len() < MAX_IDS => {
                pairs.of_left.insert(left.into(), right.into());
                pairs.of_right.insert(right.into(), left.into());
                true
            }
            (None, None) => left == right,
            (Some(known), Some(_)) => &**known == right,
            _ => false,
        }
    }

    /// True if two are the same or correspond.
    #[must_use]
    pub fn correspond(&self, kind: &str, left: &str, right: &str) -> bool {
        let known = self.kinds.get(kind).and_then(|pairs| pairs.of_left.get(left));
        known.map_or(left == right, |known| &**known == right)
    }

    /// A text with the candidate's identifiers in place of production's, where they stand as whole words.
    #[must_use]
    pub fn rewrite(&self, kind: &str, text: &str) -> String {
        let Some(pairs) = self.kinds.get(kind) else { return text.to_owned() };
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let mut out = String::with_capacity(text.len());
        for part in text.split_inclusive(|c| !is_word(c)) {
            let word = part.trim_end_matches(|c| !is_word(c));
            out.push_str(pairs.of_left.get(word).map_or(word, |known| known));
            out.push_str(part.get(word.len()..).unwrap_or_default());
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_correspond_one_to_one() {
        let mut ids = Correlations::default();
        assert!(ids.learn("order", "5001", "1000000001"));
        assert_eq!(
            ids.rewrite("order", "/orders/5001/items?x=50011"),
            "/orders/1000000001/items?x=50011"
        );
        assert!(ids.correspond("order", "5001", "1000000001"));
        assert!(!ids.learn("order", "5001", "1000000002"));
        assert!(!ids.learn("order", "5002", "1000000001"));
        assert!(ids.learn("user", "5002", "1000000001"), "another kind");
        assert!(ids.learn("order", "5001", "1000000001"), "again");
    }
}
