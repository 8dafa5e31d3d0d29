//! `Exchange`s in, `Cleared` ones out, or the reason why they may not leave.
//!
//! Refuses what is itself a shadow, what the rules ([`route`]) let go nowhere, and on request probes
//! and further attempts at a request that was let out. All moments of an exchange get the same
//! answer. What then leaves has lost what [`redact`] was asked to take out. What is left out of a
//! *replay* and nothing else (an incomplete request, a tunnel) is refused in [`tag`], where a cleared
//! exchange becomes the bytes that are sent: files and reports want those exchanges too. Remembers
//! what was decided of exchanges that go on, how often each rule decided, what [`redact`] did, and
//! digests of recent requests that say which attempt they are.

mod baggage;
pub mod edit;
pub mod host;
mod lines;
mod open;
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

use self::open::{Judged, Open};
use self::redact::Redactor;
use self::repeat::Repeats;
use self::route::{Priority, Route, Routes, Stayed, TargetId};
use self::select::Facts;
use crate::http::message::{Exchange, Head, Moment};
use crate::stats::{Note, Topic};

/// The header that marks a shadow; a captured request that bears it is never shadowed again.
pub const SHADOW_MARK: &str = "X-Shadow-Request";

/// An exchange that may leave. Only [`Rules::clear`] makes one, so that a reviewer who wants to
/// know what can leave has to read this room alone.
#[derive(Clone, Debug)]
pub struct Cleared {
    exchange: Exchange,
    /// `None` where no rules are given: it goes everywhere.
    route: Option<Route>,
}

impl Cleared {
    /// What may leave.
    #[must_use]
    pub fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// True when the rules send it to `target`.
    #[must_use]
    pub fn goes_to(&self, target: TargetId) -> bool {
        self.route.as_ref().is_none_or(|route| route.targets.contains(target))
    }

    /// Whether it stays when there is room for some alone.
    #[must_use]
    pub fn priority(&self) -> Priority {
        self.route.as_ref().map(|route| route.priority).unwrap_or_default()
    }

    /// The place of the rule that let it out, from 0; `None` where no rules are given.
    #[must_use]
    pub fn rule(&self) -> Option<u16> {
        self.route.as_ref().map(|route| route.rule)
    }

    /// The name of that rule.
    #[must_use]
    pub fn rule_name(&self) -> Option<&Arc<str>> {
        self.route.as_ref().map(|route| &route.name)
    }

    /// The name of the reason why a replay would not send its request; `None` when it would.
    #[must_use]
    pub fn refusal(&self) -> Option<&'static str> {
        let request = self.exchange.request.as_deref()?;
        if bears_mark(&request.head) {
            return Some(Dropped::AlreadyShadow.into());
        }
        tag::sendable(request, tag::Ambiguous::Hold).err().map(Into::into)
    }
}

/// Why an exchange may not leave: "it was …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Dropped {
    /// Itself a shadow: it bears the mark.
    AlreadyShadow,
    /// A kubelet's or a load balancer's question whether the server is alive.
    Probe,
    /// A further attempt of a proxy at a request that was let out.
    Retry,
    /// Matched by no rule, or its request was not seen.
    NotMatched,
    /// Matched by a rule without targets.
    Shielded,
    /// Matched, and not in the rule's sample.
    SampledOut,
}

impl From<Stayed> for Dropped {
    fn from(stayed: Stayed) -> Self {
        match stayed {
            Stayed::NotMatched => Self::NotMatched,
            Stayed::Shielded(_) => Self::Shielded,
            Stayed::SampledOut(_) => Self::SampledOut,
        }
    }
}

/// What may leave, and how.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// What becomes of requests that are shadows themselves.
    pub shadows: Shadows,
    /// What becomes of kubelets' and load balancers' probes.
    pub probes: Noise,
    /// What becomes of further attempts at one request.
    pub retries: Noise,
    /// What takes secrets and personal values out; nothing does when there is none.
    pub redactor: Option<Arc<Redactor>>,
    /// Which requests go where; everything goes everywhere when there are none.
    pub routes: Option<Routes>,
    repeats: Repeats,
    /// `None` where nobody asks for more than requests.
    open: Option<Open>,
    /// What it did, when nothing is redacted any more.
    former_redactor: Option<Arc<Redactor>>,
}

/// What is to be in force from now on.
#[derive(Debug)]
pub struct Change {
    /// As [`Rules::probes`].
    pub probes: Noise,
    /// As [`Rules::retries`].
    pub retries: Noise,
    /// As [`Rules::redactor`].
    pub redactor: Option<Arc<Redactor>>,
    /// As [`Rules::routes`].
    pub routes: Routes,
}

