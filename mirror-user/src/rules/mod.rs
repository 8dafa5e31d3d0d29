//! `Exchange`s in, `Cleared` ones out, or the reason why they may not leave.
//!
//! Refuses what is itself a shadow. What leaves has lost what [`redact`] was asked to take out. Decides from the request's head alone, so that both moments of
//! an exchange get the same answer. What is left out of a *replay* and nothing else (an incomplete
//! request, a tunnel) is refused in [`tag`], where a cleared exchange becomes the bytes that are
//! sent: files and reports want those exchanges too. Remembers nothing but what [`redact`] does.

mod baggage;
pub mod host;
pub mod redact;
pub mod tag;

use std::sync::Arc;

use enum_map::Enum;
use strum::IntoStaticStr;

use self::redact::Redactor;
use crate::http::message::{Exchange, Head};
use crate::summary::Note;

/// The header that marks a shadow; a captured request that bears it is never shadowed again.
pub const SHADOW_MARK: &str = "X-Shadow-Request";

/// An exchange that may leave. Only [`Rules::clear`] makes one, so that a reviewer who wants to
/// know what can leave has to read this room alone.
#[derive(Clone, Debug)]
pub struct Cleared {
    exchange: Exchange,
}

impl Cleared {
    /// What may leave.
    #[must_use]
    pub fn exchange(&self) -> &Exchange {
        &self.exchange
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
}

/// What may leave, and how.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// What becomes of requests that are shadows themselves.
    pub shadows: Shadows,
    /// What takes secrets and personal values out; nothing does when there is none.
    pub redactor: Option<Arc<Redactor>>,
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
    /// Clears an exchange to leave.
    ///
    /// # Errors
    /// Why it may not.
    pub fn clear(&self, exchange: Exchange) -> Result<Cleared, Dropped> {
        match &exchange.request {
            Some(request) if self.shadows == Shadows::Drop && bears_mark(&request.head) => {
                Err(Dropped::AlreadyShadow)
            }
            _ => Ok(Cleared {
                exchange: match &self.redactor {
                    Some(redactor) => redactor.redact(exchange),
                    None => exchange,
                },
            }),
        }
    }

    /// Counts of what was changed on the way.
    #[must_use]
    pub fn notes(&self) -> Vec<Note> {
        self.redactor.as_ref().map(|redactor| redactor.notes()).unwrap_or_default()
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
