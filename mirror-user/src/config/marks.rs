//! What the flags of marking mean.

use crate::cli::{BaggageArg, MarkArgs, NoiseArg, TraceArg};
use crate::rules::Noise;
use crate::rules::tag::Baggage;
use crate::rules::trace::Trace;

impl MarkArgs {
    pub(super) fn trace(&self) -> Trace {
        match self.trace {
            TraceArg::New => Trace::default(),
            TraceArg::Keep => Trace::Keep,
            TraceArg::Off => Trace::Off,
        }
    }

    pub(super) fn baggage(&self) -> Baggage {
        match self.baggage {
            BaggageArg::Add => Baggage::Add,
            BaggageArg::Keep => Baggage::Keep,
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
