//! What is redacted: a preset and lists that add to it.

use enum_map::EnumMap;
use strum::IntoStaticStr;

use super::detect::Detector;
use super::names::{Names, Places};
use super::paths::Paths;
use super::tokens::Key;

/// What to redact before anything leaves. What no preset and no list asks for stays byte for byte.
#[derive(Clone, Debug, Default)]
pub struct RedactOptions {
    /// What is redacted before the lists below add to it.
    pub preset: Preset,
    /// What makes tokens; a random one for this run when there is none.
    pub key: Option<Key>,
    /// Headers whose values are replaced. Here and below, names are compared without case, `-` and
    /// `_`, so that `X-Api-Key`, `x_api_key` and `xApiKey` are one.
    pub headers: Vec<String>,
    /// Query parameters, form fields, parts of `multipart/form-data` and members of JSON objects at
    /// any depth whose values are replaced.
    pub fields: Vec<String>,
    /// Members of JSON bodies whose values are replaced, by path: `$.user.ssn`, `$.cards[*].number`,
    /// `$..secret`.
    pub json_paths: Vec<String>,
    /// Cookies whose values are replaced; the presets replace all.
    pub cookies: Vec<String>,
    /// What is recognised by its looks beside the preset's.
    pub detectors: Vec<Detector>,
    /// Names of headers, fields and cookies that stay although the preset lists them.
    pub keep: Vec<String>,
    /// Count what was found where, for [`Redactor::findings`](super::Redactor::findings).
    pub discover: bool,
}

/// What is redacted without further words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Preset {
    /// Nothing.
    #[default]
    None,
    /// What opens doors: credentials in headers, all cookies, fields such as `password` and
    /// `access_token`, tokens and keys known by their looks.
    Credentials,
    /// Those, and what names a person or an account: cards, bank accounts, social security
    /// numbers, e-mail addresses, telephone numbers, and fields such as `ssn` and `date_of_birth`.
    Pii,
}

impl RedactOptions {
    /// Those of a preset.
    #[must_use]
    pub fn preset(preset: Preset) -> Self {
        Self { preset, ..Self::default() }
    }

    /// True when nothing is to be redacted or looked for.
    #[must_use]
    pub fn is_off(&self) -> bool {
        let lists = [&self.headers, &self.fields, &self.json_paths, &self.cookies];
        self.preset == Preset::None
            && lists.iter().all(|list| list.is_empty())
            && self.detectors.is_empty()
            && !self.discover
    }

    pub(super) fn detectors_on(&self) -> EnumMap<Detector, bool> {
        let mut on = EnumMap::default();
        let listed = self.detectors.iter();
        let secrets = Detector::SECRETS.iter().filter(|_| self.preset >= Preset::Credentials);
        let personal = Detector::PERSONAL.iter().filter(|_| self.preset >= Preset::Pii);
        listed.chain(secrets).chain(personal).for_each(|what| on[*what] = true);
        on
    }

    pub(super) fn names(&self) -> Result<Names, BadOption> {
        let mut names = Names::default();
        if self.preset >= Preset::Credentials {
            names.all_cookies = true;
            for (name, kind) in CREDENTIALS {
                names.add(name, kind, Places::ALL)?;
            }
        }
        if self.preset >= Preset::Pii {
            for (name, kind) in PERSONAL {
                names.add(name, kind, Places::ALL)?;
            }
        }
        let lists = [
            (&self.headers, Places::HEADER),
            (&self.fields, Places::FIELD),
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
        Ok(names)
    }

    pub(super) fn paths(&self) -> Result<Paths, BadOption> {
        Paths::new(&self.json_paths)
    }
}

/// A name that can be listed.
///
/// # Errors
/// When it means nothing.
pub fn check_name(name: &str) -> Result<(), BadOption> {
    Names::default().keep(name)
}

/// A path that can be listed.
///
/// # Errors
/// When it means nothing.
pub fn check_path(path: &str) -> Result<(), BadOption> {
    Paths::new(&[path.to_owned()]).map(|_| ())
}

/// The kind that tokens of a listed name bear: the name as far as a token may hold it.
fn kind_of(name: &str) -> String {
    let kind: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .take(32)
        .collect();
    if kind.is_empty() { "value".to_owned() } else { kind }
}

/// An option that means nothing: "it is …".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadOption {
    /// A name without a letter or digit, or with more than 48 of them.
    Name(String),
    /// A path that is not of the form that [`RedactOptions::json_paths`] has.
    Path(String),
    /// Paths with more than 64 steps together.
    ManyPaths,
}

