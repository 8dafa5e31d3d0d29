//! The configuration of `mirror stub`.

use std::collections::HashMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use super::file::File;
use super::{Config, SummaryForm, admin, outputs, redact, source, stub_file};
use crate::cli::{AnswerArgs, MatchingArgs, ServerTlsArgs, StubArgs};
use crate::json_path::Paths;
use crate::rules::Rules;
use crate::rules::redact::{Preset, Redactor};
use crate::settings::{SourceSettings, StubFileSettings, over};
use crate::stub::book::{Builder, MAX_BOOK_BYTES};
use crate::stub::canonical::{self, Matching};
use crate::stub::serve::Tls;
use crate::stub::{AfterLast, FailOn, Options, Recording, Upstream};

/// The longest request body that may be allowed: all of them lie in memory.
const MAX_BODY_LIMIT: u64 = 64 << 20;

/// Where it listens, unless something else is said.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9100);

/// A stub server, and what it is filled from.
pub(crate) struct StubConfig {
    /// What reads packets and HAR files.
    pub(crate) runs: Vec<Config>,
    /// Files of JSON lines, and the rules for what they hold.
    pub(crate) lines: Option<(Vec<PathBuf>, Rules)>,
    /// What they fill.
    pub(crate) recording: Recording,
    pub(crate) options: Arc<Options>,
    pub(crate) tls: Option<Tls>,
    pub(crate) admin: Option<crate::admin::Options>,
    /// How long to serve; `None`: until stopped.
    pub(crate) run_for: Option<Duration>,
    pub(crate) fail_on: Vec<FailOn>,
    pub(crate) json: bool,
}

impl StubConfig {
    /// # Errors
    /// What is wrong with the command line, and how to fix it.
    pub(crate) fn new(args: &StubArgs) -> anyhow::Result<Self> {
        let file = args.config.as_deref().map(stub_file::load).transpose()?.unwrap_or_default();
        let options = Arc::new(options(args, &file)?);
        let from = if args.from.is_empty() { &file.from } else { &args.from };
        ensure!(
            !from.is_empty(),
            "--from: no recording is given; say --from, or from: in --config"
        );
        let filter = over(args.filter.clone(), &file.filter);
        let recording = Recording::new(Builder::new(Arc::clone(&options), MAX_BOOK_BYTES));
        let redact = redact::options(args.redact.clone(), Preset::Credentials)?;
        let redactor = Redactor::new(redact)?.map(Arc::new);
        let Sources { packets, hars, lines } = Sources::of(from)?;
        let mut runs = Vec::new();
        for from in [packets, hars].into_iter().filter(|from| !from.is_empty()) {
            let settings =
                SourceSettings { from, filter: filter.clone(), ..SourceSettings::default() };
            let output = outputs::stub::record(recording.clone());
            let mut config = Config::new(&settings, output, SummaryForm::TextOnStderr)?;
            config.rules.redactor.clone_from(&redactor);
            runs.push(config);
        }
        let mut rules = Rules::for_reports();
        rules.redactor = redactor;
        let file = File { admin: args.admin.clone(), ..File::default() };
        let admin = admin::options(&file, &crate::filter::Ports::default())?;
        Ok(Self {
            runs,
            lines: (!lines.is_empty()).then_some((lines, rules)),
            recording,
            options,
            admin,
            // The last, as it may make files.
            tls: tls(&args.tls)?,
            run_for: args.run_for,
            fail_on: args.fail_on.clone(),
            json: args.json,
        })
    }
}

/// Recordings by their kind, as each is read by another front.
#[derive(Debug, Default)]
struct Sources {
    /// Captures, and directories of them.
    packets: Vec<String>,
    hars: Vec<String>,
    lines: Vec<PathBuf>,
}

impl Sources {
    fn of(from: &[String]) -> anyhow::Result<Self> {
        let mut sources = Self::default();
        for from in from {
            ensure!(
                from == "-" || source::is_file(from) || ending(Path::new(from)).is_some(),
                "{from}: not a file; stubs are made of recordings"
            );
            let path = Path::new(from);
            match ending(path) {
                _ if path.is_dir() => sources.add_folder(path)?,
                Some("jsonl") => sources.lines.push(path.to_owned()),
                Some("har") => sources.hars.push(from.clone()),
                _ => sources.packets.push(from.clone()),
            }
        }
        Ok(sources)
    }

