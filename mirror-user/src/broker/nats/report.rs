//! The end-to-end figure: what publishers counted, and what the members of a group say became of it, joined by run.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use anyhow::anyhow;
use async_nats::jetstream::kv::Operation;
use serde::Serialize;
use tokio::runtime::Builder;

use super::connect::{Link, causes};
use super::intake;
use super::lease::{Lease, RunCounts};
use super::members::{Member, shard_key};
use super::stream;
use crate::broker::envelope::{self, Content};
use crate::stats::grouped;

/// What became of a stream's requests in one group.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FleetReport {
    /// The runs that published, or of which something was taken.
    pub runs: Vec<RunReport>,
    /// Shards without an owner: nobody takes what they hold.
    pub shards_without_owner: u32,
    /// How many there are.
    pub shards: u32,
    /// Those who take from it.
    pub members: Vec<MemberReport>,
    /// The numbers of messages that were parked.
    pub parked: Vec<u64>,
}

/// A member of the group.
#[derive(Clone, Debug, Default, Serialize)]
pub struct MemberReport {
    /// Its host, and a number.
    pub name: String,
    /// How many shards it owns.
    pub shards: u32,
    /// What it says of itself; one that died may still stand here with what it said last.
    #[serde(flatten)]
    pub member: Member,
}

/// What became of the requests of one run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RunReport {
    /// Its name.
    pub run: String,
    /// The host that it was on; empty if it has not said so.
    pub host: String,
    /// True if it has said that it ended.
    pub ended: bool,
    /// What its publisher was given, when it last said so.
    pub seen: u64,
    /// What the stream got of that.
    pub published: u64,
    /// The others, by reason.
    pub dropped: Vec<(Arc<str>, u64)>,
    /// What was delivered.
    pub delivered: u64,
    /// What was taken and not delivered; each member's summary says why.
    pub not_delivered: u64,
    /// What was parked.
    pub parked: u64,
    /// What was delivered and not delivered, and may have been delivered before.
    pub redelivered: u64,
    /// Messages that the stream had given up before they were taken.
    pub missing: u64,
}

impl RunReport {
    /// Requests that are in the stream, or on their way from it; with those that it gave up. Less than none where a
    /// publisher was killed before it could say what it had published.
    #[must_use]
    pub fn pending(&self) -> i64 {
        let settled = self.delivered.saturating_add(self.not_delivered).saturating_add(self.parked);
        let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        signed(self.published).saturating_sub(signed(settled))
    }

    fn add(&mut self, counts: &RunCounts) {
        self.delivered = self.delivered.saturating_add(counts.delivered);
        self.not_delivered = self.not_delivered.saturating_add(counts.dropped);
        self.parked = self.parked.saturating_add(counts.parked);
        self.redelivered = self.redelivered.saturating_add(counts.redelivered);
        self.missing = self.missing.saturating_add(counts.missing);
    }
}

/// Asks the broker.
///
/// # Errors
/// If it cannot be reached, or there is no such stream or group.
pub fn fleet_report(link: &Link, group: &str) -> anyhow::Result<FleetReport> {
    Builder::new_current_thread().enable_all().build()?.block_on(ask(link, group))
}

