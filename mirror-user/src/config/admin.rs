//! The admin endpoint as it is configured, and what it shows of the configuration.

use anyhow::ensure;

use super::file::File;
use crate::admin::{Access, ConfigText, Options, ServerTls};
use crate::filter::Ports;
use crate::rules::select::TextMatch;
use crate::settings::{AdminSettings, AdminTlsSettings};

/// What stands for a value that may be a secret.
const HIDDEN: &str = "HIDDEN";

/// The options of the endpoint, if there is to be one. `ports` are captured.
///
/// # Errors
/// If others than this host could ask without proof of who they are, a file cannot be read, or the
/// endpoint's own requests would be captured.
pub(super) fn options(file: &File, ports: &Ports) -> anyhow::Result<Option<Options>> {
    let AdminSettings { listen, token_file, tls } = &file.admin;
    let Some(listen) = *listen else {
        ensure!(
            file.admin == AdminSettings::default(),
            "admin: where? add `listen`, or --admin 127.0.0.1:9600"
        );
        return Ok(None);
    };
    ensure_apart(&file.admin, ports)?;
    let tls = match tls {
        AdminTlsSettings { cert: Some(cert), key: Some(key), client_ca } => {
            Some((ServerTls::open(cert, key, client_ca.as_deref())?, client_ca.is_some()))
        }
        _ => None,
    };
    let access = match (token_file, &tls) {
        (Some(path), _) => Access::by_token(path)?,
        (None, Some((_, true))) => Access::Certified,
        (None, _) => {
            ensure!(
                listen.ip().is_loopback(),
                "admin {listen}: other hosts could read what is captured and configured; listen on 127.0.0.1, \
                 or add a token file (admin.token-file) or client certificates (admin.tls.client-ca)"
            );
            Access::Local
        }
    };
    let config = ConfigText::default();
    config.set(shown(file));
    Ok(Some(Options { listen, access, tls: tls.map(|(tls, _)| tls), config }))
}

/// Refuses an endpoint on a captured port: its own scrapes would be shadowed.
///
/// # Errors
/// If it is.
pub(crate) fn ensure_apart(admin: &AdminSettings, ports: &Ports) -> anyhow::Result<()> {
    let Some(listen) = admin.listen.filter(|_| !ports.is_empty()) else { return Ok(()) };
    ensure!(
        listen.port() == 0 || !ports.contains(listen.port()),
        "admin {listen}: this port is captured, so requests to it would be shadowed; choose another one"
    );
    Ok(())
}

/// The file as YAML, with everything hidden that may be a secret: passwords of targets, and the values of
/// header fields and query parameters, as they may be credentials.
pub(crate) fn shown(file: &File) -> String {
    let mut file = file.clone();
    for target in &mut file.targets {
        let headers = &mut target.how.headers;
        for (_, value) in headers.set.0.iter_mut().chain(&mut headers.add.0) {
            HIDDEN.clone_into(value);
        }
    }
    for found in file.rules.iter_mut().flat_map(|rule| &mut rule.matches) {
        for (_, text) in found.headers.iter_mut().chain(&mut found.query) {
            hide(text);
        }
    }
    file.to_yaml()
}

fn hide(text: &mut TextMatch) {
    match text {
        TextMatch::Exact(text) | TextMatch::Prefix(text) => HIDDEN.clone_into(text),
        TextMatch::Regex(_) => *text = TextMatch::Exact(HIDDEN.to_owned()),
        TextMatch::Not(inner) => hide(inner),
        TextMatch::Present | TextMatch::Absent => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(admin: &str) -> File {
        let text = format!(
            "version: 1\nsource: {{ from: eth0, ports: 8080 }}\nadmin: {admin}\ntargets:\n\
             \x20 staging:\n\
             \x20   url: http://user:sesame@staging:8080\n\
             \x20   headers: {{ set: {{ authorization: Bearer sesame }}, add: {{ x: sesame }} }}\n\
             rules:\n\
             - match: {{ headers: {{ x-key: {{ not: sesame }} }}, query: {{ k: {{ regex: 'sesame.*' }} }} }}\n\
             \x20 name: some\n\
             \x20 targets: [staging]\n"
        );
        File::parse(&text).unwrap_or_else(|problems| panic!("{}", problems.render("it")))
    }

    fn refused(admin: &str) -> String {
        let ports = Ports::new(vec![8080]);
        let refused = options(&file(admin), &ports).err();
        format!("{:#}", refused.unwrap_or_else(|| panic!("{admin}: is accepted")))
    }

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        let shown = shown(&file("{ listen: 127.0.0.1:9600 }"));
        assert!(!shown.contains("sesame"), "{shown}");
        for kept in ["authorization", "x-key", "staging", "127.0.0.1:9600", HIDDEN] {
            assert!(shown.contains(kept), "{kept} in {shown}");
        }
    }

    #[test]
    fn others_must_prove_who_they_are() {
        let ports = Ports::new(vec![8080]);
        for local in ["{ listen: 127.0.0.1:9600 }", "{ listen: '[::1]:0' }"] {
            assert!(options(&file(local), &ports).unwrap().is_some());
        }
        assert!(options(&file("{}"), &ports).unwrap().is_none());
        assert!(refused("{ listen: '0.0.0.0:9600' }").contains("admin.token-file"));
        let missing = refused("{ listen: '0.0.0.0:9600', token-file: /nowhere }");
        assert!(missing.starts_with("/nowhere: the token cannot be read"), "{missing}");
        assert!(refused("{ token-file: /nowhere }").contains("--admin 127.0.0.1:9600"));
    }

    #[test]
    fn an_endpoint_on_a_captured_port_is_refused() {
        assert!(refused("{ listen: 127.0.0.1:8080 }").contains("this port is captured"));
    }
}
