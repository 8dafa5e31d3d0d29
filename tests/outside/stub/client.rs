//! A stub server that is under test, and a client that knows bytes and nothing of HTTP but where a message ends.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::netns::{succeed, until};
use crate::support::scrape::Endpoint;
use crate::support::{Workspace, binary};

/// For a client that waits for bytes.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Stub {
    child: Child,
    said: PathBuf,
    _workspace: Workspace,
}

impl Stub {
    /// Of one recording.
    pub(super) fn of(name: &str, recording: &[u8], flags: &[&str]) -> Self {
        let workspace = Workspace::new();
        let from = workspace.file(name, recording);
        Self::start(workspace, &[&["--from", &from], flags].concat())
    }

    pub(super) fn start(workspace: Workspace, flags: &[&str]) -> Self {
        let said = workspace.path("stderr");
        let child = Command::new(binary())
            .args(["stub", "--listen", "127.0.0.1:0", "--json"])
            .args(flags)
            .env_remove("MIRROR_ADMIN")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&said).unwrap())
            .spawn()
            .unwrap();
        let mut stub = Self { child, said, _workspace: workspace };
        until("the stub answers", || {
            let ended = stub.child.try_wait().unwrap();
            assert!(ended.is_none(), "{}", stub.said());
            stub.told().is_some()
        });
        stub
    }

    fn told(&self) -> Option<SocketAddr> {
        let said = self.said();
        said.split("stub: http://").nth(1)?.split('/').next()?.parse().ok()
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.told().expect("it listens")
    }

    pub(super) fn said(&self) -> String {
        fs::read_to_string(&self.said).unwrap_or_default()
    }

    pub(super) fn endpoint(&self) -> Endpoint {
        Endpoint::told_by(&self.said()).expect("an endpoint")
    }

    pub(super) fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address()).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client { stream, read: Vec::new() }
    }

    /// What comes after a request until the end of its connection.
    pub(super) fn ask(&self, request: &str) -> Vec<u8> {
        let mut client = self.connect();
        client.send(request);
        client.read_to_end().expect("it ends")
    }

    /// Ends it by SIGINT: the summary that it prints, and its exit code.
    #[track_caller]
    pub(super) fn end(mut self, code: i32) -> Value {
        succeed(Command::new("kill").args(["-INT", &self.child.id().to_string()]));
        let mut output = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(code), "{}", self.said());
        serde_json::from_str(&output).expect("JSON")
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection.
pub(super) struct Client {
    pub(super) stream: TcpStream,
    read: Vec<u8>,
}

impl Client {
    pub(super) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("it reads");
    }

    /// The next so many bytes.
    #[track_caller]
    pub(super) fn receive(&mut self, length: usize) -> Vec<u8> {
        let mut block = vec![0; 64 * 1024];
        while self.read.len() < length {
            let n = self.stream.read(&mut block).expect("it goes on");
            assert!(n > 0, "it ended after {}", String::from_utf8_lossy(&self.read));
            self.read.extend_from_slice(&block[..n]);
        }
        self.read.drain(..length).collect()
    }

    /// The next response, which has a `Content-Length`.
    #[track_caller]
    pub(super) fn response(&mut self) -> Vec<u8> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.extend(self.receive(1));
        }
        let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let length = text.split("content-length: ").nth(1).expect("a length");
        let length = length.split("\r\n").next().unwrap().parse().expect("a number");
        head.extend(self.receive(length));
        head
    }

    pub(super) fn read_to_end(&mut self) -> io::Result<Vec<u8>> {
        let mut rest = std::mem::take(&mut self.read);
        self.stream.read_to_end(&mut rest)?;
        Ok(rest)
    }
}

/// The response to one request, which has a `Content-Length`.
#[track_caller]
pub(super) fn exchange(stub: &Stub, request: &str) -> Vec<u8> {
    let mut client = stub.connect();
    client.send(request);
    client.response()
}

/// A response as text.
#[track_caller]
pub(super) fn head_and_body(response: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(response).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    (format!("{head}\r\n"), body.to_owned())
}
