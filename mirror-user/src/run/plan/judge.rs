//! What one file would send of a capture.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::config::file::{File, TargetSpec};
use crate::config::filter;
use crate::config::redact::options;
use crate::config::routes::narrowed;
use crate::filter::Choice;
use crate::http::message::{Exchange, Kept, Message};
use crate::rules::redact::{Preset, Redactor};
use crate::rules::route::TargetId;
use crate::rules::tag::Marks;
use crate::rules::{Noise, Rules};

/// One file's filter, rules and targets.
pub(super) struct Judge {
    choice: Choice,
    rules: Rules,
    targets: Vec<TargetSpec>,
}

/// What is sent of one request.
#[derive(Default)]
pub(super) struct Sent {
    /// By target: what it gets.
    pub(super) to: BTreeMap<String, Shadow>,
}

/// What a target gets of one request.
pub(super) struct Shadow {
    request: Arc<Message>,
    /// The rule that sends it.
    pub(super) rule: Arc<str>,
    /// Where and how it is marked and changed, apart from redaction.
    how: TargetSpec,
}

impl Judge {
    /// The judge of `file`, as if it took the place of `former` in a run.
    ///
    /// # Errors
    /// What is wrong with the file, or a key that cannot be read.
    pub(super) fn new(file: &File, former: Option<&Self>) -> anyhow::Result<Self> {
        let own = file.routes()?;
        let choice = narrowed(filter::choice(&file.source.filter)?, &own);
        let options = options(file.redact.clone(), Preset::None)?;
        let mut rules = Rules::for_targets();
        let mut routes = former.and_then(|former| former.rules.routes.clone()).unwrap_or_default();
        match former {
            Some(_) => routes.replace(own),
            None => routes = own,
        }
        rules.routes = Some(routes);
        let redactor = match former.and_then(|former| former.rules.redactor.as_ref()) {
            Some(former) => former.successor(options)?,
            None => Redactor::new(options)?,
        };
        rules.redactor = redactor.map(Arc::new);
        rules.probes = file.noise.probes.unwrap_or(Noise::Drop);
        rules.retries = file.noise.retries.unwrap_or(Noise::Drop);
        // Captures do not tell which way packets went.
        let choice = Choice { direction: None, side: None, ..choice };
        Ok(Self { choice, rules, targets: file.targets.clone() })
    }

    /// Judges an exchange at its first moment.
    pub(super) fn sends(&mut self, exchange: &Exchange) -> Sent {
        let peers = &exchange.peers;
        if self.choice.judge(peers.client, peers.server).is_err() {
            return Sent::default();
        }
        let Ok(cleared) = self.rules.clear(exchange.clone()) else { return Sent::default() };
        let (request, rule) = (cleared.exchange().request.as_ref(), cleared.rule_name());
        let (Some(request), Some(rule)) = (request, rule) else { return Sent::default() };
        let targets = self.targets.iter().enumerate().filter(|(place, spec)| {
            let ambiguous = spec.how.marks.ambiguous.unwrap_or_default();
            let marks = Marks { ambiguous, ..Marks::default() };
            TargetId::new(*place).is_some_and(|id| cleared.goes_to(id))
                && cleared.shadow_request(&marks, &spec.url).is_ok()
        });
        let to = targets.map(|(_, spec)| {
            let (request, rule, how) = (Arc::clone(request), Arc::clone(rule), spec.clone());
            (spec.name.clone(), Shadow { request, rule, how })
        });
        Sent { to: to.collect() }
    }
}

impl Shadow {
    /// True if the target gets the same bytes, but for what differs from one run to the next.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        let (one, two) = (&self.how, &other.how);
        (&one.url, &one.credentials) == (&two.url, &two.credentials)
            && one.how.marks == two.how.marks
            && one.how.edits() == two.how.edits()
            && is_same(&self.request, &other.request)
    }
}

fn is_same(one: &Arc<Message>, two: &Arc<Message>) -> bool {
    let is_same_body = || match (&one.body.wire, &two.body.wire) {
        (Kept::Memory(one), Kept::Memory(two)) => Bytes::eq(one, two),
        (Kept::File(one), Kept::File(two)) => Arc::ptr_eq(one, two),
        (Kept::Nothing, Kept::Nothing) => true,
        _ => false,
    };
    Arc::ptr_eq(one, two) || one.head.raw == two.head.raw && is_same_body()
}
