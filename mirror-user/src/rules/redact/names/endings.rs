//! The last letters of the listed names, to rule out most other names without a look at the lists.

/// Maximum number of letters that are compared.
const LETTERS: usize = 6;
/// There is one slot for each hash. Some 1,500 names have about 4,000 endings.
const HASH_BITS: u32 = 16;

/// A set of the last letters of names, read from the last one on. It may hold more than what was added,
/// never less.
pub(super) struct Endings {
    /// Two bits for each hash.
    slots: Vec<u64>,
    is_empty: bool,
}

/// The names that end so may have more letters.
const GOES_ON: u64 = 1;
/// A name has no more letters, or no more that are compared.
const ENDS: u64 = 2;

impl Default for Endings {
    fn default() -> Self {
        Self { slots: vec![0; (1 << HASH_BITS) / 32], is_empty: true }
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

    /// The word of this ending, and the position in it. The multiplier is 2^32 divided by the golden ratio.
    fn place(self) -> (usize, u32) {
        let hash = self.0.wrapping_mul(0x9e37_79b1) >> (32 - HASH_BITS);
        ((hash / 32) as usize, hash % 32 * 2)
    }
}

impl Endings {
    /// Adds a name in its folded form.
    pub(super) fn add(&mut self, name: &[u8]) {
        self.is_empty = false;
        let compared = name.len().min(LETTERS);
        let mut ending = Ending::default();
        for (letters, byte) in name.iter().rev().take(LETTERS).enumerate() {
            ending = ending.before(*byte, letters);
            let (word, at) = ending.place();
            let what = if letters + 1 == compared { ENDS } else { GOES_ON };
            if let Some(word) = self.slots.get_mut(word) {
                *word |= what << at;
            }
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
                    let (word, at) = ending.place();
                    let slot = self.slots.get(word).map_or(0, |word| word >> at);
                    if slot & ENDS != 0 {
                        return true;
                    }
                    if slot & GOES_ON == 0 {
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
