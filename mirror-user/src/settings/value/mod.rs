//! The types of settings: how each is read, printed and described. Most are types of the modules that
//! use them, with their `FromStr` and `Display`.

mod maps;
mod plain;

use std::sync::LazyLock;

use clap::builder::ValueParser;
use serde_json::{Value as Json, json};
use strum::{EnumMessage, IntoEnumIterator};

use super::pace::{CopyCount, Speed};
use super::shares::{CpuLimit, FailureShare, MemoryLimit, Percent, Threshold};
use super::snaplen::SnaplenPart;
use crate::filter::{NetworkRule, Side};
use crate::guard::ShedLoad;
use crate::origin::Label;
use crate::rules::Noise;
use crate::rules::redact::{Detector, Preset};
use crate::rules::select::PortRange;
use crate::rules::tag::{Ambiguous, Baggage, Mode};
use crate::rules::trace::Trace;
use crate::sink::replay::{Connections, IdleClose, Point, Rate, Victim};
use crate::source::live::{Hook, KernelLog, Order};
use crate::units::Bytes;
use crate::yaml::{Node, Reader, Value as Tree, write};

/// A value of a setting.
pub(crate) trait Value: Clone + PartialEq + Send + Sync + 'static {
    /// Value name in `--help`.
    const NAME: &'static str;

    /// Short description of the value; not used for types with [`words`](Self::words).
    const UNIT: &'static str = "";

    /// Parses a text.
    ///
    /// # Errors
    /// What to write instead, such as "a number above 0"; or a sentence that quotes the text.
    fn parse(text: &str) -> Result<Self, String>;

    /// A text that parses to the same value.
    fn text(&self) -> String;

    /// JSON Schema of the value in a file.
    fn schema() -> Json;

    /// The allowed texts, if they can be listed.
    fn words() -> &'static [Word] {
        &[]
    }

    /// The command line's parser, if it is not [`parse`](Self::parse).
    fn parser() -> Option<ValueParser> {
        None
    }

    /// True if the node is meant as a value of this type, valid or not.
    fn is_like(node: &Node) -> bool {
        !matches!(node.value, Tree::Map(_))
    }

    /// Reads a value that is not a text in a file; the inner `None` means that it is invalid.
    fn read(_: &mut Reader, _: &Node) -> Option<Option<Self>> {
        None
    }

    /// The value as it is written to a file.
    fn print(&self) -> write::Value {
        self.text().into()
    }
}

/// One of the allowed texts of a setting.
pub(crate) struct Word {
    pub(crate) name: String,
    pub(crate) help: String,
}

impl Word {
    fn new(name: &str, help: &str) -> Self {
        let help: Vec<&str> = help.split_whitespace().collect();
        Self { name: name.replace('_', "-"), help: help.join(" ") }
    }
}

fn schema_of_words(words: &[Word]) -> Json {
    json!({ "enum": words.iter().map(|word| word.name.as_str()).collect::<Vec<_>>() })
}

fn one_of(text: &str, words: &[Word]) -> String {
    let words: Vec<&str> = words.iter().map(|word| word.name.as_str()).collect();
    format!("{text:?} is not one of: {}", words.join(", "))
}

/// Enums: the words are their `strum` names with hyphens; the help is their doc comments.
macro_rules! words {
    ($($type:ty: $name:literal;)+) => {$(
        impl Value for $type {
            const NAME: &'static str = $name;

            fn words() -> &'static [Word] {
                static WORDS: LazyLock<Vec<Word>> = LazyLock::new(|| {
                    let word = |value: $type| {
                        Word::new(value.into(), value.get_documentation().unwrap_or_default())
                    };
                    <$type>::iter().map(word).collect()
                });
                &WORDS
            }

            fn parse(text: &str) -> Result<Self, String> {
                let known = <$type>::iter().zip(Self::words()).find(|(_, word)| word.name == text);
                known.map(|(value, _)| value).ok_or_else(|| one_of(text, Self::words()))
            }

            fn text(&self) -> String {
                <&str>::from(*self).replace('_', "-")
            }

            fn schema() -> Json {
                schema_of_words(Self::words())
            }
        }
    )+};
}

