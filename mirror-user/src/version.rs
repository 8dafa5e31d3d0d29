//! Which build this is. A checkout needs no script to build: `cargo xtask dist` hands the commit in by the
//! environment, and a plain `cargo build` or a build from a tarball has none.

use std::env::consts::{ARCH, OS};
use std::sync::LazyLock;

use crate::source::live;

/// The commit that `cargo xtask dist` built; `None` in other builds.
pub const COMMIT: Option<&str> = option_env!("MIRROR_COMMIT");

/// The SHA-256 of the kernel object in this binary, in hexadecimal.
#[must_use]
pub fn kernel_object() -> &'static str {
    static DIGEST: LazyLock<String> = LazyLock::new(live::object_digest);
    &DIGEST
}

/// The version as `mirror --version` prints it: one line, then what tells two builds apart.
#[must_use]
pub fn long() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        let commit = COMMIT.unwrap_or("not known: built without cargo xtask dist");
        format!(
            "{}\ncommit: {commit}\nplatform: {OS} {ARCH}\nkernel object: sha256 {}",
            env!("CARGO_PKG_VERSION"),
            kernel_object()
        )
    });
    &TEXT
}
