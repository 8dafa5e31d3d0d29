//! Members, by name. Those with the same name are compared in their order.

use std::cmp::Ordering;

use super::{At, Differ};
use crate::difference::{Class, Forgiven, Hint};
use crate::rules::{Effect, Ignore};
use crate::tree::Value;

/// The members by name; those of one name in their order.
pub(super) fn sorted(object: At<'_>) -> Vec<At<'_>> {
    let mut members: Vec<At<'_>> = object.children().collect();
    members.sort_by_key(|member| member.name());
    members
}

/// What holds for the members of one object.
#[derive(Clone, Copy)]
struct Members<'r> {
    rule: Option<u16>,
    allow_new: bool,
    only: Option<&'r [String]>,
}

impl Members<'_> {
    /// What forgives anything about a member of this name.
    fn leaves_out(&self, name: &str) -> Option<Forgiven> {
        let only = self.only?;
        let left_out = only.iter().all(|one| one != name);
        self.rule.filter(|_| left_out).map(Forgiven::Rule)
    }
}

impl Differ<'_> {
    pub(super) fn members(&mut self, rule: Option<(u16, &Effect)>, left: At<'_>, right: At<'_>) {
        let defaults = self.how.defaults.allow_new_fields;
        let members = match rule {
            Some((at, Effect::Members { allow_new, only })) => {
                Members { rule: Some(at), allow_new: *allow_new, only: only.as_deref() }
            }
            _ => Members { rule: None, allow_new: defaults, only: None },
        };
        // Most objects have the same names in the same order.
        let aligned = left.value() == right.value()
            && left.children().zip(right.children()).all(|(a, b)| a.has_name_of(b));
        if aligned {
            left.children().zip(right.children()).for_each(|(a, b)| self.both(members, a, b));
            return;
        }
        let (left, right) = (sorted(left), sorted(right));
        let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
        loop {
            let order = match (left.peek(), right.peek()) {
                (Some(a), Some(b)) => a.name().cmp(b.name()),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => return,
            };
            let a = left.next_if(|_| order.is_le());
            let b = right.next_if(|_| order.is_ge());
            match (a, b) {
                (Some(a), Some(b)) => self.both(members, a, b),
                (Some(a), None) => self.alone(members, Class::Missing, a),
                (None, Some(b)) => self.alone(members, Class::Extra, b),
                (None, None) => return,
            }
        }
    }

    fn both(&mut self, members: Members<'_>, left: At<'_>, right: At<'_>) {
        if self.is_alike(left, right) {
            return;
        }
        let left_out = members.leaves_out(left.name());
        self.below(Some(left.name()), 0, |it| match left_out {
            Some(_) if it.is_same(left, right) => {}
            Some(forgiven) => {
                let sides = [it.shown(left), it.shown(right)];
                it.emit(it.class_of(left, right), sides, None, Some(forgiven));
            }
            None => it.unlike(left, right),
        });
    }

    /// A member that one side has.
    fn alone(&mut self, members: Members<'_>, class: Class, member: At<'_>) {
        let null = self.how.defaults.null_equals_missing && member.value() == Value::Null;
        let new = members.allow_new && class == Class::Extra;
        let forgiven = members.leaves_out(member.name()).or(match members.rule {
            _ if null => Some(Forgiven::Default),
            Some(at) if new => Some(Forgiven::Rule(at)),
            None if new => Some(Forgiven::Default),
            _ => None,
        });
        self.below(Some(member.name()), 0, |it| {
            let ignored = match it.rule() {
                Some((at, Effect::Ignore(Ignore::All | Ignore::Presence))) => {
                    Some(Forgiven::Rule(at))
                }
                _ => None,
            };
            it.emit_alone(class, member, None, forgiven.or(ignored));
        });
    }

    pub(super) fn emit_alone(
        &mut self,
        class: Class,
        value: At<'_>,
        hint: Option<Hint>,
        forgiven: Option<Forgiven>,
    ) {
        let shown = self.shown(value);
        let sides = if class == Class::Missing { [shown, None] } else { [None, shown] };
        self.emit(class, sides, hint, forgiven);
    }
}
