//! A build that knows NATS JetStream.

use std::fs;
use std::io::Write;
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Error, ensure};
use rustix::system::uname;

use crate::broker::address::Address;
use crate::broker::nats::{
    self, Consumer, ConsumerOptions, Link, PublisherOptions, Secret, Start, StreamOptions,
};
use crate::config::file::TargetSpec;
use crate::config::outputs::stream::{StreamTarget, beside};
use crate::config::outputs::{OutputPlan, WatchOutcomes};
use crate::config::random;
use crate::config::stream::DEFAULT_GROUP;
use crate::config::target::Run;
use crate::filter::Watch;
use crate::http::HttpTable;
use crate::pipeline::{BrokerFront, Front, Settlement, Watching};
use crate::settings::{StreamSourceSettings, StreamTargetSettings};
use crate::sink::replay::TlsOptions;

/// Bytes of requests that wait for a broker.
const QUEUE_BYTES: u64 = 32 << 20;
/// How long what waits has at the end of a live run, and of one that reads files.
const DRAIN: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(60)];

/// A stream that a run reads.
pub(crate) struct StreamSource {
    link: Link,
    options: ConsumerOptions,
    /// Replays tell it what becomes of requests.
    settlement: Option<Arc<Settlement>>,
}

/// A stream that is being read.
pub(crate) struct Input {
    consumer: Consumer,
    settlement: Arc<Settlement>,
}

impl Input {
    /// The front that reads it.
    pub(crate) fn into_front(self, watch: Watch, http: HttpTable) -> Box<dyn Front> {
        Box::new(BrokerFront::new(self.consumer, self.settlement, watch, http))
    }
}

impl StreamSource {
    /// The stream at `url`.
    ///
    /// # Errors
    /// If the address or a file is none that can be used.
    pub(crate) fn new(url: &str, settings: &StreamSourceSettings) -> anyhow::Result<Self> {
        let StreamSourceSettings { group, from_sequence, to_sequence, nkey, credentials, .. } =
            settings;
        let start = match group {
            Some(group) => Start::Group(group.clone()),
            None => Start::Range {
                from: from_sequence.map_or(1, NonZeroU64::get),
                to: to_sequence.map(NonZeroU64::get),
            },
        };
        let (certificate, key) = (settings.cert.clone(), settings.key.clone());
        let tls = TlsOptions {
            authorities: settings.ca.clone(),
            certificate,
            key,
            ..TlsOptions::default()
        };
        let link = link(url, &tls, nkey.as_deref(), credentials.as_deref())?;
        let member = format!("{}-{:08x}", host(), random() >> 32);
        Ok(Self { link, options: ConsumerOptions { start, member }, settlement: None })
    }

    /// What replays tell what became of requests.
    pub(crate) fn watch(&mut self) -> WatchOutcomes {
        let settlement = Settlement::new(true);
        self.settlement = Some(Arc::clone(&settlement));
        Arc::new(move |next| Watching::new(Arc::clone(&settlement), next))
    }

    /// Begins to read.
    ///
    /// # Errors
    /// If the broker cannot be reached or used.
    pub(crate) fn open(self) -> anyhow::Result<Input> {
        let settlement = self.settlement.unwrap_or_else(|| Settlement::new(false));
        Ok(Input { consumer: Consumer::start(self.link, self.options)?, settlement })
    }
}

/// Prints what publishers and the members of a group counted.
///
/// # Errors
/// If the broker cannot be reached, or does not know the stream or the group.
pub(crate) fn fleet_report(
    url: &str,
    settings: &StreamSourceSettings,
    json: bool,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let source = StreamSource::new(url, settings)?;
    let group = settings.group.as_deref().unwrap_or(DEFAULT_GROUP);
    let report = nats::fleet_report(&source.link, group)?;
    match json {
        true => writeln!(out, "{}", serde_json::to_string(&report)?)?,
        false => write!(out, "{report}")?,
    }
    Ok(())
}

/// The output, and streams beside it.
///
/// # Errors
/// If an address or a file is none that can be used.
pub(crate) fn publishing(
    output: OutputPlan,
    streams: &[(usize, &TargetSpec)],
    run: &Run,
    named: bool,
) -> anyhow::Result<OutputPlan> {
    let target = |(place, spec): &(usize, &TargetSpec)| target(spec, *place, run, named);
    let targets: anyhow::Result<Vec<_>> = streams.iter().map(target).collect();
    Ok(beside(output, targets?))
}

fn target(spec: &TargetSpec, place: usize, run: &Run, named: bool) -> anyhow::Result<StreamTarget> {
    let TargetSpec { url, how, compare, .. } = spec;
    ensure!(
        compare.is_none() && !how.correlate,
        "{url}: a stream responds nothing; compare and correlate where it is read"
    );
    let tls = TlsOptions {
        authorities: how.tls.ca.clone(),
        certificate: how.tls.cert.clone(),
        key: how.tls.key.clone(),
        insecure: how.tls.insecure,
        ..TlsOptions::default()
    };
    let StreamTargetSettings { responses, shards, age, size, nkey, credentials } = &how.stream;
    let defaults = StreamOptions::default();
    let queue = how.load.max_queue.map_or(QUEUE_BYTES, |bytes| bytes.0);
    let [live, files] = DRAIN;
    let options = PublisherOptions {
        run: format!("{:016x}", random()),
        host: host(),
        stream: StreamOptions {
            shards: shards.map_or(defaults.shards, std::num::NonZeroU32::get),
            max_age: age.unwrap_or(defaults.max_age),
            max_bytes: size.map_or(defaults.max_bytes, |bytes| bytes.0),
        },
        responses: *responses,
        is_live: run.is_live,
        queue_bytes: usize::try_from(queue).unwrap_or(usize::MAX),
        drain: if run.is_live { live } else { files },
    };
    let link = link(url, &tls, nkey.as_deref(), credentials.as_deref())?;
    let name = named.then(|| spec.name.as_str().into());
    Ok(StreamTarget { name, place, link, options })
}

fn link(
    url: &str,
    tls: &TlsOptions,
    nkey: Option<&Path>,
    credentials: Option<&Path>,
) -> anyhow::Result<Link> {
    let address = Address::read(url).map_err(Error::msg)?;
    let read = |path: &Path| {
        let text = fs::read_to_string(path);
        text.with_context(|| format!("{}: cannot be read", path.display()))
    };
    let secret = match (nkey, credentials) {
        (Some(path), _) => Some(Secret::Nkey(read(path)?.trim().to_owned())),
        (None, Some(path)) => Some(Secret::Credentials(read(path)?)),
        (None, None) => None,
    };
    let TlsOptions { authorities, certificate, insecure, .. } = tls;
    let wants_tls = address.tls || authorities.is_some() || certificate.is_some() || *insecure;
    let tls = wants_tls.then(|| tls.client_config()).transpose()?;
    Ok(Link { address, secret, tls })
}

fn host() -> String {
    uname().nodename().to_string_lossy().into_owned()
}
