//! A small HTTP target on loopback that keeps what it gets, and behaves as badly as it is told.
//! Threads and blocking sockets alone, so that it shares no code with what it tests.
#![allow(dead_code, reason = "each test binary that includes this file uses some of it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

/// What a target does with each request.
#[derive(Clone)]
pub(crate) enum Behaviour {
    /// Answers 200 without a body and keeps the connection.
    Answer,
    /// Answers with these bytes and keeps the connection.
    AnswerWith(Vec<u8>),
    /// Answers with these bytes and hangs up.
    AnswerAndClose(Vec<u8>),
    /// Answers the first request of a connection, and hangs up without a byte when the next one has come:
    /// as a server whose close of an idle connection crosses a request.
    AnswerOnce,
    /// Answers with these bytes and resets the connection.
    AnswerAndReset(Vec<u8>),
    /// Answers 200 with a body of so many bytes.
    AnswerLong(u64),
    /// Answers 413 as soon as it has the head, and hangs up.
    AnswerEarly,
    /// Answers when [`Target::release`] was called, once for all.
    Hold,
    /// Answers 200, and keeps no body but its length and digest ([`RawRequest::taken`]).
    Digest,
    /// Answers what this makes of the request.
    Serve(Arc<dyn Fn(&str) -> String + Send + Sync>),
    /// Never answers.
    Silence,
}

/// A request, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RawRequest {
    /// The how-manyeth connection of the target, from 0.
    pub(crate) connection: usize,
    /// When its head was read.
    pub(crate) at: Instant,
    /// Request line and header lines with the empty line.
    pub(crate) head: Vec<u8>,
    /// The body as on the wire, chunk framing included.
    pub(crate) body: Vec<u8>,
    /// The length and SHA-256 of a body that was not kept.
    pub(crate) taken: Option<(u64, [u8; 32])>,
}

impl RawRequest {
    /// Head and body.
    pub(crate) fn wire(&self) -> Vec<u8> {
        [&self.head[..], &self.body].concat()
    }

    /// The value of a header, by its name in any case.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        String::from_utf8_lossy(&self.head).lines().skip(1).find_map(|line| {
            let (given, value) = line.split_once(':')?;
            given.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    }

    /// The request target.
    pub(crate) fn target(&self) -> String {
        String::from_utf8_lossy(&self.head).split(' ').nth(1).unwrap_or_default().to_owned()
    }
}

/// A running target. Ends, with all its connections, when it is dropped.
pub(crate) struct Target {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    received: Vec<RawRequest>,
    streams: Vec<TcpStream>,
    accepted: usize,
    released: bool,
    ended: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // A test that failed under the lock is to say so, not to die of it while it ends.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(clippy::disallowed_methods, reason = "a test waits in real time")]
fn now() -> Instant {
    Instant::now()
}

impl Target {
    /// Starts a target on a free port of 127.0.0.1.
    pub(crate) fn start(behaviour: Behaviour) -> Self {
        Self::start_on("127.0.0.1:0".parse().unwrap(), behaviour)
    }

