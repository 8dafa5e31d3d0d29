//! The thread that takes messages: one session after the other; in each, the member's place in its group, and a task
//! for every shard that it owns.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use async_nats::jetstream::kv::{CreateErrorKind, Operation, Store, UpdateErrorKind};
use async_nats::jetstream::stream::{Config, DiscardPolicy, StorageType};
use futures_util::StreamExt as _;
use tokio::runtime::{Builder, LocalOptions};
use tokio::task::JoinHandle;

use super::connect::{Connected, Link, causes};
use super::consume::{Consumer, ConsumerOptions, Start};
use super::held::Shared;
use super::lease::Lease;
use super::ledger::Ledger;
use super::members::{Moves, View, member_key, shard_key};
use super::shard::{self, Reader};
use super::{FIRST_BACKOFF, longer, stream};
use crate::broker::clock::{self, now, pause};
use crate::logging::emit;

/// How often members look after their shards.
const TICK: Duration = Duration::from_millis(300);
/// How often they say that they are alive.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// What a session works with.
pub(super) struct Session {
    pub(super) connected: Connected,
    pub(super) link: Link,
    pub(super) shared: Arc<Shared>,
    /// The group's bucket; `None` without a group.
    pub(super) bucket: Option<Store>,
    pub(super) member: String,
}

/// Connects once, and looks at the stream and the group.
pub(super) fn probe(link: &Link, options: &ConsumerOptions) -> anyhow::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let connected = link.connect("mirror subscribes").await?;
        let looked = async {
            if let Start::Group(group) = &options.start {
                bucket(&connected, link, group).await?;
            }
            let Connected { jetstream, max_payload, .. } = &connected;
            stream::open(jetstream, &link.address, None, *max_payload).await
        };
        let found = connected.while_it_lasts(looked).await.map_err(|why| link.named(why))?;
        let stream = &link.address;
        emit!(BrokerReady, stream = %stream, "{stream}: {found}");
        Ok(())
    })
}

/// The bucket of a group: a stream keeps its own, and so does a group.
pub(super) fn bucket_name(link: &Link, group: &str) -> String {
    format!("mirror_{}_{group}", link.address.stream)
}

async fn bucket(connected: &Connected, link: &Link, group: &str) -> anyhow::Result<Store> {
    let bucket = bucket_name(link, group);
    let jetstream = &connected.jetstream;
    if let Ok(store) = jetstream.get_key_value(&bucket).await {
        return Ok(store);
    }
    // By hand: the library asks for the account first, which an older server answers in another form, and which a
    // replayer need not be allowed to.
    let config = Config {
        name: format!("KV_{bucket}"),
        subjects: vec![format!("$KV.{bucket}.>")],
        max_messages_per_subject: 1,
        max_messages: -1,
        max_bytes: -1,
        discard: DiscardPolicy::New,
        allow_rollup: true,
        deny_delete: true,
        allow_direct: true,
        storage: StorageType::File,
        num_replicas: 1,
        ..Config::default()
    };
    let failed = |why: &dyn std::error::Error| {
        anyhow!(
            "{}: the bucket {bucket} of the group cannot be made: {}",
            link.address,
            causes(why)
        )
    };
    jetstream.create_stream(config).await.map_err(|why| failed(&why))?;
    jetstream.get_key_value(&bucket).await.map_err(|why| failed(&why))
}

/// Takes messages until the run stops, or the range ends.
pub(super) fn run(link: &Link, options: &ConsumerOptions, shared: &Arc<Shared>) {
    let mut backoff = FIRST_BACKOFF;
    let mut told = false;
    let mut over = None;
    loop {
        let runtime =
            Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
        let Ok(runtime) = runtime else { return };
        let began = now();
        let ended = runtime.block_on(session(link, options, shared, &mut told));
        drop(runtime);
        match ended {
            Ok(()) => return,
            Err(why) if !told => {
                let (stream, why) = (&link.address, link.named(why));
                let reason = format!("{why:#}");
                emit!(BrokerAway, stream = %stream, reason, "{why:#}; nothing is taken meanwhile");
                told = true;
            }
            Err(_) => {}
        }
        if began.elapsed() > HEARTBEAT {
            backoff = FIRST_BACKOFF;
        }
        let until = now() + backoff;
        while now() < until {
            if shared.stop.load(Relaxed) {
                let over = *over.get_or_insert_with(|| now() + Consumer::drain());
                let mut held = shared.held();
                // What is settled cannot be told to others; they will count it as redelivered.
                if held.shards.values_mut().all(|owned| owned.ledger.is_settled()) || now() >= over
                {
                    return;
                }
            }
            pause(Duration::from_millis(20));
        }
        backoff = longer(backoff);
    }
}

