//! One connection: requests are read, answered in their order, and written; within TLS or a tunnel, too.

use std::io;
use std::ops::ControlFlow::{self, Break, Continue};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::outgoing::Outgoing;
use super::reply::{self, Answer};
use super::tls::HANDSHAKE;
use super::wire::{Unread, Wire};
use super::{By, Server};
use crate::http::{InvalidRequest, RequestProgress, RequestReader};
use crate::stub::counts::NotServed;
use crate::stub::pass::Broken;

/// Bytes that are read at once, and the memory of a connection between requests.
const BLOCK: usize = 8 * 1024;
/// After a last response, for the client to have read it: a reset in its place would take it away (RFC 9112 §9.6).
const LINGER: Duration = Duration::from_secs(2);
/// Bytes of a refused request that are read meanwhile.
const MAX_LINGER_BYTES: usize = 1 << 20;

/// Why a connection ends.
enum End {
    /// Its client ended it, or it is idle for too long.
    Quiet,
    /// After a response that ends it.
    Said,
    /// At once.
    Reset,
    /// It does not: what follows is for this host, most likely within TLS.
    Tunnel(String),
}

struct Connection<'s> {
    server: &'s Server,
    stream: &'s mut Wire,
    /// How its requests come.
    by: By,
    reader: RequestReader,
    /// Bytes since the end of the last request.
    input: BytesMut,
    /// How many of them the server has counted.
    held: usize,
    out: Outgoing,
    /// When the request that is being read must be whole.
    deadline: Option<Instant>,
    /// Its client was told to go on.
    continued: bool,
}

/// Serves a connection to its end.
pub(super) async fn serve(server: &Server, stream: TcpStream) {
    // Responses are whole, and none waits for more bytes.
    let _ = stream.set_nodelay(true);
    let mut wire = Wire::Plain(stream);
    let (mut tunnel, mut input) = (None, BytesMut::with_capacity(BLOCK));
    loop {
        (wire, input) = match secure(server, Unread { bytes: input, wire }, tunnel.as_deref()).await
        {
            Some(Unread { bytes, wire }) => (wire, bytes),
            None => return,
        };
        let mut connection = Connection {
            server,
            by: By { tls: matches!(wire, Wire::Secured(_)), tunnel: tunnel.is_some() },
            stream: &mut wire,
            reader: RequestReader::new(server.options.max_body),
            input,
            held: 0,
            out: Outgoing::new(server.options.client_timeout),
            deadline: None,
            continued: false,
        };
        let end = connection.run().await;
        let lost = connection.out.take_responses();
        server.counts.not_served(NotServed::NotRead, lost);
        match end {
            End::Quiet => return,
            End::Said => return connection.linger().await,
            End::Reset => {
                let socket = socket2::SockRef::from(connection.stream.socket());
                let _ = socket.set_linger(Some(Duration::ZERO));
                return;
            }
            End::Tunnel(host) => {
                tunnel = Some(host);
                input = std::mem::take(&mut connection.input);
            }
        }
    }
}

/// Performs the handshake of TLS if the client begins one; `None` if nobody is there to serve.
async fn secure(server: &Server, unread: Unread, host: Option<&str>) -> Option<Unread> {
    let Some(tls) = &server.tls else { return Some(unread) };
    let Unread { mut bytes, mut wire } = unread;
    if bytes.is_empty() {
        bytes.reserve(BLOCK);
        let read = timeout(server.options.idle_timeout, wire.read_buf(&mut bytes)).await;
        read.ok()?.ok().filter(|length| *length > 0)?;
    }
    if bytes.first() != Some(&HANDSHAKE) {
        return Some(Unread { bytes, wire });
    }
    let address = wire.socket().local_addr().map(|address| address.ip().to_canonical().to_string());
    let address = address.unwrap_or_default();
    let secured = tls.accept(Unread { bytes, wire }, host.unwrap_or(&address));
    let secured = timeout(server.options.client_timeout, secured).await;
    let secured = secured.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    server.shook_hands(secured.as_ref().map(drop));
    let wire = Wire::Secured(Box::new(secured.ok()?));
    Some(Unread { bytes: BytesMut::with_capacity(BLOCK), wire })
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        let _ = self.server.hold(self.held, 0);
    }
}

