//! Warns if a target seems not to know the host names in its requests: it refuses most of them, and
//! production does not.

use crate::rules::tag::HostPolicy;
use crate::stats::Responses;

/// The smallest number of responses that is evaluated while the replay runs.
const MIN_RESPONSES: u64 = 20;

/// Warns once; true until it has.
pub(in crate::sink::replay) struct Misdirected(bool);

impl Misdirected {
    /// Active only if the host name is changed by a suffix.
    pub(in crate::sink::replay) fn new(host: &HostPolicy) -> Self {
        Self(matches!(host, HostPolicy::Suffix { .. }))
    }

    /// The warning, once.
    pub(in crate::sink::replay) fn warning(
        &mut self,
        target: Responses,
        production: Responses,
        is_end: bool,
    ) -> Option<String> {
        let enough = is_end || target.all.min(production.all) >= MIN_RESPONSES;
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
    fn it_warns_once_and_only_if_production_refuses_less() {
        let target = |refused, all| Responses { all, refused };
        let well = Responses { all: 100, refused: 3 };
        let mut suffixed = Misdirected::new(&HostPolicy::default());
        assert_eq!(suffixed.warning(target(10, 20), well, false), None, "half is not most");
        assert_eq!(suffixed.warning(target(19, 19), well, false), None, "too few to evaluate");
        let unwell = Responses { all: 100, refused: 51 };
        assert_eq!(suffixed.warning(target(20, 20), unwell, false), None);
        assert_eq!(suffixed.warning(target(20, 20), Responses::default(), true), None, "not known");
        let warning = suffixed.warning(target(11, 20), well, false).unwrap();
        assert!(warning.starts_with("11 of 20 responses are 400, 404 or 421"), "{warning}");
        assert_eq!(suffixed.warning(target(20, 20), well, true), None, "once");
        let mut kept = Misdirected::new(&HostPolicy::Keep);
        assert_eq!(kept.warning(target(20, 20), well, true), None);
        let mut few = Misdirected::new(&HostPolicy::default());
        assert!(few.warning(target(2, 2), Responses { all: 2, refused: 0 }, true).is_some());
    }
}
