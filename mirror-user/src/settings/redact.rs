//! Redaction of secrets and personal data.

use std::path::PathBuf;

use super::define::settings;
use crate::rules::redact::{
    BadOption, Custom, Detector, Preset, check_cookie, check_header, check_name, check_path,
    check_segments,
};

settings! {
    /// What is replaced by tokens before anything is sent or written.
    pub struct RedactSettings under "Redaction", changed AtOnce {
        /// What is replaced by tokens before anything is sent or written
        setting preset: Option<Preset> {
            key: "preset",
            flag: "redact",
            default: "none for replay, credentials for files and reports",
        }
        /// File with the key that tokens are derived from, 16 bytes or more [default: the environment variable MIRROR_REDACT_KEY, or else a random key for this run]
        setting key_file: Option<PathBuf> {
            key: "key-file",
            flag: "redact-key-file",
            env: "MIRROR_REDACT_KEY_FILE",
        }
        /// Also replace the value of this header; patterns such as `x-*-token` are allowed
        setting headers: Vec<String> {
            key: "headers",
            flag: "redact-header",
            check: |text| checked(check_header(text)),
        }
        /// Also replace query parameters, form fields and JSON members with this name, at any depth; patterns such as `*_token` are allowed
        setting fields: Vec<String> {
            key: "fields",
            flag: "redact-field",
            check: |text| checked(check_name(text)),
        }
        /// Also replace the values at this path in JSON bodies, such as `$.user.ssn`, `$.cards[*].number` or `$..secret`
        setting json: Vec<String> {
            key: "json",
            flag: "redact-json",
            value: "PATH",
            check: |text| checked(check_path(text)),
        }
        /// Also replace the value of this cookie (every preset but `none` replaces all cookies)
        setting cookies: Vec<String> {
            key: "cookies",
            flag: "redact-cookie",
            check: |text| checked(check_cookie(text)),
        }
        /// Also replace whatever this detector finds, anywhere in a message
        setting detect: Vec<Detector> {
            key: "detect",
            flag: "redact-detect",
            shares_key: true,
        }
        /// Also replace what this regular expression (RE2 syntax) matches, or only its first group; NAME becomes the kind of the tokens
        setting custom: Vec<Custom> {
            key: "detect",
            flag: "redact-regex",
            shares_key: true,
        }
        /// Also replace the path segments written in braces, such as `/reset/{token}`
        setting paths: Vec<String> {
            key: "paths",
            flag: "redact-path",
            value: "PATH",
            check: |text| checked(check_segments(text)),
        }
        /// Never replace the header, field or cookie with this name or pattern, even if the preset lists it or a detector finds something in it
        setting keep: Vec<String> {
            key: "keep",
            flag: "redact-keep",
            check: |text| checked(check_name(text)),
        }
        /// Turn off this detector, even if the preset includes it
        setting skip: Vec<Detector> { key: "skip", flag: "redact-skip" }
    }
}

fn checked(result: Result<(), BadOption>) -> Result<(), String> {
    result.map_err(|bad| bad.to_string())
}
