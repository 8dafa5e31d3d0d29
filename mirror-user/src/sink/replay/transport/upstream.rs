//! One connection to the target: sends a request, then reads its response, and keeps it if somebody
//! wants it.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::room::Share;
use super::stream::Stream;
use crate::http::message::Message;
use crate::http::{ResponseProgress, ResponseReader};
use crate::packet::Timestamp;
use crate::rules::tag::{Rest, ShadowRequest};
use crate::sink::replay::MAX_BODY_BYTES;
use crate::sink::replay::Timeouts;
use crate::sink::replay::clock::wall_time;
use crate::sink::replay::outcome::not_delivered::NotDelivered;

/// How much is read at once, of a response or of a request body in a file, in bytes. One buffer
/// serves all connections, because nothing in it is kept between two reads.
pub(in crate::sink::replay) const SCRATCH_BYTES: usize = 64 * 1024;

/// The read buffer that all connections of the engine's thread share.
pub(in crate::sink::replay) type Scratch = RefCell<Box<[u8]>>;

/// A response that has been read to its end.
#[derive(Debug)]
pub(in crate::sink::replay) struct Completed {
    pub(in crate::sink::replay) status: u16,
    /// True if the connection can take another request.
    pub(in crate::sink::replay) reusable: bool,
    /// The response, if it was to be kept.
    pub(in crate::sink::replay) message: Option<Message>,
}

/// An open connection.
pub(in crate::sink::replay) struct Upstream {
    stream: Stream,
    reader: ResponseReader,
    /// The memory for the bodies of responses; `None` if these are not kept.
    share: Option<Share>,
    /// When the first byte of the response arrived, if it is kept.
    started: Option<Timestamp>,
    /// No byte of the last request has been written.
    untouched: bool,
    /// A response was read on this connection before the last request.
    used: bool,
    /// A byte has arrived since the last request began.
    heard: bool,
}

impl Upstream {
    /// `share`: what keeps responses, with bodies of at most [`MAX_BODY_BYTES`].
    pub(in crate::sink::replay) fn new(stream: Stream, share: Option<Share>) -> Self {
        Self {
            stream,
            reader: ResponseReader::default(),
            share,
            started: None,
            untouched: true,
            used: false,
            heard: false,
        }
    }

    /// Ready if an idle connection has been closed, or has received bytes that belong to no
    /// request.
    pub(in crate::sink::replay) fn poll_ended(
        &mut self,
        scratch: &Scratch,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let mut scratch = scratch.borrow_mut();
        let mut buffer = ReadBuf::new(&mut scratch);
        Pin::new(&mut self.stream).poll_read(cx, &mut buffer).map(|_| ())
    }

    /// Asks the kernel whether the target has closed the connection in the meantime.
    pub(in crate::sink::replay) fn has_ended(&self) -> bool {
        self.stream.has_ended()
    }

    /// True if no byte of the last request was sent, so that the target cannot have acted on it.
    pub(in crate::sink::replay) fn is_untouched(&self) -> bool {
        self.untouched
    }

    /// True if the target was probably closing the connection when the last request was sent: the
    /// connection had been used before, and no byte of a response arrived (RFC 9112 §9.3.1).
    pub(in crate::sink::replay) fn was_closing(&self) -> bool {
        self.used && !self.heard
    }

    /// Sends a request and reads its response. After an error the connection must not be used
    /// again.
    pub(in crate::sink::replay) async fn exchange(
        &mut self,
        request: &ShadowRequest,
        timeouts: &Timeouts,
        scratch: &Scratch,
        timer: &mut DeadlineTimer,
        now: Instant,
    ) -> Result<Completed, NotDelivered> {
        self.reader.expect(request.is_head, self.share.as_ref().map(|_| MAX_BODY_BYTES));
        self.started = None;
        let mut outgoing = Outgoing::new(request);
        self.untouched = true;
        self.heard = false;
        // `taken`: bytes of the request written so far, and when that last grew. `sent`: when all
        // were written.
        let (mut taken, mut sent) = ((0, now), None);
        poll_fn(|cx| {
            // A write error does not decide the outcome: the target may have sent a response and
            // closed the connection before it had the entire request. What can be read decides.
            let written = outgoing.poll(&mut self.stream, scratch, cx);
            self.untouched = outgoing.at == 0;
            if let Poll::Ready(Err(Failed::Body)) = written {
                return Poll::Ready(Err(NotDelivered::BodyUnreadable));
            }
            if let Poll::Ready(response) = self.poll_response(scratch, cx) {
                return Poll::Ready(response.map(|completed| Completed {
                    reusable: completed.reusable && outgoing.done && !outgoing.failed,
                    ..completed
                }));
            }
            let deadline = if !outgoing.done {
                // A long upload has no deadline as long as it makes progress.
                if taken.0 != outgoing.at {
                    taken = (outgoing.at, Instant::from_std(crate::sink::replay::clock::now()));
                }
                taken.1 + timeouts.first_byte
            } else {
                let sent = *sent.get_or_insert_with(|| outgoing.done_at(now));
                let began = self.reader.has_begun();
                sent + if began { timeouts.total } else { timeouts.total.min(timeouts.first_byte) }
            };
            timer.poll(deadline, cx).map(|()| Err(NotDelivered::ResponseTimeout))
        })
        .await
    }

