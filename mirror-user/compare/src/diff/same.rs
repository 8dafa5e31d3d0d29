//! Whether two values are the same.

use super::{At, Differ, objects, scalars};
use crate::tree::Value;

/// Bytes of two texts that are compared in one step of [`Limits::work`](crate::limits::Limits::work).
const BYTES_PER_STEP: u64 = 512;

impl Differ<'_> {
    /// True only if two values are the same, and for scalars if they are. Lists and objects of JSON are alike if they are
    /// written alike: those that are not are compared part by part, which tells whether they differ.
    pub(super) fn is_alike(&mut self, left: At<'_>, right: At<'_>) -> bool {
        match (left.value(), right.value()) {
            (Value::Array(a), Value::Array(b)) | (Value::Object(a), Value::Object(b)) => {
                match (left.written(), right.written()) {
                    (Some(left), Some(right)) => {
                        // The parts of what is long are compared again, so that it is work.
                        left.len() == right.len()
                            && self.work.spend(left.len() as u64 / BYTES_PER_STEP)
                            && left == right
                    }
                    _ => a == b && self.is_same(left, right),
                }
            }
            (left, right) => self.same_scalars(left, right),
        }
    }

    fn same_scalars(&self, left: Value<'_>, right: Value<'_>) -> bool {
        match (left, right) {
            (Value::Number(a), Value::Number(b)) => {
                a == b || scalars::same_number(a, b, self.how.defaults.numbers)
            }
            (left, right) => left == right,
        }
    }

    /// True if two values are the same.
    pub(super) fn is_same(&self, left: At<'_>, right: At<'_>) -> bool {
        left.hash() == right.hash() && self.same(left, right)
    }

    /// The same, for values whose hashes are the same if they are.
    pub(super) fn same(&self, left: At<'_>, right: At<'_>) -> bool {
        match (left.value(), right.value()) {
            (Value::Array(a), Value::Array(b)) => {
                a == b && left.children().zip(right.children()).all(|(a, b)| self.same(a, b))
            }
            (Value::Object(a), Value::Object(b)) => {
                let in_order = || left.children().zip(right.children());
                if a != b {
                    return false;
                }
                if in_order().all(|(a, b)| a.has_name_of(b)) {
                    return in_order().all(|(a, b)| self.same(a, b));
                }
                let (left, right) = (objects::sorted(left), objects::sorted(right));
                left.iter().zip(&right).all(|(a, b)| a.has_name_of(*b) && self.same(*a, *b))
            }
            (left, right) => self.same_scalars(left, right),
        }
    }
}
