//! Conditions on the value of a header field or query parameter. The only file that uses `regex`.

use memchr::memmem::Finder;
use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::hir::{Hir, HirKind};

/// Maximum memory of one compiled expression, in bytes. Counted repetitions in a hostile one could take
/// gigabytes; ordinary ones take a few KiB.
const MAX_REGEX_BYTES: usize = 1 << 20;

/// A condition on a value.
#[derive(Clone, Debug, PartialEq)]
pub enum TextMatch {
    /// Equal to this, byte for byte.
    Exact(String),
    /// Starts with this.
    Prefix(String),
    /// Matches this expression as a whole.
    Regex(Pattern),
    /// Present, with any value.
    Present,
    /// Absent.
    Absent,
    /// Anything but this; an absent value counts as empty.
    Not(Box<Self>),
}

impl TextMatch {
    /// True if the condition holds for `value`; `None` if it is absent.
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

    /// True if no value can satisfy both.
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
    /// A literal that every matching value contains. It rules out most values, and searching for it
    /// takes a tenth of the time of the expression.
    word: Option<Box<Finder<'static>>>,
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
    /// If it is invalid (RE2 syntax: no look-around, no back-references), or needs more than 1 MiB of
    /// memory.
    pub fn new(text: &str) -> Result<Self, String> {
        let describe = |error: regex::Error| match error {
            regex::Error::CompiledTooBig(_) => {
                format!(
                    "{text:?} takes more than {MAX_REGEX_BYTES} bytes; write it with fewer repetitions"
                )
            }
            // The library's message spans several lines; the last one has the reason.
            error => {
                let why = error.to_string();
                let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ");
                format!("{text:?} is not a valid regular expression: {why}")
            }
        };
        let compile = |text: &str| RegexBuilder::new(text).size_limit(MAX_REGEX_BYTES).build();
        // First on its own, so that `a)|(b` cannot close the group around it.
        compile(text).map_err(describe)?;
        let regex = compile(&format!(r"\A(?:{text})\z")).map_err(describe)?;
        let parsed = regex_syntax::ParserBuilder::new().utf8(false).build().parse(text);
        let word = parsed.ok().map(|hir| longest_word(&hir).to_vec()).filter(|word| word.len() > 1);
        let word = word.map(|word| Box::new(Finder::new(&word).into_owned()));
        Ok(Self { text: text.to_owned(), regex, word })
    }

    /// True if it matches the whole value.
    #[must_use]
    pub fn matches(&self, value: &[u8]) -> bool {
        self.word.as_ref().is_none_or(|word| word.find(value).is_some())
            && self.regex.is_match(value)
    }

    /// A literal that every matching value contains; empty if none is known.
    pub(super) fn word(&self) -> &[u8] {
        self.word.as_ref().map_or(&[], |word| word.needle())
    }

    /// The expression as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// The longest literal that every match must contain; empty if there is none.
fn longest_word(hir: &Hir) -> &[u8] {
    match hir.kind() {
        HirKind::Literal(literal) => &literal.0,
        HirKind::Capture(group) => longest_word(&group.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => longest_word(&repetition.sub),
        HirKind::Concat(parts) => {
            parts.iter().map(longest_word).max_by_key(|word| word.len()).unwrap_or_default()
        }
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn the_prefiltered_literal_is_in_every_match() {
        let word = |text: &str| {
            let word = Pattern::new(text).unwrap().word;
            word.map(|word| String::from_utf8(word.needle().to_vec()).unwrap())
        };
        assert_eq!(word("/api/v[0-9]+/customers/7/.*").as_deref(), Some("/customers/7/"));
        assert_eq!(word("(/orders)+|/x"), None);
        assert_eq!(word("(/orders)+/?").as_deref(), Some("/orders"));
        assert_eq!(word("(/orders)*/"), None);
        assert_eq!(word("(?i)/orders"), None);
    }

    proptest::proptest! {
        /// Same result as the library alone.
        #[test]
        fn the_prefilter_never_changes_the_result(
            text in "(/|a|b|ab|\\.|\\(ab\\)|\\(a\\|b\\)|\\[ab\\]|\\*|\\+|\\?){0,8}",
            value in "[ab/.]{0,8}",
        ) {
            if let Ok(pattern) = Pattern::new(&text) {
                proptest::prop_assert_eq!(
                    pattern.matches(value.as_bytes()),
                    pattern.regex.is_match(value.as_bytes())
                );
            }
        }
    }
}
