#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod comparison;
pub mod count;
pub mod decimal;
pub mod details;
pub mod diff;
pub mod difference;
pub mod diffy;
pub mod endpoint;
pub mod gate;
pub mod headers;
mod hint;
pub mod kept;
pub mod lift;
pub mod limits;
mod noise;
pub mod pair;
pub mod report;
pub mod rules;
pub mod samples;
pub mod shape;
pub mod systematic;
pub mod tree;
pub mod trend;
pub mod verdict;