    /// Starts a target on this address.
    pub(crate) fn start_on(address: SocketAddr, behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() });
        let accepting = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared, &behaviour)
        });
        Self { address, shared, accepting: Some(accepting) }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request so far, in the order in which they became whole.
    pub(crate) fn received(&self) -> Vec<RawRequest> {
        self.shared.state().received.clone()
    }

    /// How many connections were accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.state().accepted
    }

    /// Waits until `n` requests have come; panics with those that did when that takes longer.
    pub(crate) fn wait_for(&self, n: usize, longest: Duration) -> Vec<RawRequest> {
        let received = self.wait_up_to(n, longest);
        assert!(received.len() >= n, "{n} requests wanted, got {received:#?}");
        received
    }

    /// Waits until `n` requests have come, or so long; returns those that did.
    pub(crate) fn wait_up_to(&self, n: usize, longest: Duration) -> Vec<RawRequest> {
        let state = self.shared.state();
        let too_few = |state: &mut State| state.received.len() < n;
        let waited = self.shared.changed.wait_timeout_while(state, longest, too_few);
        waited.unwrap().0.received.clone()
    }

    /// Lets every [`Behaviour::Hold`] wait again.
    pub(crate) fn hold(&self) {
        self.shared.state().released = false;
    }

    /// Lets every [`Behaviour::Hold`] answer.
    pub(crate) fn release(&self) {
        self.shared.state().released = true;
        self.shared.changed.notify_all();
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        {
            let mut state = self.shared.state();
            state.ended = true;
            for stream in &state.streams {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
        self.shared.changed.notify_all();
        // Wakes `accept`.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>, behaviour: &Behaviour) {
    let mut serving = Vec::new();
    for stream in listener.incoming().map_while(Result::ok) {
        let connection = {
            let mut state = shared.state();
            if state.ended {
                break;
            }
            let Ok(copy) = stream.try_clone() else { break };
            state.streams.push(copy);
            state.accepted += 1;
            state.accepted - 1
        };
        let (shared, behaviour) = (Arc::clone(shared), behaviour.clone());
        serving.push(std::thread::spawn(move || {
            // An error is a client that went away, which is its right.
            let _ = serve(&stream, connection, &shared, &behaviour);
            // The copy in `streams` would keep it open.
            let _ = stream.shutdown(Shutdown::Both);
        }));
    }
    for thread in serving {
        let _ = thread.join();
    }
}

fn serve(
    mut stream: &TcpStream,
    connection: usize,
    shared: &Shared,
    behaviour: &Behaviour,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = BufReader::new(stream);
    let mut answered = false;
    while let Some(head) = read_head(&mut input)? {
        let at = now();
        if let Behaviour::AnswerEarly = behaviour {
            stream.write_all(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")?;
            keep(shared, RawRequest { connection, at, head, body: Vec::new(), taken: None });
            return stream.shutdown(Shutdown::Write);
        }
        let (body, taken) = match behaviour {
            Behaviour::Digest => (Vec::new(), Some(digest_body(&mut input, &head)?)),
            _ => (read_body(&mut input, &head)?, None),
        };
        let request = RawRequest { connection, at, head, body, taken };
        if let Behaviour::Serve(answer) = behaviour {
            let wire = String::from_utf8_lossy(&request.wire()).into_owned();
            keep(shared, request);
            stream.write_all(answer(&wire).as_bytes())?;
            continue;
        }
        keep(shared, request);
        match behaviour {
            Behaviour::Answer | Behaviour::Digest => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?
            }
            Behaviour::AnswerWith(bytes) => stream.write_all(bytes)?,
            Behaviour::AnswerAndClose(bytes) => return stream.write_all(bytes),
            Behaviour::AnswerOnce if answered => return Ok(()),
            Behaviour::AnswerOnce => {
                answered = true;
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
            }
            Behaviour::AnswerAndReset(bytes) => {
                stream.write_all(bytes)?;
                return socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
            }
            Behaviour::AnswerLong(length) => {
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n")?;
                std::io::copy(&mut std::io::repeat(b'x').take(*length), &mut stream)?;
            }
            Behaviour::Hold => {
                let state = shared.state();
                drop(shared.changed.wait_while(state, |s| !s.released && !s.ended).unwrap());
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
            }
            Behaviour::Silence | Behaviour::AnswerEarly | Behaviour::Serve(_) => {}
        }
    }
    Ok(())
}

fn keep(shared: &Shared, request: RawRequest) {
    shared.state().received.push(request);
    shared.changed.notify_all();
}

fn read_head(input: &mut impl BufRead) -> std::io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if input.read_until(b'\n', &mut head)? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(head))
}

fn read_body(input: &mut impl BufRead, head: &[u8]) -> std::io::Result<Vec<u8>> {
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    let mut body = Vec::new();
    if text.contains("\r\ntransfer-encoding:") {
        loop {
            let start = body.len();
            input.read_until(b'\n', &mut body)?;
            let line = String::from_utf8_lossy(&body[start..]).into_owned();
            let size = line.split([';', '\r']).next().unwrap_or_default().trim();
            let size = u64::from_str_radix(size, 16).map_err(std::io::Error::other)?;
            if size == 0 {
                break;
            }
            input.by_ref().take(size + 2).read_to_end(&mut body)?;
        }
        loop {
            let start = body.len();
            if input.read_until(b'\n', &mut body)? == 0 || body[start..] == *b"\r\n" {
                return Ok(body);
            }
        }
    }
    input.by_ref().take(content_length(&text)?).read_to_end(&mut body)?;
    Ok(body)
}

/// The `Content-Length` of a head in lower case; 0 without one.
fn content_length(head: &str) -> std::io::Result<u64> {
    let Some(length) = head.split("\r\ncontent-length:").nth(1) else { return Ok(0) };
    length.lines().next().unwrap_or_default().trim().parse().map_err(std::io::Error::other)
}

/// Reads a body with a length, as far as it comes.
fn digest_body(input: &mut impl BufRead, head: &[u8]) -> std::io::Result<(u64, [u8; 32])> {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let mut body = input.take(content_length(&head)?);
    let (mut length, mut sha256) = (0, Sha256::new());
    loop {
        let here = body.fill_buf()?;
        if here.is_empty() {
            return Ok((length, sha256.finalize().into()));
        }
        sha256.update(here);
        length += here.len() as u64;
        let n = here.len();
        body.consume(n);
    }
}
