//! The configuration of `mirror inspect --collaborators`.

mod kubernetes;

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use ipnet::IpNet;

use self::kubernetes::Pointing;
use super::file::File;
use super::outputs::collaborators::Text;
use super::outputs::{self, OutputPlan};
use super::stub_file;
use crate::cli::{CollaboratorArgs, InspectArgs};
use crate::filter::{Ports, Side};
use crate::settings::{FilterSettings, StubFileSettings};
use crate::sink::collaborators::{CollaboratorOptions, Known, Report};
use crate::sink::replay::TargetUrl;

/// The output, if it is asked for.
///
/// # Errors
/// What is wrong with the command line, and how to fix it.
pub(super) fn output(args: &InspectArgs) -> anyhow::Result<Option<OutputPlan>> {
    let asked = &args.collaborators;
    if !asked.collaborators {
        return Ok(None);
    }
    let known = known(args)?;
    let targets = [asked.target_address.clone(), targets(args)?].concat();
    let options = CollaboratorOptions { known, targets, json: args.json };
    for alias in &asked.alias {
        ensure!(
            alias.split_once('=').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty()),
            "--alias: {alias:?} is not NAME=HOST, such as test.prod.com=live.prod.com"
        );
    }
    let files = files(args)?;
    Ok(Some(outputs::collaborators::collaborators(options, files)))
}

/// What is known of the captured service.
fn known(args: &InspectArgs) -> anyhow::Result<Known> {
    let CollaboratorArgs { pod_address, inbound_port, .. } = &args.collaborators;
    if !pod_address.is_empty() {
        return Ok(Known::Addresses(pod_address.clone()));
    }
    if !inbound_port.is_empty() {
        let ranges = inbound_port.iter().map(|range| range.first..=range.last);
        return Ok(Known::Ports(Ports::of_ranges(ranges)));
    }
    let side = args.source.settings.filter.side;
    ensure!(
        side == Some(Side::Client),
        "--collaborators: which connections are outbound? add --pod-address, such as --pod-address 10.0.0.5, or \
         --inbound-port, such as --inbound-port 8080; on an interface also --side client"
    );
    Ok(Known::Side)
}

/// The addresses of the targets of `--config`, where they are given as addresses.
fn targets(args: &InspectArgs) -> anyhow::Result<Vec<IpNet>> {
    let file = File::beside(args.source.config.as_deref())?.unwrap_or_default();
    let address = |url: &str| {
        let url = url::Url::parse(&TargetUrl::read(url).ok()?.text).ok()?;
        let host = url.host_str()?.trim_matches(['[', ']']).parse::<IpAddr>();
        host.ok().map(IpNet::from)
    };
    Ok(file.targets.iter().filter_map(|target| address(&target.url)).collect())
}

/// What is written besides the list.
fn files(args: &InspectArgs) -> anyhow::Result<Vec<(PathBuf, Text)>> {
    let CollaboratorArgs { stub_config, kubernetes, stub_address, alias, .. } = &args.collaborators;
    ensure!(
        stub_config.is_none() || stub_config != kubernetes,
        "--kubernetes: --stub-config is written to the same file; give each its own"
    );
    let mut files: Vec<(PathBuf, Text)> = Vec::new();
    if let Some(path) = stub_config {
        let (from, aliases) = (recordings(args)?, alias.clone());
        let text = move |report: &Report| {
            let settings = stub(report, from.clone(), aliases.clone());
            stub_file::text(&settings)
        };
        files.push((path.clone(), Box::new(text)));
    }
    if let (Some(path), Some(address)) = (kubernetes, stub_address) {
        recordings(args)?;
        let pointing = Pointing { address: *address, aliases: alias.clone() };
        files.push((path.clone(), Box::new(move |report| pointing.manifests(report))));
    }
    Ok(files)
}

/// The captures, by paths that hold wherever the stub is started.
fn recordings(args: &InspectArgs) -> anyhow::Result<Vec<String>> {
    let from = &args.source.settings.from;
    let whole = |from: &String| {
        let path = fs::canonicalize(Path::new(from)).ok().filter(|_| from != "-");
        path.and_then(|path| path.to_str().map(str::to_owned)).with_context(|| {
            format!("--stub-config, --kubernetes: {from} is no file; stubs are made of recordings: capture first")
        })
    };
    from.iter().map(whole).collect()
}

/// The configuration of a stub server that stands in for what was called.
fn stub(report: &Report, from: Vec<String>, aliases: Vec<String>) -> StubFileSettings {
    let own = report.from.iter().filter_map(|network| network.to_string().parse().ok());
    let filter = FilterSettings { client_nets: own.collect(), ..FilterSettings::default() };
    StubFileSettings { from, listen: None, aliases, filter }
}
