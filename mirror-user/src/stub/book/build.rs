//! Exchanges in, a [`Book`] out.

use std::sync::Arc;

use bytes::Bytes;
use enum_map::EnumMap;
use hashbrown::HashMap;
use hashbrown::hash_table::HashTable;

use super::{Book, Gates, Hosts, Index, Recorded, Step, Stub, state};
use crate::http::message::{Exchange, ExchangeId, Message};
use crate::stub::Skipped;
use crate::stub::canonical::{Canonical, Facts};
use crate::stub::options::Options;

/// Bytes that recorded requests and responses may take in memory; long bodies are in files. A day of an API's
/// collaborators has a few MiB, without what is the same.
pub const MAX_BOOK_BYTES: usize = 1 << 30;

/// Bytes that each stub and each response takes beside its own: tables, pointers, counts.
const OVERHEAD_BYTES: usize = 256;

/// Exchanges whose interim responses are remembered until their final one.
const MAX_INTERIM: usize = 1_000;

/// Collects what was recorded.
pub struct Builder {
    options: Arc<Options>,
    max_bytes: usize,
    bytes: usize,
    stubs: Vec<Stub>,
    by_request: HashMap<Vec<u8>, usize>,
    responses: HashTable<Arc<Recorded>>,
    interim: HashMap<ExchangeId, Vec<Bytes>>,
    loading: Loading,
}

/// What became of recorded exchanges.
#[derive(Clone, Debug, Default)]
pub struct Loading {
    /// How many there were.
    pub seen: u64,
    /// How many can be given again.
    pub kept: u64,
    /// The others, by reason.
    pub skipped: EnumMap<Skipped, u64>,
    /// Different requests.
    pub stubs: u64,
    /// Exchanges that another one with the same request and response stands for.
    pub merged: u64,
    /// Stubs with several responses.
    pub sequences: u64,
    /// Responses with a body in a file, which is open.
    pub files: usize,
}

impl Builder {
    /// For these options; `max_bytes` is [`MAX_BOOK_BYTES`] but in tests.
    #[must_use]
    pub fn new(options: Arc<Options>, max_bytes: usize) -> Self {
        Self {
            options,
            max_bytes,
            bytes: 0,
            stubs: Vec::new(),
            by_request: HashMap::new(),
            responses: HashTable::new(),
            interim: HashMap::new(),
            loading: Loading::default(),
        }
    }

    /// What became of exchanges so far.
    #[must_use]
    pub fn loading(&self) -> &Loading {
        &self.loading
    }

    /// An interim response came. Those that ask for a body are made anew, where a client waits for one.
    pub fn interim(&mut self, exchange: &Exchange) {
        let Some(response) = exchange.response.as_deref() else { return };
        if response.head.status() == Some(100) || self.interim.len() >= MAX_INTERIM {
            return;
        }
        self.interim.entry(exchange.id).or_default().push(response.head.raw.clone());
    }

    /// An exchange ended.
    pub fn add(&mut self, exchange: &Exchange) {
        self.loading.seen += 1;
        let interim = self.interim.remove(&exchange.id).unwrap_or_default();
        match self.keep(exchange, &interim) {
            Ok(()) => self.loading.kept += 1,
            Err(why) => self.loading.skipped[why] += 1,
        }
    }

    fn keep(&mut self, exchange: &Exchange, interim: &[Bytes]) -> Result<(), Skipped> {
        let request = exchange.request.as_deref().ok_or(Skipped::NoRequest)?;
        let content = content(request, self.options.max_body)?;
        let response = Recorded::of(exchange, interim)?;
        let facts = Facts {
            method: request.head.method(),
            target: request.head.target(),
            content: &content,
        };
        let options = Arc::clone(&self.options);
        let canonical = options.matching.canonical(facts, request.head.fields());
        let server = exchange.peers.server.to_string();
        let host = canonical.host.as_deref().unwrap_or(server.as_bytes());
        let key = key(&canonical, host);
        let known = self.by_request.get(&key).copied();
        let (response, is_new) = self.shared(response);
        let mut size =
            if is_new { response.wire.len() + OVERHEAD_BYTES } else { size_of::<Step>() };
        if known.is_none() {
            size += 2 * key.len() + OVERHEAD_BYTES;
        }
        if self.bytes.saturating_add(size) > self.max_bytes {
            return Err(Skipped::NoRoom);
        }
        self.bytes += size;
        if is_new && response.rest.is_none() {
            let hash = response.hash();
            self.responses.insert_unique(hash, Arc::clone(&response), |other| other.hash());
        }
        let started = exchange.response.as_deref().map(|response| response.started);
        let latency = started.unwrap_or_default().since(request.finished);
        let step = Step { at: request.started, latency, response };
        match known.and_then(|place| self.stubs.get_mut(place)) {
            Some(stub) => stub.steps.push(step),
            None => {
                self.by_request.insert(key, self.stubs.len());
                self.stubs.push(Stub::new(exchange.id, &canonical, host, step));
            }
        }
        Ok(())
    }

