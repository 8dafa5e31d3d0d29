//! Layers settings: a setting that the upper layer does not give comes from the lower one.

use super::define::{Setting, Settings, Slot, Visit};

/// `upper` over `lower`: settings missing from `upper` are taken from `lower`, unless they conflict with
/// one that `upper` gives.
pub(crate) fn over<G: Settings>(mut upper: G, lower: &G) -> G {
    let mut given = Given(Vec::new());
    upper.visit(lower, &mut given);
    upper.visit(lower, &mut Over { given: given.0 });
    upper
}

/// The settings of one struct that were given.
struct Given(Vec<&'static Setting>);

impl Visit for Given {
    fn setting<S: Slot>(&mut self, setting: &'static Setting, own: &mut S, _: &S) {
        if own.is_given() {
            self.0.push(setting);
        }
    }

    fn group<G: Settings>(&mut self, _: Option<&'static str>, _: &mut G, _: &G) {}
}

struct Over {
    given: Vec<&'static Setting>,
}

impl Visit for Over {
    fn setting<S: Slot>(&mut self, setting: &'static Setting, own: &mut S, lower: &S) {
        if !self.given.iter().any(|given| given.excludes(setting)) {
            own.over(lower);
        }
    }

    fn group<G: Settings>(&mut self, _: Option<&'static str>, own: &mut G, lower: &G) {
        *own = over(std::mem::take(own), lower);
    }
}
