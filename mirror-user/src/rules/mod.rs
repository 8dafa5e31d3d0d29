//! `Exchange`s in, `Cleared` ones out, or the reason why they may not leave.

use enum_map::Enum;
use strum::IntoStaticStr;

use crate::http::message::Exchange;

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
}

/// Why an exchange may not leave: "it was …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Dropped {
    /// Itself a shadow: it bears the mark.
    AlreadyShadow,
}

/// What may leave, and how.
#[derive(Debug, Default)]
pub struct Rules {}

impl Rules {
    /// Clears an exchange to leave.
    ///
    /// # Errors
    /// Why it may not.
    pub fn clear(&self, exchange: Exchange) -> Result<Cleared, Dropped> {
        Ok(Cleared { exchange })
    }
}
