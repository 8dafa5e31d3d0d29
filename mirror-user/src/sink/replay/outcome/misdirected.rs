//! Says when a target seems not to know the host that its requests name: it refuses most of them, and
//! production does not.

use crate::rules::tag::HostPolicy;
use crate::stats::Responses;

/// Of so few responses nothing is said while it runs.
const ENOUGH: u64 = 20;

/// Whether it is looked for, which it is until it was said.
pub(in crate::sink::replay) struct Misdirected(bool);

impl Misdirected {
    /// Looks for it where the host is not the one that production was asked for.
    pub(in crate::sink::replay) fn new(host: &HostPolicy) -> Self {
        Self(matches!(host, HostPolicy::Suffix { .. }))
    }

    /// What to say, once.
    pub(in crate::sink::replay) fn told(
        &mut self,
        target: Responses,
        production: Responses,
        is_end: bool,
    ) -> Option<String> {
        let enough = is_end || target.all.min(production.all) >= ENOUGH;
        let mostly = |refused: u64, all: u64| refused.saturating_mul(2) > all;
        let refuses = mostly(target.refused, target.all);
        let alone = production.all > 0 && !mostly(production.refused, production.all);
        if !(self.0 && enough && refuses && alone) {
            return None;
        }
        self.0 = false;
        Some(format!(
            "{} of {} responses are 400, 404 or 421, as production's are not; the target may not know \
             hosts with -shadow in their name: use --host keep, or --host NAME",
            target.refused, target.all
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_once_and_only_where_production_fares_better() {
        let target = |refused, all| Responses { all, refused };
        let well = Responses { all: 100, refused: 3 };
        let mut suffixed = Misdirected::new(&HostPolicy::default());
        assert_eq!(suffixed.told(target(10, 20), well, false), None, "half is not most");
        assert_eq!(suffixed.told(target(19, 19), well, false), None, "too few to say");
        let unwell = Responses { all: 100, refused: 51 };
        assert_eq!(suffixed.told(target(20, 20), unwell, false), None);
        assert_eq!(suffixed.told(target(20, 20), Responses::default(), true), None, "not known");
        let told = suffixed.told(target(11, 20), well, false).unwrap();
        assert!(told.starts_with("11 of 20 responses are 400, 404 or 421"), "{told}");
        assert_eq!(suffixed.told(target(20, 20), well, true), None, "once");
        let mut kept = Misdirected::new(&HostPolicy::Keep);
        assert_eq!(kept.told(target(20, 20), well, true), None);
        let mut few = Misdirected::new(&HostPolicy::default());
        assert!(few.told(target(2, 2), Responses { all: 2, refused: 0 }, true).is_some());
    }
}
