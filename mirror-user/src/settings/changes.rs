//! Differences between two files that need a restart.

use super::define::{Setting, Settings, Slot, Takes, Visit};

/// The keys, below `path`, of settings that differ and take effect only at the next start.
pub(crate) fn at_next_start<G: Settings>(path: &str, old: &G, new: &G) -> Vec<String> {
    let mut differ = Differ { path: path.to_owned(), names: Vec::new() };
    old.clone().visit(new, &mut differ);
    differ.names
}

struct Differ {
    path: String,
    names: Vec<String>,
}

impl Differ {
    fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

impl Visit for Differ {
    fn setting<S: Slot>(&mut self, setting: &'static Setting, own: &mut S, other: &S) {
        if setting.takes == Takes::AtNextStart && own != other {
            self.names.push(self.name(setting.key));
        }
    }

    fn group<G: Settings>(&mut self, key: Option<&'static str>, own: &mut G, other: &G) {
        let path = key.map_or_else(|| self.path.clone(), |key| self.name(key));
        self.names.extend(at_next_start(&path, own, other));
    }
}
