//! The URL of a request, as HAR has it.

use std::fmt::Write;

use crate::http::message::{Exchange, Head};
use crate::http::target::{RequestTarget, TargetForm};

/// A URL, and the request target where a reader of the URL would come to another one.
pub(super) struct Url {
    /// An absolute URL; `http`, as what was captured is not encrypted.
    pub(super) text: String,
    /// Host and port.
    pub(super) authority: String,
    /// The target as it was sent.
    pub(super) target: Option<String>,
}

impl Url {
    /// The URL of this exchange's request.
    pub(super) fn of(exchange: &Exchange, head: &Head) -> Self {
        let target = head.target();
        let parts = RequestTarget::parse(head.method(), target);
        let named = [parts.host(), head.field("host").unwrap_or_default()];
        let named = named.into_iter().find(|host| is_authority(host));
        let authority = match named {
            Some(host) => host.iter().copied().map(char::from).collect(),
            None => exchange.peers.server.to_string(),
        };
        let mut text = format!("http://{authority}");
        let start = text.len();
        match parts.form() {
            TargetForm::Origin => escape(target, &mut text),
            TargetForm::Absolute => {
                escape(parts.path(), &mut text);
                if target.contains(&b'?') {
                    text.push('?');
                    escape(parts.query(), &mut text);
                }
            }
            TargetForm::Authority | TargetForm::Asterisk => text.push('/'),
            TargetForm::Other => {
                text.push('/');
                escape(target, &mut text);
            }
        }
        let is_same = text.as_bytes().get(start..) == Some(target);
        let shown = || target.iter().copied().map(char::from).collect();
        let target = if is_same { None } else { Some(shown()) };
        Self { text, authority, target }
    }
}

pub(super) fn is_authority(host: &[u8]) -> bool {
    let is_plain =
        |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~:[]!$&'()*+,;=%".contains(byte);
    !host.is_empty() && host.iter().all(is_plain)
}

/// Escapes what may not stand in a URL (RFC 3986), and `#`, which would end it.
fn escape(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        match byte {
            b'"' | b'#' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => {
                let _ = write!(out, "%{byte:02X}");
            }
            0x21..=0x7e => out.push(char::from(*byte)),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
}