async fn session(
    link: &Link,
    options: &ConsumerOptions,
    shared: &Arc<Shared>,
    told: &mut bool,
) -> anyhow::Result<()> {
    let connected = link.connect("mirror subscribes").await?;
    let (jetstream, address) = (&connected.jetstream, &link.address);
    let found = stream::open(jetstream, address, None, connected.max_payload).await?;
    if std::mem::take(told) {
        shared.counts.reconnected.fetch_add(1, Relaxed);
        emit!(BrokerBack, stream = %address, "{address}: gives messages again");
    }
    let bucket = match &options.start {
        Start::Group(group) => Some(bucket(&connected, link, group).await?),
        Start::Range { .. } => None,
    };
    let session = Arc::new(Session {
        connected,
        link: link.clone(),
        shared: Arc::clone(shared),
        bucket,
        member: options.member.clone(),
    });
    let taken = async {
        match &options.start {
            Start::Group(_) => group(&session, found.shards).await,
            Start::Range { from, to } => range(&session, found.shards, *from, *to).await,
        }
    };
    session.connected.while_it_lasts(taken).await
}

/// Takes part in the work of a group.
async fn group(session: &Arc<Session>, shards: u32) -> anyhow::Result<()> {
    let Session { shared, member, .. } = &**session;
    let bucket = session.bucket.as_ref().context("a group has a bucket")?;
    let mut view = View::default();
    let mut tasks: BTreeMap<u32, Task> = BTreeMap::new();
    // What was this member's before the connection was lost still is, unless somebody else took it.
    let before: Vec<u32> = shared.held().shards.keys().copied().collect();
    for shard in before {
        match resume(session, bucket, shard).await? {
            true => drop(tasks.insert(shard, Task::start(session, shard))),
            false => lost(session, shard),
        }
    }
    let mut watch =
        bucket.watch_with_history(">").await.map_err(|why| anyhow!("{}", causes(&why)))?;
    let mut tick = tokio::time::interval(TICK);
    let (mut heartbeat, mut began, mut over) = (None::<Instant>, None::<Instant>, None::<Instant>);
    loop {
        tokio::select! {
            entry = watch.next() => {
                let entry = entry.ok_or_else(|| anyhow!("the group's bucket is gone"))?;
                let entry = entry.map_err(|why| anyhow!("{}", causes(&why)))?;
                let value = (entry.operation == Operation::Put).then_some(entry.value);
                view.see(&entry.key, value, entry.revision, now());
                continue;
            }
            _ = tick.tick() => {}
        }
        let now = clock::now();
        if heartbeat.is_none_or(|last| now.saturating_duration_since(last) >= HEARTBEAT) {
            let written = bucket.put(member_key(member), shared.counts.member().write()).await;
            written.map_err(|why| anyhow!("{}", causes(&why)))?;
            shared.heard();
            heartbeat = Some(now);
        }
        let is_finished =
            |(shard, task): (&u32, &Task)| task.handle.is_finished().then_some(*shard);
        while let Some(shard) = tasks.iter().find_map(is_finished)
            && let Some(task) = tasks.remove(&shard)
        {
            match task.handle.await? {
                shard::Ended::Lost => lost(session, shard),
                shard::Ended::Released => {
                    shared.lose(shard);
                    shared.counts.shards_released.fetch_add(1, Relaxed);
                }
                shard::Ended::Failed(why) => return Err(anyhow!(why)),
            }
        }
        if shared.stop.load(Relaxed) {
            tasks.values().for_each(|task| task.release());
            let over = *over.get_or_insert(now + Consumer::drain());
            if tasks.is_empty() || now >= over {
                let _ = bucket.delete(member_key(member)).await;
                return Ok(());
            }
            continue;
        }
        // The others are known once what the bucket holds was seen.
        if began.is_none() {
            began = Some(now);
            continue;
        }
        let owned: BTreeSet<u32> = tasks.keys().copied().collect();
        let Moves { claim, release } = view.moves(member, &owned, shards, now);
        for shard in release {
            if let Some(task) = tasks.get(&shard) {
                task.release();
            }
        }
        for shard in claim {
            let (lease, revision) = view.lease(shard);
            if claim_one(session, bucket, shard, lease, revision).await? {
                tasks.insert(shard, Task::start(session, shard));
            }
        }
    }
}

