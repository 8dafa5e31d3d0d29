//! Queries: parameters in one order and one encoding.

use std::borrow::Cow;

use percent_encoding::percent_encode;

use super::path::is_unreserved;
use crate::rules::form::{self, RESERVED};

/// Parameters sorted by name, those of one name in their order, without `ignored` ones.
pub(super) fn canonical<'a>(query: &'a [u8], ignored: &[Vec<u8>]) -> Cow<'a, [u8]> {
    if query.is_empty() || (ignored.is_empty() && is_canonical(query)) {
        return Cow::Borrowed(query);
    }
    let mut all: Vec<(Vec<u8>, Vec<u8>)> = parameters(query)
        .map(|(name, value)| (form::decoded(name), form::decoded(value)))
        .filter(|(name, _)| !ignored.contains(name))
        .collect();
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    let encoded = |text| percent_encode(text, RESERVED).flat_map(str::bytes);
    let mut out = Vec::with_capacity(query.len());
    for (name, value) in &all {
        if !out.is_empty() {
            out.push(b'&');
        }
        out.extend(encoded(name));
        out.push(b'=');
        out.extend(encoded(value));
    }
    Cow::Owned(out)
}

/// Names and values as they are written; `a` is `a=`.
pub(super) fn parameters(query: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    query.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        match memchr::memchr(b'=', pair) {
            Some(at) => {
                (pair.get(..at).unwrap_or_default(), pair.get(at + 1..).unwrap_or_default())
            }
            None => (pair, &[][..]),
        }
    })
}

/// True if nothing would change: most queries have few parameters and plain values.
fn is_canonical(query: &[u8]) -> bool {
    let mut before: &[u8] = &[];
    query.split(|byte| *byte == b'&').all(|pair| {
        let Some(at) = memchr::memchr(b'=', pair) else { return false };
        let (name, value) = pair.split_at(at);
        let value = value.get(1..).unwrap_or_default();
        let in_order = before <= name;
        before = name;
        in_order
            && !name.is_empty()
            && [name, value].iter().all(|part| part.iter().all(|b| is_unreserved(*b)))
    })
}