async fn ask(link: &Link, group: &str) -> anyhow::Result<FleetReport> {
    let connected = link.connect("mirror fleet").await?;
    let (jetstream, address) = (&connected.jetstream, &link.address);
    let found = stream::open(jetstream, address, None, connected.max_payload).await?;
    let failed = |why: &dyn std::error::Error| anyhow!("{address}: {}", causes(why));
    let stream = jetstream.get_stream_no_info(&address.stream).await.map_err(|why| failed(&why))?;
    let mut runs: BTreeMap<String, RunReport> = BTreeMap::new();
    let subjects =
        stream.info_with_subjects(address.report("*")).await.map_err(|why| failed(&why))?;
    let mut subjects = subjects;
    while let Some(subject) = futures_util::StreamExt::next(&mut subjects).await {
        let (subject, _) = subject.map_err(|why| failed(&why))?;
        let Ok(message) = stream.get_last_raw_message_by_subject(&subject).await else { continue };
        let Ok(envelope) = envelope::read(&message.payload) else { continue };
        let Content::Report(report) = envelope.content else { continue };
        let run = String::from_utf8_lossy(&envelope.run).into_owned();
        let entry = runs.entry(run).or_default();
        entry.host = String::from_utf8_lossy(&envelope.host).into_owned();
        (entry.seen, entry.published, entry.ended) = (report.seen, report.published, report.ended);
        entry.dropped = report.dropped;
    }
    let bucket = jetstream.get_key_value(intake::bucket_name(link, group)).await;
    let bucket = bucket.map_err(|_| {
        anyhow!("{address}: has no group {group}; nobody takes from it by that name")
    })?;
    let mut report = FleetReport { shards: found.shards, ..FleetReport::default() };
    let mut owners: BTreeMap<String, u32> = BTreeMap::new();
    for shard in 0..found.shards {
        let entry = bucket.entry(shard_key(shard)).await.map_err(|why| failed(&why))?;
        let lease = entry.filter(|entry| entry.operation == Operation::Put);
        let lease = lease.map(|entry| Lease::read(&entry.value)).unwrap_or_default();
        if lease.owner.is_empty() {
            report.shards_without_owner += 1;
        } else {
            *owners.entry(lease.owner.clone()).or_default() += 1;
        }
        for (run, counts) in &lease.runs {
            runs.entry(run.clone()).or_default().add(counts);
        }
    }
    let mut keys = bucket.keys().await.map_err(|why| failed(&why))?;
    while let Some(key) = futures_util::StreamExt::next(&mut keys).await {
        let key = key.map_err(|why| failed(&why))?;
        report
            .parked
            .extend(key.strip_prefix("parked.").and_then(|number| number.parse::<u64>().ok()));
        if let Some(name) = key.strip_prefix("member.")
            && let Some(value) = bucket.get(&key).await.map_err(|why| failed(&why))?
        {
            let (shards, name) = (owners.get(name).copied().unwrap_or_default(), name.to_owned());
            report.members.push(MemberReport { name, shards, member: Member::read(&value) });
        }
    }
    report.members.sort_by(|one, other| one.name.cmp(&other.name));
    report.parked.sort_unstable();
    let named = |(run, report): (String, RunReport)| RunReport { run, ..report };
    report.runs = runs.into_iter().map(named).collect();
    Ok(report)
}

impl fmt::Display for FleetReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shards, members, shards_without_owner, parked, .. } = self;
        let count = members.len();
        writeln!(
            f,
            "{shards} shards, {count} members, {shards_without_owner} shards without an owner"
        )?;
        for MemberReport { name, shards, member } in members {
            let Member { version, taken, redelivered, .. } = member;
            let (taken, redelivered) = (grouped(*taken), grouped(*redelivered));
            writeln!(
                f,
                "{name}: mirror {version}, {shards} shards, messages taken {taken}, redelivered {redelivered}"
            )?;
        }
        for run in &self.runs {
            let host = if run.host.is_empty() { "?" } else { &run.host };
            let ended = if run.ended { "" } else { ", not ended" };
            write!(
                f,
                "{} on {host}{ended}: seen {} = published {}",
                run.run,
                grouped(run.seen),
                grouped(run.published)
            )?;
            for (reason, n) in &run.dropped {
                write!(f, " + {reason} {}", grouped(*n))?;
            }
            let (delivered, not) = (grouped(run.delivered), grouped(run.not_delivered));
            write!(f, "; taken = delivered {delivered} + not delivered {not}")?;
            for (what, n) in [("parked", run.parked)] {
                if n > 0 {
                    write!(f, " + {what} {}", grouped(n))?;
                }
            }
            write!(f, "; pending {}", run.pending())?;
            for (what, n) in [("redelivered", run.redelivered), ("messages missing", run.missing)] {
                if n > 0 {
                    write!(f, ", {what} {}", grouped(n))?;
                }
            }
            writeln!(f)?;
        }
        if !parked.is_empty() {
            let numbers: Vec<String> = parked.iter().map(u64::to_string).collect();
            writeln!(
                f,
                "parked messages: {}; --from-sequence N --to-sequence N takes one again",
                numbers.join(", ")
            )?;
        }
        Ok(())
    }
}
