//! `StreamEvent`s in, `Exchange`s out.

pub mod message;
