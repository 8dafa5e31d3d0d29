//! A name without case and separators, with the positions where words start.

/// Maximum number of letters and digits of a listed name.
pub(in crate::rules::redact) const MAX_NAME_BYTES: usize = 48;

/// Maximum number of letters and digits that are compared; of a longer name, the last ones.
const LETTERS: usize = 64;

/// A name without case and separators.
pub(super) struct Folded {
    bytes: [u8; LETTERS],
    len: usize,
    /// One bit for each letter that starts a word.
    words: u64,
    /// The same for the parts of `user[password]`, `user.password` and `user:password`.
    parts: u64,
    /// True if it has more letters.
    cut: bool,
}

/// What a byte is within a name: a set of bits, none for a separator.
mod kind {
    pub(super) const DIGIT: u8 = 1;
    pub(super) const UPPER: u8 = 2;
    pub(super) const LOWER: u8 = 4;
    /// A byte beyond ASCII.
    pub(super) const BEYOND: u8 = 8;
    /// A separator after which the next part of a name starts: `user[password]`, `user.password`.
    pub(super) const PART: u8 = 16;
    /// All that distinguish names.
    pub(super) const LETTER: u8 = DIGIT | UPPER | LOWER | BEYOND;

    const fn of(byte: u8) -> u8 {
        match byte {
            b'0'..=b'9' => DIGIT,
            b'A'..=b'Z' => UPPER,
            b'a'..=b'z' => LOWER,
            0x80.. => BEYOND,
            b'[' | b'.' | b':' | b'$' | b'/' | b'?' | b'#' => PART,
            _ => 0,
        }
    }

    /// The kind of each byte, so that folding a name takes no branch for each test.
    #[expect(
        clippy::indexing_slicing,
        reason = "when it is compiled, an index out of bounds is an error"
    )]
    pub(super) static KINDS: [u8; 256] = {
        let mut kinds = [0; 256];
        let mut byte = 0;
        while byte < kinds.len() {
            kinds[byte] = of(byte as u8);
            byte += 1;
        }
        kinds
    };
}

fn kind(byte: Option<&u8>) -> u8 {
    byte.and_then(|byte| kind::KINDS.get(usize::from(*byte))).copied().unwrap_or_default()
}

/// True if this byte distinguishes names. All bytes beyond ASCII do.
fn counts(byte: &u8) -> bool {
    kind(Some(byte)) & kind::LETTER != 0
}

impl Folded {
    pub(super) fn new(name: &[u8]) -> Self {
        let letters = match name.len() {
            0..=LETTERS => 0,
            _ => name.iter().filter(|byte| counts(byte)).count(),
        };
        let mut skipped = letters.saturating_sub(LETTERS);
        let mut folded =
            Self { bytes: [0; LETTERS], len: 0, words: 0, parts: 0, cut: letters > LETTERS };
        // The start of a name is the start of a part.
        let (mut before, mut here) = (kind::PART, kind(name.first()));
        for (at, byte) in name.iter().enumerate() {
            let next = kind(name.get(at + 1));
            let is_letter = here & kind::LETTER != 0;
            if is_letter && skipped > 0 {
                skipped -= 1;
            } else if is_letter {
                let starts = u64::from(begins_word(before, here, next));
                folded.words |= starts << folded.len;
                folded.parts |= u64::from(before & kind::PART != 0) << folded.len;
                if let Some(place) = folded.bytes.get_mut(folded.len) {
                    *place = byte.to_ascii_lowercase();
                }
                folded.len += 1;
            }
            (before, here) = (here, next);
        }
        folded
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// True if it is longer than a listed name can be.
    pub(super) fn is_cut(&self) -> bool {
        self.cut || self.len > MAX_NAME_BYTES
    }

    pub(super) fn begins_word(&self, at: usize) -> bool {
        self.words >> at & 1 != 0
    }

    pub(super) fn begins_part(&self, at: usize) -> bool {
        self.parts >> at & 1 != 0
    }

    /// The length without the number at its end, `2` or `v2`, if there is one.
    pub(super) fn without_number(&self, end: usize) -> Option<usize> {
        let text = self.bytes.get(..end)?;
        let digits = text.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let rest = end - digits;
        let is_version =
            rest > 0 && text.get(rest - 1) == Some(&b'v') && self.begins_word(rest - 1);
        (digits > 0 && rest > 0).then_some(if is_version { rest - 1 } else { rest })
    }
}

/// True if a word starts at a letter of this kind, given the kinds of its neighbours.
fn begins_word(before: u8, here: u8, next: u8) -> bool {
    let digit_changes = (before ^ here) & kind::DIGIT != 0;
    let rises = here & kind::UPPER != 0 && (before | next) & kind::LOWER != 0;
    before & kind::LETTER == 0 || digit_changes || rises
}
