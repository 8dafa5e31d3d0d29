#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod packet;
pub mod segment;

pub mod decode;

pub mod tcp;

pub mod http;

pub mod filter;
pub mod json_path;
pub mod stats;
pub mod syntax;
