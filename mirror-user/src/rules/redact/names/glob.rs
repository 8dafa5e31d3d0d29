//! Patterns of names: `*` matches any letters, `?` matches one; anchored at both ends.

use super::word::{Folded, MAX_NAME_BYTES};

/// A pattern. One with separators is compared with a name whose words are joined by `_`, so that
/// `*_token` is `user_token`, `User-Token` and `userToken`, but not `usertoken`; one without is compared
/// with the letters alone.
#[derive(Debug)]
pub(super) struct Glob {
    pattern: Box<[u8]>,
    by_words: bool,
}

const SEPARATOR: u8 = b'_';

impl Glob {
    /// True if a name is a pattern.
    pub(super) fn is(name: &str) -> bool {
        name.contains(['*', '?'])
    }

    /// `None` if it has no letters or too many.
    pub(super) fn new(text: &str) -> Option<Self> {
        let is_separator = |byte: u8| matches!(byte, b'-' | b'_' | b'.');
        let by_words = text.bytes().any(is_separator);
        let mut pattern: Vec<u8> = Vec::new();
        for byte in text.bytes() {
            match byte {
                b'*' if pattern.last() == Some(&b'*') => {}
                byte if is_separator(byte) => {
                    if pattern.last() != Some(&SEPARATOR) {
                        pattern.push(SEPARATOR);
                    }
                }
                byte => pattern.push(byte.to_ascii_lowercase()),
            }
        }
        let letters = pattern.iter().filter(|byte| byte.is_ascii_alphanumeric() || **byte >= 0x80);
        let letters = letters.count();
        (1..=MAX_NAME_BYTES).contains(&letters).then(|| Self { pattern: pattern.into(), by_words })
    }

    pub(super) fn matches(&self, name: &Folded) -> bool {
        if !self.by_words {
            return fits(&self.pattern, name.as_bytes());
        }
        let mut joined = Vec::with_capacity(name.len() * 2);
        for (at, byte) in name.as_bytes().iter().enumerate() {
            if at > 0 && name.begins_word(at) {
                joined.push(SEPARATOR);
            }
            joined.push(*byte);
        }
        fits(&self.pattern, &joined)
    }
}

/// Backtracks only to the last `*`, so the time is bounded by the product of the lengths.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(byte) if *byte == b'?' || Some(byte) == text.get(t) => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_anchored_and_know_words() {
        let fits = |pattern: &str, name: &str| {
            Glob::new(pattern).expect("a pattern").matches(&Folded::new(name.as_bytes()))
        };
        for name in ["X-Session-Token", "x_session_token", "xSessionToken"] {
            assert!(fits("x-*-token", name), "{name}");
        }
        for name in ["X-Token", "Session-Token", "X-Session-Tokens", "X-Sessiontoken"] {
            assert!(!fits("x-*-token", name), "{name}");
        }
        assert!(fits("*_token", "user_token") && fits("*_token", "userToken"));
        assert!(!fits("*_token", "usertoken") && fits("*token", "usertoken"));
        assert!(fits("*token", "user_token") && fits("cvv?", "cvv2") && !fits("cvv?", "cvv"));
        assert!(fits("a*b*c", "a-x-b-y-b-c") && !fits("a*b*c", "abd"));
        assert!(Glob::new("*").is_none() && Glob::new("-*_").is_none());
    }
}
