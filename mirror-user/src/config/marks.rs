//! What the words of marking mean, typed or written in a file.

use crate::cli::{BaggageArg, NoiseArg, TraceArg};
use crate::rules::Noise;
use crate::rules::tag::Baggage;
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

impl From<NoiseArg> for Noise {
    fn from(arg: NoiseArg) -> Self {
        match arg {
            NoiseArg::Drop => Self::Drop,
            NoiseArg::Keep => Self::Keep,
        }
    }
}
