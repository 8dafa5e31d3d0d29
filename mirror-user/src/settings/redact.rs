//! What leaves without secrets and personal data.

use std::path::PathBuf;

use super::define::settings;
use crate::rules::redact::{
    BadOption, Custom, Detector, Preset, check_cookie, check_header, check_name, check_path,
    check_segments,
};

settings! {
    /// What is replaced by tokens before anything leaves or is written.
    pub struct RedactSettings under "Redaction", changed AtOnce {
        /// What is replaced by tokens before anything leaves or is written
        setting preset: Option<Preset> {
            key: "preset",
            flag: "redact",
            default: "none for replay, credentials for files and reports",
        }
        /// The key of the tokens, 16 bytes or more; otherwise the variable MIRROR_REDACT_KEY, otherwise one for this run alone
        setting key_file: Option<PathBuf> { key: "key-file", flag: "redact-key-file" }
        /// Also replace this header's value; a pattern such as `x-*-token` is one, too
        setting headers: Vec<String> {
            key: "headers",
            flag: "redact-header",
            check: |text| said(check_header(text)),
        }
        /// Also replace the query parameter, form field and JSON member of this name or pattern, such as `*_token`, at any depth
        setting fields: Vec<String> {
            key: "fields",
            flag: "redact-field",
            check: |text| said(check_name(text)),
        }
        /// Also replace what this path names in JSON bodies, such as `$.user.ssn`, `$.cards[*].number` or `$..secret`
        setting json: Vec<String> {
            key: "json",
            flag: "redact-json",
            value: "PATH",
            check: |text| said(check_path(text)),
        }
        /// Also replace this cookie's value (the presets replace all)
        setting cookies: Vec<String> {
            key: "cookies",
            flag: "redact-cookie",
            check: |text| said(check_cookie(text)),
        }
        /// Also replace what looks like this, anywhere
        setting detect: Vec<Detector> {
            key: "detect",
            flag: "redact-detect",
            shares_key: true,
        }
        /// Also replace what this regular expression (RE2's syntax) matches, or its first group; NAME is the kind of its tokens
        setting custom: Vec<Custom> {
            key: "detect",
            flag: "redact-regex",
            shares_key: true,
        }
        /// Also replace the segments in braces of request paths, such as `/reset/{token}`
        setting paths: Vec<String> {
            key: "paths",
            flag: "redact-path",
            value: "PATH",
            check: |text| said(check_segments(text)),
        }
        /// Leave the header, field or cookie of this name or pattern as it is, though the preset lists it or its value looks like something
        setting keep: Vec<String> {
            key: "keep",
            flag: "redact-keep",
            check: |text| said(check_name(text)),
        }
        /// Do not replace what looks like this, though the preset does
        setting skip: Vec<Detector> { key: "skip", flag: "redact-skip" }
    }
}

fn said(checked: Result<(), BadOption>) -> Result<(), String> {
    checked.map_err(|bad| bad.to_string())
}
