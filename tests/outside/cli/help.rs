//! What `--help` says, word for word, so that a change of it is seen.

use std::path::Path;
use std::process::Command;

use crate::support::binary;

/// Every command that has flags or arguments.
const COMMANDS: [&str; 13] = [
    "replay",
    "compare",
    "capture",
    "inspect",
    "stub",
    "run",
    "fleet",
    "fleet report",
    "doctor",
    "config",
    "config convert",
    "completions",
    "man",
];

#[test]
fn help_says_what_it_said() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/outside/cli/help");
    let mut changed = Vec::new();
    for command in COMMANDS {
        let mut run = Command::new(binary());
        run.args(command.split(' ')).arg("--help").env("COLUMNS", "120");
        let said = String::from_utf8(run.output().unwrap().stdout).unwrap();
        let file = folder.join(format!("{}.txt", command.replace(' ', "-")));
        if std::env::var_os("UPDATE_HELP").is_some() {
            std::fs::write(&file, &said).unwrap();
        } else if std::fs::read_to_string(&file).unwrap_or_default() != said {
            changed.push(command);
        }
    }
    assert!(
        changed.is_empty(),
        "the help of {changed:?} changed; if it is to, run the test with UPDATE_HELP=1 and look at the \
         difference in tests/outside/cli/help"
    );
}