impl std::fmt::Display for BadOption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => {
                write!(f, "{name:?}: a name to redact has 1 to 48 letters, digits, `-` and `_`")
            }
            Self::Path(path) => write!(
                f,
                "{path:?}: a JSON path looks like $.user.ssn, $.cards[*].number or $..secret"
            ),
            Self::ManyPaths => write!(
                f,
                "the JSON paths have more than 64 steps together; `$..name` or a field's name needs one"
            ),
        }
    }
}

impl std::error::Error for BadOption {}

/// Names whose values open doors, and the kind of their tokens. Those that hold the same secret in
/// different places share a kind, so that it has one token.
const CREDENTIALS: &[(&str, &str)] = &[
    ("authorization", "authorization"),
    ("proxy-authorization", "authorization"),
    ("access-token", "bearer"),
    ("id-token", "bearer"),
    ("token", "bearer"),
    ("auth-token", "bearer"),
    ("x-auth-token", "bearer"),
    ("x-access-token", "bearer"),
    ("x-amz-security-token", "bearer"),
    ("security-token", "bearer"),
    ("session-token", "bearer"),
    ("jwt", "bearer"),
    ("refresh-token", "refresh-token"),
    ("api-key", "api-key"),
    ("x-api-key", "api-key"),
    ("x-goog-api-key", "api-key"),
    ("x-functions-key", "api-key"),
    ("subscription-key", "api-key"),
    ("ocp-apim-subscription-key", "api-key"),
    ("api-token", "api-key"),
    ("x-api-token", "api-key"),
    ("private-token", "api-key"),
    ("x-gitlab-token", "api-key"),
    ("x-vault-token", "api-key"),
    ("x-csrf-token", "csrf"),
    ("x-xsrf-token", "csrf"),
    ("csrf-token", "csrf"),
    ("xsrf-token", "csrf"),
    ("csrfmiddlewaretoken", "csrf"),
    ("authenticity-token", "csrf"),
    ("password", "password"),
    ("passwd", "password"),
    ("pwd", "password"),
    ("passphrase", "password"),
    ("new-password", "password"),
    ("old-password", "password"),
    ("current-password", "password"),
    ("confirm-password", "password"),
    ("password-confirmation", "password"),
    ("secret", "secret"),
    ("client-secret", "secret"),
    ("client-assertion", "secret"),
    ("secret-access-key", "secret"),
    ("aws-secret-access-key", "secret"),
    ("private-key", "secret"),
    ("x-amz-signature", "signature"),
    ("x-amz-credential", "signature"),
    ("x-goog-signature", "signature"),
    ("session-id", "session"),
    ("otp", "otp"),
    ("pin", "pin"),
    ("cvv", "cvv"),
    ("cvv2", "cvv"),
    ("cvc", "cvv"),
];

/// Names whose values name a person or an account. `pan`, `ssn`, `phone`, `email` and `iban` keep the
/// form of their values.
const PERSONAL: &[(&str, &str)] = &[
    ("ssn", "ssn"),
    ("social-security-number", "ssn"),
    ("pan", "pan"),
    ("card-number", "pan"),
    ("credit-card", "pan"),
    ("credit-card-number", "pan"),
    ("cc-number", "pan"),
    ("iban", "iban"),
    ("account-number", "account"),
    ("bank-account", "account"),
    ("email", "email"),
    ("e-mail", "email"),
    ("email-address", "email"),
    ("phone", "phone"),
    ("phone-number", "phone"),
    ("telephone", "phone"),
    ("tel", "phone"),
    ("mobile", "phone"),
    ("mobile-number", "phone"),
    ("mobile-phone", "phone"),
    ("cell-phone", "phone"),
    ("msisdn", "phone"),
    ("fax", "phone"),
    ("date-of-birth", "birth"),
    ("birth-date", "birth"),
    ("birthday", "birth"),
    ("dob", "birth"),
    ("first-name", "name"),
    ("last-name", "name"),
    ("full-name", "name"),
    ("given-name", "name"),
    ("family-name", "name"),
    ("surname", "name"),
    ("passport-number", "id"),
    ("national-id", "id"),
    ("tax-id", "id"),
    ("driver-license", "id"),
    ("drivers-license", "id"),
];
