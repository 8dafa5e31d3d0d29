//! Custom detectors: regular expressions in linear time.

use std::fmt;

use regex::bytes::{Regex, RegexBuilder};

use crate::rules::redact::options::BadOption;

/// Maximum memory of one expression, in bytes.
const MAX_REGEX_BYTES: usize = 1 << 20;
/// Maximum length of a name, which is the kind of its tokens.
const MAX_NAME: usize = 32;

/// An expression whose matches are replaced, or only its first group, if it has one.
#[derive(Clone)]
pub struct Custom {
    /// The kind of its tokens.
    pub(in crate::rules::redact) name: String,
    pub(in crate::rules::redact) regex: Regex,
    /// True to replace each letter by `x` and each digit by `0`, which keeps the length.
    pub(in crate::rules::redact) keep_length: bool,
}

impl Custom {
    /// Compiles it.
    ///
    /// # Errors
    /// If the name is not 1 to 32 lower-case letters, digits and hyphens; or if the expression is
    /// invalid, needs too much memory, or matches the empty text.
    pub fn new(name: &str, regex: &str, keep_length: bool) -> Result<Self, BadOption> {
        let bad = |why: String| BadOption::Custom(why);
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !(1..=MAX_NAME).contains(&name.len()) || !name.bytes().all(plain) {
            return Err(bad(format!(
                "{name:?} is no name for a detector; write 1 to {MAX_NAME} small letters, digits and `-`"
            )));
        }
        let compiled =
            RegexBuilder::new(regex).size_limit(MAX_REGEX_BYTES).build().map_err(|error| {
                let why = error.to_string();
                let why =
                    why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                bad(format!("detector {name}: {regex:?} is no regular expression: {why}"))
            })?;
        if compiled.is_match(b"") {
            return Err(bad(format!(
                "detector {name}: {regex:?} matches where nothing is; write one that needs a character"
            )));
        }
        Ok(Self { name: name.to_owned(), regex: compiled, keep_length })
    }

    /// The name of its kind.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The expression as written.
    #[must_use]
    pub fn regex(&self) -> &str {
        self.regex.as_str()
    }

    /// Whether matches keep their length.
    #[must_use]
    pub fn keeps_length(&self) -> bool {
        self.keep_length
    }
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.regex)
    }
}

impl PartialEq for Custom {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.regex.as_str() == other.regex.as_str()
            && self.keep_length == other.keep_length
    }
}

impl Eq for Custom {}

/// `x` for each letter, `0` for each digit: what matched once matches, if at all, as itself.
pub(super) fn mask(text: &[u8], out: &mut Vec<u8>) {
    out.extend(text.iter().map(|byte| match byte {
        b'0'..=b'9' => b'0',
        b'a'..=b'z' => b'x',
        b'A'..=b'Z' => b'X',
        0x80.. => b'x',
        other => *other,
    }));
}
