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
    answers: Answers,
}

/// The responses to the shadows of one exchange, those that there are.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// The candidate's.
    pub candidate: Option<Arc<Message>>,
    /// That of a second instance of production's version.
    pub control: Option<Arc<Message>>,
    /// The candidate's, when it was asked again.
    pub again: Option<Arc<Message>>,
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
        let candidate = candidate.exchange().response.clone();
        same.then_some(Self { production, answers: Answers { candidate, ..Answers::default() } })
    }

    /// Of an exchange and the live responses to its shadows. `redactor` redacts all of them, whatever was sent: a
    /// candidate may need credentials that no report shows.
    #[must_use]
    pub fn answered(
        production: &Cleared,
        mut answers: Answers,
        redactor: Option<Arc<Redactor>>,
    ) -> Self {
        let known = production.exchange();
        let mut exchange = known.clone();
        if let Some(redactor) = &redactor {
            exchange = redactor.redact(exchange, None);
            let Answers { candidate, control, again } = &mut answers;
            for side in [candidate, control, again] {
                let Some(response) = side.take() else { continue };
                let answered = Exchange { response: Some(response), ..known.clone() };
                *side = redactor.redact(answered, exchange.request.clone()).response;
            }
        }
        let production = Cleared { exchange, redactor, ..production.clone() };
        Self { production, answers }
    }

    /// Production's exchange.
    #[must_use]
    pub fn production(&self) -> &Exchange {
        self.production.exchange()
    }

    /// The candidate's response, if there is one.
    #[must_use]
    pub fn candidate(&self) -> Option<&Message> {
        self.answers.candidate.as_deref()
    }

    /// The control's response, if there is one.
    #[must_use]
    pub fn control(&self) -> Option<&Message> {
        self.answers.control.as_deref()
    }

    /// The candidate's response when it was asked again, if there is one.
    #[must_use]
    pub fn again(&self) -> Option<&Message> {
        self.answers.again.as_deref()
    }
}