/// The task of a shard.
struct Task {
    handle: JoinHandle<shard::Ended>,
    release: Arc<tokio::sync::Notify>,
}

impl Task {
    fn start(session: &Arc<Session>, shard: u32) -> Self {
        let release = Arc::<tokio::sync::Notify>::default();
        let reader = Reader::new(Arc::clone(session), shard, Arc::clone(&release));
        Self { handle: tokio::task::spawn_local(reader.run()), release }
    }

    fn release(&self) {
        self.release.notify_one();
    }
}

fn lost(session: &Session, shard: u32) {
    session.shared.lose(shard);
    session.shared.counts.shards_lost.fetch_add(1, Relaxed);
    let stream = &session.link.address;
    emit!(ShardLost, stream = %stream, shard, "{stream}: shard {shard} was taken over by another member of the group");
}

/// True if the shard still is this member's.
async fn resume(session: &Session, bucket: &Store, shard: u32) -> anyhow::Result<bool> {
    let entry = bucket.entry(shard_key(shard)).await.map_err(|why| anyhow!("{}", causes(&why)))?;
    let Some(entry) = entry.filter(|entry| entry.operation == Operation::Put) else {
        return Ok(false);
    };
    let is_ours = Lease::read(&entry.value).owner == session.member;
    if let Some(owned) = session.shared.held().shards.get_mut(&shard).filter(|_| is_ours) {
        owned.revision = entry.revision;
    }
    Ok(is_ours)
}

/// Takes a shard over; false if somebody else did.
async fn claim_one(
    session: &Session,
    bucket: &Store,
    shard: u32,
    lease: Lease,
    revision: u64,
) -> anyhow::Result<bool> {
    let (lease, parked) = lease.taken_over(&session.member);
    let (key, value) = (shard_key(shard), lease.write());
    let written = match revision {
        0 => match bucket.create(key, value).await {
            Ok(revision) => Some(revision),
            Err(why) if why.kind() == CreateErrorKind::AlreadyExists => None,
            Err(why) => return Err(anyhow!("{}", causes(&why))),
        },
        _ => match bucket.update(key, value, revision).await {
            Ok(revision) => Some(revision),
            Err(why) if why.kind() == UpdateErrorKind::WrongLastRevision => None,
            Err(why) => return Err(anyhow!("{}", causes(&why))),
        },
    };
    let Some(revision) = written else { return Ok(false) };
    session.shared.gain(shard, Ledger::new(lease), revision, parked);
    Ok(true)
}

/// Takes every shard from one message to another, beside whoever else reads the stream.
async fn range(
    session: &Arc<Session>,
    shards: u32,
    from: u64,
    to: Option<u64>,
) -> anyhow::Result<()> {
    let Session { shared, link, connected, .. } = &**session;
    let info = connected.jetstream.get_stream(&link.address.stream).await;
    let info = info.map_err(|why| anyhow!("{}", causes(&why)))?;
    let there = info.cached_info().state.last_sequence;
    let to = to.unwrap_or(there).min(there);
    let mut tasks = Vec::new();
    for shard in 0..shards {
        let known = shared.held().shards.contains_key(&shard);
        if !known {
            let lease = Lease { floor: from.saturating_sub(1), ..Lease::default() };
            shared.gain(shard, Ledger::new(lease), 0, None);
        }
        let release = Arc::<tokio::sync::Notify>::default();
        let reader = Reader::new(Arc::clone(session), shard, release).until(to);
        tasks.push(tokio::task::spawn_local(reader.run()));
    }
    let mut left = tasks.into_iter();
    let mut current = left.next();
    while let Some(task) = &mut current {
        tokio::select! {
            ended = task => {
                if let shard::Ended::Failed(why) = ended? {
                    return Err(anyhow!(why));
                }
                current = left.next();
            }
            () = tokio::time::sleep(TICK) => {
                if shared.stop.load(Relaxed) {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}
