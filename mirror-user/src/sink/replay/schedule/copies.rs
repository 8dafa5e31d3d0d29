//! Amplification: each session several times.

use std::time::Duration;

/// How often each captured connection is replayed, and how its copies lie in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copies {
    /// How many there are of each; 1 is no amplification.
    pub count: u32,
    /// Over how much time the copies of one session are spread. A second by default: short enough
    /// that the load's shape stays, long enough that a moment's requests do not come `count` times
    /// at once.
    pub over: Duration,
}

impl Default for Copies {
    fn default() -> Self {
        Self { count: 1, over: Duration::from_secs(1) }
    }
}

impl Copies {
    /// How much later than the first copy of `connection` its copy `index` is, the same for all
    /// its requests.
    ///
    /// The time is cut into as many parts as there are copies, and each copy lies anywhere in a
    /// part of its own: copies in equal steps would move all sessions in step, as if the same
    /// crowd came again; copies anywhere would leave holes and heaps.
    pub(in crate::sink::replay) fn offset(&self, connection: u64, index: u32) -> Duration {
        if index == 0 || self.count == 0 {
            return Duration::ZERO;
        }
        let within = scatter(connection ^ u64::from(index).rotate_left(32));
        let part = self.over / self.count;
        part.saturating_mul(index) + part.mul_f64(within)
    }
}

/// A number from 0 to 1 that looks random and is the same each time (SplitMix64's finaliser).
fn scatter(seed: u64) -> f64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    // 53 bits are what a float holds exactly.
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
