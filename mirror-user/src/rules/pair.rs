//! Two answers to one request that may leave, redacted with one key: what was equal still is, and what differed still
//! differs. Comparisons, their stores and their pages see nothing else.

use std::sync::Arc;

use super::Cleared;
use super::redact::Redactor;
use crate::http::message::{Exchange, Message};

/// An exchange of production and what another side answered. Only this module makes one.
#[derive(Clone, Debug)]
pub struct ClearedPair {
    production: Cleared,
    candidate: Option<Arc<Message>>,
    control: Option<Arc<Message>>,
}

impl ClearedPair {
    /// Of two recordings that one run cleared; `None` if they were redacted with two keys, so that equal values may
    /// differ.
    #[must_use]
    pub fn of_recordings(production: Cleared, candidate: &Cleared) -> Option<Self> {
        let same = match (&production.redactor, &candidate.redactor) {
            (None, None) => true,
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            _ => false,
        };
        let response = candidate.exchange().response.clone();
        same.then_some(Self { production, candidate: response, control: None })
    }

    /// Of an exchange and the live responses of the candidate and of a control. `redactor` redacts all of them, whatever
    /// was sent: a candidate may need credentials that no report shows.
    #[must_use]
    pub fn answered(
        production: &Cleared,
        candidate: Option<Arc<Message>>,
        control: Option<Arc<Message>>,
        redactor: Option<Arc<Redactor>>,
    ) -> Self {
        let known = production.exchange();
        let (mut exchange, mut sides) = (known.clone(), [candidate, control]);
        if let Some(redactor) = &redactor {
            exchange = redactor.redact(exchange, None);
            for side in &mut sides {
                let answered = Exchange { response: side.take(), ..known.clone() };
                *side = redactor.redact(answered, exchange.request.clone()).response;
            }
        }
        let [candidate, control] = sides;
        let production = Cleared { exchange, redactor, ..production.clone() };
        Self { production, candidate, control }
    }

    /// Production's exchange.
    #[must_use]
    pub fn production(&self) -> &Exchange {
        self.production.exchange()
    }

    /// The candidate's response, if there is one.
    #[must_use]
    pub fn candidate(&self) -> Option<&Message> {
        self.candidate.as_deref()
    }

    /// The control's response, if there is one.
    #[must_use]
    pub fn control(&self) -> Option<&Message> {
        self.control.as_deref()
    }
}
