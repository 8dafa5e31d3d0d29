//! Decides which exchanges may leave: turns an `Exchange` into a `Cleared` one, or returns the reason why
//! not.
//!
//! Drops shadows, requests that the rules ([`route`]) send nowhere, and on request probes and retries of
//! a request that was already cleared. All events of an exchange get the same decision. [`redact`]
//! removes secrets and personal data from what is cleared. Requests that cannot be *replayed*
//! (incomplete ones, tunnels) are refused later, in [`tag`], where a cleared exchange becomes the bytes
//! to send: files and reports need those exchanges, too.
//!
//! State: the decisions for exchanges in flight, counts per rule, counts of [`redact`], and digests of
//! recent requests to recognize retries.

mod baggage;
pub mod body_mark;
pub mod edit;
pub(crate) mod form;
mod framing;
pub mod host;
mod lines;
pub(crate) mod multipart;
mod open;
pub mod pair;
mod probe;
pub mod redact;
mod repeat;
pub mod route;
pub mod sample;
pub mod select;
pub mod tag;
pub mod trace;

use std::sync::Arc;

use enum_map::Enum;
use strum::{EnumIter, EnumMessage, IntoStaticStr};

use self::open::{Decision, OpenExchanges};
use self::redact::Redactor;
use self::repeat::Repeats;
use self::route::{NotRouted, Priority, Route, Routes, TargetId};
use self::select::RequestFacts;
use crate::http::message::{Exchange, Head, Moment};
use crate::packet::InterfaceId;
use crate::stats::{Note, Topic};

/// The header that marks a shadow; a captured request with it is never mirrored again.
pub const SHADOW_MARK: &str = "X-Shadow-Request";

/// An exchange that may leave. Only [`Rules::clear`] creates one: to review what can leave, read this
/// module.
#[derive(Clone, Debug)]
pub struct Cleared {
    exchange: Exchange,
    /// `None` without rules: it goes everywhere.
    route: Option<Route>,
    /// What redacted it.
    redactor: Option<Arc<Redactor>>,
}

impl Cleared {
    /// The exchange.
    #[must_use]
    pub fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// True if the rules send it to `target`.
    #[must_use]
    pub fn goes_to(&self, target: TargetId) -> bool {
        goes_to(self.route.as_ref(), target)
    }

    /// Its priority when the queue is full.
    #[must_use]
    pub fn priority(&self) -> Priority {
        self.route.as_ref().map(|route| route.priority).unwrap_or_default()
    }

    /// Index of the rule that cleared it, from 0; `None` without rules.
    #[must_use]
    pub fn rule(&self) -> Option<u16> {
        self.route.as_ref().map(|route| route.rule)
    }

    /// Name of that rule.
    #[must_use]
    pub fn rule_name(&self) -> Option<&Arc<str>> {
        self.route.as_ref().map(|route| &route.name)
    }

    /// True if secrets and personal data were removed from it.
    #[must_use]
    pub fn is_redacted(&self) -> bool {
        self.redactor.is_some()
    }

    /// The reason why a replay would not send its request; `None` if it would.
    #[must_use]
    pub fn refusal(&self) -> Option<&'static str> {
        let request = self.exchange.request.as_deref()?;
        if has_shadow_mark(&request.head) {
            return Some(NotCleared::AlreadyShadow.into());
        }
        tag::sendable(request, tag::Ambiguous::Hold).err().map(Into::into)
    }
}

/// What the rules say of an exchange of which nothing is made, because nobody has room for it. It holds nothing of the
/// exchange.
#[derive(Clone, Debug)]
pub struct Judged {
    route: Option<Route>,
    interface: InterfaceId,
}

impl Judged {
    /// True if the rules send it to `target`.
    #[must_use]
    pub fn goes_to(&self, target: TargetId) -> bool {
        goes_to(self.route.as_ref(), target)
    }

    /// Name of the rule that cleared it; `None` without rules.
    #[must_use]
    pub fn rule_name(&self) -> Option<&Arc<str>> {
        self.route.as_ref().map(|route| &route.name)
    }

