//! Turns the redaction settings into options of the redactor.

use std::env;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow};

use super::Config;
use super::outputs::Messages;
use crate::rules::redact::{Key, Preset, RedactOptions, Redactor};
use crate::settings::RedactSettings;

/// Environment variable with the key of the tokens, if no file is given.
const KEY_VARIABLE: &str = "MIRROR_REDACT_KEY";

impl Config {
    /// Adds redaction; `default` applies if no preset is given.
    ///
    /// # Errors
    /// What is wrong with the settings, and how to fix them.
    pub(super) fn redacting(
        mut self,
        spec: RedactSettings,
        default: Preset,
    ) -> anyhow::Result<Self> {
        let discover = self.output.messages == Messages::Searched;
        let options = RedactOptions { discover, ..options(spec, default)? };
        let redactor = Redactor::new(options)?.map(Arc::new);
        if self.output.messages != Messages::Untouched {
            self.rules.redactor = redactor;
        }
        Ok(self)
    }
}

/// What redacts pairs that are compared: what a target may get may still not be shown. It has the key of `rules`, so that
/// tokens are the same, and its own counts, because another thread redacts.
///
/// # Errors
/// As [`Redactor::new`], or if the key cannot be read.
pub(crate) fn of_pairs(
    spec: &RedactSettings,
    rules: Option<&Redactor>,
) -> anyhow::Result<Option<Arc<Redactor>>> {
    let options = options(spec.clone(), Preset::Credentials)?;
    let redactor = match rules {
        Some(rules) => rules.successor(options)?,
        None => Redactor::new(options)?,
    };
    Ok(redactor.map(Arc::new))
}

/// The options, including the key; `default` applies if no preset is given.
///
/// # Errors
/// If the key cannot be read.
pub(crate) fn options(spec: RedactSettings, default: Preset) -> anyhow::Result<RedactOptions> {
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

/// Reads the key from the file or the environment, without trailing whitespace.
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
        anyhow!("{name}: {error}; `head -c 32 /dev/urandom | base64` generates a good one")
    })
}
