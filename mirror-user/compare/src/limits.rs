//! What one comparison may cost. There is no clock here: time is bounded by counting work.

/// Bounds of one pair of responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a body after its codings are undone. A longer one is compared by length and digest.
    pub body_bytes: usize,
    /// Containers inside one another; an HTML or XML element counts as two. What is nested deeper is not read.
    pub depth: usize,
    /// Values of one body. A body with more is not read.
    pub nodes: usize,
    /// Bytes of one member name or field name that reports show; the rest is cut.
    pub shown_bytes: usize,
    /// Elements of a list that are aligned with those of another; longer rests are compared by position.
    pub aligned: usize,
    /// Differences of one pair that are listed; those beyond are counted.
    pub differences: usize,
    /// Steps of one pair: a value that is looked at is one, aligning two lists is the product of their lengths
    /// divided by 16. What is left when they are used up is reported as not compared.
    pub work: u64,
}

impl Default for Limits {
    /// 4 MiB are above nearly all bodies of APIs and pages; 256 levels are twice what common JSON parsers take; with
    /// 2 million steps a pair takes some ten milliseconds at most.
    fn default() -> Self {
        Self {
            body_bytes: 4 << 20,
            depth: 256,
            nodes: 500_000,
            shown_bytes: 256,
            aligned: 1_024,
            differences: 1_000,
            work: 2_000_000,
        }
    }
}

/// What is left of [`Limits::work`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work(u64);

impl Work {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self(limits.work)
    }

    /// Takes some; false if there is not enough.
    pub(crate) fn spend(&mut self, steps: u64) -> bool {
        match self.0.checked_sub(steps) {
            Some(left) => {
                self.0 = left;
                true
            }
            None => {
                self.0 = 0;
                false
            }
        }
    }
}

/// The start of a text, of at most `max` bytes, at a character's boundary; and whether that is all.
pub(crate) fn cut(text: &str, max: usize) -> (&str, bool) {
    if text.len() <= max {
        return (text, true);
    }
    let end = (0..=max).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    (text.get(..end).unwrap_or_default(), false)
}
