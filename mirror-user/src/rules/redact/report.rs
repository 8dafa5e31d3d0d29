//! Counts of replaced values and withheld bodies; with `discover`, also their places. Never a value.

use std::collections::BTreeMap;
use std::fmt;

use enum_map::Enum;
use serde::Serialize;
use strum::IntoStaticStr;

use super::context::Plan;
use super::detect::{Detection, Detector, Signs};
use crate::http::coding::Undecodable;
use crate::stats::Tally;
use crate::tcp::event::Side;

/// Maximum number of distinct places; documents whose member names are data have more.
pub const MAX_PLACES: usize = 4_096;
/// Maximum length of a name within a place, in bytes.
const MAX_NAME: usize = 64;

/// Why a body was withheld: "it was …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Unredactable {
    /// Not captured completely: half a value would not be recognized.
    Incomplete,
    /// Larger than [`MAX_BODY_BYTES`](super::MAX_BODY_BYTES), before or after decoding.
    TooLarge,
    /// Far larger decoded than encoded, like a decompression bomb.
    Bomb,
    /// In a content coding that is not gzip, deflate, br or zstd.
    UnknownCoding,
    /// In a content coding that could not be decoded.
    BrokenCoding,
    /// In a transfer coding other than chunked.
    TransferCoding,
    /// In a character encoding that is not a superset of ASCII.
    Charset,
    /// Declared as JSON, but invalid.
    BadJson,
    /// JSON of more than [`MAX_JSON_DEPTH`](super::MAX_JSON_DEPTH) nested values.
    JsonTooDeep,
    /// Declared as multipart, but invalid.
    BadMultipart,
    /// Binary, with a value that cannot be replaced without breaking the format.
    Binary,
    /// To be changed, but its framing is ambiguous.
    Ambiguous,
    /// Spooled to a file that could not be read.
    ReadFailed,
}

impl From<Undecodable> for Unredactable {
    fn from(why: Undecodable) -> Self {
        match why {
            Undecodable::TooLarge => Self::TooLarge,
            Undecodable::Bomb => Self::Bomb,
            Undecodable::Unknown => Self::UnknownCoding,
            Undecodable::Broken => Self::BrokenCoding,
        }
    }
}

/// A part of a message.
#[derive(Clone, Copy)]
pub(super) enum Where<'a> {
    Start,
    Path,
    Query(&'a [u8]),
    Header(&'a [u8]),
    Trailer(&'a [u8]),
    Cookie(&'a [u8]),
    Body,
    Form(&'a [u8]),
    Part(&'a [u8]),
    /// A place in a JSON document: its containers, the outermost first.
    Json(&'a Where<'a>, &'a [super::json::Container<'a>]),
}

/// A finding with its place, if `discover` is set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// `request` or `response`.
    pub message: &'static str,
    /// Its place: `header Authorization`, `query email`, `body $.cards[*].number`.
    pub place: String,
    /// The name of a [`Detector`], or the kind of a listed name.
    pub what: String,
    /// How often.
    pub count: u64,
}

#[derive(Default)]
pub(super) struct Report {
    pub(super) found: Tally<Detector>,
    pub(super) named: u64,
    pub(super) withheld: Tally<Unredactable>,
    pub(super) discover: bool,
    /// Findings at places beyond [`MAX_PLACES`].
    pub(super) elsewhere: u64,
    pub(super) places: BTreeMap<(&'static str, String, String), u64>,
}

impl Report {
    pub(super) fn found(&mut self, plan: &Plan, side: Side, at: &Where<'_>, what: Detector) {
        self.found.count(what);
        if self.discover {
            self.note(plan, side, at, what.into());
        }
    }

    pub(super) fn named(&mut self, plan: &Plan, side: Side, at: &Where<'_>, kind: &str) {
        self.named += 1;
        if self.discover {
            self.note(plan, side, at, kind);
        }
    }

    fn note(&mut self, plan: &Plan, side: Side, at: &Where<'_>, what: &str) {
        let message = match side {
            Side::Client => "request",
            Side::Server => "response",
        };
        let key = (message, place(plan, at), what.to_owned());
        let is_below_limit = self.places.len() < MAX_PLACES;
        match self.places.get_mut(&key) {
            Some(count) => *count += 1,
            None if is_below_limit => {
                self.places.insert(key, 1);
            }
            None => self.elsewhere += 1,
        }
    }

    pub(super) fn findings(&self) -> Vec<Finding> {
        let finding = |((message, place, what), count): (&(&'static str, String, String), &u64)| {
            Finding { message, place: place.clone(), what: what.clone(), count: *count }
        };
        self.places.iter().map(finding).collect()
    }
}

/// The place as text. Names are data, too: what detectors find in them is left out.
fn place(plan: &Plan, at: &Where<'_>) -> String {
    match at {
        Where::Start => "start line".to_owned(),
        Where::Path => "path".to_owned(),
        Where::Query(name) => format!("query {}", shown(plan, name)),
        Where::Header(name) => format!("header {}", shown(plan, name)),
        Where::Trailer(name) => format!("trailer {}", shown(plan, name)),
        Where::Cookie(name) => format!("cookie {}", shown(plan, name)),
        Where::Body => "body".to_owned(),
        Where::Form(name) => format!("body field {}", shown(plan, name)),
        Where::Part(name) => format!("body part {}", shown(plan, name)),
        Where::Json(outer, containers) => {
            let mut path = place(plan, outer);
            path.push_str(" $");
            for container in *containers {
                match container.name() {
                    Some(name) => path.push_str(&format!(".{}", shown(plan, name))),
                    None => path.push_str("[*]"),
                }
            }
            path
        }
    }
}

fn shown(plan: &Plan, name: &[u8]) -> String {
    let mut found: Vec<Detection<'_>> = Vec::new();
    plan.detectors.scan(name, Signs::of(name), false, &mut found);
    if let Some(Detection { what, .. }) = found.first() {
        return format!("<{}>", plan.detectors.name(*what));
    }
    match name.get(..MAX_NAME) {
        Some(start) if name.len() > MAX_NAME => format!("{}…", start.escape_ascii()),
        _ => name.escape_ascii().to_string(),
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:8}  {:14}  {:>9}  {}", self.message, self.what, self.count, self.place)
    }
}
