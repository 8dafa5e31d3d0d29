//! What a host of a test does: runs `mirror` beside the test, and says what came of it.

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::netns::until;
use crate::support::wire::{Talk, interleaved};
use crate::support::{Workspace, binary};

pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A running `mirror`.
pub(crate) struct Host {
    child: Child,
    name: &'static str,
    out: std::path::PathBuf,
    err: std::path::PathBuf,
}

impl Host {
    /// Starts `mirror` with these arguments and a summary in JSON.
    pub(crate) fn start(workspace: &Workspace, name: &'static str, args: &[&str]) -> Self {
        let (out, err) =
            (workspace.path(&format!("{name}.out")), workspace.path(&format!("{name}.err")));
        let child = Command::new(binary())
            .args(args)
            .arg("--json")
            .stdin(Stdio::null())
            .stdout(File::create(&out).unwrap())
            .stderr(File::create(&err).unwrap())
            .spawn()
            .expect("mirror can be run");
        Self { child, name, out, err }
    }

    /// Dies at once, as by the OOM killer.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Is asked to end, and says what it did.
    pub(crate) fn stop(self) -> Value {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).unwrap();
        self.summary()
    }

    /// Ends by itself, and says what it did.
    pub(crate) fn summary(mut self) -> Value {
        until("mirror ends", || self.child.try_wait().unwrap().is_some());
        let text = std::fs::read_to_string(&self.out).unwrap();
        let said = self.said();
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{}: {text}\n{said}", self.name))
    }

    /// What it wrote to standard error so far.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.err).unwrap()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A capture of so many connections with so many requests each, interleaved: `/NAME/CONNECTION/INDEX`.
pub(crate) fn requests(name: &str, connections: usize, each: usize) -> Vec<u8> {
    let talk = |connection: usize| {
        let (high, low) = (connection / 250, connection % 250);
        let client = format!("10.1.{high}.{}:{}", low + 1, 20_000 + connection);
        let mut talk = Talk::between(&client, "10.0.0.1:8080").open();
        for index in 0..each {
            let request =
                format!("GET /{name}/{connection}/{index} HTTP/1.1\r\nHost: shop\r\n\r\n");
            talk = talk.client(request).server(OK);
        }
        talk.close()
    };
    let talks: Vec<Talk> = (0..connections).map(talk).collect();
    interleaved(&talks)
}

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
