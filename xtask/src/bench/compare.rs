//! `cargo xtask bench compare`: what `mirror compare` and Diffy's algorithm find among regressions and noise, and what
//! comparing a pair costs, measured by criterion.

use crate::cargo;

pub(super) fn run() -> anyhow::Result<()> {
    let zoo = ["test", "--release", "--package", "mirror-compare", "--test", "zoo"];
    let printed = ["--", "--nocapture", "--include-ignored", "--test-threads=1"];
    cargo(&[&zoo[..], &printed].concat())?;
    cargo(&["bench", "--package", "mirror-compare", "--bench", "pair"])
}
