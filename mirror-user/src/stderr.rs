//! What is said on standard error, whether or not anybody listens.

/// As `std::eprintln!`, which it takes the place of in this crate, but for one thing: std's panics where
/// the terminal has closed or the pipe's reader has ended, and a panic ends the process at once, with
/// its filters still attached.
macro_rules! eprintln {
    ($($said:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($said)*);
    }};
}
