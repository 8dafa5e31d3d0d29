//! What leaves without secrets and personal data, as typed.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::rules::redact::Custom;

/// What is replaced by tokens before anything leaves or is written.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Redaction")]
pub struct RedactArgs {
    /// What is replaced by tokens before anything leaves or is written [default: none for replay,
    /// credentials for files and reports]
    #[arg(long, value_enum, value_name = "PRESET")]
    pub redact: Option<PresetArg>,
    /// The key of the tokens, 16 bytes or more; otherwise the variable MIRROR_REDACT_KEY, otherwise
    /// one for this run alone
    #[arg(long, value_name = "FILE")]
    pub redact_key_file: Option<PathBuf>,
    /// Also replace this header's value; a pattern such as `x-*-token` is one, too; repeat for more
    #[arg(long = "redact-header", value_name = "NAME")]
    pub redact_headers: Vec<String>,
    /// Also replace the query parameter, form field and JSON member of this name or pattern, such as
    /// `*_token`, at any depth
    #[arg(long = "redact-field", value_name = "NAME")]
    pub redact_fields: Vec<String>,
    /// Also replace what this path names in JSON bodies, such as `$.user.ssn` or `$.cards[*].number`
    #[arg(long = "redact-json", value_name = "PATH")]
    pub redact_json: Vec<String>,
    /// Also replace this cookie's value (the presets replace all)
    #[arg(long = "redact-cookie", value_name = "NAME")]
    pub redact_cookies: Vec<String>,
    /// Also replace what looks like this, anywhere
    #[arg(long = "redact-detect", value_enum, value_name = "WHAT")]
    pub redact_detect: Vec<DetectorArg>,
    /// Also replace what this regular expression (RE2's syntax) matches, or its first group; NAME is
    /// the kind of its tokens
    #[arg(long = "redact-regex", value_name = "NAME=REGEX", value_parser = custom)]
    pub redact_regex: Vec<Custom>,
    /// Also replace the segments in braces of request paths, such as `/reset/{token}`
    #[arg(long = "redact-path", value_name = "PATH")]
    pub redact_path: Vec<String>,
    /// Leave the header, field or cookie of this name or pattern as it is, though the preset lists it or
    /// its value looks like something
    #[arg(long = "redact-keep", value_name = "NAME")]
    pub redact_keep: Vec<String>,
    /// Do not replace what looks like this, though the preset does
    #[arg(long = "redact-skip", value_enum, value_name = "WHAT")]
    pub redact_skip: Vec<DetectorArg>,
}

/// `NAME=REGEX`
fn custom(text: &str) -> Result<Custom, String> {
    let (name, regex) =
        text.split_once('=').ok_or("write it as NAME=REGEX, such as order=ORD-[0-9]{8}")?;
    Custom::new(name, regex, false).map_err(|bad| bad.to_string())
}

/// What is replaced without further words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PresetArg {
    /// Nothing
    None,
    /// What opens doors: credentials, cookies, fields such as `password`, tokens and keys
    Credentials,
    /// Those, and payment cards, bank accounts, social security numbers, e-mail addresses, phone numbers
    Pii,
}

/// What is recognised by its looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DetectorArg {
    /// Payment card numbers
    Card,
    /// E-mail addresses
    Email,
    /// International Bank Account Numbers
    Iban,
    /// US social security numbers
    Ssn,
    /// Telephone numbers behind a word that says so
    Phone,
    /// JSON Web Tokens
    Jwt,
    /// `Bearer` and what follows
    Bearer,
    /// `Basic` and what follows
    Basic,
    /// Access key ids of AWS
    AwsKey,
    /// Tokens of GitHub
    GithubToken,
    /// Secret keys of Stripe
    StripeKey,
    /// Private keys in PEM, of OpenSSH, PGP, PuTTY and age
    PrivateKey,
    /// Tokens of Slack, GitLab, Google, npm, PyPI, OpenAI, Anthropic, Twilio, SendGrid and others
    ServiceToken,
    /// User information in URLs
    Userinfo,
    /// What is on the magnetic stripe of a card
    Track,
}
