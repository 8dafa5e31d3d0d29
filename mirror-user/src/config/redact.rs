//! What the redaction flags, and the key `redact` of a configuration file, mean.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow};

use super::Config;
use super::outputs::Messages;
use crate::cli::{DetectorArg, PresetArg, RedactArgs};
use crate::rules::redact::{Custom, Detector, Key, Preset, RedactOptions, Redactor};

/// Holds the key of the tokens where no file does.
const KEY_VARIABLE: &str = "MIRROR_REDACT_KEY";

/// What is to be redacted, as flags and files say it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedactSpec {
    /// `None`: the default of the output.
    pub preset: Option<Preset>,
    /// The file with the key of the tokens.
    pub key_file: Option<PathBuf>,
    /// As [`RedactOptions::headers`].
    pub headers: Vec<String>,
    /// As [`RedactOptions::fields`].
    pub fields: Vec<String>,
    /// As [`RedactOptions::json_paths`].
    pub json: Vec<String>,
    /// As [`RedactOptions::cookies`].
    pub cookies: Vec<String>,
    /// As [`RedactOptions::detectors`].
    pub detect: Vec<Detector>,
    /// As [`RedactOptions::custom`].
    pub custom: Vec<Custom>,
    /// Segments of request paths, such as `/reset/{token}`, that are replaced.
    pub paths: Vec<String>,
    /// As [`RedactOptions::keep`].
    pub keep: Vec<String>,
    /// As [`RedactOptions::skip`].
    pub skip: Vec<Detector>,
}

impl Config {
    /// The same with what is to be redacted; `default` where no preset is named.
    ///
    /// # Errors
    /// What is wrong with it, and what to do.
    pub(super) fn redacting(mut self, spec: RedactSpec, default: Preset) -> anyhow::Result<Self> {
        let discover = self.output.messages == Messages::Searched;
        let options = RedactOptions { discover, ..options(spec, default)? };
        let redactor = Redactor::new(options)?.map(Arc::new);
        if self.output.messages != Messages::Untouched {
            self.rules.redactor = redactor;
        }
        Ok(self)
    }
}

impl From<&RedactArgs> for RedactSpec {
    fn from(args: &RedactArgs) -> Self {
        Self {
            preset: args.redact.map(|preset| match preset {
                PresetArg::None => Preset::None,
                PresetArg::Credentials => Preset::Credentials,
                PresetArg::Pii => Preset::Pii,
            }),
            key_file: args.redact_key_file.clone(),
            headers: args.redact_headers.clone(),
            fields: args.redact_fields.clone(),
            json: args.redact_json.clone(),
            cookies: args.redact_cookies.clone(),
            detect: args.redact_detect.iter().map(|what| (*what).into()).collect(),
            custom: args.redact_regex.clone(),
            paths: args.redact_path.clone(),
            keep: args.redact_keep.clone(),
            skip: args.redact_skip.iter().map(|what| (*what).into()).collect(),
        }
    }
}

/// What is asked for, with its key; `default` where no preset is named.
///
/// # Errors
/// When the key cannot be read.
pub(crate) fn options(spec: RedactSpec, default: Preset) -> anyhow::Result<RedactOptions> {
    Ok(RedactOptions {
        preset: spec.preset.unwrap_or(default),
        key: key(spec.key_file.as_deref())?,
        headers: spec.headers,
        fields: spec.fields,
        json_paths: spec.json,
        cookies: spec.cookies,
        detectors: spec.detect,
        custom: spec.custom,
        segments: spec.paths,
        keep: spec.keep,
        skip: spec.skip,
        discover: false,
    })
}

/// The key from the file or the environment, without a line end.
fn key(file: Option<&Path>) -> anyhow::Result<Option<Key>> {
    let (name, bytes) = match (file, env::var_os(KEY_VARIABLE)) {
        (Some(file), _) => {
            let name = file.display().to_string();
            let bytes = fs::read(file)
                .with_context(|| format!("{name}: the redaction key cannot be read"))?;
            (name, bytes)
        }
        (None, Some(value)) => (KEY_VARIABLE.to_owned(), value.into_encoded_bytes()),
        (None, None) => return Ok(None),
    };
    let key = Key::new(bytes.trim_ascii_end());
    key.map(Some).map_err(|error| {
        anyhow!("{name}: {error}; `head -c 32 /dev/urandom | base64` makes a good one")
    })
}

impl From<DetectorArg> for Detector {
    fn from(what: DetectorArg) -> Self {
        match what {
            DetectorArg::Card => Detector::Card,
            DetectorArg::Email => Detector::Email,
            DetectorArg::Iban => Detector::Iban,
            DetectorArg::Ssn => Detector::Ssn,
            DetectorArg::Phone => Detector::Phone,
            DetectorArg::Jwt => Detector::Jwt,
            DetectorArg::Bearer => Detector::Bearer,
            DetectorArg::Basic => Detector::Basic,
            DetectorArg::AwsKey => Detector::AwsKey,
            DetectorArg::GithubToken => Detector::GithubToken,
            DetectorArg::StripeKey => Detector::StripeKey,
            DetectorArg::PrivateKey => Detector::PrivateKey,
            DetectorArg::ServiceToken => Detector::ServiceToken,
            DetectorArg::Userinfo => Detector::Userinfo,
            DetectorArg::Track => Detector::Track,
        }
    }
}
