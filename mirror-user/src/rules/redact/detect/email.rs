//! E-mail addresses: the common form of RFC 5321 §4.1.2, letters beyond ASCII included (RFC 6531).

use super::{Detection, Detector, What, is_word, run};
use crate::rules::redact::tokens;

/// RFC 5321 §4.5.3.1.1 has 64; the rest of a longer one would stay otherwise.
const MAX_LOCAL: usize = 256;
/// RFC 5321 §4.5.3.1.2.
const MAX_DOMAIN: usize = 255;

pub(super) fn find(text: &[u8], found: &mut Vec<Detection<'_>>) {
    let mut from = 0;
    for at in memchr::memchr_iter(b'@', text) {
        if at < from {
            continue;
        }
        let local = text
            .get(from..at)
            .unwrap_or_default()
            .iter()
            .rev()
            .take(MAX_LOCAL)
            .take_while(|byte| is_local(byte))
            .count();
        let start = at - local;
        // The dot of a preceding sentence is not part of the address.
        let dots = run(text, start, local, |byte| matches!(byte, b'.' | b'-' | b'\''));
        let start = start + dots;
        if start == at {
            continue;
        }
        let domain = run(text, at + 1, MAX_DOMAIN, is_domain);
        let Some(end) = text.get(at + 1..at + 1 + domain).and_then(domain_end) else { continue };
        let range = start..at + 1 + end;
        // Where one ends, the local part of the next may not begin: neither in `a@b.cc@d.ee` nor when
        // the first is a token by now.
        from = range.end;
        if !text.get(range.clone()).is_some_and(tokens::is_email) {
            found.push(Detection { range, what: What::Known(Detector::Email) });
        }
    }
}

/// RFC 5322's atext has more characters (`=`, `/`, `&`, …), which rather end what stands before the address.
fn is_local(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'+' | b'-' | b'\'' | 0x80..)
}

fn is_domain(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | 0x80..)
}

/// The end of the domain: after the last label that may be a top-level domain.
fn domain_end(text: &[u8]) -> Option<usize> {
    let mut end = text.len();
    loop {
        let domain = text.get(..end)?;
        let dot = memchr::memrchr(b'.', domain)?;
        let label = domain.get(dot + 1..)?.trim_ascii_end();
        let letters =
            run(label, 0, label.len(), |byte| byte.is_ascii_alphabetic() || *byte >= 0x80);
        let is_encoded = label.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"xn--"));
        let has_host = domain.get(..dot)?.iter().any(u8::is_ascii_alphanumeric)
            || domain.get(..dot)?.iter().any(|byte| *byte >= 0x80);
        match () {
            () if !has_host => return None,
            () if is_file(domain.get(..dot)?, label) => end = dot,
            () if is_encoded => return Some(end),
            // `a@b.com-x`: what follows the letters is not part of it; with a digit it is another label.
            () if letters >= 2 && !is_word(label.get(letters)) => return Some(dot + 1 + letters),
            () => end = dot,
        }
    }
}

/// File extensions that are not top-level domains.
const FILES: [&[u8]; 63] = [
    b"png", b"jpg", b"jpeg", b"gif", b"svg", b"webp", b"avif", b"ico", b"bmp", b"tif", b"tiff",
    b"css", b"scss", b"less", b"js", b"mjs", b"cjs", b"map", b"tsx", b"jsx", b"vue", b"wasm",
    b"json", b"html", b"htm", b"xml", b"txt", b"csv", b"yml", b"yaml", b"toml", b"ini", b"cfg",
    b"conf", b"log", b"bak", b"tgz", b"gz", b"xz", b"tar", b"whl", b"jar", b"war", b"exe", b"dll",
    b"dmg", b"deb", b"rpm", b"apk", b"ipa", b"iso", b"bin", b"gem", b"crate", b"nupkg", b"pdf",
    b"docx", b"xlsx", b"woff", b"ttf", b"eot", b"otf", b"lock",
];

/// `2x.png`, `1.2.3.tgz`: pictures for dense screens and versions of packages.
fn is_file(host: &[u8], label: &[u8]) -> bool {
    let extension = FILES.iter().any(|file| label.eq_ignore_ascii_case(file));
    let is_density = matches!(host, [digits @ .., b'x'] if is_number(digits));
    let is_version = host.contains(&b'.') && host.split(|byte| *byte == b'.').all(is_number);
    extension || is_density || is_version
}

fn is_number(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}
