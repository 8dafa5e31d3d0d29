//! Counts in, what they mean out: Diffy's figures, how likely chance is, and a state for too little data.

pub mod latency;
pub mod stats;

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use self::stats::{fisher, mcnemar};

/// A field differs always if it does in 19 of 20 pairs: some have no such field.
const ALWAYS: (u64, u64) = (19, 20);

/// When a field is judged to be a regression.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Thresholds {
    /// Diffy's relative difference that must be exceeded, in percent.
    pub relative: f64,
    /// Diffy's absolute difference that must be exceeded, in percent of the endpoint's requests.
    pub absolute: f64,
    /// How likely chance may be at most.
    pub alpha: f64,
}

impl Default for Thresholds {
    /// Diffy's, and 1 in 100.
    fn default() -> Self {
        Self { relative: 20.0, absolute: 0.03, alpha: 0.01 }
    }
}

/// Differences in pairs and in what is known to be noise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Pairs.
    pub total: u64,
    /// Pairs that differ here.
    pub raw: u64,
    /// How often the control answered.
    pub control: u64,
    /// How often production and control differ here.
    pub noise: u64,
    /// Pairs with a control that differ here with the candidate alone.
    pub only_raw: u64,
    /// And with the control alone.
    pub only_noise: u64,
    /// The same request twice at the candidate, or at production: how often, and how often the two differ here.
    pub repeated: [Repeated; 2],
    /// Noise can make such a difference: another value, another order, other elements of a list.
    pub may_be_noise: bool,
    /// Whether the candidate's values follow from production's.
    pub followed: Followed,
}

/// How often the candidate's value followed from production's, as that of noise does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Followed {
    /// The two values show the cause.
    pub by_cause: u64,
    /// The same value of production had the same value of the candidate before.
    pub by_value: u64,
    /// It had another one before.
    pub not: u64,
}

/// One request twice at one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Repeated {
    /// How often that was.
    pub trials: u64,
    /// How often the two differ.
    pub differing: u64,
}

/// Diffy's figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// `|raw - noise| / (raw + noise)`, in percent.
    pub relative: f64,
    /// `|raw - noise| / total`, in percent.
    pub absolute: f64,
}

impl Figures {
    /// Of these counts.
    #[must_use]
    pub fn new(raw: u64, noise: u64, total: u64) -> Self {
        let apart = raw.abs_diff(noise) as f64;
        let part = |of: u64| if of == 0 { 0.0 } else { apart / of as f64 * 100.0 };
        Self { relative: part(raw.saturating_add(noise)), absolute: part(total) }
    }

    /// True if Diffy reports such a field. Both thresholds must be exceeded.
    #[must_use]
    pub fn reported(&self, raw: u64, noise: u64, thresholds: &Thresholds) -> bool {
        raw > noise && self.relative > thresholds.relative && self.absolute > thresholds.absolute
    }
}

/// What a field's differences are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr, Serialize)]
#[strum(serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The candidate answers otherwise than production.
    Regression,
    /// More often than the noise, and chance is not excluded yet.
    Insufficient,
    /// Less often than the absolute threshold.
    Rare,
    /// As often as production and a second instance of it differ.
    Control,
    /// As often as two answers of the candidate to one request differ.
    DoubleSend,
    /// As often as two answers of production to one request differ.
    OwnNoise,
    /// Rules, defaults or shapes forgave all.
    Forgiven,
}

impl Evidence {
    /// Diffy's figures, with the control's differences as noise.
    #[must_use]
    pub fn figures(&self) -> Figures {
        Figures::new(self.raw, self.noise, self.total)
    }

    /// What each source of noise showed: how often it was asked, and how often it differed.
    pub fn sources(&self) -> impl Iterator<Item = (&'static str, Repeated)> {
        let control = Repeated { trials: self.control, differing: self.noise };
        let [candidate, production] = self.repeated;
        let all = [
            (Verdict::Control, control),
            (Verdict::DoubleSend, candidate),
            (Verdict::OwnNoise, production),
        ];
        all.into_iter().filter(|(_, of)| of.trials > 0).map(|(source, of)| (source.into(), of))
    }

    /// How likely these counts are if the candidate is as noisy as production.
    ///
    /// Without a control that production is not noisy here needs evidence, where noise can be: requests that were
    /// answered twice alike, or values of the candidate that follow from production's.
    #[must_use]
    pub fn p(&self) -> f64 {
        if self.control > 0 {
            return mcnemar(self.only_raw, self.only_noise);
        }
        let chance = mcnemar(self.raw, 0);
        let alone = match self.may_be_noise {
            true => chance.max(self.p_of_repeated().min(self.p_of_values())),
            false => chance,
        };
        let noisy = self.repeated.iter().filter(|one| one.differing > 0);
        let each = noisy.map(|one| fisher(self.raw, self.total, one.differing, one.trials));
        each.fold(alone, f64::max)
    }

    /// How likely these counts are if pairs differ as often as answers to one request do.
    fn p_of_repeated(&self) -> f64 {
        let [candidate, production] = self.repeated;
        let trials = candidate.trials.saturating_add(production.trials);
        let differing = candidate.differing.saturating_add(production.differing);
        fisher(self.raw, self.total, differing, trials)
    }

    /// How likely it is that values which have nothing to do with one another follow so often. Of two values that
    /// change by themselves each is followed by the other, so that a field must differ always to count them.
    fn p_of_values(&self) -> f64 {
        let Followed { by_cause, by_value, not } = self.followed;
        let (part, of) = ALWAYS;
        let always = self.raw.saturating_mul(of) >= self.total.saturating_mul(part);
        mcnemar(by_cause.saturating_add(if always { by_value } else { 0 }), not)
    }

