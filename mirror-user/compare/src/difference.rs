//! What a difference is: where, of which class, between what, and what forgave it.

use std::sync::Arc;

use serde::Serialize;
use strum::{EnumIter, IntoStaticStr};

use crate::shape::Shape;

/// How two sides differ at a place.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, IntoStaticStr, Serialize,
)]
#[strum(serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Two values of one type.
    Value,
    /// Two types.
    Type,
    /// One side is `null`.
    Null,
    /// Production has it, and the candidate has not.
    Missing,
    /// The candidate has it, and production has not.
    Extra,
    /// The same elements in another order.
    Order,
    /// Two formats, such as HTML and JSON.
    Format,
    /// One side cannot be read as what it says it is.
    Unreadable,
    /// The candidate gave no response.
    Failure,
    /// Too much work: what is below was not compared.
    Unfinished,
}

/// What two values suggest as the cause of their difference.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, IntoStaticStr, Serialize,
)]
#[strum(serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Hint {
    /// One number is the other, rounded or cut.
    Rounding,
    /// One is the other with its sign changed.
    Sign,
    /// One is the other times a power of ten.
    Scale,
    /// Times that differ by whole quarters of an hour, as between zones.
    TimeZone,
    /// The same moment, or the same number, written in another way.
    Notation,
    /// The same letters in other cases.
    Case,
    /// The same text with other white space.
    Space,
    /// UTF-8 that was read as Latin-1, or lost characters.
    Encoding,
    /// One text or list is the start of the other.
    Truncated,
    /// One side is empty.
    Empty,
    /// The same value as a string and as a number, or as a truth value.
    Quoted,
}

/// What forgave a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Forgiven {
    /// The rule with this index.
    Rule(u16),
    /// The default for the whole comparison, such as fields that may be new.
    Default,
    /// Both values are volatile and of one shape.
    Shape(Shape),
}

impl Forgiven {
    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rule(_) => "rule",
            Self::Default => "default",
            Self::Shape(_) => "shape",
        }
    }
}

/// One difference between two responses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where, for all responses of an endpoint: `status`, `header.etag`, `body.items[].price`, `body.users{}.name`.
    pub path: Arc<str>,
    /// Where in this body: a JSON Pointer (RFC 6901) with production's indices; empty outside bodies.
    pub pointer: String,
    /// How they differ.
    pub class: Class,
    /// What that suggests.
    pub hint: Option<Hint>,
    /// Production's value, as far as it is shown.
    pub left: Option<String>,
    /// The candidate's.
    pub right: Option<String>,
    /// What forgave it; `None`: it counts.
    pub forgiven: Option<Forgiven>,
}

impl Difference {
    /// Its field: noise in a field's values does not hide that their type changed.
    #[must_use]
    pub fn key(&self) -> (&str, Class) {
        (&self.path, self.class)
    }

    /// True if nothing forgave it.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.forgiven.is_none()
    }
}
