//! Two trees in, their differences out.
//!
//! Equal parts are passed over. Where parts differ, the way to them is kept as a path for all responses of
//! an endpoint (`body.items[].price`, `body.users{}.name`) and as a pointer into this one. Recursion is bounded by
//! [`Limits::depth`], time by [`Limits::work`]; what was not looked at is a difference of its own class.

mod arrays;
mod at;
mod objects;
mod place;
mod same;
mod scalars;
mod show;

use std::sync::Arc;

use mirror_wire::json_path::States;

use crate::difference::{Class, Difference, Forgiven, Hint};
use crate::hint;
use crate::limits::{Limits, Work};
use crate::rules::{Active, Correlations, Defaults, Effect, Ignore, Numbers};
use crate::shape::Shape;
use crate::tree::{Tree, Value};

pub(crate) use self::at::At;
use self::place::{push_index, push_name, push_pointer};
pub(crate) use self::show::show;

/// How two responses are compared.
#[derive(Clone, Copy)]
pub(crate) struct How<'r> {
    pub(crate) limits: &'r Limits,
    pub(crate) defaults: &'r Defaults,
    /// Volatile shapes are forgiven.
    pub(crate) shapes: bool,
    /// When the two responses were made, in nanoseconds since 1970.
    pub(crate) moments: [Option<i64>; 2],
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The differences, forgiven ones included.
    pub differences: Vec<Difference>,
    /// Differences beyond [`Limits::differences`].
    pub more: u64,
    /// The rules that decided something else than a difference: how a list is aligned.
    pub applied: Vec<u16>,
}

/// Compares the two sides of a pair.
pub(crate) struct Differ<'r> {
    how: How<'r>,
    rules: Active<'r>,
    ids: &'r mut Correlations,
    work: Work,
    path: String,
    pointer: String,
    states: Vec<States>,
    /// The rule by which only types are compared here.
    types_only: Option<u16>,
    pub(crate) found: Found,
}

impl<'r> Differ<'r> {
    pub(crate) fn new(how: How<'r>, rules: Active<'r>, ids: &'r mut Correlations) -> Self {
        Self {
            work: Work::new(how.limits),
            how,
            rules,
            ids,
            path: String::new(),
            pointer: String::new(),
            states: Vec::new(),
            types_only: None,
            found: Found::default(),
        }
    }

    /// Compares two bodies.
    pub(crate) fn bodies(&mut self, left: &Tree, right: &Tree) {
        self.path.clear();
        self.path.push_str("body");
        self.rules.begin(&mut self.states);
        self.values(At::root(left), At::root(right));
        self.states.clear();
        self.path.clear();
    }

    /// Compares texts at a place outside the body; `None` is a side that has none.
    pub(crate) fn outside(&mut self, path: &str, left: Option<&str>, right: Option<&str>) {
        if left == right {
            return;
        }
        let rule = self.rules.outside(path);
        let ignored = |wanted: &[Ignore]| match rule {
            Some((at, Effect::Ignore(ignore))) if wanted.contains(ignore) => {
                Some(Forgiven::Rule(at))
            }
            _ => None,
        };
        let (class, forgiven) = match (left, right) {
            (Some(left), Some(right)) => {
                let values = (Value::Text(left), Value::Text(right));
                let forgiven = ignored(&[Ignore::Value, Ignore::All]);
                (Class::Value, forgiven.or_else(|| self.forgive(rule, values)))
            }
            (Some(_), None) => (Class::Missing, ignored(&[Ignore::Presence, Ignore::All])),
            (None, _) => (Class::Extra, ignored(&[Ignore::Presence, Ignore::All])),
        };
        let hint = match (left, right) {
            (Some(left), Some(right)) => hint::of(Value::Text(left), Value::Text(right)),
            _ => None,
        };
        let shown = |text: Option<&str>| text.map(|text| self.cut(text));
        let (left, right) = (shown(left), shown(right));
        let path = path.into();
        self.add(Difference { path, pointer: String::new(), class, hint, left, right, forgiven });
    }

    /// A difference of a class that is no matter of values.
    pub(crate) fn note(&mut self, path: &str, class: Class, left: &str, right: &str) {
        let forgiven = match self.rules.outside(path) {
            Some((at, Effect::Ignore(_))) => Some(Forgiven::Rule(at)),
            _ => None,
        };
        let (left, right) = (Some(self.cut(left)), Some(self.cut(right)));
        let path = path.into();
        self.add(Difference {
            path,
            pointer: String::new(),
            class,
            hint: None,
            left,
            right,
            forgiven,
        });
    }

    fn cut(&self, text: &str) -> String {
        show::cut_text(text, self.how.limits.shown_bytes)
    }

    fn add(&mut self, difference: Difference) {
        if self.found.differences.len() < self.how.limits.differences {
            self.found.differences.push(difference);
        } else {
            self.found.more += 1;
        }
    }

    /// Adds a difference here.
    fn emit(
        &mut self,
        class: Class,
        sides: [Option<String>; 2],
        hint: Option<Hint>,
        forgiven: Option<Forgiven>,
    ) {
        let [left, right] = sides;
        // Elements of a list differ in the same field.
        let last = self.found.differences.last().filter(|last| *last.path == *self.path);
        let path = last.map_or_else(|| self.path.as_str().into(), |last| Arc::clone(&last.path));
        let pointer = self.pointer.clone();
        self.add(Difference { path, pointer, class, hint, left, right, forgiven });
    }

