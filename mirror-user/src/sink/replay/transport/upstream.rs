//! One connection to the target: a request out, its answer in, read and dropped.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::response::{AnswerReader, MAX_HEAD_BYTES, Progress};
use super::stream::Stream;
use crate::rules::tag::{Rest, ShadowRequest};
use crate::sink::replay::Timeouts;
use crate::sink::replay::correlate::MAX_ANSWER_BYTES;
use crate::sink::replay::outcome::progress::NotDelivered;

/// How much of an answer is read at once, and of a body that waits in a file. One buffer serves
/// all connections, as nothing of it is kept between two reads.
pub(in crate::sink::replay) const SCRATCH_BYTES: usize = 64 * 1024;

/// How much of an answer is kept for whoever wants to see it: its heads, and as much of its body as is
/// looked through.
const MAX_KEPT_BYTES: usize = MAX_ANSWER_BYTES + MAX_HEAD_BYTES;

/// A buffer that all connections of the engine's thread share.
pub(in crate::sink::replay) type Scratch = RefCell<Box<[u8]>>;

/// An answer that was read to its end.
#[derive(Clone, Copy, Debug)]
pub(in crate::sink::replay) struct Answered {
    pub(in crate::sink::replay) status: u16,
    /// True when the connection can take another request.
    pub(in crate::sink::replay) reusable: bool,
}

/// An open connection.
pub(in crate::sink::replay) struct Upstream {
    stream: Stream,
    reader: AnswerReader,
    /// The first bytes of the answer, where they are wanted.
    kept: Option<Vec<u8>>,
    /// Not a byte of the last request was taken from us.
    untouched: bool,
    /// A response was read on it before the last request.
    used: bool,
    /// A byte came since the last request began.
    heard: bool,
}

impl Upstream {
    pub(in crate::sink::replay) fn new(stream: Stream) -> Self {
        Self {
            stream,
            reader: AnswerReader::new(),
            kept: None,
            untouched: true,
            used: false,
            heard: false,
        }
    }

    /// Ready when a connection on which nothing is expected has ended, or has got bytes that
    /// answer nothing.
    pub(in crate::sink::replay) fn poll_over(
        &mut self,
        scratch: &Scratch,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let mut scratch = scratch.borrow_mut();
        let mut buffer = ReadBuf::new(&mut scratch);
        Pin::new(&mut self.stream).poll_read(cx, &mut buffer).map(|_| ())
    }

    /// Asks the kernel whether the target has closed it meanwhile.
    pub(in crate::sink::replay) fn is_over(&self) -> bool {
        self.stream.is_over()
    }

    /// Whether the answer to the next request is kept, up to [`MAX_KEPT_BYTES`].
    pub(in crate::sink::replay) fn keep_answer(&mut self, yes: bool) {
        self.kept = yes.then(Vec::new);
    }

    /// What was kept of the answer.
    pub(in crate::sink::replay) fn take_answer(&mut self) -> Option<Vec<u8>> {
        self.kept.take()
    }

    /// True when not a byte of the last request was sent, so that the target cannot have acted on it.
    pub(in crate::sink::replay) fn is_untouched(&self) -> bool {
        self.untouched
    }

    /// True when the last request met a connection that the target was closing, as far as can be known:
    /// it had been used before, and not a byte of a response came (RFC 9112 §9.3.1).
    pub(in crate::sink::replay) fn was_closing(&self) -> bool {
        self.used && !self.heard
    }

