//! `Exchange`s in, `Cleared` ones out, or the reason why they may not leave.
//!
//! Refuses what is itself a shadow, what the rules ([`route`]) let go nowhere, and on request probes
//! and further attempts at a request that was let out. All moments of an exchange get the same
//! answer. What then leaves has lost what [`redact`] was asked to take out. What is left out of a
//! *replay* and nothing else (an incomplete request, a tunnel) is refused in [`tag`], where a cleared
//! exchange becomes the bytes that are sent: files and reports want those exchanges too. Remembers
//! how often each rule decided, what [`redact`] did, and digests of recent requests that say which
//! attempt they are.

mod baggage;
pub mod edit;
pub mod handover;
pub mod host;
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
use strum::IntoStaticStr;

use self::handover::Handover;
use self::redact::Redactor;
use self::repeat::Repeats;
use self::route::{Priority, Route, Routes, Stayed, TargetId};
use self::select::Facts;
use crate::http::message::{Exchange, Head};
use crate::summary::Note;

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
        self.route.is_none_or(|route| route.targets.contains(target))
    }

    /// Whether it stays when there is room for some alone.
    #[must_use]
    pub fn priority(&self) -> Priority {
        self.route.map(|route| route.priority).unwrap_or_default()
    }

    /// The place of the rule that let it out, from 0; `None` where no rules are given.
    #[must_use]
    pub fn rule(&self) -> Option<u16> {
        self.route.map(|route| route.rule)
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
    /// Where other rules may come from while requests pass.
    pub handover: Option<Arc<Handover>>,
    repeats: Repeats,
}

/// What becomes of requests that no customer sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Noise {
    /// They leave: for reports, which show what was seen.
    #[default]
    Keep,
    /// They do not leave.
    Drop,
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
        if let Some(request) = &exchange.request {
            if self.shadows == Shadows::Drop && bears_mark(&request.head) {
                return Err(Dropped::AlreadyShadow);
            }
            if self.probes == Noise::Drop && probe::is_probe(&request.head) {
                return Err(Dropped::Probe);
            }
        }
        if self.retries == Noise::Drop && self.repeats.is_repeat(&exchange) {
            return Err(Dropped::Retry);
        }
        let route = self.route(&exchange)?;
        let exchange = match &self.redactor {
            Some(redactor) => redactor.redact(exchange),
            None => exchange,
        };
        Ok(Cleared { exchange, route })
    }

    /// Where the rules send it.
    fn route(&mut self, exchange: &Exchange) -> Result<Option<Route>, Dropped> {
        if let Some(next) = self.handover.as_ref().and_then(|handover| handover.take()) {
            self.routes.get_or_insert_default().replace(next);
        }
        let Some(routes) = &mut self.routes else { return Ok(None) };
        let decided = match &exchange.request {
            Some(request) => {
                routes.decide(&Facts::new(&request.head, &exchange.peers), exchange.id)
            }
            None => Err(Stayed::NotMatched),
        };
        if exchange.is_first_moment() {
            routes.count(decided);
        }
        Ok(Some(decided?))
    }

    /// What each rule did, how often the rules changed, and what was redacted.
    #[must_use]
    pub fn notes(&self) -> Vec<Note> {
        let routes = self.routes.as_ref().and_then(Routes::note);
        let changed = self.handover.as_ref().and_then(|handover| handover.note());
        let redacted = self.redactor.as_ref().map(|redactor| redactor.notes());
        routes.into_iter().chain(changed).chain(redacted.into_iter().flatten()).collect()
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
