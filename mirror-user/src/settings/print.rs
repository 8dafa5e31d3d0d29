//! Prints settings as fields of a configuration file.

use super::define::{Setting, Settings, Slot, Visit};
use crate::yaml::write::Fields;

/// The fields of a map that reads back as these settings; settings that were not given are left out.
pub(crate) fn print<G: Settings>(settings: &G) -> Fields {
    let mut print = Print(Fields::new());
    settings.clone().visit(&G::default(), &mut print);
    print.0
}

struct Print(Fields);

impl Visit for Print {
    fn setting<S: Slot>(&mut self, setting: &'static Setting, own: &mut S, _: &S) {
        if own.is_given() {
            self.0.add(setting.key, own.print());
        }
    }

    fn group<G: Settings>(&mut self, key: Option<&'static str>, own: &mut G, other: &G) {
        match key {
            None => own.visit(other, self),
            Some(key) => self.0.add(key, print(own).0),
        }
    }
}