    /// The recordings of a directory, in the order of their names.
    fn add_folder(&mut self, folder: &Path) -> anyhow::Result<()> {
        let name = folder.display();
        let entries = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let entries = entries.with_context(|| format!("{name}: cannot be read"))?;
        let mut paths: Vec<PathBuf> = entries.iter().map(fs::DirEntry::path).collect();
        paths.sort();
        let mut found = 0;
        for path in paths.into_iter().filter(|path| path.is_file()) {
            found += 1;
            match (ending(&path), path.to_str()) {
                (Some("jsonl"), _) => self.lines.push(path),
                (Some("har"), Some(name)) => self.hars.push(name.to_owned()),
                (Some("pcap" | "pcapng" | "cap"), Some(name)) => self.packets.push(name.to_owned()),
                _ => found -= 1,
            }
        }
        if found == 0 {
            bail!("{name}: it holds no recording (.pcap, .pcapng, .jsonl or .har)");
        }
        Ok(())
    }
}

fn ending(path: &Path) -> Option<&str> {
    let ending = path.extension()?.to_str()?;
    ["jsonl", "har", "pcap", "pcapng", "cap"]
        .into_iter()
        .find(|known| ending.eq_ignore_ascii_case(known))
}

fn tls(args: &ServerTlsArgs) -> anyhow::Result<Option<Tls>> {
    match args {
        ServerTlsArgs { tls_authority: Some(folder), .. } => Tls::by_authority(folder),
        ServerTlsArgs { tls_cert: Some(cert), tls_key: Some(key), .. } => Tls::given(cert, key),
        _ => return Ok(None),
    }
    .map(Some)
}

fn options(args: &StubArgs, file: &StubFileSettings) -> anyhow::Result<Options> {
    let AnswerArgs { after_last, by_state, latency, fault, pass } = &args.answers;
    ensure!(
        !(*by_state && *after_last == AfterLast::Again),
        "--by-state: a state does not begin again; leave out --after-last again"
    );
    ensure!(
        (1..=MAX_BODY_LIMIT).contains(&args.max_body.0),
        "--max-body: bodies lie in memory while they are read; give at most {} MiB",
        MAX_BODY_LIMIT >> 20
    );
    for (flag, time) in
        [("--idle-timeout", args.idle_timeout), ("--client-timeout", args.client_timeout)]
    {
        ensure!(!time.is_zero(), "{flag}: no client is as fast as that; give at least 1ms");
    }
    let aliases = [&args.matching.alias, &file.aliases].into_iter().find(|them| !them.is_empty());
    let aliases = aliases.into_iter().flatten().map(|alias| pair("--alias", alias));
    let pass = pass.iter().map(|text| {
        let (host, to) = pair("--pass", text)?;
        let known = canonical::host(host.as_bytes()).into_owned();
        let is_named = to.is_some();
        let address = with_port(to.unwrap_or(host));
        Ok((known, Upstream { address, is_named }))
    });
    Ok(Options {
        listen: args.listen.or(file.listen).unwrap_or(DEFAULT_LISTEN),
        connections: usize::try_from(args.connections).unwrap_or(usize::MAX),
        idle_timeout: args.idle_timeout,
        client_timeout: args.client_timeout,
        max_body: usize::try_from(args.max_body.0).unwrap_or(usize::MAX),
        matching: matching(&args.matching)?,
        aliases: aliases.collect::<anyhow::Result<_>>()?,
        after_last: *after_last,
        by_state: *by_state,
        latency: *latency,
        faults: fault.clone(),
        pass: pass.collect::<anyhow::Result<HashMap<_, _>>>()?,
    })
}

fn matching(args: &MatchingArgs) -> anyhow::Result<Matching> {
    let MatchingArgs { template, match_header, ignore_query, ignore_body, alias: _ } = args;
    for name in match_header {
        ensure!(
            crate::syntax::is_token(name.as_bytes()),
            "--match-header: {name:?} is not the name of a header"
        );
    }
    Ok(Matching {
        headers: match_header.iter().map(|name| name.to_ascii_lowercase()).collect(),
        ignored_query: ignore_query.iter().map(|name| name.clone().into_bytes()).collect(),
        ignored_body: Paths::new(ignore_body).context("--ignore-body")?,
        templates: template.clone(),
    })
}

/// `NAME` or `NAME=HOST`.
fn pair(flag: &str, text: &str) -> anyhow::Result<(String, Option<String>)> {
    let (name, host) = match text.split_once('=') {
        Some((name, host)) => (name, Some(host)),
        None => (text, None),
    };
    let is_host = |host: &str| !host.is_empty() && !host.contains(['/', ' ', '@', '=']);
    ensure!(
        is_host(name) && host.is_none_or(is_host),
        "{flag}: {text:?}: a host is a name or an address, perhaps with a port, such as users.internal:8080"
    );
    Ok((name.to_owned(), host.map(str::to_owned)))
}

/// With the port of `http` where there is none.
fn with_port(host: String) -> String {
    let has_port = host.rsplit_once(':').is_some_and(|(name, port)| {
        !port.is_empty()
            && port.bytes().all(|byte| byte.is_ascii_digit())
            && (name.ends_with(']') || !name.contains(':'))
    });
    if has_port { host } else { format!("{host}:80") }
}