/// What becomes of requests that no customer sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumIter, EnumMessage, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Noise {
    /// Drop and count them
    Drop,
    /// Send them, and show them in reports
    #[default]
    Keep,
}

/// What becomes of requests that are shadows themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shadows {
    /// They do not leave, so that a shadow is never shadowed.
    #[default]
    Drop,
    /// They leave: for reports, which show what was seen.
    Keep,
}

impl Rules {
    /// For what is sent to a target: no shadows, no probes, each request once.
    #[must_use]
    pub fn for_targets() -> Self {
        Self { probes: Noise::Drop, retries: Noise::Drop, ..Self::default() }
    }

    /// For files and reports, which show what was seen.
    #[must_use]
    pub fn for_reports() -> Self {
        Self { shadows: Shadows::Keep, ..Self::default() }
    }

    /// Clears an exchange to leave.
    ///
    /// # Errors
    /// Why it may not.
    pub fn clear(&mut self, exchange: Exchange) -> Result<Cleared, Dropped> {
        let id = exchange.id;
        let known = self.open.as_mut().and_then(|open| match exchange.moment {
            Moment::Asked => None,
            Moment::Interim => open.get(id).cloned(),
            Moment::Ended => open.take(id),
        });
        let Judged { verdict, request } = match known {
            Some(judged) => judged,
            None => Judged { verdict: self.judge(&exchange), request: None },
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
            open.remember(id, Judged { verdict: verdict.clone(), request });
        }
        Ok(Cleared { exchange, route: verdict? })
    }

    fn judge(&mut self, exchange: &Exchange) -> Result<Option<Route>, Dropped> {
        if let Some(request) = &exchange.request {
            if self.shadows == Shadows::Drop && bears_mark(&request.head) {
                return Err(Dropped::AlreadyShadow);
            }
            if self.probes == Noise::Drop && probe::is_probe(&request.head) {
                return Err(Dropped::Probe);
            }
        }
        if self.retries == Noise::Drop && self.repeats.is_repeat(exchange) {
            return Err(Dropped::Retry);
        }
        self.route(exchange)
    }

    /// Where the rules send it.
    fn route(&mut self, exchange: &Exchange) -> Result<Option<Route>, Dropped> {
        let Some(routes) = &mut self.routes else { return Ok(None) };
        let decided = match &exchange.request {
            Some(request) => routes.decide(
                &Facts::new(&request.head, &exchange.peers).proxied_for(exchange.proxied_client),
                exchange.id,
            ),
            None => Err(Stayed::NotMatched),
        };
        if exchange.is_first_moment() {
            routes.count(decided.as_ref().map_err(|stayed| *stayed));
        }
        Ok(Some(decided?))
    }

    /// Whether exchanges are cleared at more than their first moment. Those that were asked before
    /// are forgotten where they are not.
    pub fn remember_open(&mut self, yes: bool) {
        if yes {
            self.open.get_or_insert_default();
        } else {
            self.open = None;
        }
    }

    /// True when exchanges are cleared at more than their first moment.
    #[must_use]
    pub fn remembers_open(&self) -> bool {
        self.open.is_some()
    }

    /// Puts other rules in force; counts go on. Exchanges that were asked before stay judged as they
    /// were; what still comes of them is redacted as the new rules say.
    pub fn change(&mut self, Change { probes, retries, redactor, routes }: Change) {
        (self.probes, self.retries) = (probes, retries);
        self.routes.get_or_insert_default().replace(routes);
        let former = self.redactor.take().or(self.former_redactor.take());
        match (&redactor, former) {
            (Some(next), Some(former)) => next.go_on_counting(&former),
            (None, former) => self.former_redactor = former,
            (Some(_), None) => {}
        }
        self.redactor = redactor;
    }

    /// What each rule did, what was redacted, and what was forgotten too early.
    #[must_use]
    pub fn notes(&self) -> Vec<Note> {
        let routes = self.routes.as_ref().and_then(Routes::note);
        let redactor = self.redactor.as_ref().or(self.former_redactor.as_ref());
        let redacted = redactor.map(|redactor| redactor.notes());
        let forgotten = self.open.as_ref().map(|open| ("forgotten", open.forgotten()));
        let forgotten = Note::new(Topic::OpenExchanges, forgotten);
        routes.into_iter().chain(redacted.into_iter().flatten()).chain(forgotten).collect()
    }

    /// What the operator should know at the end.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.redactor.as_ref().map(|redactor| redactor.warnings()).unwrap_or_default()
    }
}

fn bears_mark(head: &Head) -> bool {
    head.headers
        .iter()
        .any(|header| head.bytes(&header.name).eq_ignore_ascii_case(SHADOW_MARK.as_bytes()))
}

#[cfg(test)]
pub(crate) mod tests;