impl Connection<'_> {
    async fn run(&mut self) -> End {
        loop {
            let step = match self.reader.read(&self.input) {
                Ok(RequestProgress::Complete) => self.respond().await,
                Ok(RequestProgress::NeedContinue) if !self.continued => {
                    self.continued = true;
                    self.out.push(reply::CONTINUE, 0);
                    Continue(())
                }
                Ok(RequestProgress::NeedContinue | RequestProgress::NeedMore) => self.fill().await,
                Err(why) => {
                    self.server.counts.saw();
                    let reason = match why {
                        InvalidRequest::HeadTooLarge | InvalidRequest::BodyTooLarge => {
                            NotServed::TooLarge
                        }
                        _ => NotServed::Malformed,
                    };
                    self.refuse(reason, reply::invalid(why)).await
                }
            };
            if let Break(end) = step {
                return end;
            }
        }
    }

    /// Answers the request that is there.
    async fn respond(&mut self) -> ControlFlow<End> {
        let Some(request) = self.reader.request(&self.input) else { return Break(End::Quiet) };
        let answer = self.server.answer(&request, self.by);
        if !matches!(answer, Answer::Tunnel(_)) {
            self.server.counts.saw();
        }
        let (length, persists) = (request.len, request.persists);
        self.reader.next();
        self.input.advance(length);
        self.deadline = None;
        self.continued = false;
        self.count_held();
        let goes_on = match answer {
            Answer::Recorded(response, delay) => {
                if self.wait(delay).await.is_break() {
                    self.server.counts.not_served(NotServed::NotRead, 1);
                    return Break(End::Quiet);
                }
                self.out.push(response.wire.clone(), 1);
                if let Some((file, length)) = &response.rest {
                    let sent = self.out.flush_file(self.stream, (file, *length)).await;
                    self.sent(sent)?;
                }
                !response.closes
            }
            Answer::Missed(response) => {
                self.out.push(response, 0);
                true
            }
            Answer::Tunnel(host) => {
                self.out.push(reply::TUNNEL, 0);
                self.flush().await?;
                return Break(End::Tunnel(host));
            }
            Answer::Fault(response, delay) => {
                self.server.counts.not_served(NotServed::Fault, 1);
                self.wait(delay).await?;
                self.out.push(response, 0);
                true
            }
            Answer::Reset(delay) => {
                self.server.counts.not_served(NotServed::Fault, 1);
                self.wait(delay).await?;
                self.flush().await?;
                return Break(End::Reset);
            }
            Answer::Pass(passed) => {
                self.flush().await?;
                match passed.relay(self.stream).await {
                    Ok(()) => self.server.counts.not_served(NotServed::Passed, 1),
                    Err(broken) => {
                        self.server.counts.not_served(NotServed::PassFailed, 1);
                        match broken {
                            Broken::AtOnce => self.out.push(reply::not_passed(), 0),
                            // What the client has is no whole response, and must not look like one.
                            Broken::Midway => return Break(End::Reset),
                        }
                    }
                }
                false
            }
        };
        if !(goes_on && persists) {
            self.flush().await?;
            return Break(End::Said);
        }
        if self.out.is_full() { self.flush().await } else { Continue(()) }
    }

    /// Writes what waits, and reads on.
    async fn fill(&mut self) -> ControlFlow<End> {
        self.flush().await?;
        if self.input.is_empty() && self.input.capacity() > 4 * BLOCK {
            self.input = BytesMut::new();
        }
        self.input.reserve(BLOCK);
        let read = if self.input.is_empty() {
            timeout(self.server.options.idle_timeout, self.stream.read_buf(&mut self.input)).await
        } else {
            let patience = self.server.options.client_timeout;
            let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + patience);
            timeout_at(deadline, self.stream.read_buf(&mut self.input)).await
        };
        let has_begun = !self.input.is_empty();
        match read {
            Ok(Ok(length)) if length > 0 => {}
            Err(_) if has_begun => {
                self.server.counts.saw();
                return self.refuse(NotServed::Unfinished, reply::timed_out()).await;
            }
            // The client has ended, in the middle of a request or behind one.
            _ => {
                if has_begun {
                    self.server.counts.saw();
                    self.server.counts.not_served(NotServed::Unfinished, 1);
                }
                return Break(End::Quiet);
            }
        }
        if self.count_held() {
            return Continue(());
        }
        self.server.counts.saw();
        self.refuse(NotServed::NoRoom, reply::no_room()).await
    }

    /// Tells the server what is held; false if all connections hold too much.
    fn count_held(&mut self) -> bool {
        // What every connection has is no news.
        let now = if self.input.len() > BLOCK { self.input.len() } else { 0 };
        if now == self.held {
            return true;
        }
        let before = std::mem::replace(&mut self.held, now);
        self.server.hold(before, now).is_ok()
    }

    /// Waits before a response, for which the ones before it need not.
    async fn wait(&mut self, delay: Duration) -> ControlFlow<End> {
        if !delay.is_zero() {
            self.flush().await?;
            sleep(delay).await;
        }
        Continue(())
    }

    async fn flush(&mut self) -> ControlFlow<End> {
        let sent = self.out.flush(self.stream).await;
        self.sent(sent)
    }

    fn sent(&mut self, sent: io::Result<()>) -> ControlFlow<End> {
        match sent {
            Ok(()) => {
                self.server.counts.served(self.out.take_responses());
                Continue(())
            }
            Err(_) => Break(End::Quiet),
        }
    }

    /// A last response, to a request that was counted as seen.
    async fn refuse(&mut self, why: NotServed, response: Bytes) -> ControlFlow<End> {
        self.server.counts.not_served(why, 1);
        self.out.push(response, 0);
        self.flush().await?;
        Break(End::Said)
    }

    /// Lets the client read what it was told: ends this side, and reads what still comes.
    async fn linger(&mut self) {
        if self.stream.shutdown().await.is_err() {
            return;
        }
        let drain = async {
            let mut left = MAX_LINGER_BYTES;
            loop {
                self.input.clear();
                self.input.reserve(BLOCK);
                match self.stream.read_buf(&mut self.input).await {
                    Ok(length) if length > 0 && length <= left => left -= length,
                    _ => return,
                }
            }
        };
        let _ = timeout(LINGER, drain).await;
    }
}
