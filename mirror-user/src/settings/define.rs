//! What a definition is made of, and the macro that makes structs of definitions.

use clap::{Arg, ArgMatches};

use crate::yaml::{Node, Reader, write};

/// What is said of one setting besides the field that holds it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// For `--help`, the schema and the documentation; without a full stop.
    pub(crate) help: &'static str,
    /// Its name in a map of the file.
    pub(crate) key: &'static str,
    /// Its name on the command line, where that is not the key.
    pub(crate) flag: &'static str,
    /// A former name, still accepted as a flag and as a key; empty: none.
    pub(crate) alias: &'static str,
    /// There is no flag: the file alone says it.
    pub(crate) file_only: bool,
    /// The part of `--help` where it stands.
    pub(crate) heading: &'static str,
    /// The same, where it is not that of its struct.
    pub(crate) under: &'static str,
    /// When a change of it in the file takes effect.
    pub(crate) takes: Takes,
    /// What `--help` calls the value, where the type's own word is too general.
    pub(crate) value: &'static str,
    /// What holds when it is not given; empty: nothing, or what `help` says.
    pub(crate) default: &'static str,
    /// Keys of the same map that cannot be given beside it.
    pub(crate) conflicts: &'static [&'static str],
    /// The key of the same map that must be given beside it.
    pub(crate) requires: &'static str,
    /// What to write where it is missing, though its map is there; empty: it may be missing.
    pub(crate) required: &'static str,
    /// On the command line, one flag takes several values, with commas between them.
    pub(crate) with_commas: bool,
    /// On the command line, one flag takes several values, with spaces between them.
    pub(crate) with_spaces: bool,
    /// Another list has the same key: each takes the items that are like its own.
    pub(crate) shares_key: bool,
    /// Refuses texts that the type takes.
    pub(crate) check: fn(&str) -> Result<(), String>,
}

/// When a change in the file takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// While the run goes on, from the next request or packet on.
    AtOnce,
    /// While the run goes on: the target begins anew, with its own queue and connections.
    WithItsTarget,
    /// When mirror is started again.
    AtNextStart,
}

impl Setting {
    /// What a definition does not say.
    pub(crate) const UNSAID: Self = Self {
        help: "",
        key: "",
        flag: "",
        alias: "",
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

    /// Its flag, without dashes; `None` where there is none.
    pub(crate) fn flag(&self) -> Option<&'static str> {
        let flag = if self.flag.is_empty() { self.key } else { self.flag };
        (!self.file_only).then_some(flag)
    }

    pub(crate) fn help(&self) -> &'static str {
        self.help.trim()
    }

    /// True when the two cannot be given together.
    pub(crate) fn excludes(&self, other: &Self) -> bool {
        self.conflicts.contains(&other.key) || other.conflicts.contains(&self.key)
    }
}

/// A struct of settings, made by [`settings!`].
pub(crate) trait Settings: Clone + Default + PartialEq {
    /// What they are about.
    const ABOUT: &'static str;

    /// Shows each setting, and the same one of `other`, in the order of the definitions.
    fn visit(&mut self, other: &Self, visit: &mut impl Visit);
}

/// What can be done with settings.
pub(crate) trait Visit {
    /// One of the struct's own.
    fn setting<S: Slot>(&mut self, setting: &'static Setting, own: &mut S, other: &S);

    /// Another struct; its settings stand in a map of this key, or without one among those around it.
    fn group<G: Settings>(&mut self, key: Option<&'static str>, own: &mut G, other: &G);
}

/// What holds a setting: an `Option` for one value, a `Vec` for several, a `bool` for a switch.
pub(crate) trait Slot: Clone + Default + PartialEq {
    /// True when it says something.
    fn is_given(&self) -> bool;

    /// What it does not say, it says as `under` does.
    fn over(&mut self, under: &Self) {
        if !self.is_given() {
            self.clone_from(under);
        }
    }

    /// The flag, with what its values are.
    fn define(setting: &'static Setting, arg: Arg) -> Arg;

    /// What was typed for the flag.
    fn take(matches: &mut ArgMatches, flag: &str) -> Self;

    /// What a file says.
    fn read(reader: &mut Reader, setting: &Setting, node: &Node) -> Self;

    /// What a file would say.
    fn print(&self) -> write::Value;

    /// The JSON Schema of what a file may say, `null` aside.
    fn schema() -> serde_json::Value;

    /// What is written for it, in a few words.
    fn unit() -> String;
}

/// Makes structs of settings. Each setting is one entry: its help, the field with its type, and what
/// [`Setting`] has more. An entry may be a group, which is a struct of settings itself, with or without a key.
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
            ..$crate::settings::define::Setting::UNSAID
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
