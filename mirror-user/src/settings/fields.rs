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

impl Slot for FieldLines {
    fn is_given(&self) -> bool {
        !self.0.is_empty()
    }

    /// Field by field: fields of `under` with other names stay.
    fn over(&mut self, under: &Self) {
        let own = std::mem::take(&mut self.0);
        let is_own = |name: &str| own.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
        let others = under.0.iter().filter(|(name, _)| !is_own(name)).cloned();
        self.0 = others.collect();
        self.0.extend(own);
    }

    fn define(setting: &'static Setting, arg: Arg) -> Arg {
        let help = help(setting, "; repeat for more");
        let arg = arg.help(help).value_name(setting.value).action(ArgAction::Append);
        arg.value_parser(ValueParser::new(field_line))
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
