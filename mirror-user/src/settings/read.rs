//! Reads settings from a file.

use super::define::{Setting, Settings, Slot, Visit};
use crate::yaml::{Fields, Node, Reader};

/// The keys of a map of settings, without repetition.
pub(crate) fn keys<G: Settings>() -> Vec<&'static str> {
    let mut keys = Keys(Vec::new());
    G::default().visit(&G::default(), &mut keys);
    keys.0
}

/// Reads a map of settings; also returns its fields, for further checks.
pub(crate) fn map<'a, G: Settings>(reader: &mut Reader, node: &'a Node) -> Option<(G, Fields<'a>)> {
    let fields = reader.fields(node, &keys::<G>())?;
    Some((settings(reader, &fields), fields))
}

/// Reads the settings among the fields of a map.
pub(crate) fn settings<G: Settings>(reader: &mut Reader, fields: &Fields<'_>) -> G {
    let mut read = G::default();
    let mut visit = Read { reader, fields, known: Vec::new() };
    read.visit(&G::default(), &mut visit);
    let known = visit.known;
    check_combinations(reader, fields, &known);
    read
}

/// Reports settings that conflict, that require one another, or that are missing.
fn check_combinations(reader: &mut Reader, fields: &Fields<'_>, known: &[&'static Setting]) {
    let given = || known.iter().filter(|setting| fields.get(setting.key).is_some());
    for (place, one) in given().enumerate() {
        for other in given().skip(place.saturating_add(1)).filter(|other| one.excludes(other)) {
            let mut both = [one.key, other.key]
                .map(|key| (fields.get(key).map(|node| node.at).unwrap_or_default(), key));
            both.sort();
            let [(_, first), (at, second)] = both;
            reader.wrong(at, format!("both {first} and {second}; give one of them"));
        }
        if !one.requires.is_empty()
            && fields.get(one.requires).is_none()
            && let Some(node) = fields.get(one.key)
        {
            let Setting { key, requires, .. } = one;
            reader.wrong(
                node.at,
                format!("{key} without {requires}: they go together; give both, or none"),
            );
        }
    }
    for one in known.iter().filter(|one| !one.required.is_empty()) {
        if fields.get(one.key).is_none() && !given().any(|other| other.excludes(one)) {
            reader.wrong(fields.at, format!("{}: missing: {}", one.key, one.required));
        }
    }
}

struct Keys(Vec<&'static str>);

impl Visit for Keys {
    fn setting<S: Slot>(&mut self, setting: &'static Setting, _: &mut S, _: &S) {
        // Two settings may share a key; each reads the values of its own kind.
        if !self.0.contains(&setting.key) {
            self.0.push(setting.key);
        }
        if !setting.alias.is_empty() {
            self.0.push(setting.alias);
        }
    }

    fn group<G: Settings>(&mut self, key: Option<&'static str>, own: &mut G, other: &G) {
        match key {
            None => own.visit(other, self),
            Some(key) => self.0.push(key),
        }
    }
}

struct Read<'r, 'f, 'n> {
    reader: &'r mut Reader,
    fields: &'f Fields<'n>,
    known: Vec<&'static Setting>,
}

impl Visit for Read<'_, '_, '_> {
    fn setting<S: Slot>(&mut self, setting: &'static Setting, own: &mut S, _: &S) {
        self.known.push(setting);
        let own_key = self.fields.get(setting.key);
        let alias = self.fields.get(setting.alias);
        if let (Some(_), Some(alias)) = (own_key, alias) {
            let Setting { key, alias: former, .. } = setting;
            self.reader
                .wrong(alias.at, format!("both {key} and {former}, its former name; keep {key}"));
        }
        if let Some(node) = own_key.or(alias) {
            *own = S::read(self.reader, setting, node);
        }
    }

    fn group<G: Settings>(&mut self, key: Option<&'static str>, own: &mut G, other: &G) {
        let Some(key) = key else { return own.visit(other, self) };
        if let Some(node) = self.fields.get(key)
            && let Some((read, _)) = map(self.reader, node)
        {
            *own = read;
        }
    }
}