    /// Sends a request and reads its answer. After an error the connection is of no more use.
    pub(in crate::sink::replay) async fn exchange(
        &mut self,
        request: &ShadowRequest,
        timeouts: &Timeouts,
        scratch: &Scratch,
        alarm: &mut Alarm,
        now: Instant,
    ) -> Result<Answered, NotDelivered> {
        self.reader.expect(request.is_head);
        let mut outgoing = Outgoing::new(request);
        self.untouched = true;
        self.heard = false;
        // When the target last took bytes of the request, and when it had taken all of them.
        let (mut taken, mut sent) = ((0, now), None);
        poll_fn(|cx| {
            // An error here is not the last word: the target may have answered and hung up before
            // it had the whole request. What there is to read decides.
            let written = outgoing.poll(&mut self.stream, scratch, cx);
            self.untouched = outgoing.at == 0;
            if let Poll::Ready(Err(Failed::Body)) = written {
                return Poll::Ready(Err(NotDelivered::BodyUnreadable));
            }
            if let Poll::Ready(answer) = self.poll_answer(scratch, cx) {
                return Poll::Ready(answer.map(|answered| Answered {
                    reusable: answered.reusable && outgoing.done && !outgoing.failed,
                    ..answered
                }));
            }
            let deadline = if !outgoing.done {
                // A long upload may take its time as long as it goes on.
                if taken.0 != outgoing.at {
                    taken = (outgoing.at, Instant::from_std(crate::sink::replay::clock::now()));
                }
                taken.1 + timeouts.first_byte
            } else {
                let sent = *sent.get_or_insert_with(|| outgoing.done_at(now));
                let began = self.reader.has_begun();
                sent + if began { timeouts.total } else { timeouts.total.min(timeouts.first_byte) }
            };
            alarm.poll(deadline, cx).map(|()| Err(NotDelivered::AnswerTimeout))
        })
        .await
    }

    fn poll_answer(
        &mut self,
        scratch: &Scratch,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Answered, NotDelivered>> {
        let mut scratch = scratch.borrow_mut();
        loop {
            let mut buffer = ReadBuf::new(&mut scratch);
            if let Err(why) = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
                return Poll::Ready(Err(lost(&why)));
            }
            if let Some(kept) = &mut self.kept {
                let room = MAX_KEPT_BYTES.saturating_sub(kept.len());
                let bytes = buffer.filled();
                kept.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
            }
            self.heard |= !buffer.filled().is_empty();
            let progress = if buffer.filled().is_empty() {
                self.reader.end().ok_or(NotDelivered::Closed)
            } else {
                self.reader.push(buffer.filled()).map_err(|_| NotDelivered::BadAnswer)
            };
            match progress {
                Ok(Progress::Wanting) => {}
                Ok(Progress::Whole { status, reusable }) => {
                    self.used = true;
                    return Poll::Ready(Ok(Answered { status, reusable }));
                }
                Err(why) => return Poll::Ready(Err(why)),
            }
        }
    }
}

fn lost(why: &io::Error) -> NotDelivered {
    match why.kind() {
        io::ErrorKind::TimedOut => NotDelivered::AnswerTimeout,
        // TLS without a farewell.
        io::ErrorKind::UnexpectedEof => NotDelivered::Closed,
        _ => NotDelivered::Reset,
    }
}

enum Failed {
    Body,
    Connection,
}

/// What is still to be written of a request.
struct Outgoing<'a> {
    request: &'a ShadowRequest,
    /// Bytes written so far, the front's and the rest's together.
    at: u64,
    /// Nothing is left to be written, or nothing can be.
    done: bool,
    failed: bool,
    flushed: bool,
    slow: bool,
}

impl<'a> Outgoing<'a> {
    fn new(request: &'a ShadowRequest) -> Self {
        Self { request, at: 0, done: false, failed: false, flushed: false, slow: false }
    }

    /// When the last byte was written: `began`, but for a request that took several turns, so that
    /// the clock is asked for no other.
    fn done_at(&self, began: Instant) -> Instant {
        if self.slow { Instant::from_std(crate::sink::replay::clock::now()) } else { began }
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
                    self.slow = true;
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
            // Under TLS the last record may still be on this side.
            self.failed = ready!(Pin::new(stream).poll_flush(cx)).is_err();
            self.flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Writes some of what comes next; 0 when nothing is left.
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

/// One timer for all waits of a session. Deadlines mostly move forward, from request to request;
/// it is set anew only when it fires early or must fire sooner, not for each of them.
pub(in crate::sink::replay) struct Alarm(Pin<Box<Sleep>>);

impl Alarm {
    pub(in crate::sink::replay) fn new() -> Self {
        Self(Box::pin(tokio::time::sleep(Duration::from_secs(3600))))
    }

    /// Ready at `deadline`.
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
