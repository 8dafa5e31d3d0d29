//! The admin endpoint as it is configured, and what it shows of the configuration.

use anyhow::{anyhow, bail, ensure};

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
    ensure_sound(&file.admin, ports)?;
    let tls = match tls {
        AdminTlsSettings { cert: Some(cert), key: Some(key), client_ca } => {
            Some((ServerTls::open(cert, key, client_ca.as_deref())?, client_ca.is_some()))
        }
        AdminTlsSettings { cert: None, key: None, client_ca: None } => None,
        _ => bail!("admin.tls: give both cert and key"),
    };
    let access = match (token_file, &tls) {
        (Some(path), _) => Access::by_token(path)?,
        (None, Some((_, true))) => Access::Certified,
        (None, _) => Access::Local,
    };
    let config = ConfigText::default();
    config.set(shown(file));
    Ok(Some(Options { listen, access, tls: tls.map(|(tls, _)| tls), config }))
}

/// Refuses an address that others could reach without proof of who they are, or that is captured.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn ensure_sound(admin: &AdminSettings, ports: &Ports) -> anyhow::Result<()> {
    let is_captured = |port| !ports.is_empty() && ports.contains(port);
    admin.problem(is_captured).map_or(Ok(()), |problem| Err(anyhow!(problem)))
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

    /// Why these settings are refused when they are given by flags.
    fn refused(admin: AdminSettings) -> String {
        let refused = options(&File { admin, ..file("{}") }, &Ports::new(vec![8080])).err();
        format!("{:#}", refused.expect("it is refused"))
    }

    fn listening(listen: &str) -> AdminSettings {
        AdminSettings { listen: Some(listen.parse().unwrap()), ..AdminSettings::default() }
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
        assert!(refused(listening("0.0.0.0:9600")).contains("admin.token-file"));
        let token_file = Some("/nowhere".into());
        let missing = refused(AdminSettings { token_file, ..listening("0.0.0.0:9600") });
        assert!(missing.starts_with("/nowhere: the token cannot be read"), "{missing}");
        let token_file = Some("/nowhere".into());
        let nowhere = refused(AdminSettings { token_file, ..AdminSettings::default() });
        assert!(nowhere.contains("--admin 127.0.0.1:9600"), "{nowhere}");
    }

    #[test]
    fn a_file_is_checked_for_the_same_with_the_place() {
        for (listen, problem) in
            [("'0.0.0.0:9600'", "admin.token-file"), ("'127.0.0.1:8080'", "this port is captured")]
        {
            let text = format!(
                "version: 1\nsource: {{ from: eth0, ports: 8080 }}\nadmin: {{ listen: {listen} }}\n\
                 targets: {{ staging: {{ url: http://staging:8081 }} }}\n"
            );
            let problems = File::parse(&text).unwrap_err().render("it");
            assert!(problems.starts_with("it:3:18: ") && problems.contains(problem), "{problems}");
        }
    }

    #[test]
    fn an_endpoint_on_a_captured_port_is_refused() {
        assert!(refused(listening("127.0.0.1:8080")).contains("this port is captured"));
    }
}
