//! Value types whose `FromStr` and `Display` do not fit settings.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use clap::builder::{PathBufValueParser, ValueParser};
use mirror_common::Direction;
use serde_json::{Value as Json, json};

use super::{Value, Word, count, one_of, pattern, schema_of_words, text};
use crate::rules::sample::Portion;
use crate::rules::tag::HostPolicy;
use crate::units::parse_duration;

impl Value for Duration {
    const NAME: &'static str = "TIME";
    const UNIT: &'static str = "time";

    fn parse(text: &str) -> Result<Self, String> {
        parse_duration(text)
    }

    fn text(&self) -> String {
        humantime::format_duration(*self).to_string()
    }

    fn schema() -> Json {
        pattern(r"^\s*([0-9]+\s*[a-z]+\s*)+$")
    }
}

impl Value for SocketAddr {
    const NAME: &'static str = "ADDRESS:PORT";
    const UNIT: &'static str = "address and port";

    fn parse(text: &str) -> Result<Self, String> {
        let wanted = || format!("{text:?} is no address with a port, such as 127.0.0.1:9600");
        text.parse().map_err(|_| wanted())
    }

    fn text(&self) -> String {
        self.to_string()
    }

    fn schema() -> Json {
        pattern(r"^.+:[0-9]+$")
    }
}

impl Value for NonZeroU32 {
    const NAME: &'static str = "N";
    const UNIT: &'static str = "count, 1 or more";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "a whole number, 1 or more".to_owned())
    }

    fn text(&self) -> String {
        self.to_string()
    }

    fn schema() -> Json {
        count(1, None)
    }
}

impl Value for NonZeroU64 {
    const NAME: &'static str = "N";
    const UNIT: &'static str = "count, 1 or more";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "a whole number, 1 or more".to_owned())
    }

    fn text(&self) -> String {
        self.to_string()
    }

    fn schema() -> Json {
        count(1, None)
    }
}

impl Value for u32 {
    const NAME: &'static str = "N";
    const UNIT: &'static str = "count";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "a whole number, 0 or more".to_owned())
    }

    fn text(&self) -> String {
        self.to_string()
    }

    fn schema() -> Json {
        count(0, None)
    }
}

impl Value for String {
    const NAME: &'static str = "NAME";
    const UNIT: &'static str = "text";

    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }

    fn text(&self) -> String {
        self.clone()
    }

    fn schema() -> Json {
        text()
    }
}

impl Value for PathBuf {
    const NAME: &'static str = "FILE";
    const UNIT: &'static str = "path";

    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.into())
    }

    fn text(&self) -> String {
        self.display().to_string()
    }

    fn schema() -> Json {
        text()
    }

    // A path need not be UTF-8.
    fn parser() -> Option<ValueParser> {
        Some(PathBufValueParser::new().into())
    }
}

/// In percent, as a sample is written.
impl Value for Portion {
    const NAME: &'static str = "PERCENT";
    const UNIT: &'static str = "percent, 0 to 100";

    fn parse(text: &str) -> Result<Self, String> {
        Self::percent(text)
    }

    fn text(&self) -> String {
        format!("{self}%")
    }

    fn schema() -> Json {
        json!({ "anyOf": [{ "type": "number", "minimum": 0, "maximum": 100 }, pattern("^[0-9.]+%?$")] })
    }
}

impl Value for Direction {
    const NAME: &'static str = "WAY";

    fn words() -> &'static [Word] {
        static WORDS: LazyLock<[Word; 2]> = LazyLock::new(|| {
            [Word::new("in", "Incoming packets"), Word::new("out", "Outgoing packets")]
        });
        &*WORDS
    }

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "in" => Ok(Self::Ingress),
            "out" => Ok(Self::Egress),
            _ => Err(one_of(text, Self::words())),
        }
    }

    fn text(&self) -> String {
        if *self == Self::Ingress { "in".to_owned() } else { "out".to_owned() }
    }

    fn schema() -> Json {
        schema_of_words(Self::words())
    }
}

impl Value for HostPolicy {
    const NAME: &'static str = "keep|suffix|target|NAME";
    const UNIT: &'static str = "`keep`, `suffix`, `target`, or a name";

    fn parse(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }

    fn text(&self) -> String {
        match self {
            Self::Suffix { .. } => "suffix",
            Self::Keep => "keep",
            Self::Target => "target",
            Self::Name(name) => name,
        }
        .to_owned()
    }

    fn schema() -> Json {
        json!({ "type": ["string", "number"], "pattern": r"^[A-Za-z0-9._~:\[\]-]+$" })
    }
}
