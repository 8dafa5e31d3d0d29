//! Tests of significance. The only file that uses `statrs`.

use statrs::distribution::{Binomial, ContinuousCDF, DiscreteCDF, Normal};
use statrs::stats_tests::Alternative;
use statrs::stats_tests::fisher::fishers_exact;

/// The 97.5th percentile of the normal distribution: an interval of 95 %.
const Z95: f64 = 1.959_964;

/// McNemar's exact test, one-sided: how likely it is that of `raw + noise` pairs which differ on one side only, `raw` or
/// more are on the candidate's, if it is as noisy as the control.
#[must_use]
pub fn mcnemar(raw: u64, noise: u64) -> f64 {
    if raw == 0 {
        return 1.0;
    }
    match Binomial::new(0.5, raw.saturating_add(noise)) {
        Ok(binomial) => binomial.sf(raw - 1),
        Err(_) => 1.0,
    }
}

/// Fisher's exact test, one-sided: how likely it is that `raw` of `pairs` differ or more, if they differ as often as the
/// `noise` of `trials` do.
#[must_use]
pub fn fisher(raw: u64, pairs: u64, noise: u64, trials: u64) -> f64 {
    let table = [raw, pairs.saturating_sub(raw), noise, trials.saturating_sub(noise)];
    fishers_exact(&table, Alternative::Greater).unwrap_or(1.0)
}

/// Wilson's interval of 95 % for a rate of `k` in `n`.
#[must_use]
pub fn wilson(k: u64, n: u64) -> (f64, f64) {
    if n == 0 {
        return (0.0, 1.0);
    }
    let (k, n) = (k as f64, n as f64);
    let (p, z2) = (k / n, Z95 * Z95);
    let scale = 1.0 + z2 / n;
    let center = p + z2 / (2.0 * n);
    let half = Z95 * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    (((center - half) / scale).max(0.0), ((center + half) / scale).min(1.0))
}

/// What the Mann–Whitney test says of two samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MannWhitney {
    /// U of the second sample.
    pub u: f64,
    /// Vargha and Delaney's effect size: how likely a value of the second sample is above one of the first.
    pub a12: f64,
    /// How likely such a U is, if the second is not above the first: by the normal approximation, with corrections
    /// for ties and continuity.
    pub p: f64,
}

/// Tests whether the second sample lies above the first. Values come with their counts, in rising order.
#[must_use]
pub fn mann_whitney(first: &[(u64, f64)], second: &[(u64, f64)]) -> Option<MannWhitney> {
    let count = |sample: &[(u64, f64)]| sample.iter().map(|(_, count)| count).sum::<f64>();
    let (n, m) = (count(first), count(second));
    if n == 0.0 || m == 0.0 {
        return None;
    }
    let (mut below, mut ranks, mut ties) = (0.0, 0.0, 0.0);
    let (mut a, mut b) = (first.iter().peekable(), second.iter().peekable());
    while let Some(value) =
        [a.peek(), b.peek()].into_iter().flatten().map(|(value, _)| *value).min()
    {
        let of_a = a.next_if(|(have, _)| *have == value).map_or(0.0, |(_, count)| *count);
        let of_b = b.next_if(|(have, _)| *have == value).map_or(0.0, |(_, count)| *count);
        let tied = of_a + of_b;
        ranks += of_b * (below + (tied + 1.0) / 2.0);
        ties += tied * tied * tied - tied;
        below += tied;
    }
    let all = n + m;
    let u = ranks - m * (m + 1.0) / 2.0;
    let spread = (n * m / 12.0 * ((all + 1.0) - ties / (all * (all - 1.0)))).max(0.0).sqrt();
    let z = if spread > 0.0 { (u - n * m / 2.0 - 0.5) / spread } else { 0.0 };
    let p = Normal::new(0.0, 1.0).map_or(1.0, |normal| normal.sf(z));
    Some(MannWhitney { u, a12: u / (n * m), p })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) {
        assert!((a - b).abs() <= 1e-6 * b.abs().max(1e-3), "{a} {b}");
    }

    #[test]
    fn the_vectors_of_the_exact_test() {
        near(mcnemar(1, 0), 0.5);
        near(mcnemar(3, 0), 0.125);
        near(mcnemar(7, 0), 0.007_812_5);
        near(mcnemar(10, 0), 0.000_976_562);
        near(mcnemar(10, 5), 0.150_879);
        near(mcnemar(31, 20), 0.080_389_8);
        near(mcnemar(0, 3), 1.0);
        assert!(mcnemar(1_000_000, 1_000_000) > 0.4);
    }

    #[test]
    fn the_vectors_of_the_interval() {
        for (k, n, low, high) in [
            (0, 100, 0.0, 0.036_993),
            (1, 100, 0.001_767, 0.054_486),
            (10, 100, 0.055_229, 0.174_366),
            (3, 10_000, 0.000_102, 0.000_882),
        ] {
            let (a, b) = wilson(k, n);
            assert!((a - low).abs() < 1e-6 && (b - high).abs() < 1e-6, "{k}/{n}: {a} {b}");
        }
    }

    #[test]
    fn the_vectors_of_the_test_of_latency() {
        let sample = |from: u64| (from..from + 10).map(|value| (value, 1.0)).collect::<Vec<_>>();
        let test = mann_whitney(&sample(10), &sample(12)).unwrap();
        near(test.u, 68.0);
        near(test.a12, 0.68);
        near(test.p, 0.092_275_5);
        let same = mann_whitney(&sample(10), &sample(10)).unwrap();
        near(same.a12, 0.5);
        near(same.p, 0.515_132);
        let tied = mann_whitney(&[(1, 10.0)], &[(1, 10.0)]).unwrap();
        near(tied.p, 0.5);
        assert_eq!(mann_whitney(&[], &sample(1)), None);
    }

    #[test]
    fn rates_of_two_samples() {
        assert!(fisher(50, 100, 50, 100) > 0.4);
        assert!(fisher(50, 100, 1, 100) < 1e-9);
        assert!(fisher(1, 1, 0, 1) > 0.4);
        near(fisher(0, 0, 0, 0), 1.0);
    }
}
