//! Lists: which elements belong together, and what their order means.
//!
//! By a key, if both lists have one; as a set, if a rule says so; else the longest common part in their order. The same
//! elements in another order are one difference, not one for each.

use hashbrown::{HashMap, HashSet};
use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::{At, Differ};
use crate::difference::{Class, Forgiven, Hint};
use crate::rules::{ArraySpec, Effect, Ignore};
use crate::tree::Value;

/// Members that identify an element where no rule says which do.
const KEYS: [&str; 5] = ["id", "key", "uuid", "code", "name"];
/// What aligning two lists costs for each pair of elements, as a part of a step.
const ALIGN_COST: u64 = 16;

impl Differ<'_> {
    pub(super) fn lists(&mut self, rule: Option<(u16, &Effect)>, left: At<'_>, right: At<'_>) {
        let left: Vec<At<'_>> = left.children().collect();
        let right: Vec<At<'_>> = right.children().collect();
        if self.types_only.is_some() {
            return self.by_position(&left, &right);
        }
        let how = match rule {
            Some((at, Effect::Array(how))) => {
                self.found.applied.push(at);
                how
            }
            _ => &self.how.defaults.arrays,
        };
        match how {
            ArraySpec::Auto => match auto_key(&left, &right) {
                Some((_, true)) => self.by_position(&left, &right),
                Some((key, false)) => self.keyed(&[key], true, &left, &right),
                None => self.ordered(&left, &right),
            },
            ArraySpec::Ordered => self.ordered(&left, &right),
            ArraySpec::Set => self.set(&left, &right),
            ArraySpec::Key(names) => {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                self.keyed(&names, false, &left, &right);
            }
        }
    }

    /// Compares elements that have the same key. Those without one are compared by position.
    fn keyed(&mut self, names: &[&str], order_counts: bool, left: &[At<'_>], right: &[At<'_>]) {
        let (left_keys, right_keys) = (keys_of(left, names), keys_of(right, names));
        // Most lists have the same elements in the same order.
        if left_keys == right_keys {
            return self.by_position(left, right);
        }
        // By key: the first place of an element with it, and for each place the next one with the same key.
        let mut places: HashMap<&Key<'_>, usize> = HashMap::with_capacity(right.len());
        let mut later: Vec<Option<usize>> = vec![None; right.len()];
        for (at, key) in right_keys.iter().enumerate().rev() {
            let next = places.insert(key, at);
            if let Some(slot) = later.get_mut(at) {
                *slot = next;
            }
        }
        let mut taken = vec![false; right.len()];
        let mut missing = Vec::new();
        let (mut last, mut in_order) = (0, true);
        for (at, (element, key)) in left.iter().zip(&left_keys).enumerate() {
            let place = places.get(key).copied();
            match place.and_then(|place| Some((place, right.get(place)?))) {
                Some((place, other)) => {
                    match later.get(place).copied().flatten() {
                        Some(next) => places.insert(key, next),
                        None => places.remove(key),
                    };
                    if let Some(slot) = taken.get_mut(place) {
                        *slot = true;
                    }
                    in_order &= last <= place;
                    last = place;
                    self.elements(at, *element, *other);
                }
                None => missing.push((at, *element)),
            }
        }
        let extra = right.iter().copied().enumerate().zip(&taken);
        let extra: Vec<_> = extra.filter(|(_, taken)| !**taken).map(|(one, _)| one).collect();
        if order_counts && !in_order {
            self.order(left, right);
        }
        self.alone_each(Class::Missing, &missing, left, right);
        self.alone_each(Class::Extra, &extra, left, right);
    }

    /// Compares two elements; the left one is at this place.
    fn elements(&mut self, at: usize, left: At<'_>, right: At<'_>) {
        if !self.is_alike(left, right) {
            self.below(None, at, |it| it.unlike(left, right));
        }
    }

    /// The same elements on both sides, in two orders.
    fn order(&mut self, left: &[At<'_>], right: &[At<'_>]) {
        let list = |elements: &[At<'_>]| {
            let shown = elements.iter().take(8).map(|one| super::show(*one, 32));
            let rest = if elements.len() > 8 { ", …" } else { "" };
            Some(self.cut(&format!("[{}{rest}]", shown.collect::<Vec<_>>().join(", "))))
        };
        let sides = [list(left), list(right)];
        let forgiven = match self.rule() {
            Some((at, Effect::Ignore(Ignore::All | Ignore::Value))) => Some(Forgiven::Rule(at)),
            _ => None,
        };
        self.emit(Class::Order, sides, None, forgiven);
    }

    fn ordered(&mut self, left: &[At<'_>], right: &[At<'_>]) {
        let hashes =
            |elements: &[At<'_>]| elements.iter().map(|one| one.hash()).collect::<Vec<_>>();
        let (a, b) = (hashes(left), hashes(right));
        // Written in two ways, perhaps.
        if a == b {
            return self.by_position(left, right);
        }
        if left.len() == right.len() && self.is_shuffled(left, right) {
            return self.order(left, right);
        }
        let same = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
        let tail = |list: &[u64]| list.len().saturating_sub(same) as u64;
        let cost = tail(&a).saturating_mul(tail(&b)) / ALIGN_COST;
        if a.len().max(b.len()) - same > self.how.limits.aligned || !self.work.spend(cost) {
            return self.by_position(left, right);
        }
        let (mut missing, mut extra) = (Vec::new(), Vec::new());
        for op in capture_diff_slices(Algorithm::Myers, &a, &b) {
            let (old, new) = match op {
                // Equal hashes; `values` verifies.
                DiffOp::Equal { old_index, new_index, len } => {
                    (old_index..old_index + len, new_index..new_index + len)
                }
                DiffOp::Delete { old_index, old_len, new_index } => {
                    (old_index..old_index + old_len, new_index..new_index)
                }
                DiffOp::Insert { old_index, new_index, new_len } => {
                    (old_index..old_index, new_index..new_index + new_len)
                }
                DiffOp::Replace { old_index, old_len, new_index, new_len } => {
                    (old_index..old_index + old_len, new_index..new_index + new_len)
                }
            };
            let both = old.len().min(new.len());
            for (i, j) in old.clone().zip(new.clone()) {
                if let (Some(a), Some(b)) = (left.get(i), right.get(j)) {
                    self.elements(i, *a, *b);
                }
            }
            missing.extend(old.skip(both).filter_map(|i| Some((i, *left.get(i)?))));
            extra.extend(new.skip(both).filter_map(|j| Some((j, *right.get(j)?))));
        }
        self.alone_each(Class::Missing, &missing, left, right);
        self.alone_each(Class::Extra, &extra, left, right);
    }

    fn is_shuffled(&mut self, left: &[At<'_>], right: &[At<'_>]) -> bool {
        let by_hash = |elements: &[At<'_>]| {
            let mut sorted: Vec<(u64, usize)> =
                elements.iter().enumerate().map(|(at, one)| (one.hash(), at)).collect();
            sorted.sort_unstable();
            sorted
        };
        let (a, b) = (by_hash(left), by_hash(right));
        a.iter().zip(&b).all(|((a, _), (b, _))| a == b)
            && a.iter().zip(&b).all(|((_, i), (_, j))| match (left.get(*i), right.get(*j)) {
                (Some(a), Some(b)) => self.same(*a, *b),
                _ => false,
            })
    }

    /// In any order: what both have is the same; of what is left, elements are compared in their order.
    fn set(&mut self, left: &[At<'_>], right: &[At<'_>]) {
        let (left_rest, right_rest) = (beyond(left, right), beyond(right, left));
        for ((at, a), (_, b)) in left_rest.iter().zip(&right_rest) {
            self.elements(*at, *a, *b);
        }
        let both = left_rest.len().min(right_rest.len());
        self.alone_each(Class::Missing, left_rest.get(both..).unwrap_or_default(), left, right);
        self.alone_each(Class::Extra, right_rest.get(both..).unwrap_or_default(), left, right);
    }

    fn by_position(&mut self, left: &[At<'_>], right: &[At<'_>]) {
        for (at, (a, b)) in left.iter().zip(right).enumerate() {
            self.elements(at, *a, *b);
        }
        if self.types_only.is_some() {
            return;
        }
        let both = left.len().min(right.len());
        let missing: Vec<_> = left.iter().copied().enumerate().skip(both).collect();
        let extra: Vec<_> = right.iter().copied().enumerate().skip(both).collect();
        self.alone_each(Class::Missing, &missing, left, right);
        self.alone_each(Class::Extra, &extra, left, right);
    }

    /// Elements that one side has: one difference for all of them, which shows the first.
    fn alone_each(
        &mut self,
        class: Class,
        alone: &[(usize, At<'_>)],
        left: &[At<'_>],
        right: &[At<'_>],
    ) {
        let Some((at, first)) = alone.first() else { return };
        let short = left.len().min(right.len());
        // What is left is the start of the longer list.
        let cut = alone.len() == left.len().abs_diff(right.len()) && *at == short;
        let hint = if short == 0 { Some(Hint::Empty) } else { cut.then_some(Hint::Truncated) };
        let count = alone.len();
        self.below(None, *at, |it| {
            let ignored = match it.rule() {
                Some((at, Effect::Ignore(Ignore::All | Ignore::Presence))) => {
                    Some(Forgiven::Rule(at))
                }
                _ => None,
            };
            it.emit_alone(class, *first, hint, ignored);
            if count > 1
                && let Some(last) = it.found.differences.last_mut()
            {
                let side = if class == Class::Missing { &mut last.left } else { &mut last.right };
                if let Some(text) = side {
                    text.push_str(&format!(" and {} more", count - 1));
                }
            }
        });
    }
}

/// The elements that `other` has not, or less often, with their places.
fn beyond<'t>(elements: &[At<'t>], other: &[At<'_>]) -> Vec<(usize, At<'t>)> {
    let mut counts: HashMap<u64, usize> = HashMap::new();
    other.iter().for_each(|one| *counts.entry(one.hash()).or_default() += 1);
    let mut is_beyond = |one: &At<'_>| match counts.get_mut(&one.hash()) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    };
    elements.iter().copied().enumerate().filter(|(_, one)| is_beyond(one)).collect()
}

/// The values of some members of an element: the first, and the others. `None` for what is no scalar.
type Key<'t> = (Option<Value<'t>>, Vec<Option<Value<'t>>>);

fn keys_of<'t>(elements: &[At<'t>], names: &[&str]) -> Vec<Key<'t>> {
    let key = |element: &At<'t>| {
        let scalar = |name: &&str| match element.member(name).map(At::value) {
            Some(value @ (Value::Text(_) | Value::Number(_) | Value::Bool(_))) => Some(value),
            _ => None,
        };
        let mut values = names.iter().map(scalar);
        (values.next().flatten(), values.collect())
    };
    elements.iter().map(key).collect()
}