    /// The interface on which its connection was first seen.
    #[must_use]
    pub fn interface(&self) -> InterfaceId {
        self.interface
    }
}

/// Without rules, everything goes everywhere.
fn goes_to(route: Option<&Route>, target: TargetId) -> bool {
    route.is_none_or(|route| route.targets.contains(target))
}

/// Why an exchange was not cleared: "it was …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum NotCleared {
    /// Itself a shadow: it carries the mark.
    AlreadyShadow,
    /// A health probe of a kubelet, load balancer or proxy.
    Probe,
    /// A proxy's retry of a request that was already cleared.
    Retry,
    /// Matched by no rule, or its request was not seen.
    NotMatched,
    /// Matched by a rule without targets.
    Shielded,
    /// Matched, but not in the rule's sample.
    SampledOut,
}

impl From<NotRouted> for NotCleared {
    fn from(stayed: NotRouted) -> Self {
        match stayed {
            NotRouted::NotMatched => Self::NotMatched,
            NotRouted::Shielded(_) => Self::Shielded,
            NotRouted::SampledOut(_) => Self::SampledOut,
        }
    }
}

/// Decides what may leave, and where to.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// How requests that are shadows themselves are treated.
    pub shadows: Shadows,
    /// How health probes are treated.
    pub probes: Noise,
    /// How a proxy's retries are treated.
    pub retries: Noise,
    /// Removes secrets and personal data; `None`: no redaction.
    pub redactor: Option<Arc<Redactor>>,
    /// Which requests go where; `None`: everything goes everywhere.
    pub routes: Option<Routes>,
    repeats: Repeats,
    /// `None` if only requests are cleared, and no later events.
    open: Option<OpenExchanges>,
    /// The last redactor, for its counts, after redaction was turned off.
    former_redactor: Option<Arc<Redactor>>,
}

/// New rules, applied while running.
#[derive(Debug)]
pub struct RulesChange {
    /// As [`Rules::probes`].
    pub probes: Noise,
    /// As [`Rules::retries`].
    pub retries: Noise,
    /// As [`Rules::redactor`].
    pub redactor: Option<Arc<Redactor>>,
    /// As [`Rules::routes`].
    pub routes: Routes,
}

/// How requests that no customer sent are treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumIter, EnumMessage, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Noise {
    /// Drop and count them
    Drop,
    /// Send them, and show them in reports
    #[default]
    Keep,
}

/// How requests that are shadows themselves are treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shadows {
    /// They are dropped, so that a shadow is never mirrored.
    #[default]
    Drop,
    /// They are kept, for files and reports, which show what was captured.
    Keep,
}

impl Rules {
    /// For targets: no shadows, no probes, no retries.
    #[must_use]
    pub fn for_targets() -> Self {
        Self { probes: Noise::Drop, retries: Noise::Drop, ..Self::default() }
    }

    /// For files and reports, which show what was captured.
    #[must_use]
    pub fn for_reports() -> Self {
        Self { shadows: Shadows::Keep, ..Self::default() }
    }

    /// Clears an exchange.
    ///
    /// # Errors
    /// The reason why it may not leave.
    pub fn clear(&mut self, exchange: Exchange) -> Result<Cleared, NotCleared> {
        let id = exchange.id;
        let known = self.open.as_mut().and_then(|open| match exchange.moment {
            Moment::Asked => None,
            Moment::Interim => open.get(id).cloned(),
            Moment::Ended => open.take(id),
        });
        let Decision { verdict, request } = match known {
            Some(decision) => decision,
            None => Decision { verdict: self.decide(&exchange), request: None },
        };
        let goes_on = exchange.moment == Moment::Asked;
        let redacted = verdict.is_ok() && self.redactor.is_some();
        let exchange = match &self.redactor {
            Some(redactor) if redacted => redactor.redact(exchange, request),
            _ => exchange,
        };
        if let Some(open) = &mut self.open
            && goes_on
        {
            let request = exchange.request.as_ref().filter(|_| redacted).map(Arc::clone);
            open.remember(id, Decision { verdict: verdict.clone(), request });
        }
        Ok(Cleared { exchange, route: verdict?, redactor: self.redactor.clone() })
    }

