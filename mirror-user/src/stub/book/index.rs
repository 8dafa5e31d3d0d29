//! Where the stub of a request is: a table of hashes over all that it is recognized by, and, for what was not found,
//! lists of stubs that come near.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use hashbrown::hash_table::HashTable;
use hashbrown::{DefaultHashBuilder, HashMap};
use strum::IntoStaticStr;

use super::{Scope, Stub};
use crate::stub::canonical::{Canonical, Matching, segments};

/// Stubs that are looked at for the nearest one. It is looked for when there is none that fits, and that may be often.
const MAX_COMPARED: usize = 256;

/// Where each stub is.
#[derive(Default)]
pub(super) struct Index {
    table: HashTable<Place>,
    hasher: DefaultHashBuilder,
    /// By path, for the nearest one.
    by_path: HashMap<Box<[u8]>, Vec<u32>>,
    /// By the number of segments and the first of them, where the path is another one.
    by_shape: HashMap<(usize, Box<[u8]>), Vec<u32>>,
}

/// A stub as it is found in one of four ways.
#[derive(Clone, Copy)]
struct Place {
    stub: u32,
    /// Whatever its host.
    any_host: bool,
    /// By this template in place of its path.
    template: Option<u16>,
    /// One of another host is found in the same way.
    has_rivals: bool,
}

/// What is found.
pub(super) enum Entry {
    Stub(u32),
    Ambiguous,
    Nothing,
}

/// What differs first, in the order in which requests are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(in crate::stub) enum Near {
    /// The host was not recorded.
    Host,
    /// No path is like it.
    Path,
    /// The path was asked with another method.
    Method,
    Query,
    Header,
    Body,
    /// Nothing: only the host decides between several.
    Nothing,
}

/// A request as it is looked up.
struct Key<'k> {
    host: Option<&'k [u8]>,
    path: Path<'k>,
    method: &'k [u8],
    query: &'k [u8],
    headers: &'k [u8],
    body_kind: u8,
    body: &'k [u8],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Path<'k> {
    Exact(&'k [u8]),
    Template(u16),
}

impl Index {
    /// All stubs in their order: of two that are found in the same way, the first is.
    pub(super) fn new(stubs: &[Stub], matching: &Matching) -> Self {
        let mut index = Self::default();
        for (place, stub) in stubs.iter().enumerate() {
            let Ok(number) = u32::try_from(place) else { break };
            let template = matching.template(&stub.path);
            for any_host in [false, true] {
                index.add(
                    stubs,
                    Place { stub: number, any_host, template: None, has_rivals: false },
                );
                if template.is_some() {
                    index.add(stubs, Place { stub: number, any_host, template, has_rivals: false });
                }
            }
            index.by_path.entry_ref(&*stub.path).or_default().push(number);
            index.by_shape.entry(shape(&stub.path)).or_default().push(number);
        }
        index
    }

    fn add(&mut self, stubs: &[Stub], place: Place) {
        let Some(stub) = stubs.get(place.stub as usize) else { return };
        let key = Key::of(stub, place);
        let hash = key.hash(&self.hasher);
        match self.table.find_mut(hash, |other| key.is_of(other, stubs)) {
            None => {
                let hasher = &self.hasher;
                let rehash = |other: &Place| {
                    stubs.get(other.stub as usize).map_or(0, |s| Key::of(s, *other).hash(hasher))
                };
                self.table.insert_unique(hash, place, rehash);
            }
            Some(first) => {
                let other = stubs.get(first.stub as usize);
                first.has_rivals |=
                    other.is_some_and(|other| other.host != stub.host && !other.answers_like(stub));
            }
        }
    }

    /// The stub of a request, by its path or by a template that it fits.
    pub(super) fn find(
        &self,
        stubs: &[Stub],
        scope: Scope<'_>,
        asked: &Canonical<'_>,
        template: Option<u16>,
    ) -> Entry {
        let host = match scope {
            Scope::Host(host) => Some(host),
            Scope::Any => None,
            Scope::Unknown => return Entry::Nothing,
        };
        let path = match template {
            None => Path::Exact(&asked.path),
            Some(number) => Path::Template(number),
        };
        let key = Key {
            host,
            path,
            method: asked.method,
            query: &asked.query,
            headers: &asked.headers,
            body_kind: asked.body_kind as u8,
            body: &asked.body,
        };
        let hash = key.hash(&self.hasher);
        match self.table.find(hash, |place| key.is_of(place, stubs)) {
            None => Entry::Nothing,
            Some(Place { has_rivals: true, any_host: true, .. }) => Entry::Ambiguous,
            Some(place) => Entry::Stub(place.stub),
        }
    }

    /// The stub that is most like a request for which there is none, and what differs first.
    pub(super) fn nearest<'s>(
        &self,
        stubs: &'s [Stub],
        scope: Scope<'_>,
        asked: &Canonical<'_>,
    ) -> Option<(&'s Stub, Near)> {
        let same_path = self.by_path.get(&*asked.path).into_iter().flatten();
        let same_shape = || self.by_shape.get(&shape(&asked.path)).into_iter().flatten();
        let compared = |stub: &'s Stub| (stub, near(stub, scope, asked), alike(stub, asked));
        let best = |places: &mut dyn Iterator<Item = &u32>| {
            places
                .take(MAX_COMPARED)
                .filter_map(|place| stubs.get(*place as usize))
                .map(compared)
                .max_by_key(|(_, near, alike)| (*near, *alike))
        };
        let found = best(&mut same_path.into_iter())
            .or_else(|| best(&mut same_shape()))
            .or_else(|| stubs.iter().take(MAX_COMPARED).map(compared).max_by_key(|f| (f.1, f.2)));
        found.map(|(stub, near, _)| (stub, near))
    }
}

