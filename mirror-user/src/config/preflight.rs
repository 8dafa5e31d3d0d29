//! What `mirror doctor --target` looks at.

use anyhow::ensure;

use super::file::{File, TargetSpec};
use super::{command, filter};
use crate::cli::DoctorArgs;
use crate::filter::Ports;
use crate::rules::edit::RequestEdits;
use crate::rules::tag::Mode;
use crate::settings::over;
use crate::sink::replay::{Target, TargetUrl, TlsOptions};

/// Methods whose requests change nothing (RFC 9110 §9.2.1).
const SAFE: [&str; 4] = ["GET", "HEAD", "OPTIONS", "TRACE"];

/// A target, and what is known of the replay to it.
pub struct Preflight {
    /// Where requests would go; its name is resolved.
    pub(crate) target: Target,
    /// How the target is called, without a password.
    pub(crate) name: String,
    /// What the target's settings and URL change of each request.
    pub(crate) edits: RequestEdits,
    /// The captured ports; empty: not known.
    pub(crate) ports: Ports,
    /// The shadow's database.
    pub(crate) database: Option<String>,
    /// The path of the contract's test endpoint.
    pub(crate) probe: Option<String>,
    /// Requests will ask for a rollback.
    pub(crate) rolls_back: bool,
    /// Requests that change something will be sent.
    pub(crate) writes: bool,
}

impl Preflight {
    /// What to look at; `None` without `--target`.
    ///
    /// # Errors
    /// If the target is no URL, or the file or its TLS files cannot be used.
    pub fn new(args: &DoctorArgs) -> anyhow::Result<Option<Self>> {
        let Some(named) = &args.target else { return Ok(None) };
        let file = args.config.as_deref().map(command::read).transpose()?.unwrap_or_default();
        let filter = over(args.filter.clone(), &file.source.filter);
        let ports = filter::choice(&filter)?.ports;
        let known = file.targets.iter().find(|target| target.name == *named);
        let spec = match known {
            Some(spec) => spec.clone(),
            None => {
                let TargetUrl { text, credentials } =
                    TargetUrl::read(named).map_err(anyhow::Error::msg)?;
                let known = file.targets.iter().find(|target| target.url == text);
                let unknown = || TargetSpec { credentials, ..TargetSpec::new(&*text, &*text) };
                known.cloned().unwrap_or_else(unknown)
            }
        };
        let probe = args.probe.clone();
        ensure!(
            probe.as_ref().is_none_or(|path| is_path(path)),
            "--probe: a path that begins with a slash, such as /orders"
        );
        let tls = &spec.how.tls;
        let tls = TlsOptions {
            authorities: tls.ca.clone(),
            certificate: tls.cert.clone(),
            key: tls.key.clone(),
            server_name: tls.server_name.clone(),
            insecure: tls.insecure,
        };
        let url = TargetUrl { text: spec.url.clone(), credentials: spec.credentials.clone() };
        let target = Target::open(url, &tls)?;
        let mut edits = RequestEdits::default();
        target.complete(&mut edits);
        Ok(Some(Self {
            target,
            edits,
            ports,
            database: args.database.clone(),
            probe,
            rolls_back: args.rollback || spec.how.marks.mode == Some(Mode::Rollback),
            writes: writes(&file, &spec.name),
            name: spec.url,
        }))
    }
}

/// Visible characters alone, as it becomes a part of a request.
fn is_path(text: &str) -> bool {
    text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// True if the rules send requests to this target that change something.
fn writes(file: &File, target: &str) -> bool {
    let is_unsafe = |method: &String| !SAFE.contains(&method.as_str());
    file.rules.is_empty()
        || file.rules.iter().any(|rule| {
            let matches = &rule.matches;
            let any = |methods: &Vec<String>| methods.is_empty() || methods.iter().any(is_unsafe);
            rule.targets.iter().any(|to| to.name == target)
                && (matches.is_empty() || matches.iter().any(|one| any(&one.methods)))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rules_that_match_safe_methods_alone_change_nothing() {
        let file = |rules: &str| {
            let text = format!(
                "version: 1\nsource: {{ from: a.pcap }}\ntargets: {{ a: {{ url: http://a }}, b: {{ url: http://b }} }}\nrules: [{rules}]"
            );
            File::parse(&text).unwrap()
        };
        let two = "{ name: r, match: { method: GET }, targets: a }, { name: s, match: { method: POST }, targets: b }";
        for (rules, does) in [
            ("{ name: r, targets: [a, b] }", true),
            ("{ name: r, match: { method: [GET, HEAD] }, targets: [a, b] }", false),
            ("{ name: r, match: { method: [GET, POST] }, targets: [a, b] }", true),
            ("{ name: r, match: { path: { prefix: /a } }, targets: [a, b] }", true),
            (two, false),
        ] {
            assert_eq!(writes(&file(rules), "a"), does, "{rules}");
        }
        // Without rules, all requests go to all targets.
        assert!(writes(&File::default(), "a"));
    }
}
