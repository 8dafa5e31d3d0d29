//! `cargo xtask bench rules`: what the rules add to a request, measured by criterion.

use crate::cargo;

/// The benchmarks of `mirror-user/benches/`.
const BENCHES: [&str; 2] = ["rules", "redact"];

pub(super) fn run() -> anyhow::Result<()> {
    BENCHES
        .iter()
        .try_for_each(|bench| cargo(&["bench", "--package", "mirror-user", "--bench", bench]))
}
