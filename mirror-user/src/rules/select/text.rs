//! What the value of a field or of a query parameter must be. The only file that knows `regex`.

use regex::bytes::{Regex, RegexBuilder};

/// The most memory that one compiled expression takes, in bytes. The counted repetitions of a
/// hostile one would take gigabytes; ordinary ones take a few KiB.
const MAX_REGEX_BYTES: usize = 1 << 20;

/// What a value must be.
#[derive(Clone, Debug, PartialEq)]
pub enum TextMatch {
    /// This, byte for byte.
    Exact(String),
    /// Beginning with this.
    Prefix(String),
    /// This expression from its first byte to its last.
    Regex(Pattern),
    /// Anything, but it must be there.
    Present,
    /// Not there.
    Absent,
    /// Anything but this; one that is not there counts as empty.
    Not(Box<Self>),
}

impl TextMatch {
    /// True when `value` is such a value; `None` where there is none.
    #[must_use]
    pub fn matches(&self, value: Option<&[u8]>) -> bool {
        match (self, value) {
            (Self::Exact(exact), Some(value)) => exact.as_bytes() == value,
            (Self::Prefix(prefix), Some(value)) => value.starts_with(prefix.as_bytes()),
            (Self::Regex(pattern), Some(value)) => pattern.matches(value),
            (Self::Present, value) => value.is_some(),
            (Self::Absent, value) => value.is_none(),
            (Self::Not(text), value) => !text.matches(Some(value.unwrap_or_default())),
            (Self::Exact(_) | Self::Prefix(_) | Self::Regex(_), None) => false,
        }
    }

    pub(super) fn covers(&self, narrow: &Self) -> bool {
        match (self, narrow) {
            (Self::Present, Self::Exact(_) | Self::Prefix(_) | Self::Regex(_)) => true,
            (wide, Self::Exact(value)) => wide.matches(Some(value.as_bytes())),
            (Self::Prefix(wide), Self::Prefix(narrow)) => narrow.starts_with(wide.as_str()),
            (wide, narrow) => wide == narrow,
        }
    }

    /// True when no value can be both.
    #[must_use]
    pub fn excludes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(value), other) | (other, Self::Exact(value)) => {
                !other.matches(Some(value.as_bytes()))
            }
            (Self::Absent, Self::Present | Self::Prefix(_) | Self::Regex(_))
            | (Self::Present | Self::Prefix(_) | Self::Regex(_), Self::Absent) => true,
            (Self::Prefix(a), Self::Prefix(b)) => {
                !a.starts_with(b.as_str()) && !b.starts_with(a.as_str())
            }
            _ => false,
        }
    }
}

/// A regular expression that a whole value must match, in time linear in its length.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    regex: Regex,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Pattern {
    /// Compiles it.
    ///
    /// # Errors
    /// When it is none (RE2's syntax, which has no look-around and no back-references), or takes
    /// more than [1 MiB](MAX_REGEX_BYTES).
    pub fn new(text: &str) -> Result<Self, String> {
        let told = |error: regex::Error| match error {
            regex::Error::CompiledTooBig(_) => {
                format!(
                    "{text:?} takes more than {MAX_REGEX_BYTES} bytes; write it with fewer repetitions"
                )
            }
            // The library's message draws the place under the expression, in lines of its own.
            error => {
                let why = error.to_string();
                let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ");
                format!("{text:?} is no regular expression: {why}")
            }
        };
        let compile = |text: &str| RegexBuilder::new(text).size_limit(MAX_REGEX_BYTES).build();
        // First by itself, so that `a)|(b` cannot close the group around it.
        compile(text).map_err(told)?;
        let regex = compile(&format!(r"\A(?:{text})\z")).map_err(told)?;
        Ok(Self { text: text.to_owned(), regex })
    }

    /// True when it matches from the first byte to the last.
    #[must_use]
    pub fn matches(&self, value: &[u8]) -> bool {
        self.regex.is_match(value)
    }

    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}
