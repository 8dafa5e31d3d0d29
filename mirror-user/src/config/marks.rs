//! What the words of marking mean, typed or written in a file.

use crate::cli::{AmbiguousArg, BaggageArg, ModeArg, NoiseArg, TraceArg};
use crate::rules::Noise;
use crate::rules::tag::{Ambiguous, Baggage, Mode};
use crate::rules::trace::Trace;

impl From<TraceArg> for Trace {
    fn from(arg: TraceArg) -> Self {
        match arg {
            TraceArg::New => Self::default(),
            TraceArg::Keep => Self::Keep,
            TraceArg::Off => Self::Off,
        }
    }
}

impl From<BaggageArg> for Baggage {
    fn from(arg: BaggageArg) -> Self {
        match arg {
            BaggageArg::Add => Self::Add,
            BaggageArg::Keep => Self::Keep,
        }
    }
}

impl From<ModeArg> for Mode {
    fn from(arg: ModeArg) -> Self {
        match arg {
            ModeArg::Replay => Self::Replay,
            ModeArg::Rollback => Self::Rollback,
        }
    }
}

impl From<AmbiguousArg> for Ambiguous {
    fn from(arg: AmbiguousArg) -> Self {
        match arg {
            AmbiguousArg::Drop => Self::Hold,
            AmbiguousArg::Send => Self::Send,
        }
    }
}

impl From<NoiseArg> for Noise {
    fn from(arg: NoiseArg) -> Self {
        match arg {
            NoiseArg::Drop => Self::Drop,
            NoiseArg::Keep => Self::Keep,
        }
    }
}