    /// The same response, if there is one already.
    fn shared(&self, response: Recorded) -> (Arc<Recorded>, bool) {
        let known = self.responses.find(response.hash(), |known| known.is_same(&response));
        match known {
            Some(known) => (Arc::clone(known), false),
            None => (Arc::new(response), true),
        }
    }

    /// The book, and what became of the exchanges.
    #[must_use]
    pub fn finish(self) -> (Book, Loading) {
        let Self { options, mut stubs, mut loading, .. } = self;
        let mut hosts = Hosts::new(&options.aliases);
        for stub in &mut stubs {
            hosts.add(&stub.host);
            // Exchanges come when they end, and from several files.
            stub.steps.sort_by_key(|step| step.at);
        }
        // The first that was asked is the one that stands for others of its template.
        stubs.sort_by_key(|stub| stub.steps.first().map(|step| step.at));
        if options.by_state {
            state::find(&mut stubs);
        }
        for stub in &mut stubs {
            loading.merged += stub.merge();
            loading.sequences += u64::from(stub.steps.len() > 1);
            loading.files += stub.steps.iter().filter(|step| step.response.rest.is_some()).count();
        }
        loading.stubs = stubs.len() as u64;
        let matching = options.matching.clone();
        let index = Index::new(&stubs, &matching);
        (Book { stubs, index, hosts, matching, after_last: options.after_last }, loading)
    }
}

impl Stub {
    fn new(id: ExchangeId, canonical: &Canonical<'_>, host: &[u8], step: Step) -> Self {
        Self {
            id,
            method: canonical.method.into(),
            host: host.into(),
            path: (&*canonical.path).into(),
            query: (&*canonical.query).into(),
            headers: (&*canonical.headers).into(),
            body_kind: canonical.body_kind,
            body: (&*canonical.body).into(),
            steps: vec![step],
            asked: 0.into(),
            gates: Gates::default(),
        }
    }

    /// Keeps one of several responses that are all the same; how many are left out.
    fn merge(&mut self) -> u64 {
        let Some((first, others)) = self.steps.split_first() else { return 0 };
        let is_same = |other: &Step| Arc::ptr_eq(&first.response, &other.response);
        if !others.iter().all(is_same) {
            return 0;
        }
        let merged = others.len() as u64;
        self.steps.truncate(1);
        self.steps.shrink_to_fit();
        merged
    }
}

/// All that a request is recognized by, in one piece.
fn key(canonical: &Canonical<'_>, host: &[u8]) -> Vec<u8> {
    let parts = [
        canonical.method,
        host,
        &canonical.path,
        &canonical.query,
        &canonical.headers,
        &[canonical.body_kind as u8],
        &canonical.body,
    ];
    let mut key = Vec::with_capacity(parts.iter().map(|part| part.len() + size_of::<u64>()).sum());
    for part in parts {
        key.extend_from_slice(&(part.len() as u64).to_le_bytes());
        key.extend_from_slice(part);
    }
    key
}

/// The body of a request that can be asked again.
fn content(request: &Message, max: usize) -> Result<Vec<u8>, Skipped> {
    use std::io::Read;
    if request.incomplete.is_some() {
        return Err(Skipped::RequestIncomplete);
    }
    if request.head.method() == b"CONNECT" {
        return Err(Skipped::Tunnel);
    }
    // Nobody can ask for it: the server refuses such a request, too.
    if request.body.length > max as u64 {
        return Err(Skipped::RequestTooLarge);
    }
    let mut content = Vec::new();
    let mut reader = request.body.content().ok_or(Skipped::BodyNotKept)?;
    reader.read_to_end(&mut content).map_err(|_| Skipped::BodyNotKept)?;
    Ok(content)
}
