//! The state of correlation: pairs, responses that wait for their counterpart, and values whose
//! response of the target is in flight.

use std::collections::VecDeque;
use std::io::Read;

use hashbrown::{DefaultHashBuilder, HashMap};

use super::counts::{Count, Counts};
use super::sites::{self, RequestContext, Site};
use super::table::{Learned, Pair, Table};
use super::translate::{Awaited, Pending, Translator};
use crate::http::coding;
use crate::http::message::{Body, Head};
use crate::rules::tag::ShadowRequest;
use crate::sink::replay::MAX_BODY_BYTES;
use crate::sink::replay::key::ExchangeKey;

/// The largest number of values in responses without a counterpart; about 16 MiB.
const MAX_WAITING_SITES: usize = 128 * 1024;

/// The largest number of responses without a counterpart.
pub(super) const MAX_HALVES: usize = 64 * 1024;

/// The first of the two responses to a request.
pub(super) enum Half {
    /// Production's, with its pass over the capture and its position of arrival.
    Recorded { sites: Vec<Site>, pass: u32, arrived: u64 },
    /// The target's.
    Shadow(Vec<Site>),
    /// The target sent none.
    Failed,
}

/// Learned pairs, and responses that wait for their counterpart.
pub(super) struct State {
    hasher: DefaultHashBuilder,
    tables: HashMap<u32, Table>,
    max_table_bytes: usize,
    pub(super) halves: HashMap<ExchangeKey, Half>,
    /// Keys in the order of arrival; some may have been removed from `halves`.
    order: VecDeque<ExchangeKey>,
    waiting_sites: usize,
    /// By copy.
    pending: HashMap<u32, Pending>,
}

/// The result of a translation.
pub(super) struct TranslationStats {
    pub(super) awaits: Option<Box<str>>,
    pub(super) ambiguous: u64,
    pub(super) replaced: u64,
    pub(super) body_left: bool,
}

impl State {
    /// With at most `max_table_bytes` of pairs for each copy.
    pub(super) fn new(max_table_bytes: usize) -> Self {
        Self {
            hasher: DefaultHashBuilder::default(),
            tables: HashMap::new(),
            max_table_bytes,
            halves: HashMap::new(),
            order: VecDeque::new(),
            waiting_sites: 0,
            pending: HashMap::new(),
        }
    }

    pub(super) fn sites(&self, context: &RequestContext, head: &Head, body: &Body) -> Vec<Site> {
        let content = content(head, body);
        sites::find(&self.hasher, context, head, content.as_deref())
    }

    pub(super) fn translate(
        &self,
        copy: u32,
        arrived: u64,
        request: &ShadowRequest,
    ) -> (Option<ShadowRequest>, TranslationStats) {
        let (no_table, nothing) = (Table::new(0), HashMap::new());
        let table = self.tables.get(&copy).unwrap_or(&no_table);
        let pending = self.pending.get(&copy).unwrap_or(&nothing);
        let mut translator = Translator::new(table, pending, arrived);
        let translated = translator.request(request);
        let Translator { awaits, ambiguous, replaced, body_left, .. } = translator;
        (translated, TranslationStats { awaits, ambiguous, replaced, body_left })
    }

    pub(super) fn learn(
        &mut self,
        key: ExchangeKey,
        recorded: &[Site],
        shadow: &[Site],
        pass: u32,
        counts: &Counts,
    ) {
        let max_bytes = self.max_table_bytes;
        let table = self.tables.entry(key.session.copy).or_insert_with(|| Table::new(max_bytes));
        let shadow: HashMap<u64, &Site> = shadow.iter().map(|site| (site.place, site)).collect();
        let forgotten = table.forgotten;
        for site in recorded {
            let Some(other) = shadow.get(&site.place).filter(|other| site.pairs_with(other)) else {
                continue;
            };
            let learned = table.learn(Pair {
                kind: &site.kind,
                recorded: &site.value,
                shadow: &other.value,
                pass,
                renews: site.renews,
            });
            match learned {
                Learned::New => counts.add(Count::Learned, 1),
                Learned::Known => {}
                Learned::Conflict => counts.add(Count::Conflicts, 1),
                Learned::Renewed => counts.add(Count::Renewed, 1),
            }
        }
        counts.add(Count::PairsForgotten, table.forgotten - forgotten);
    }

    pub(super) fn take_half(&mut self, key: &ExchangeKey) -> Option<Half> {
        let half = self.halves.remove(key)?;
        match &half {
            Half::Recorded { sites, arrived, .. } => {
                self.waiting_sites = self.waiting_sites.saturating_sub(sites.len());
                self.resolve_pending(key.session.copy, sites, *arrived);
            }
            Half::Shadow(sites) => {
                self.waiting_sites = self.waiting_sites.saturating_sub(sites.len());
            }
            Half::Failed => {}
        }
        // Mostly the key is at the front.
        if self.order.front() == Some(key) {
            self.order.pop_front();
        }
        Some(half)
    }

    pub(super) fn keep_half(&mut self, key: ExchangeKey, half: Half, counts: &Counts) {
        self.waiting_sites += match &half {
            Half::Recorded { sites, .. } | Half::Shadow(sites) => sites.len(),
            Half::Failed => 0,
        };
        self.halves.insert(key, half);
        self.order.push_back(key);
        while self.waiting_sites > MAX_WAITING_SITES || self.order.len() > MAX_HALVES {
            let Some(oldest) = self.order.front().copied() else { return };
            match self.take_half(&oldest) {
                Some(Half::Failed) => {}
                Some(_) => counts.add(Count::HalvesForgotten, 1),
                // It was removed before.
                None => drop(self.order.pop_front()),
            }
        }
    }

    /// Lets later requests with these values wait, except for values that this pass over the
    /// capture has learned.
    pub(super) fn await_values(&mut self, copy: u32, sites: &[Site], pass: u32, arrived: u64) {
        let known = self.tables.get(&copy);
        let pending = self.pending.entry(copy).or_default();
        for Site { value, kind, .. } in sites {
            if known.is_none_or(|table| !table.is_known(value, kind, pass)) {
                let awaited = Awaited { arrived, kind: kind.clone() };
                pending.entry(value.clone()).or_default().push(awaited);
            }
        }
    }

    /// The response with these values arrived or failed.
    fn resolve_pending(&mut self, copy: u32, sites: &[Site], arrived: u64) {
        let Some(pending) = self.pending.get_mut(&copy) else { return };
        for Site { value, .. } in sites {
            if let Some(awaited) = pending.get_mut(value) {
                awaited.retain(|response| response.arrived != arrived);
                if awaited.is_empty() {
                    pending.remove(value);
                }
            }
        }
    }

    /// No request waits for this value any more.
    pub(super) fn stop_waiting_for(&mut self, copy: u32, value: &str) {
        if let Some(pending) = self.pending.get_mut(&copy) {
            pending.remove(value);
        }
    }
}

/// The decoded content; `None` if it is too long or not available.
fn content(head: &Head, body: &Body) -> Option<Vec<u8>> {
    let limit = u64::try_from(MAX_BODY_BYTES).unwrap_or(u64::MAX);
    let mut content = Vec::new();
    body.content()?.take(limit + 1).read_to_end(&mut content).ok()?;
    if content.len() > MAX_BODY_BYTES {
        return None;
    }
    let codings = coding::codings(head.values("content-encoding")).ok()?;
    Some(coding::undo(&codings, content.into(), MAX_BODY_BYTES).ok()?.into_owned())
}
