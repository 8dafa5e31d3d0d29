//! Differences between two files, and when they take effect.

use super::define::{Setting, Settings, Slot, Takes, Visit};

/// The keys, below `path`, of settings that differ, and when a change of each takes effect.
pub(crate) fn differences<G: Settings>(path: &str, old: &G, new: &G) -> Vec<(String, Takes)> {
    let mut differ = Differ { path: path.to_owned(), found: Vec::new() };
    old.clone().visit(new, &mut differ);
    differ.found
}

/// The keys, below `path`, of settings that differ and take effect only at the next start.
pub(crate) fn at_next_start<G: Settings>(path: &str, old: &G, new: &G) -> Vec<String> {
    let found = differences(path, old, new).into_iter();
    found.filter(|(_, takes)| *takes == Takes::AtNextStart).map(|(key, _)| key).collect()
}

struct Differ {
    path: String,
    found: Vec<(String, Takes)>,
}

impl Differ {
    fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

impl Visit for Differ {
    fn setting<S: Slot>(&mut self, setting: &'static Setting, own: &mut S, other: &S) {
        if own != other {
            self.found.push((self.name(setting.key), setting.takes));
        }
    }

    fn group<G: Settings>(&mut self, key: Option<&'static str>, own: &mut G, other: &G) {
        let path = key.map_or_else(|| self.path.clone(), |key| self.name(key));
        self.found.extend(differences(&path, own, other));
    }
}