words! {
    Hook: "HOOK";
    Order: "PLACE";
    KernelLog: "LEVEL";
    Side: "SIDE";
    Mode: "MODE";
    Trace: "TRACE";
    Baggage: "BAGGAGE";
    Ambiguous: "AMBIGUOUS";
    Noise: "drop|keep";
    ShedLoad: "WHEN";
    Victim: "WHICH";
    IdleClose: "WHAT";
    Preset: "PRESET";
    Detector: "WHAT";
    Label: "LABEL";
}

/// Types with `FromStr` and `Display`.
macro_rules! texts {
    ($($type:ty: $name:literal, $unit:literal, $schema:expr;)+) => {$(
        impl Value for $type {
            const NAME: &'static str = $name;
            const UNIT: &'static str = $unit;

            fn parse(text: &str) -> Result<Self, String> {
                text.parse()
            }

            fn text(&self) -> String {
                self.to_string()
            }

            fn schema() -> Json {
                $schema
            }
        }
    )+};
}

texts! {
    PortRange: "PORT", "ports and ranges of ports",
        json!({ "anyOf": [
            { "type": "integer", "minimum": 1, "maximum": 65535 },
            { "type": "string", "pattern": r"^[0-9]+(\s*-\s*[0-9]+)?$" },
        ] });
    NetworkRule: "[!]CIDR", "networks", json!({ "type": "string" });
    SnaplenPart: "SIZE|requests=SIZE|responses=SIZE", "sizes, also of `requests=` or `responses=` alone",
        json!({ "anyOf": [
            { "type": "integer", "minimum": 128 },
            { "type": "string", "pattern": format!("^((requests|responses|answers)=)?{SIZE}$") },
        ] });
    Percent: "PERCENT", "percent, up to 100", percent("", Some(100));
    CpuLimit: "PERCENT", "percent of one processor", percent("", None);
    MemoryLimit: "SIZE", "size", size();
    FailureShare: "off|PERCENT", "percent, or `off`", percent("off|", Some(100));
    Threshold: "auto|off|PERCENT", "percent, `auto` or `off`", percent("auto|off|", Some(100));
    Speed: "N|max", "factor, or `max`",
        json!({ "anyOf": [
            { "type": "number", "exclusiveMinimum": 0 },
            { "type": "string", "pattern": "^(max|[0-9.]+x?)$" },
        ] });
    Rate: "RATE", "requests a second",
        json!({ "anyOf": [
            { "type": "number", "exclusiveMinimum": 0 },
            { "type": "string", "pattern": r"^[0-9.]+(/s|\.\.[0-9.]+/.+)?$" },
        ] });
    Point: "TIME", "date and time, or time from the start", pattern("^[0-9]");
    Connections: "HOW", "`faithful`, `pooled:N` or `independent:N`",
        pattern("^(faithful|(pooled|independent):[0-9]+)$");
    CopyCount: "N", "count, up to 1000", count(1, Some(1000));
    Bytes: "SIZE", "size", size();
}

/// Pattern of a number of bytes.
const SIZE: &str = r"[0-9]+\s*([kKmMgG](i?[bB])?|[bB])?";

fn size() -> Json {
    let pattern = format!("^{SIZE}$");
    json!({ "anyOf": [
        { "type": "integer", "minimum": 0 },
        { "type": "string", "pattern": pattern },
    ] })
}

fn pattern(pattern: &str) -> Json {
    json!({ "type": "string", "pattern": pattern })
}

fn percent(words: &str, most: Option<u32>) -> Json {
    let mut number = json!({ "type": "number", "exclusiveMinimum": 0 });
    if let (Some(most), Some(number)) = (most, number.as_object_mut()) {
        number.insert("maximum".to_owned(), json!(most));
    }
    json!({ "anyOf": [number, pattern(&format!("^({words}[0-9.]+%?)$"))] })
}

fn count(least: u32, most: Option<u32>) -> Json {
    let most = most.unwrap_or(u32::MAX);
    json!({ "anyOf": [
        { "type": "integer", "minimum": least, "maximum": most },
        { "type": "string", "pattern": "^[0-9]+$" },
    ] })
}

/// Any text, also one that looks like a number.
fn text() -> Json {
    json!({ "type": ["string", "number", "boolean"] })
}
