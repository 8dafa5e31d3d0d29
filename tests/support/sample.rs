//! The services of `deploy/samples`, run for real.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

/// The folder of the sample services.
pub(crate) const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/samples");

/// A sample service on a port of loopback.
pub(crate) struct Service {
    child: Child,
    said: BufReader<std::process::ChildStdout>,
    pub(crate) address: SocketAddr,
}

impl Service {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .expect("the service can be run: cargo build --package shadow-sample");
        let mut said = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        said.read_line(&mut line).expect("it says something");
        let address = line.trim().strip_prefix("listening on ").expect(&line);
        let address = address.parse().expect("an address");
        Self { child, said, address }
    }

    /// Stops it and gives everything that it said.
    pub(crate) fn stop(mut self) -> String {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
        let mut rest = String::new();
        self.said.read_to_string(&mut rest).expect("text");
        rest
    }

    /// The answer to a request that comes from no mirror.
    pub(crate) fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers and hangs up");
        answer
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have been stopped already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The service in Python, with this database.
pub(crate) fn python(dsn: &str) -> Command {
    let mut command = Command::new("/usr/bin/python3");
    command.arg(format!("{SAMPLES}/python/service.py")).arg(dsn).stderr(Stdio::null());
    command
}