/// A member that all elements of both lists have, each with another scalar, most of which both lists have: with keys
/// that the candidate made anew, nothing would belong together. And whether both lists have the same ones in their order.
fn auto_key(left: &[At<'_>], right: &[At<'_>]) -> Option<(&'static str, bool)> {
    KEYS.into_iter().find_map(|name| {
        let (a, b) = (keys(left, name)?, keys(right, name)?);
        let left = unique(&a)?;
        if a == b {
            return Some((name, true));
        }
        let in_both = left.intersection(&unique(&b)?).count();
        (in_both * 2 >= a.len().min(b.len())).then_some((name, false))
    })
}

/// The values, if each is another one.
fn unique<'t>(values: &[Value<'t>]) -> Option<HashSet<Value<'t>>> {
    let set: HashSet<_> = values.iter().copied().collect();
    (set.len() == values.len()).then_some(set)
}

/// The members of this name, if there are elements and all of them have one.
fn keys<'t>(elements: &[At<'t>], name: &str) -> Option<Vec<Value<'t>>> {
    let key = |element: &At<'t>| match element.member(name)?.value() {
        value @ (Value::Text(_) | Value::Number(_)) => Some(value),
        _ => None,
    };
    // Most lists have no such member at all.
    key(elements.first()?)?;
    elements.iter().map(key).collect()
}
