//! What became of the packets that the kernel program saw.

/// What became of one packet; every packet has exactly one outcome, so that the packets seen are
/// the sum of all. The number is the place of its counter in a CPU's entry of the counter map.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Copied into the ring.
    Copied = 0,
    /// Neither IPv4 nor IPv6, or not TCP.
    NotTcp = 1,
    /// TCP between ports that are not watched.
    NotWatched = 2,
    /// Watched, but a bare acknowledgment: it carries no payload, no SYN, no FIN and no RST.
    NoPayload = 3,
    /// Of one of mirror's own connections.
    OwnReplay = 4,
    /// Its headers end before they should.
    Malformed = 5,
    /// Watched, but the ring had no room for it.
    RingFull = 6,
    /// Watched, but longer than [`MAX_PACKET_BYTES`](crate::MAX_PACKET_BYTES).
    TooLarge = 7,
    /// Watched, but the kernel did not let its bytes be read.
    Unreadable = 8,
    /// Seen while nothing was to be copied.
    Paused = 9,
    /// Came in where only what goes out is wanted, or the other way round.
    OtherDirection = 10,
    /// Watched, but this host is the client where only its servers are wanted, or the other way
    /// round.
    OtherSide = 11,
    /// Watched, but between addresses that are not wanted.
    OtherNetwork = 12,
    /// Watched, but of a connection that is not in the sample.
    SampledOut = 13,
    /// Watched, but to the client where only requests are wanted.
    NotRequest = 14,
    /// Watched, but it interrupted [`SCRATCH_PLACES`](crate::SCRATCH_PLACES) others on its CPU that
    /// were being copied.
    NoScratch = 15,
    /// Watched and in the sample, but of a connection that the guard leaves out for now, because nobody could take what it
    /// would cost.
    LoadShed = 16,
}

impl Outcome {
    /// Every outcome, in the order of the counters.
    pub const ALL: [Self; 17] = [
        Self::Copied,
        Self::NotTcp,
        Self::NotWatched,
        Self::NoPayload,
        Self::OwnReplay,
        Self::Malformed,
        Self::RingFull,
        Self::TooLarge,
        Self::Unreadable,
        Self::Paused,
        Self::OtherDirection,
        Self::OtherSide,
        Self::OtherNetwork,
        Self::SampledOut,
        Self::NotRequest,
        Self::NoScratch,
        Self::LoadShed,
    ];

    /// Its name in summaries.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Copied => "copied",
            Self::NotTcp => "not_tcp",
            Self::NotWatched => "not_watched",
            Self::NoPayload => "no_payload",
            Self::OwnReplay => "own_replay",
            Self::Malformed => "malformed",
            Self::RingFull => "ring_full",
            Self::TooLarge => "too_large",
            Self::Unreadable => "unreadable",
            Self::Paused => "paused",
            Self::OtherDirection => "other_direction",
            Self::OtherSide => "other_side",
            Self::OtherNetwork => "other_network",
            Self::SampledOut => "sampled_out",
            Self::NotRequest => "not_request",
            Self::NoScratch => "no_scratch",
            Self::LoadShed => "load_shed",
        }
    }
}

/// Place of the counter of bytes that were copied; it is no outcome.
pub const BYTES: usize = Outcome::ALL.len();
/// Place of the counter of fragments among the copied packets; it is no outcome.
pub const FRAGMENTS: usize = BYTES + 1;
/// Place of the bytes that a CPU has added to the ring since it last asked how many wait there; the
/// kernel program's own note.
pub const SINCE_LOOK: usize = FRAGMENTS + 1;
/// Counters of one CPU.
pub const COUNTERS: usize = SINCE_LOOK + 1;

// The number of an outcome is its place in `ALL`.
const _: () = {
    let mut outcomes: &[Outcome] = &Outcome::ALL;
    let mut place = 0;
    while let [outcome, rest @ ..] = outcomes {
        assert!(*outcome as usize == place);
        outcomes = rest;
        place += 1;
    }
};