    fn poll_response(
        &mut self,
        scratch: &Scratch,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Completed, NotDelivered>> {
        let mut scratch = scratch.borrow_mut();
        loop {
            let mut buffer = ReadBuf::new(&mut scratch);
            if let Err(why) = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
                return Poll::Ready(Err(lost(&why)));
            }
            if self.share.is_some() && self.started.is_none() {
                self.started = Some(wall_time());
            }
            self.heard |= !buffer.filled().is_empty();
            let progress = if buffer.filled().is_empty() {
                self.reader.end().ok_or(NotDelivered::Closed)
            } else {
                self.reader.push(buffer.filled()).map_err(|_| NotDelivered::InvalidResponse)
            };
            if let Some(share) = &mut self.share
                && !share.hold(self.reader.held())
            {
                self.reader.forget_body();
            }
            match progress {
                Ok(ResponseProgress::NeedMore) => {}
                Ok(ResponseProgress::Complete { status, reusable }) => {
                    self.used = true;
                    let message =
                        self.started.and_then(|started| self.reader.take(started, wall_time()));
                    self.share.as_mut().map(|share| share.hold(0));
                    return Poll::Ready(Ok(Completed { status, reusable, message }));
                }
                Err(why) => return Poll::Ready(Err(why)),
            }
        }
    }
}

fn lost(why: &io::Error) -> NotDelivered {
    match why.kind() {
        io::ErrorKind::TimedOut => NotDelivered::ResponseTimeout,
        // TLS closed without `close_notify`.
        io::ErrorKind::UnexpectedEof => NotDelivered::Closed,
        _ => NotDelivered::Reset,
    }
}

enum Failed {
    Body,
    Connection,
}

/// The part of a request that is still to be written.
struct Outgoing<'a> {
    request: &'a ShadowRequest,
    /// Bytes written so far, of `front` and `rest` together.
    at: u64,
    /// Everything is written, or writing has failed.
    done: bool,
    failed: bool,
    flushed: bool,
    was_pending: bool,
}

impl<'a> Outgoing<'a> {
    fn new(request: &'a ShadowRequest) -> Self {
        Self { request, at: 0, done: false, failed: false, flushed: false, was_pending: false }
    }

    /// When the last byte was written. This is `began` unless the request took several polls, so
    /// that the clock is not read for every request.
    fn done_at(&self, began: Instant) -> Instant {
        if self.was_pending { Instant::from_std(crate::sink::replay::clock::now()) } else { began }
    }

    fn poll(
        &mut self,
        stream: &mut Stream,
        scratch: &Scratch,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Failed>> {
        while !self.done {
            let polled = self.poll_write(stream, scratch, cx);
            match polled {
                Poll::Pending => {
                    self.was_pending = true;
                    return Poll::Pending;
                }
                Poll::Ready(Ok(0)) => self.done = true,
                Poll::Ready(Ok(n)) => self.at = self.at.saturating_add(n as u64),
                Poll::Ready(Err(why)) => {
                    self.done = true;
                    self.failed = true;
                    return Poll::Ready(Err(why));
                }
            }
            if let Rest::Nothing = self.request.rest {
                self.done |= self.at >= self.request.front.len() as u64;
            }
        }
        if !self.flushed && !self.failed {
            // Under TLS the last record may still be in our buffer.
            self.failed = ready!(Pin::new(stream).poll_flush(cx)).is_err();
            self.flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Writes some of the remaining bytes; returns 0 if nothing is left.
    fn poll_write(
        &self,
        stream: &mut Stream,
        scratch: &Scratch,
        cx: &mut Context<'_>,
    ) -> Poll<Result<usize, Failed>> {
        let front = self.request.front.get(usize::try_from(self.at).unwrap_or(usize::MAX)..);
        let behind = self.at.saturating_sub(self.request.front.len() as u64);
        let stream = Pin::new(stream);
        let written = match (front, &self.request.rest) {
            (Some(front), Rest::Memory(rest)) if !front.is_empty() => {
                let slices = [io::IoSlice::new(front), io::IoSlice::new(rest)];
                stream.poll_write_vectored(cx, &slices)
            }
            (Some(front), _) if !front.is_empty() => stream.poll_write(cx, front),
            (_, Rest::Nothing) => return Poll::Ready(Ok(0)),
            (_, Rest::Memory(rest)) => {
                let rest = rest.get(usize::try_from(behind).unwrap_or(usize::MAX)..);
                match rest {
                    None | Some([]) => return Poll::Ready(Ok(0)),
                    Some(rest) => stream.poll_write(cx, rest),
                }
            }
            (_, Rest::File(file)) => {
                let mut scratch = scratch.borrow_mut();
                match file.read_at(&mut scratch, behind) {
                    Err(_) => return Poll::Ready(Err(Failed::Body)),
                    Ok(0) => return Poll::Ready(Ok(0)),
                    Ok(n) => stream.poll_write(cx, scratch.get(..n).unwrap_or_default()),
                }
            }
        };
        written.map_err(|_| Failed::Connection)
    }
}

/// One timer for all deadlines of a session. Deadlines mostly move forward from request to request,
/// so the timer is reset only if it fires early or must fire sooner, not for each request.
pub(in crate::sink::replay) struct DeadlineTimer(Pin<Box<Sleep>>);

impl DeadlineTimer {
    pub(in crate::sink::replay) fn new() -> Self {
        Self(Box::pin(tokio::time::sleep(Duration::from_secs(3600))))
    }

    /// Ready once `deadline` has passed.
    pub(in crate::sink::replay) fn poll(
        &mut self,
        deadline: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            if self.0.deadline() > deadline {
                self.0.as_mut().reset(deadline);
            }
            ready!(self.0.as_mut().poll(cx));
            if self.0.deadline() >= deadline {
                return Poll::Ready(());
            }
            self.0.as_mut().reset(deadline);
        }
    }
}