    /// Judges an exchange and makes nothing of it: it is not redacted, and not remembered for later events.
    ///
    /// # Errors
    /// The reason why it may not leave.
    pub fn judge(&mut self, exchange: &Exchange) -> Result<Judged, NotCleared> {
        let interface = exchange.peers.interface;
        self.decide(exchange).map(|route| Judged { route, interface })
    }

    fn decide(&mut self, exchange: &Exchange) -> Result<Option<Route>, NotCleared> {
        if let Some(request) = &exchange.request {
            if self.shadows == Shadows::Drop && has_shadow_mark(&request.head) {
                return Err(NotCleared::AlreadyShadow);
            }
            if self.probes == Noise::Drop && probe::is_probe(&request.head) {
                return Err(NotCleared::Probe);
            }
        }
        if self.retries == Noise::Drop && self.repeats.is_repeat(exchange) {
            return Err(NotCleared::Retry);
        }
        self.route(exchange)
    }

    /// Applies the routing rules.
    fn route(&mut self, exchange: &Exchange) -> Result<Option<Route>, NotCleared> {
        let Some(routes) = &mut self.routes else { return Ok(None) };
        let decided = match &exchange.request {
            Some(request) => routes.decide(
                &RequestFacts::new(&request.head, &exchange.peers)
                    .proxied_for(exchange.proxied_client),
                exchange.id,
            ),
            None => Err(NotRouted::NotMatched),
        };
        if exchange.is_first_moment() {
            routes.count(decided.as_ref().map_err(|stayed| *stayed));
        }
        Ok(Some(decided?))
    }

    /// Sets whether later events of exchanges are cleared, too. If not, the decisions for exchanges in
    /// flight are discarded.
    pub fn remember_open(&mut self, yes: bool) {
        if yes {
            self.open.get_or_insert_default();
        } else {
            self.open = None;
        }
    }

    /// True if later events of exchanges are cleared, too.
    #[must_use]
    pub fn remembers_open(&self) -> bool {
        self.open.is_some()
    }

    /// Applies new rules; counts continue. Exchanges in flight keep their decision, but their later
    /// events are redacted by the new rules.
    pub fn change(&mut self, change: RulesChange) {
        let RulesChange { probes, retries, redactor, routes } = change;
        (self.probes, self.retries) = (probes, retries);
        self.routes.get_or_insert_default().replace(routes);
        let former = self.redactor.take().or(self.former_redactor.take());
        match (&redactor, former) {
            (Some(next), Some(former)) => next.continue_counts_of(&former),
            (None, former) => self.former_redactor = former,
            (Some(_), None) => {}
        }
        self.redactor = redactor;
    }

    /// Counts per rule, counts of redaction, and the number of decisions that exceeded the limit.
    #[must_use]
    pub fn notes(&self) -> Vec<Note> {
        let routes = self.routes.as_ref().and_then(Routes::note);
        let redactor = self.redactor.as_ref().or(self.former_redactor.as_ref());
        let redacted = redactor.map(|redactor| redactor.notes());
        let forgotten = self.open.as_ref().map(|open| ("forgotten", open.forgotten()));
        let forgotten = Note::new(Topic::OpenExchanges, forgotten);
        routes.into_iter().chain(redacted.into_iter().flatten()).chain(forgotten).collect()
    }

    /// Warnings for the operator at the end.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.redactor.as_ref().map(|redactor| redactor.warnings()).unwrap_or_default()
    }
}

fn has_shadow_mark(head: &Head) -> bool {
    head.headers
        .iter()
        .any(|header| head.bytes(&header.name).eq_ignore_ascii_case(SHADOW_MARK.as_bytes()))
}

#[cfg(test)]
pub(crate) mod tests;