    /// What they mean.
    #[must_use]
    pub fn verdict(&self, thresholds: &Thresholds) -> Verdict {
        if self.raw == 0 {
            return Verdict::Forgiven;
        }
        let figures = self.figures();
        if self.control > 0 && (self.raw <= self.noise || figures.relative <= thresholds.relative) {
            return Verdict::Control;
        }
        if self.control == 0 {
            let [candidate, production] = self.repeated;
            for (one, verdict) in
                [(candidate, Verdict::DoubleSend), (production, Verdict::OwnNoise)]
            {
                let p = fisher(self.raw, self.total, one.differing, one.trials);
                if one.differing > 0 && p > thresholds.alpha {
                    return verdict;
                }
            }
        }
        if figures.absolute <= thresholds.absolute {
            return Verdict::Rare;
        }
        if self.p() <= thresholds.alpha { Verdict::Regression } else { Verdict::Insufficient }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(total: u64, raw: u64, noise: u64) -> Evidence {
        // As in the vectors: what differs with the control differs with the candidate, too, as far as it goes.
        let both = raw.min(noise);
        let (only_raw, only_noise) = (raw - both, noise - both);
        Evidence { total, raw, control: total, noise, only_raw, only_noise, ..Evidence::default() }
    }

    #[test]
    fn diffys_boundaries() {
        let thresholds = Thresholds::default();
        for (total, raw, noise, reported) in [
            (100, 3, 2, false),
            (100, 31, 20, true),
            (10_000, 1, 0, false),
            (10_000, 3, 0, false),
            (10_000, 4, 0, true),
            (100, 5, 5, false),
            (100, 2, 5, false),
            (1, 1, 0, true),
        ] {
            let figures = Figures::new(raw, noise, total);
            assert_eq!(
                figures.reported(raw, noise, &thresholds),
                reported,
                "{total} {raw} {noise}"
            );
        }
        assert!((Figures::new(3, 2, 100).relative - 20.0).abs() < 1e-9);
        assert!((Figures::new(2, 5, 100).relative - 42.857_142).abs() < 1e-5);
    }

    #[test]
    fn too_little_data_is_a_state_of_its_own() {
        let thresholds = Thresholds::default();
        assert_eq!(evidence(1, 1, 0).verdict(&thresholds), Verdict::Insufficient);
        assert_eq!(evidence(100, 10, 0).verdict(&thresholds), Verdict::Regression);
        assert_eq!(evidence(100, 100, 100).verdict(&thresholds), Verdict::Control);
        assert_eq!(evidence(100, 4, 3).verdict(&thresholds), Verdict::Control);
        assert_eq!(evidence(100, 0, 3).verdict(&thresholds), Verdict::Forgiven);
        let chance = Evidence { only_raw: 31, only_noise: 20, ..evidence(100, 31, 20) };
        assert_eq!(chance.verdict(&thresholds), Verdict::Insufficient, "Diffy reports this one");
        assert_eq!(evidence(100_000, 10, 0).verdict(&thresholds), Verdict::Rare);
    }

    #[test]
    fn without_a_control_a_value_that_may_be_noise_needs_evidence() {
        let thresholds = Thresholds::default();
        let few = Evidence { total: 20, raw: 20, may_be_noise: true, ..Evidence::default() };
        let followed = |by_cause, by_value, not| Followed { by_cause, by_value, not };
        assert_eq!(few.verdict(&thresholds), Verdict::Insufficient, "a counter looks like that");
        assert_eq!(
            Evidence { may_be_noise: false, ..few }.verdict(&thresholds),
            Verdict::Regression,
            "another type, a missing member"
        );
        for (evidence, verdict) in [
            (Evidence { followed: followed(20, 0, 0), ..few }, Verdict::Regression),
            (Evidence { followed: followed(0, 19, 0), ..few }, Verdict::Regression),
            (Evidence { followed: followed(0, 9, 8), ..few }, Verdict::Insufficient),
            (Evidence { followed: followed(6, 0, 0), ..few }, Verdict::Insufficient),
            // `a` and `b` by turns: the one is always followed by the other.
            (Evidence { raw: 10, followed: followed(0, 8, 0), ..few }, Verdict::Insufficient),
        ] {
            assert_eq!(evidence.verdict(&thresholds), verdict, "{evidence:?}");
        }
        let alike = |trials| Evidence {
            repeated: [Repeated { trials, differing: 0 }, Repeated::default()],
            ..few
        };
        assert_eq!(alike(1).verdict(&thresholds), Verdict::Insufficient);
        assert_eq!(alike(5).verdict(&thresholds), Verdict::Regression);
    }

    #[test]
    fn without_a_control_what_repeats_differently_is_noise() {
        let thresholds = Thresholds::default();
        let plain = Evidence { total: 1_000, raw: 500, ..Evidence::default() };
        assert_eq!(plain.verdict(&thresholds), Verdict::Regression);
        let own = |trials, differing| Evidence {
            repeated: [Repeated::default(), Repeated { trials, differing }],
            ..plain
        };
        assert_eq!(own(100, 52).verdict(&thresholds), Verdict::OwnNoise);
        assert_eq!(own(100, 2).verdict(&thresholds), Verdict::Regression);
        assert_eq!(own(100, 0).verdict(&thresholds), Verdict::Regression);
        let double = Evidence {
            repeated: [Repeated { trials: 20, differing: 12 }, Repeated::default()],
            ..plain
        };
        assert_eq!(double.verdict(&thresholds), Verdict::DoubleSend);
    }
}
