//! Every scene gives exactly the capture and the exchanges that `pcaps/` holds. `cargo xtask bless`
//! rewrites them; the change then shows as a diff.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{mirror, scenes};

/// Set by `cargo xtask bless`.
const BLESS: &str = "MIRROR_BLESS";

fn pcaps() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../pcaps")
}

fn hold(path: &Path, found: &[u8]) {
    if std::env::var_os(BLESS).is_some() {
        fs::write(path, found).expect("pcaps/ can be written");
    }
    let expected = fs::read(path).unwrap_or_default();
    assert!(
        expected == found,
        "{} is not what the scene gives; expected\n{}\nfound\n{}\n(`cargo xtask bless` accepts it)",
        path.display(),
        String::from_utf8_lossy(&expected),
        String::from_utf8_lossy(found)
    );
}

#[test]
fn every_scene_gives_its_golden_capture_and_exchanges() {
    for scene in scenes::all() {
        let capture = pcaps().join(format!("{}.pcap", scene.name));
        hold(&capture, &scene.pcap);
        let run = mirror(&[
            "inspect",
            "--redact",
            "none",
            "--json",
            "--from",
            capture.to_str().expect("a plain path"),
        ])
        .exits_with(0);
        hold(&pcaps().join(format!("{}.jsonl", scene.name)), run.stdout().as_bytes());
    }
}

#[test]
fn the_readme_of_the_captures_has_every_story() {
    let mut text = String::from(
        "# Captures\n\nMade from `tests/support/scenes.rs` by `cargo xtask bless`; beside each, its exchanges as JSON \
         lines.\n\n| capture | what it shows |\n|---|---|\n",
    );
    for scene in scenes::all() {
        text.push_str(&format!("| `{}.pcap` | {} |\n", scene.name, scene.story));
    }
    hold(&pcaps().join("README.md"), text.as_bytes());
}
