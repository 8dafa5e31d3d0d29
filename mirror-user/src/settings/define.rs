//! The definition of a setting, and the macro that turns definitions into structs.

use std::fmt;

use clap::{Arg, ArgMatches};

use crate::yaml::{Node, Reader, write};

/// Metadata of one setting; its value is a field of a struct.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// Text for `--help`, the schema and the documentation, without a full stop.
    pub(crate) help: &'static str,
    /// Key in the file.
    pub(crate) key: &'static str,
    /// Flag name; empty: same as the key.
    pub(crate) flag: &'static str,
    /// A former name, still accepted as a flag and as a key; empty: none.
    pub(crate) alias: &'static str,
    /// An environment variable that stands for the flag; empty: none.
    pub(crate) env: &'static str,
    /// True if there is no flag, only a key in the file.
    pub(crate) file_only: bool,
    /// Heading in `--help`, shared by the struct.
    pub(crate) heading: &'static str,
    /// Overrides `heading`; empty: no override.
    pub(crate) under: &'static str,
    /// When a change in the file takes effect.
    pub(crate) takes: Takes,
    /// Value name in `--help`; empty: the type's own name.
    pub(crate) value: &'static str,
    /// Default, as text; empty: none, or described in `help`.
    pub(crate) default: &'static str,
    /// Keys of the same map that cannot be combined with it.
    pub(crate) conflicts: &'static [&'static str],
    /// Key of the same map that must be given with it.
    pub(crate) requires: &'static str,
    /// Advice if it is missing from its map; empty: it is optional.
    pub(crate) required: &'static str,
    /// One flag accepts several values, separated by commas.
    pub(crate) with_commas: bool,
    /// One flag accepts several values, separated by spaces.
    pub(crate) with_spaces: bool,
    /// Another list uses the same key; each list reads the items of its own kind.
    pub(crate) shares_key: bool,
    /// Extra validation, before the type's own parser.
    pub(crate) check: fn(&str) -> Result<(), String>,
}

/// When a change in the file takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// While running, from the next request or packet on.
    AtOnce,
    /// While running; the target is restarted with a new queue and new connections.
    WithItsTarget,
    /// When mirror is restarted.
    AtNextStart,
}

impl fmt::Display for Takes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AtOnce => "at once",
            Self::WithItsTarget => "with its target",
            Self::AtNextStart => "at the next start",
        })
    }
}

impl Setting {
    /// Values for everything that a definition leaves out.
    pub(crate) const UNSET: Self = Self {
        help: "",
        key: "",
        flag: "",
        alias: "",
        env: "",
        file_only: false,
        heading: "",
        under: "",
        takes: Takes::AtOnce,
        value: "",
        default: "",
        conflicts: &[],
        requires: "",
        required: "",
        with_commas: false,
        with_spaces: false,
        shares_key: false,
        check: |_| Ok(()),
    };

    /// The flag, without dashes; `None` if there is none.
    pub(crate) fn flag(&self) -> Option<&'static str> {
        let flag = if self.flag.is_empty() { self.key } else { self.flag };
        (!self.file_only).then_some(flag)
    }

    pub(crate) fn help(&self) -> &'static str {
        self.help.trim()
    }

    /// True if the two settings cannot be given together.
    pub(crate) fn excludes(&self, other: &Self) -> bool {
        self.conflicts.contains(&other.key) || other.conflicts.contains(&self.key)
    }
}

/// A struct of settings, made by [`settings!`].
pub(crate) trait Settings: Clone + Default + PartialEq {
    /// Description of the group.
    const ABOUT: &'static str;

    /// Visits each setting together with the same setting of `other`, in the order of the definitions.
    fn visit(&mut self, other: &Self, visit: &mut impl Visit);
}

