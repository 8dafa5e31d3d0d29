//! A run, put together out of what `config` says is meant.

pub(crate) mod self_capture;
