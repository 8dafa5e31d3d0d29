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

/// True if this byte distinguishes names. All bytes beyond ASCII do.
fn counts(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80
}

impl Folded {
    pub(super) fn new(name: &[u8]) -> Self {
        let letters = match name.len() {
            0..=LETTERS => 0,
            _ => name.iter().filter(|byte| counts(**byte)).count(),
        };
        let mut skipped = letters.saturating_sub(LETTERS);
        let mut folded =
            Self { bytes: [0; LETTERS], len: 0, words: 0, parts: 0, cut: letters > LETTERS };
        let mut before: Option<u8> = None;
        for (at, byte) in name.iter().enumerate() {
            if !counts(*byte) {
                before = Some(*byte);
                continue;
            }
            if skipped > 0 {
                skipped -= 1;
                before = Some(*byte);
                continue;
            }
            let next = name.get(at + 1);
            let bit = 1_u64 << folded.len;
            if before.is_none_or(|before| begins_word(before, *byte, next)) {
                folded.words |= bit;
            }
            if before.is_none_or(|before| b"[.:$/?#".contains(&before)) {
                folded.parts |= bit;
            }
            if let Some(place) = folded.bytes.get_mut(folded.len) {
                *place = byte.to_ascii_lowercase();
            }
            folded.len += 1;
            before = Some(*byte);
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

/// True if a word starts at `byte`, given its neighbours.
fn begins_word(before: u8, byte: u8, next: Option<&u8>) -> bool {
    let digit_changes = before.is_ascii_digit() != byte.is_ascii_digit();
    let rises = byte.is_ascii_uppercase()
        && (before.is_ascii_lowercase() || next.is_some_and(u8::is_ascii_lowercase));
    !counts(before) || digit_changes || rises
}