/// An operation over all settings of a struct.
pub(crate) trait Visit {
    /// Visits a setting of the struct itself.
    fn setting<S: Slot>(&mut self, setting: &'static Setting, own: &mut S, other: &S);

    /// Visits a nested struct. With a key, its settings are a map of their own; without, they are inlined.
    fn group<G: Settings>(&mut self, key: Option<&'static str>, own: &mut G, other: &G);
}

/// A field that holds a setting: `Option` for one value, `Vec` for several, `bool` for a switch.
pub(crate) trait Slot: Clone + Default + PartialEq {
    /// True if the setting was given.
    fn is_given(&self) -> bool;

    /// Takes the value of `under` if this one was not given.
    fn over(&mut self, under: &Self) {
        if !self.is_given() {
            self.clone_from(under);
        }
    }

    /// Parses the text of the setting's environment variable, which is of one value.
    fn parse(_: &Setting, _: &str) -> Result<Self, String> {
        Err("a setting of one value: no environment variable gives others".to_owned())
    }

    /// Adds value name, parser and arity to the flag.
    fn define(setting: &'static Setting, arg: Arg) -> Arg;

    /// Takes the parsed value of the flag.
    fn take(matches: &mut ArgMatches, flag: &str) -> Self;

    /// Reads the value from a file.
    fn read(reader: &mut Reader, setting: &Setting, node: &Node) -> Self;

    /// The value as it is written to a file.
    fn print(&self) -> write::Value;

    /// JSON Schema of the value in a file, without `null`.
    fn schema() -> serde_json::Value;

    /// Short description of the value, for the table of settings.
    fn unit() -> String;
}

/// Defines structs of settings. An entry is one setting: its help, the field with its type, and fields of
/// [`Setting`]. An entry may also be a group: a nested struct of settings, with or without a key.
macro_rules! settings {
    (
        $(#[doc = $about:literal])+
        pub struct $name:ident under $heading:literal, changed $takes:ident {
            $(
                $(#[doc = $help:literal])+
                $kind:ident $field:ident: $type:ty { $($option:ident: $value:expr),* $(,)? }
            )*
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name {
            $(
                $(#[doc = $help])+
                pub $field: $type,
            )*
        }

        impl $crate::settings::define::Settings for $name {
            const ABOUT: &'static str = concat!($($about),+);

            fn visit(&mut self, other: &Self, visit: &mut impl $crate::settings::define::Visit) {
                $(
                    settings!(
                        @$kind $type, visit, &mut self.$field, &other.$field,
                        concat!($($help),+), $heading, $takes, { $($option: $value,)* }
                    );
                )*
            }
        }

        impl clap::Args for $name {
            fn augment_args(command: clap::Command) -> clap::Command {
                $crate::settings::flags::define::<Self>(command)
            }

            fn augment_args_for_update(command: clap::Command) -> clap::Command {
                Self::augment_args(command)
            }
        }

        impl clap::FromArgMatches for $name {
            fn from_arg_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
                Ok($crate::settings::flags::take(&mut matches.clone()))
            }

            fn from_arg_matches_mut(matches: &mut clap::ArgMatches) -> Result<Self, clap::Error> {
                Ok($crate::settings::flags::take(matches))
            }

            fn update_from_arg_matches(
                &mut self,
                matches: &clap::ArgMatches,
            ) -> Result<(), clap::Error> {
                *self = Self::from_arg_matches(matches)?;
                Ok(())
            }
        }
    };
    (
        @setting $type:ty, $visit:expr, $own:expr, $other:expr,
        $help:expr, $heading:literal, $takes:ident, { $($option:ident: $value:expr,)* }
    ) => {{
        const SETTING: $crate::settings::define::Setting = $crate::settings::define::Setting {
            help: $help,
            heading: $heading,
            takes: $crate::settings::define::Takes::$takes,
            $($option: $value,)*
            ..$crate::settings::define::Setting::UNSET
        };
        $visit.setting::<$type>(&SETTING, $own, $other);
    }};
    (
        @group $type:ty, $visit:expr, $own:expr, $other:expr,
        $help:expr, $heading:literal, $takes:ident, { $(key: $key:expr,)? }
    ) => {{
        const KEY: &[&str] = &[$($key)?];
        $visit.group::<$type>(KEY.first().copied(), $own, $other);
    }};
}

pub(crate) use settings;
