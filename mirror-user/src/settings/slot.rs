//! How `Option`, `Vec` and `bool` hold settings, from flags and files.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser, ValueParser};
use clap::{Arg, ArgAction, ArgMatches};
use serde_json::json;

use super::define::{Setting, Slot};
use super::value::Value;
use crate::yaml::{Node, Reader, write};

impl<T: Value> Slot for Option<T> {
    fn is_given(&self) -> bool {
        self.is_some()
    }

    fn parse(setting: &Setting, text: &str) -> Result<Self, String> {
        parse(setting, text).map(Some)
    }

    fn define(setting: &'static Setting, arg: Arg) -> Arg {
        valued::<T>(setting, arg, "")
    }

    fn take(matches: &mut ArgMatches, flag: &str) -> Self {
        matches.remove_one(flag)
    }

    fn read(reader: &mut Reader, setting: &Setting, node: &Node) -> Self {
        read_one(reader, setting, node)
    }

    fn print(&self) -> write::Value {
        self.as_ref().map(T::print).into()
    }

    fn schema() -> serde_json::Value {
        T::schema()
    }

    fn unit() -> String {
        unit::<T>()
    }
}

/// A list; in a file, a single value needs no brackets.
impl<T: Value> Slot for Vec<T> {
    fn is_given(&self) -> bool {
        !self.is_empty()
    }

    fn define(setting: &'static Setting, arg: Arg) -> Arg {
        let more = if setting.with_spaces { "" } else { "; repeat for more" };
        let arg = valued::<T>(setting, arg, more).action(ArgAction::Append);
        let arg = if setting.with_commas { arg.value_delimiter(',') } else { arg };
        if setting.with_spaces { arg.num_args(1..) } else { arg }
    }

    fn take(matches: &mut ArgMatches, flag: &str) -> Self {
        matches.remove_many(flag).map(Iterator::collect).unwrap_or_default()
    }

    fn read(reader: &mut Reader, setting: &Setting, node: &Node) -> Self {
        reader.list(Some(node), |reader, node| {
            let is_own = !setting.shares_key || T::is_like(node);
            is_own.then(|| read_one(reader, setting, node)).flatten()
        })
    }

    fn print(&self) -> write::Value {
        write::Value::List(self.iter().map(T::print).collect())
    }

    fn schema() -> serde_json::Value {
        json!({ "anyOf": [T::schema(), { "type": "array", "items": T::schema(), "minItems": 1 }] })
    }

    fn unit() -> String {
        format!("list of {}", unit::<T>())
    }
}

/// A switch. `false` is the same as not given.
impl Slot for bool {
    fn is_given(&self) -> bool {
        *self
    }

    fn define(setting: &'static Setting, arg: Arg) -> Arg {
        arg.help(help(setting, "")).action(ArgAction::SetTrue)
    }

    fn take(matches: &mut ArgMatches, flag: &str) -> Self {
        matches.get_flag(flag)
    }

    fn read(reader: &mut Reader, _: &Setting, node: &Node) -> Self {
        reader.truth(node).unwrap_or_default()
    }

    fn print(&self) -> write::Value {
        self.then_some(true).into()
    }

    fn schema() -> serde_json::Value {
        json!({ "type": "boolean" })
    }

    fn unit() -> String {
        "`true` or `false`".to_owned()
    }
}

/// The help of a flag: the setting's help, a suffix for lists, and the default.
pub(super) fn help(setting: &Setting, more: &str) -> String {
    let default = match setting.default {
        "" => String::new(),
        default => format!(" [default: {default}]"),
    };
    format!("{}{more}{default}", setting.help())
}

/// Parses a text; both the setting's check and the type may refuse it.
fn parse<T: Value>(setting: &Setting, text: &str) -> Result<T, String> {
    (setting.check)(text)?;
    T::parse(text)
}

pub(super) fn valued<T: Value>(setting: &'static Setting, arg: Arg, more: &str) -> Arg {
    let name = if setting.value.is_empty() { T::NAME } else { setting.value };
    let words = T::words();
    let parser = if let Some(parser) = T::parser() {
        parser
    } else if words.is_empty() {
        ValueParser::new(move |text: &str| parse::<T>(setting, text))
    } else {
        let words = words
            .iter()
            .map(|word| PossibleValue::new(word.name.as_str()).help(word.help.as_str()));
        ValueParser::new(PossibleValuesParser::new(words).try_map(|word| T::parse(&word)))
    };
    arg.help(help(setting, more)).value_name(name).value_parser(parser)
}

/// Reads a value from a file. A problem names the key and the text, and says what to write.
fn read_one<T: Value>(reader: &mut Reader, setting: &Setting, node: &Node) -> Option<T> {
    if let Some(read) = T::read(reader, node) {
        return read;
    }
    reader.parsed(node, |text| {
        parse(setting, text).map_err(|wrong| {
            // Some errors quote the text themselves.
            match wrong.contains(&format!("{text:?}")) {
                true => format!("{}: {wrong}", setting.key),
                false => format!("{}: {text:?}: write {wrong}", setting.key),
            }
        })
    })
}

fn unit<T: Value>() -> String {
    let words: Vec<String> = T::words().iter().map(|word| format!("`{}`", word.name)).collect();
    if words.is_empty() { T::UNIT.to_owned() } else { words.join(", ") }
}
