//! Settings as command-line flags.

use clap::{Arg, ArgMatches, Command};

use super::define::{Setting, Settings, Slot, Visit};

/// Adds a flag for each setting to the command.
pub(crate) fn define<G: Settings>(command: Command) -> Command {
    let mut define = Define { command, map: map_of::<G>(), in_own_map: false };
    G::default().visit(&G::default(), &mut define);
    define.command
}

/// The settings given on the command line.
pub(crate) fn take<G: Settings>(matches: &mut ArgMatches) -> G {
    let mut taken = G::default();
    taken.visit(&G::default(), &mut Take { matches });
    taken
}

struct Define {
    command: Command,
    /// The settings of the current map, which `conflicts` and `requires` refer to.
    map: Vec<&'static Setting>,
    /// True inside a keyed group, which may be absent altogether.
    in_own_map: bool,
}

impl Define {
    fn flag_of(&self, key: &str) -> Option<&'static str> {
        self.map.iter().find(|setting| setting.key == key).and_then(|setting| setting.flag())
    }
}

impl Visit for Define {
    fn setting<S: Slot>(&mut self, setting: &'static Setting, _: &mut S, _: &S) {
        let Some(flag) = setting.flag() else { return };
        let heading = if setting.under.is_empty() { setting.heading } else { setting.under };
        let mut arg = Arg::new(flag).long(flag).help_heading(heading);
        if !setting.alias.is_empty() {
            arg = arg.alias(setting.alias);
        }
        if !setting.env.is_empty() {
            arg = arg.env(setting.env).hide_env_values(true);
        }
        let mut arg = S::define(setting, arg);
        for other in &self.map {
            if let (true, Some(other)) = (setting.conflicts.contains(&other.key), other.flag()) {
                arg = arg.conflicts_with(other);
            }
        }
        if let Some(other) = self.flag_of(setting.requires) {
            arg = arg.requires(other);
        }
        if !setting.required.is_empty() && !self.in_own_map {
            // A file may give it, or a setting that excludes it may be given instead.
            let others = self.map.iter().filter(|other| other.excludes(setting));
            let others = others.filter_map(|other| other.flag());
            arg = arg.required_unless_present_any(others.chain([CONFIG]));
        }
        let command = std::mem::take(&mut self.command);
        self.command = command.arg(arg);
    }

    fn group<G: Settings>(&mut self, key: Option<&'static str>, own: &mut G, other: &G) {
        let in_own_map = self.in_own_map || key.is_some();
        let map = map_of::<G>();
        let command = std::mem::take(&mut self.command);
        let mut inner = Define { command, map, in_own_map };
        own.visit(other, &mut inner);
        self.command = inner.command;
    }
}

/// The flag that names the configuration file.
const CONFIG: &str = "config";

/// The settings of one struct, without its groups.
fn map_of<G: Settings>() -> Vec<&'static Setting> {
    struct List(Vec<&'static Setting>);

    impl Visit for List {
        fn setting<S: Slot>(&mut self, setting: &'static Setting, _: &mut S, _: &S) {
            self.0.push(setting);
        }

        fn group<G: Settings>(&mut self, _: Option<&'static str>, _: &mut G, _: &G) {}
    }

    let mut list = List(Vec::new());
    G::default().visit(&G::default(), &mut list);
    list.0
}

struct Take<'a> {
    matches: &'a mut ArgMatches,
}

impl Visit for Take<'_> {
    fn setting<S: Slot>(&mut self, setting: &'static Setting, own: &mut S, _: &S) {
        if let Some(flag) = setting.flag() {
            *own = S::take(self.matches, flag);
        }
    }

    fn group<G: Settings>(&mut self, _: Option<&'static str>, own: &mut G, other: &G) {
        own.visit(other, self);
    }
}
