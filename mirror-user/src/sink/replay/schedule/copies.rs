//! Amplification: replays each session several times.

use std::time::Duration;

/// How often each captured connection is replayed, and how its copies are spread in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copies {
    /// Copies of each connection; 1 means no amplification.
    pub count: u32,
    /// The time over which the copies of one session are spread. One second by default: short
    /// enough to keep the shape of the load, long enough that requests of one moment are not sent
    /// `count` times at once.
    pub over: Duration,
}

impl Default for Copies {
    fn default() -> Self {
        Self { count: 1, over: Duration::from_secs(1) }
    }
}

impl Copies {
    /// How much later copy `index` of `connection` is than the first copy. The same for all its
    /// requests.
    ///
    /// The time is divided into one part for each copy, and each copy has a pseudorandom position
    /// in its part. Equal steps would shift all sessions in the same way, so that load peaks
    /// repeat; fully random positions would leave gaps and clusters.
    pub(in crate::sink::replay) fn offset(&self, connection: u64, index: u32) -> Duration {
        if index == 0 || self.count == 0 {
            return Duration::ZERO;
        }
        let within = scatter(connection ^ u64::from(index).rotate_left(32));
        let part = self.over / self.count;
        part.saturating_mul(index) + part.mul_f64(within)
    }
}

/// A pseudorandom number from 0 to 1 that depends only on `seed` (SplitMix64's finalizer).
fn scatter(seed: u64) -> f64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    // An `f64` holds 53 bits exactly.
    (z >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_fill_their_time_and_no_two_sessions_move_in_step() {
        let copies = Copies { count: 4, over: Duration::from_secs(4) };
        let mut seen = Vec::new();
        for connection in 0..100 {
            assert_eq!(copies.offset(connection, 0), Duration::ZERO);
            for index in 1..4 {
                let offset = copies.offset(connection, index);
                assert_eq!(offset, copies.offset(connection, index));
                assert_eq!(offset.as_secs(), u64::from(index), "{offset:?}");
                seen.push(offset);
            }
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 300);
    }
}
