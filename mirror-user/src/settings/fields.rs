//! Header fields with their values.

use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgMatches};
use serde_json::json;

use super::define::{Setting, Slot};
use super::slot::help;
use crate::rules::edit::{field_line, field_name, field_value};
use crate::yaml::{Node, Reader, write};

/// Header fields by name: `NAME: VALUE` on the command line, a map in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldLines(pub Vec<(String, String)>);

/// Name by name: those of `under` with other names stay, before `own`.
pub(super) fn over<T: Clone>(own: &mut Vec<T>, under: &[T], is_same: impl Fn(&T, &T) -> bool) {
    let others: Vec<T> =
        under.iter().filter(|it| !own.iter().any(|own| is_same(own, it))).cloned().collect();
    own.splice(0..0, others);
}

/// A flag for each name.
pub(super) fn repeated(setting: &'static Setting, arg: Arg) -> Arg {
    let help = help(setting, "; repeat for more");
    arg.help(help).value_name(setting.value).action(ArgAction::Append)
}

impl Slot for FieldLines {
    fn is_given(&self) -> bool {
        !self.0.is_empty()
    }

    fn over(&mut self, under: &Self) {
        over(&mut self.0, &under.0, |(one, _), (other, _)| one.eq_ignore_ascii_case(other));
    }

    fn define(setting: &'static Setting, arg: Arg) -> Arg {
        repeated(setting, arg).value_parser(ValueParser::new(field_line))
    }

    fn take(matches: &mut ArgMatches, flag: &str) -> Self {
        Self(matches.remove_many(flag).map(Iterator::collect).unwrap_or_default())
    }

    fn read(reader: &mut Reader, _: &Setting, node: &Node) -> Self {
        let mut lines = Vec::new();
        for (key, value) in reader.pairs(node).unwrap_or_default() {
            match field_name(&key.text) {
                Ok(name) => {
                    lines.extend(reader.parsed(value, field_value).map(|value| (name, value)));
                }
                Err(error) => reader.wrong(key.at, error),
            }
        }
        Self(lines)
    }

    fn print(&self) -> write::Value {
        let lines = self.0.iter().map(|(name, value)| (name.clone(), value.as_str().into()));
        lines.collect::<write::Map>().into()
    }

    fn schema() -> serde_json::Value {
        json!({
            "type": "object",
            "propertyNames": { "pattern": "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$" },
            "additionalProperties": {
                "type": ["string", "number", "boolean"],
                "pattern": r"^[\t -~\u0080-\uffff]*$",
            },
        })
    }

    fn unit() -> String {
        "map of names and values".to_owned()
    }
}
