//! The last letters of the listed names, to rule out most other names without a look at the lists.

/// Maximum number of letters that are compared.
const LETTERS: usize = 6;
/// The set has one bit for each hash. At some 1,500 names, about one other name in ten passes.
const HASH_BITS: u32 = 16;

/// A set of the last letters of names. It may hold more than what was added, never less.
pub(super) struct Endings {
    bits: Vec<u64>,
    is_empty: bool,
}

impl Default for Endings {
    fn default() -> Self {
        Self { bits: vec![0; (1 << HASH_BITS) / 64], is_empty: true }
    }
}

/// The last letters of a name, each in five bits: without case, and with other bytes among them.
#[derive(Clone, Copy, Default)]
struct Ending(u32);

impl Ending {
    /// With one more letter before the others.
    fn before(self, byte: u8, letters: usize) -> Self {
        Self(self.0 | u32::from(byte & 31) << (5 * letters))
    }

    /// The word and the bit of this ending. The multiplier is 2^32 divided by the golden ratio.
    fn place(self) -> (usize, u32) {
        let hash = self.0.wrapping_mul(0x9e37_79b1) >> (32 - HASH_BITS);
        ((hash / 64) as usize, hash % 64)
    }
}

impl Endings {
    /// Adds a name in its folded form.
    pub(super) fn add(&mut self, name: &[u8]) {
        self.is_empty = false;
        let last = name.iter().rev().take(LETTERS).enumerate();
        let ending = last.fold(Ending::default(), |ending, (n, byte)| ending.before(*byte, n));
        let (word, bit) = ending.place();
        if let Some(word) = self.bits.get_mut(word) {
            *word |= 1 << bit;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// False if the name at the end of `text` matches no name that was added. True where its letters are
    /// not plain to see: next to digits, brackets, quotes and escapes.
    pub(super) fn may_end(&self, text: &[u8]) -> bool {
        let mut ending = Ending::default();
        let mut letters = 0;
        for byte in text.iter().rev() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' => {
                    ending = ending.before(*byte, letters);
                    letters += 1;
                    let (word, bit) = ending.place();
                    let known = self.bits.get(word).is_some_and(|word| word >> bit & 1 != 0);
                    if known {
                        return true;
                    }
                    if letters == LETTERS {
                        return false;
                    }
                }
                b'-' | b'_' | b'.' | b' ' if letters > 0 => {}
                // What separates names in a list.
                b'\t' | b'\r' | b'\n' | b';' | b',' | b'&' | b'?' if letters > 0 => return false,
                _ => return true,
            }
        }
        letters == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str]) -> Endings {
        let mut endings = Endings::default();
        names.iter().for_each(|name| endings.add(name.as_bytes()));
        endings
    }

    #[test]
    fn what_was_added_is_never_ruled_out() {
        let endings = of(&["password", "pin", "q", "2facode", "cvv2"]);
        for text in [
            "password",
            "userPassword",
            "db_pass-word",
            "GET /x?a=1&PIN",
            "my.pin",
            "x; q",
            "a[pin]",
            "\"pin\"",
            "pin2",
            "2facode",
            "cvv2",
            "new p i n",
            "größe",
            "",
            "$",
            "pass_word",
        ] {
            assert!(endings.may_end(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn most_others_are_ruled_out() {
        let endings = of(&["password", "pin", "token", "key"]);
        for text in
            ["Accept-Language", "Host", "q", "en-US,en;q", "Linux x86_64; rv", "span", "word"]
        {
            assert!(!endings.may_end(text.as_bytes()), "{text}");
        }
    }
}
