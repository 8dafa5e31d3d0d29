//! The command `mirror`.
#![forbid(unsafe_code)]

fn main() {}
