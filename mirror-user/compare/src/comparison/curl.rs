//! A request as a command that sends it again. It has been redacted: tokens stand where secrets were.

use crate::pair::Request;

/// Bytes of a body that a command holds.
const MAX_BODY: usize = 8 * 1024;

/// Fields that curl makes itself, or that hold for one connection.
const LEFT_OUT: [&str; 9] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "expect",
];

/// The command; `base_url` without a `/` at its end.
pub(super) fn command(request: &Request<'_>, base_url: &str) -> String {
    let path = if request.target.starts_with('/') { request.target } else { "/" };
    let mut command = match request.method {
        "GET" => "curl".to_owned(),
        "HEAD" => "curl --head".to_owned(),
        method => format!("curl -X {}", quoted(method)),
    };
    for (name, value) in request.fields {
        let name = String::from_utf8_lossy(name);
        if LEFT_OUT.iter().all(|one| !name.eq_ignore_ascii_case(one)) {
            let line = format!("{name}: {}", String::from_utf8_lossy(value));
            command.push_str(&format!(" -H {}", quoted(&line)));
        }
    }
    match std::str::from_utf8(request.body) {
        Ok("") => {}
        Ok(body) if body.len() <= MAX_BODY && !body.contains('\0') => {
            command.push_str(&format!(" --data-binary {}", quoted(body)));
        }
        _ => command.push_str(" --data-binary @body"),
    }
    let url = format!("{}{path}", base_url.trim_end_matches('/'));
    command.push_str(&format!(" {}", quoted(&url)));
    command
}

/// For a POSIX shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=%@+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_sends_the_request_again_and_nothing_else() {
        let request = Request {
            method: "POST",
            target: "/cart?a=1&b='; rm -rf /",
            fields: &[(b"Host", b"shop"), (b"X-A", b"it's $HOME"), (b"Content-Length", b"9")],
            body: br#"{"a": 1}"#,
        };
        assert_eq!(
            command(&request, "http://candidate:8080/"),
            r#"curl -X POST -H 'X-A: it'\''s $HOME' --data-binary '{"a": 1}' 'http://candidate:8080/cart?a=1&b='\''; rm -rf /'"#
        );
    }
}