impl Stub {
    /// True if both have one response, and it is the same.
    fn answers_like(&self, other: &Self) -> bool {
        match (self.steps.as_slice(), other.steps.as_slice()) {
            ([one], [other]) => Arc::ptr_eq(&one.response, &other.response),
            _ => false,
        }
    }
}

impl<'k> Key<'k> {
    fn of(stub: &'k Stub, place: Place) -> Self {
        Self {
            host: (!place.any_host).then_some(&*stub.host),
            path: place.template.map_or(Path::Exact(&stub.path), Path::Template),
            method: &stub.method,
            query: &stub.query,
            headers: &stub.headers,
            body_kind: stub.body_kind as u8,
            body: &stub.body,
        }
    }

    fn hash(&self, hasher: &DefaultHashBuilder) -> u64 {
        let mut hasher = hasher.build_hasher();
        let mut part = |bytes: &[u8]| {
            hasher.write_usize(bytes.len());
            hasher.write(bytes);
        };
        part(self.host.unwrap_or_default());
        match self.path {
            Path::Exact(path) => part(path),
            Path::Template(number) => part(&number.to_le_bytes()),
        }
        [self.method, self.query, self.headers, self.body].iter().for_each(|bytes| part(bytes));
        hasher.write_u8(self.body_kind);
        hasher.finish()
    }

    fn is_of(&self, place: &Place, stubs: &[Stub]) -> bool {
        let Some(stub) = stubs.get(place.stub as usize) else { return false };
        let other = Key::of(stub, *place);
        self.path == other.path
            && self.host == other.host
            && self.method == other.method
            && self.query == other.query
            && self.headers == other.headers
            && self.body_kind == other.body_kind
            && self.body == other.body
    }
}

/// What differs first. Of the path and the method, the path counts more: a stub of another method says that the
/// path is right.
fn near(stub: &Stub, scope: Scope<'_>, asked: &Canonical<'_>) -> Near {
    let same_host = match scope {
        Scope::Host(host) => *stub.host == *host,
        Scope::Any => true,
        Scope::Unknown => false,
    };
    if !same_host {
        Near::Host
    } else if *stub.path != *asked.path {
        Near::Path
    } else if *stub.method != *asked.method {
        Near::Method
    } else if *stub.query != *asked.query {
        Near::Query
    } else if *stub.headers != *asked.headers {
        Near::Header
    } else if stub.body_kind != asked.body_kind || *stub.body != *asked.body {
        Near::Body
    } else {
        Near::Nothing
    }
}

/// How much more two requests have in common: the same method, and bytes at the start of each part.
fn alike(stub: &Stub, asked: &Canonical<'_>) -> (bool, usize) {
    let common = |a: &[u8], b: &[u8]| a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let parts =
        [(&*stub.path, &*asked.path), (&*stub.query, &*asked.query), (&*stub.body, &*asked.body)];
    (*stub.method == *asked.method, parts.iter().map(|(a, b)| common(a, b)).sum())
}

fn shape(path: &[u8]) -> (usize, Box<[u8]>) {
    let mut segments = segments(path);
    let first = segments.next().unwrap_or_default();
    (segments.count(), first.into())
}
