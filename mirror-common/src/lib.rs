//! What crosses between the kernel program and user space, compiled for both sides.
#![no_std]
#![forbid(unsafe_code)]
