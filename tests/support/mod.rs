//! What `outside` and `kernel` share.
#![allow(dead_code, reason = "each of the two uses its own part")]
#![allow(unreachable_pub, reason = "there is no outside of a test")]

pub mod api;
pub mod browser;
pub mod har;
pub mod hello;
pub mod memory;
#[cfg(feature = "nats")]
pub mod nats;
pub mod netns;
pub mod postgres;
pub mod sample;
pub mod scenes;
pub mod scrape;
pub mod shop;
pub mod shopping;
pub mod summary;
pub mod target;
pub mod wire;

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A folder of its own and the command `mirror` beside it.
pub struct Workspace {
    folder: tempfile::TempDir,
}

impl Workspace {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// The path of a file in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into the folder and gives its path as text.
    pub fn file(&self, name: &str, content: &[u8]) -> String {
        let path = self.path(name);
        std::fs::write(&path, content).expect("the folder can be written");
        path.to_str().expect("a plain path").to_owned()
    }
}

/// A path as an argument.
pub fn plain(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

/// Runs `mirror` to its end.
pub fn mirror(args: &[&str]) -> Run {
    mirror_with_input(args, b"")
}

/// Runs `mirror` to its end with something on its standard input.
pub fn mirror_with_input(args: &[&str], input: &[u8]) -> Run {
    let mut child = Command::new(binary())
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("mirror can be run");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        // A command that does not read its input closes it early, which is its right.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().expect("mirror ends");
    writer.join().expect("the writer ends");
    Run { args: args.iter().map(|&arg| arg.to_owned()).collect(), output }
}

/// Runs `mirror` to its end with more variables in its environment.
pub fn mirror_with_variables(args: &[&str], variables: &[(&str, &str)]) -> Run {
    let variables = variables.iter().copied();
    let output = Command::new(binary()).args(args).envs(variables).output();
    let args = args.iter().map(|&arg| arg.to_owned()).collect();
    Run { args, output: output.expect("mirror can be run") }
}

/// The binary under test.
pub fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_mirror"))
}

/// An address of loopback where nothing listens.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("an address")
}

/// What a run of `mirror` said.
pub struct Run {
    args: Vec<String>,
    output: Output,
}

impl Run {
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    /// The events that were reported, with `--log-format json`.
    #[track_caller]
    pub fn events(&self) -> Vec<serde_json::Value> {
        let lines = self.stderr();
        let event =
            |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no event: {line}"));
        lines.lines().map(event).collect()
    }

    /// Fails with everything that was said, unless the exit code is `code`.
    #[track_caller]
    pub fn exits_with(self, code: i32) -> Self {
        assert_eq!(self.output.status.code(), Some(code), "{}", self.whole());
        self
    }

    /// Fails with everything that was said, unless standard output holds `text`.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stdout().contains(text), "no {text:?} in\n{}", self.whole());
        self
    }

    /// Fails unless standard error is the one line that a person gets for a mistake, and it holds
    /// every one of `parts`.
    #[track_caller]
    pub fn complains(self, parts: &[&str]) -> Self {
        let stderr = self.stderr();
        assert_eq!(stderr.trim_end().lines().count(), 1, "not one line\n{}", self.whole());
        for part in parts {
            assert!(stderr.contains(part), "no {part:?} in\n{}", self.whole());
        }
        self
    }

    fn whole(&self) -> String {
        format!(
            "mirror {}\n{}\nstdout:\n{}\nstderr:\n{}",
            self.args.join(" "),
            self.output.status,
            self.stdout(),
            self.stderr()
        )
    }
}
