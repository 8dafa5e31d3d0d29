//! What the redaction flags mean.

use std::env;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow};

use super::Config;
use super::output::Output;
use crate::cli::{DetectorArg, PresetArg, RedactArgs};
use crate::rules::redact::{Detector, Key, Preset, RedactOptions, Redactor};

/// Holds the key of the tokens where no file does.
const KEY_VARIABLE: &str = "MIRROR_REDACT_KEY";

impl Config {
    /// The same with what these flags redact; `default` where they name no preset.
    ///
    /// # Errors
    /// What is wrong with the flags, and what to do.
    pub(super) fn redacting(mut self, args: &RedactArgs, default: Preset) -> anyhow::Result<Self> {
        let mut options = options(args, default)?;
        options.discover = matches!(self.output, Output::Findings { .. });
        let redactor = Redactor::new(options)?.map(Arc::new);
        if let Output::Findings { redactor: finder, .. } = &mut self.output {
            finder.clone_from(&redactor);
        }
        // Counts say nothing of what was in the messages, and heads are not even kept for them.
        if !matches!(self.output, Output::Counts | Output::RawPackets(_)) {
            self.rules.redactor = redactor;
        }
        Ok(self)
    }
}

/// What the flags ask for.
fn options(args: &RedactArgs, default: Preset) -> anyhow::Result<RedactOptions> {
    let preset = match args.redact {
        Some(PresetArg::None) => Preset::None,
        Some(PresetArg::Credentials) => Preset::Credentials,
        Some(PresetArg::Pii) => Preset::Pii,
        None => default,
    };
    Ok(RedactOptions {
        preset,
        key: key(args.redact_key_file.as_deref())?,
        headers: args.redact_headers.clone(),
        fields: args.redact_fields.clone(),
        json_paths: args.redact_json.clone(),
        cookies: args.redact_cookies.clone(),
        detectors: args.redact_detect.iter().map(|what| detector(*what)).collect(),
        keep: args.redact_keep.clone(),
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

fn detector(what: DetectorArg) -> Detector {
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
    }
}
