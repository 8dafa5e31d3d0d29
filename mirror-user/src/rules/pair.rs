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

    /// Of an exchange and the live responses of the candidate and of a control, which are redacted here.
    #[must_use]
    pub fn answered(
        production: Cleared,
        candidate: Option<Arc<Message>>,
        control: Option<Arc<Message>>,
    ) -> Self {
        let redact = |response: Option<Arc<Message>>| match (&production.redactor, response) {
            (Some(redactor), Some(response)) => redacted(redactor, &production, response),
            (_, response) => response,
        };
        let (candidate, control) = (redact(candidate), redact(control));
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

/// A response to the request of `production`, redacted as production's own was.
fn redacted(
    redactor: &Redactor,
    production: &Cleared,
    response: Arc<Message>,
) -> Option<Arc<Message>> {
    let known = production.exchange().request.clone();
    let exchange = Exchange { response: Some(response), ..production.exchange().clone() };
    redactor.redact(exchange, known).response
}
