//! What the redaction flags, and the key `redact` of a configuration file, mean.

use std::env;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow};

use super::Config;
use super::outputs::Messages;
use crate::rules::redact::{Key, Preset, RedactOptions, Redactor};
use crate::settings::RedactSettings;

/// Holds the key of the tokens where no file does.
const KEY_VARIABLE: &str = "MIRROR_REDACT_KEY";

impl Config {
    /// The same with what is to be redacted; `default` where no preset is named.
    ///
    /// # Errors
    /// What is wrong with it, and what to do.
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

/// What is asked for, with its key; `default` where no preset is named.
///
/// # Errors
/// When the key cannot be read.
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