    fn shown(&self, at: At<'_>) -> Option<String> {
        Some(show(at, self.how.limits.shown_bytes))
    }

    /// Goes down to a member or an element, and comes back.
    fn below(&mut self, name: Option<&str>, index: usize, then: impl FnOnce(&mut Self)) {
        let (path, pointer) = (self.path.len(), self.pointer.len());
        match name {
            Some(name) => {
                push_name(&mut self.path, show::cut_name(name, self.how.limits.shown_bytes));
                push_pointer(&mut self.pointer, show::cut_name(name, self.how.limits.shown_bytes));
            }
            None => {
                self.path.push_str("[]");
                push_index(&mut self.pointer, index);
            }
        }
        if !self.rules.is_empty() {
            self.rules.step(&mut self.states, name);
        }
        then(self);
        if !self.rules.is_empty() {
            self.rules.back(&mut self.states);
        }
        self.path.truncate(path);
        self.pointer.truncate(pointer);
    }

    fn rule(&self) -> Option<(u16, &'r Effect)> {
        self.rules.inside(&self.states, self.pointer.is_empty())
    }

    fn values(&mut self, left: At<'_>, right: At<'_>) {
        if !self.is_alike(left, right) {
            self.unlike(left, right);
        }
    }

    /// Compares values that are not alike.
    fn unlike(&mut self, left: At<'_>, right: At<'_>) {
        if !self.work.spend(1) {
            return self.unfinished();
        }
        let rule = self.rule();
        // A rule decides about what differs, and not about what is written in two ways.
        if rule.is_some() && left.written().is_some() && self.is_same(left, right) {
            return;
        }
        match rule {
            Some((at, Effect::Ignore(Ignore::All | Ignore::Value))) => {
                let (class, sides) =
                    (self.class_of(left, right), [self.shown(left), self.shown(right)]);
                return self.emit(class, sides, None, Some(Forgiven::Rule(at)));
            }
            Some((at, Effect::TypeOnly)) if self.types_only.is_none() => {
                self.types_only = Some(at);
                self.by_type(rule, left, right);
                self.types_only = None;
                return;
            }
            Some((at, Effect::Embedded(kind))) => {
                if let (Value::Text(a), Value::Text(b)) = (left.value(), right.value())
                    && let (Some(a), Some(b)) = (
                        scalars::embedded(*kind, a, self.how.limits),
                        scalars::embedded(*kind, b, self.how.limits),
                    )
                {
                    self.found.applied.push(at);
                    return self.by_type(None, At::root(&a), At::root(&b));
                }
            }
            _ => {}
        }
        self.by_type(rule, left, right);
    }

    fn by_type(&mut self, rule: Option<(u16, &Effect)>, left: At<'_>, right: At<'_>) {
        match (left.value(), right.value()) {
            (Value::Array(_), Value::Array(_)) => self.lists(rule, left, right),
            (Value::Object(_), Value::Object(_)) => self.members(rule, left, right),
            values => {
                let class = self.class_of(left, right);
                let is_typed = class == Class::Value;
                let exact = self.how.defaults.numbers == Numbers::Exact;
                let forgiven = match values {
                    (Value::Number(_), Value::Number(_)) if !is_typed && !exact => None,
                    _ if is_typed => self.forgive(rule, values),
                    _ => None,
                };
                let hint = if forgiven.is_none() { hint::of(values.0, values.1) } else { None };
                self.emit(class, [self.shown(left), self.shown(right)], hint, forgiven);
            }
        }
    }

    /// The class of a difference between two values that are not both lists or both objects.
    fn class_of(&self, left: At<'_>, right: At<'_>) -> Class {
        // Only a comparison that tells integers from floats comes here with equal numbers.
        let exact = self.how.defaults.numbers == Numbers::Exact;
        match (left.value(), right.value()) {
            (Value::Null, Value::Null) => Class::Value,
            (Value::Null, _) | (_, Value::Null) => Class::Null,
            (Value::Number(a), Value::Number(b))
                if exact && scalars::same_number(a, b, Numbers::Value) =>
            {
                Class::Type
            }
            (left, right) if std::mem::discriminant(&left) == std::mem::discriminant(&right) => {
                Class::Value
            }
            _ => Class::Type,
        }
    }

    fn unfinished(&mut self) {
        let told =
            self.found.differences.last().is_some_and(|last| last.class == Class::Unfinished);
        if !told {
            self.emit(Class::Unfinished, [None, None], None, None);
        }
    }

    /// What forgives that two values of one type differ.
    fn forgive(
        &mut self,
        rule: Option<(u16, &Effect)>,
        values: (Value<'_>, Value<'_>),
    ) -> Option<Forgiven> {
        if let Some((at, effect)) = rule
            && scalars::allows(effect, values, self.ids)
        {
            return Some(Forgiven::Rule(at));
        }
        if let Some(at) = self.types_only {
            return Some(Forgiven::Rule(at));
        }
        if !self.how.shapes {
            return None;
        }
        let [left, right] = self.how.moments;
        let (left, right) = match values {
            (Value::Text(a), Value::Text(b)) => {
                (Shape::of_text(a, left)?, Shape::of_text(b, right)?)
            }
            (Value::Number(a), Value::Number(b)) => {
                (Shape::of_number(a, left)?, Shape::of_number(b, right)?)
            }
            _ => return None,
        };
        (left == right).then_some(Forgiven::Shape(left))
    }
}

#[cfg(test)]
mod tests;
