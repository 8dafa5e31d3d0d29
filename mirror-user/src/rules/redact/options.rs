//! What is redacted: a preset and lists that add to it.

use enum_map::EnumMap;
use strum::{EnumIter, EnumMessage, IntoStaticStr};

use super::detect::{Custom, Detector};
use super::names::{self, MAX_NAME_BYTES, Names, Places};
use super::segments::Segments;
use super::tokens::Key;
use crate::json_path::{BadPath, Paths};

/// What to redact before anything is sent or written. Everything else stays byte for byte.
#[derive(Clone, Debug, Default)]
pub struct RedactOptions {
    /// The base, which the lists below extend.
    pub preset: Preset,
    /// The key of the tokens; `None`: a random one for this run.
    pub key: Option<Key>,
    /// Headers whose values are replaced. Here and below, names are compared without case, `-`, `_` and
    /// `.`, so `X-Api-Key`, `x_api_key` and `xApiKey` are the same; `*` and `?` are wildcards.
    pub headers: Vec<String>,
    /// Query parameters, form fields, parts of `multipart/form-data` and members of JSON objects at
    /// any depth whose values are replaced.
    pub fields: Vec<String>,
    /// Members of JSON bodies whose values are replaced, by path: `$.user.ssn`, `$.cards[*].number`,
    /// `$..secret`.
    pub json_paths: Vec<String>,
    /// Cookies whose values are replaced; the presets replace all.
    pub cookies: Vec<String>,
    /// Detectors in addition to those of the preset.
    pub detectors: Vec<Detector>,
    /// Custom detectors.
    pub custom: Vec<Custom>,
    /// Path segments that are replaced, in braces: `/reset/{token}`.
    pub segments: Vec<String>,
    /// Names and patterns of headers, fields and cookies whose values are never replaced.
    pub keep: Vec<String>,
    /// Detectors of the preset that are turned off.
    pub skip: Vec<Detector>,
    /// Record findings with their places, for [`Redactor::findings`](super::Redactor::findings).
    pub discover: bool,
}

/// The base of redaction.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    EnumIter,
    EnumMessage,
    IntoStaticStr,
)]
#[strum(serialize_all = "snake_case")]
pub enum Preset {
    /// No redaction
    #[default]
    None,
    /// Credentials in headers, all cookies, fields such as `password` and `access_token`, tokens and keys
    /// known by their pattern
    Credentials,
    /// Also what identifies a person or an account: cards, bank accounts, social security
    /// numbers, e-mail addresses, telephone numbers, and fields such as `ssn` and `date_of_birth`
    Pii,
}

impl RedactOptions {
    /// The options of a preset.
    #[must_use]
    pub fn preset(preset: Preset) -> Self {
        Self { preset, ..Self::default() }
    }

    /// True if nothing is to be redacted or searched for.
    #[must_use]
    pub fn is_off(&self) -> bool {
        let lists = [&self.headers, &self.fields, &self.json_paths, &self.cookies, &self.segments];
        self.preset == Preset::None
            && lists.iter().all(|list| list.is_empty())
            && self.detectors.is_empty()
            && self.custom.is_empty()
            && !self.discover
    }

    pub(super) fn detectors_on(&self) -> EnumMap<Detector, bool> {
        let mut on = EnumMap::default();
        let listed = self.detectors.iter();
        let secrets = Detector::SECRETS.iter().filter(|_| self.preset >= Preset::Credentials);
        let personal = Detector::PERSONAL.iter().filter(|_| self.preset >= Preset::Pii);
        listed.chain(secrets).chain(personal).for_each(|what| on[*what] = true);
        self.skip.iter().for_each(|what| on[*what] = false);
        on
    }

    pub(super) fn names(&self) -> Result<Names, BadOption> {
        let mut names = Names::preset(self.preset);
        let lists = [
            (&self.headers, Places::HEADER),
            (&self.fields, Places::FIELDS),
            (&self.cookies, Places::COOKIE),
        ];
        for (list, places) in lists {
            for name in list {
                names.add(name, &kind_of(name), places)?;
            }
        }
        for name in &self.keep {
            names.keep(name)?;
        }
        names.note_ordinary();
        Ok(names)
    }

    pub(super) fn paths(&self) -> Result<Paths, BadPath> {
        Paths::new(&self.json_paths)
    }

    pub(super) fn segments(&self) -> Result<Segments, BadOption> {
        Segments::new(&self.segments)
    }
}

/// Checks the name of a header.
///
/// # Errors
/// If no header can have this name.
pub fn check_header(name: &str) -> Result<(), BadOption> {
    names::check_name(name, Places::HEADER)
}

/// Checks the name of a cookie.
///
/// # Errors
/// If no cookie can have this name.
pub fn check_cookie(name: &str) -> Result<(), BadOption> {
    names::check_name(name, Places::COOKIE)
}

/// Checks a path with segments in braces.
///
/// # Errors
/// If it names no segment.
pub fn check_segments(path: &str) -> Result<(), BadOption> {
    Segments::new(&[path.to_owned()]).map(|_| ())
}

/// Checks the name of a field.
///
/// # Errors
/// If it is invalid.
pub fn check_name(name: &str) -> Result<(), BadOption> {
    names::check_name(name, Places::FIELDS)
}

/// Checks a JSON path.
///
/// # Errors
/// If it is invalid.
pub fn check_path(path: &str) -> Result<(), BadOption> {
    Ok(Paths::new(&[path.to_owned()]).map(|_| ())?)
}

/// The kind in tokens of a listed name: the name, as far as it is valid in a token.
fn kind_of(name: &str) -> String {
    let kind: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .take(32)
        .collect();
    if kind.is_empty() { "value".to_owned() } else { kind }
}

/// An invalid option: "it is …".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadOption {
    /// A name without a letter or digit, or with more than 48 of them.
    Name(String),
    /// A name that no header, field or cookie can have.
    Never(String),
    /// A path without segments in braces, or not a path.
    Segments(String),
    /// An invalid regular expression, or an invalid name of one.
    Custom(String),
    /// A path that is not of the form of [`RedactOptions::json_paths`], or too many of them.
    Path(BadPath),
}

impl std::fmt::Display for BadOption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => {
                write!(
                    f,
                    "{name:?}: a name to redact has 1 to {MAX_NAME_BYTES} letters and digits beside `-`, `_`, \
                     `.`, `*` and `?`"
                )
            }
            Self::Never(name) => write!(
                f,
                "{name:?} never matches: no header, field or cookie can have such a name, or its value must \
                 be kept for the message to be parsed"
            ),
            Self::Segments(path) => {
                write!(
                    f,
                    "{path:?}: a path to redact looks like /reset/{{token}} or /users/*/{{key}}"
                )
            }
            Self::Custom(why) => f.write_str(why),
            Self::Path(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for BadOption {}

impl From<BadPath> for BadOption {
    fn from(bad: BadPath) -> Self {
        Self::Path(bad)
    }
}
