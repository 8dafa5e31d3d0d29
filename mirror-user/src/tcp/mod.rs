//! `Segment`s in, `StreamEvent`s out.

pub mod event;
pub mod seq;
