//! A real server of NATS with JetStream, its store in a folder of the test's own, that can be killed and come back.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::free_address;
use super::netns::until;

/// A running server. Ends with its owner.
pub(crate) struct Nats {
    folder: tempfile::TempDir,
    pub(crate) address: SocketAddr,
    child: Child,
}

impl Nats {
    /// Starts a server that takes whoever comes.
    pub(crate) fn start() -> Self {
        Self::with("")
    }

    /// Starts a server with more lines in its configuration; `{folder}` is its folder, where `write` puts files first.
    pub(crate) fn with(lines: &str) -> Self {
        Self::in_folder(tempfile::tempdir().expect("a temporary folder"), lines)
    }

    /// The same in a folder that holds what its configuration names.
    pub(crate) fn in_folder(folder: tempfile::TempDir, lines: &str) -> Self {
        let path = folder.path().display().to_string();
        loop {
            let address = free_address();
            let own = format!(
                "listen: \"{address}\"\njetstream {{ store_dir: \"{path}/store\", max_file_store: 8G }}\n"
            );
            let text = own + &lines.replace("{folder}", &path);
            std::fs::write(folder.path().join("nats.conf"), text)
                .expect("the folder can be written");
            let mut child = Self::spawn(&folder);
            // Another test may have taken the port in the meantime.
            if Self::listens(&mut child, address) {
                return Self { folder, address, child };
            }
            let log = std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
            assert!(log.contains("address already in use"), "{log}");
        }
    }

    fn spawn(folder: &tempfile::TempDir) -> Child {
        let log =
            std::fs::File::options().create(true).append(true).open(folder.path().join("log"));
        Command::new(program())
            .arg("-c")
            .arg(folder.path().join("nats.conf"))
            .stdout(Stdio::null())
            .stderr(log.expect("the folder can be written"))
            .spawn()
            .expect("nats-server runs")
    }

    /// Waits until it greets whoever connects; false if it ended.
    fn listens(child: &mut Child, address: SocketAddr) -> bool {
        let mut is_up = false;
        until("the server of NATS listens", || {
            if child.try_wait().expect("it can be asked").is_some() {
                return true;
            }
            let greeting = TcpStream::connect(address).ok().and_then(|stream| {
                let mut line = String::new();
                BufReader::new(stream).read_line(&mut line).ok().map(|_| line)
            });
            is_up = greeting.is_some_and(|line| line.starts_with("INFO "));
            is_up
        });
        is_up
    }

    /// What the server said.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The address of a stream of this server.
    pub(crate) fn stream(&self, name: &str) -> String {
        format!("nats://{}/{name}", self.address)
    }

    /// Asks JetStream's API, and gives its answer.
    pub(crate) fn asks(&self, subject: &str, request: &str) -> String {
        let mut connection = Connection::to(self.address);
        connection.write(&format!(
            "SUB answer 1\r\nPUB $JS.API.{subject} answer {}\r\n{request}\r\n",
            request.len()
        ));
        let head = connection.line("MSG ");
        let length: usize = head.trim_end().rsplit(' ').next().unwrap().parse().unwrap();
        let mut body = vec![0; length];
        connection.0.read_exact(&mut body).unwrap();
        String::from_utf8(body).unwrap()
    }

    /// Publishes any bytes, and waits until the server has them.
    pub(crate) fn publish(&self, subject: &str, bytes: &[u8]) {
        let mut connection = Connection::to(self.address);
        connection.write(&format!("PUB {subject} {}\r\n", bytes.len()));
        connection.0.get_mut().write_all(&[bytes, b"\r\nPING\r\n"].concat()).unwrap();
        connection.line("PONG");
    }

    /// Kills it (SIGKILL).
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// Starts it again, with what it has stored.
    pub(crate) fn restart(&mut self) {
        self.child = Self::spawn(&self.folder);
        assert!(Self::listens(&mut self.child, self.address), "{}", self.log());
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection that speaks the protocol of NATS by hand, so that it shares no code with what is tested.
struct Connection(BufReader<TcpStream>);

impl Connection {
    fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("it listens");
        let mut connection = Self(BufReader::new(stream));
        connection.line("INFO ");
        connection.write("CONNECT {\"verbose\":false}\r\n");
        connection
    }

    fn write(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).expect("it reads");
    }

    /// The next line that begins so.
    fn line(&mut self, start: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).expect("it answers") > 0, "it hung up");
            if line.starts_with(start) {
                return line;
            }
        }
    }
}

/// Where packages put it.
fn program() -> PathBuf {
    let places = ["/usr/sbin/nats-server", "/usr/local/bin/nats-server"];
    let there = places.iter().map(PathBuf::from).find(|place| place.is_file());
    there.unwrap_or_else(|| "nats-server".into())
}
