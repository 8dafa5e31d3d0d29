//! What is known of both answers: pairs, answers that wait for their other half, and values of which the
//! target's answer is under way.

use std::collections::VecDeque;
use std::io::Read;

use hashbrown::{DefaultHashBuilder, HashMap};

use super::MAX_RESPONSE_BYTES;
use super::counts::{Count, Counts};
use super::sites::{self, Asked, Site};
use super::table::{Learned, Pair, Table};
use super::translate::{Awaited, Pending, Translator};
use crate::http::coding;
use crate::http::message::{Body, Head};
use crate::rules::tag::ShadowRequest;
use crate::sink::replay::key::ExchangeKey;

/// Values in answers whose other half did not come yet; some 16 MiB.
const MAX_WAITING_SITES: usize = 128 * 1024;

/// Answers whose other half did not come yet.
pub(super) const MAX_WAITING: usize = 64 * 1024;

/// The first of two answers that came.
pub(super) enum Half {
    /// Production's, with the reading of the capture that it is of, and when it came.
    Recorded { sites: Vec<Site>, pass: u32, arrived: u64 },
    /// The target's.
    Shadow(Vec<Site>),
    /// The target gave none.
    Failed,
}

/// What was learned, and what waits for its other half.
pub(super) struct State {
    hasher: DefaultHashBuilder,
    tables: HashMap<u32, Table>,
    max_table_bytes: usize,
    pub(super) halves: HashMap<ExchangeKey, Half>,
    /// In the order in which they came; some are there no more.
    order: VecDeque<ExchangeKey>,
    waiting_sites: usize,
    /// By copy.
    pending: HashMap<u32, Pending>,
}

/// What a translation came to.
pub(super) struct Told {
    pub(super) pends: Option<Box<str>>,
    pub(super) ambiguous: u64,
    pub(super) replaced: u64,
    pub(super) body_left: bool,
}

impl State {
    /// Whose pairs take so many bytes for each copy.
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

    pub(super) fn sites(&self, asked: &Asked, head: &Head, body: &Body) -> Vec<Site> {
        let content = content(head, body);
        sites::find(&self.hasher, asked, head, content.as_deref())
    }

    pub(super) fn translate(
        &self,
        copy: u32,
        arrived: u64,
        request: &ShadowRequest,
    ) -> (Option<ShadowRequest>, Told) {
        let (no_table, nothing) = (Table::new(0), HashMap::new());
        let table = self.tables.get(&copy).unwrap_or(&no_table);
        let pending = self.pending.get(&copy).unwrap_or(&nothing);
        let mut translator = Translator::new(table, pending, arrived);
        let translated = translator.request(request);
        let Translator { pends, ambiguous, replaced, body_left, .. } = translator;
        (translated, Told { pends, ambiguous, replaced, body_left })
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
                self.came(key.session.copy, sites, *arrived);
            }
            Half::Shadow(sites) => {
                self.waiting_sites = self.waiting_sites.saturating_sub(sites.len());
            }
            Half::Failed => {}
        }
        // Both places are mostly at the front.
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
        while self.waiting_sites > MAX_WAITING_SITES || self.order.len() > MAX_WAITING {
            let Some(oldest) = self.order.front().copied() else { return };
            match self.take_half(&oldest) {
                Some(Half::Failed) => {}
                Some(_) => counts.add(Count::HalvesForgotten, 1),
                // It was taken before.
                None => drop(self.order.pop_front()),
            }
        }
    }

    /// From now on requests with these values wait, but for those that this reading of the capture has
    /// seen before.
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

    /// The answer that was to bring these values came, or never will.
    fn came(&mut self, copy: u32, sites: &[Site], arrived: u64) {
        let Some(pending) = self.pending.get_mut(&copy) else { return };
        for Site { value, .. } in sites {
            if let Some(answers) = pending.get_mut(value) {
                answers.retain(|answer| answer.arrived != arrived);
                if answers.is_empty() {
                    pending.remove(value);
                }
            }
        }
    }

    /// Nobody waits for this value any more.
    pub(super) fn await_no_more(&mut self, copy: u32, value: &str) {
        if let Some(pending) = self.pending.get_mut(&copy) {
            pending.remove(value);
        }
    }
}

/// The content with its codings undone; `None` when it is too long, or not to be had.
fn content(head: &Head, body: &Body) -> Option<Vec<u8>> {
    let limit = u64::try_from(MAX_RESPONSE_BYTES).unwrap_or(u64::MAX);
    let mut content = Vec::new();
    body.content()?.take(limit + 1).read_to_end(&mut content).ok()?;
    if content.len() > MAX_RESPONSE_BYTES {
        return None;
    }
    let named = head.fields().filter(|(name, _)| name.eq_ignore_ascii_case(b"content-encoding"));
    let codings = coding::codings(named.map(|(_, value)| value)).ok()?;
    Some(coding::undo(&codings, content.into(), MAX_RESPONSE_BYTES).ok()?.into_owned())
}
