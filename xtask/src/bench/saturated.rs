//! What production keeps of its rate when it is asked as often as it can answer, with somebody beside it. Only pairs count
//! that saw one speed of the machine: one whose cores are shared may be a quarter slower for seconds.

use anyhow::{Context, ensure};

use super::lab::{Lab, SERVER};

/// How long each turn is.
pub(super) const TURN_SECONDS: u64 = 2;

/// How much two turns of the same may differ.
const STEADY: f64 = 0.05;

/// How many pairs are tried for each that is wanted, before the machine counts as too unsteady.
const TRIES: usize = 6;

/// The same with somebody beside production and alone.
pub(super) struct Pair<T> {
    pub(super) with: T,
    pub(super) alone: T,
}

/// The pairs of somebody, in requests a second.
#[derive(Default)]
pub(super) struct Saturated {
    pub(super) pairs: Vec<Pair<f64>>,
    /// Those that were not steady.
    pub(super) set_aside: usize,
}

impl Saturated {
    /// Alone, then what `beside` measures by [`twice`] and says of it, and alone again. What was said, and how many requests
    /// were answered beside it; `None` where two turns of the same did not agree, so that the pair is set aside.
    pub(super) fn measure<T>(
        &mut self,
        lab: &Lab,
        beside: impl FnOnce() -> anyhow::Result<((f64, f64), T)>,
    ) -> anyhow::Result<Option<(T, f64)>> {
        let before = wrk(lab, TURN_SECONDS)?;
        let (with, said) = beside()?;
        let alone = (before, wrk(lab, TURN_SECONDS)?);
        if !(is_steady(with) && is_steady(alone)) {
            self.set_aside += 1;
            return Ok(None);
        }
        let mean = |(one, other): (f64, f64)| f64::midpoint(one, other);
        self.pairs.push(Pair { with: mean(with), alone: mean(alone) });
        Ok(Some((said, (with.0 + with.1) * TURN_SECONDS as f64)))
    }

    /// True until there are so many pairs. Everybody gets as many: a table of fewer says less than it seems to.
    ///
    /// # Errors
    /// When the machine is too unsteady to go on.
    pub(super) fn lacks(&self, wanted: usize, name: &str) -> anyhow::Result<bool> {
        let (got, set_aside) = (self.pairs.len(), self.set_aside);
        ensure!(
            got >= wanted || set_aside < TRIES * wanted,
            "the machine is too unsteady: of {} pairs with {name} only {got} saw one speed before, during and after; \
             try again when nothing else runs, or with fewer --rounds",
            set_aside + got,
        );
        Ok(got < wanted)
    }
}

/// Two turns, one after the other.
pub(super) fn twice(lab: &Lab) -> anyhow::Result<(f64, f64)> {
    Ok((wrk(lab, TURN_SECONDS)?, wrk(lab, TURN_SECONDS)?))
}

/// True if both turns saw the same machine.
fn is_steady((one, other): (f64, f64)) -> bool {
    (one / other - 1.0).abs() <= STEADY
}

/// Requests a second, over so many seconds.
pub(super) fn wrk(lab: &Lab, seconds: u64) -> anyhow::Result<f64> {
    let (duration, url) = (format!("-d{seconds}s"), format!("http://{SERVER}/"));
    let output = lab.client(&["wrk", "-t1", "-c32", &duration, &url]).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let rate = text.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:"));
    rate.and_then(|rate| rate.trim().parse().ok())
        .with_context(|| format!("wrk said no rate: {text}"))
}
