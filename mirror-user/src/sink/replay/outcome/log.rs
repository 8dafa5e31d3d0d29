//! The request log: one JSON line for each request.
//!
//! A separate thread writes the lines, so that a disk never blocks the engine. If the disk is slow
//! or full, lines are dropped and counted.

use std::cell::Cell;
use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use crossbeam_channel::{Receiver, Sender, bounded};
use serde::Serialize;

use super::not_delivered::NotDelivered;
use crate::http::message::Message;
use crate::logging::emit;
use crate::packet::Timestamp;
use crate::privileges::{self, Duty};
use crate::sink::replay::clock::now;

/// How many lines may wait for the disk: 0.4 s at 40,000 requests/s.
const MAX_WAITING: usize = 16 * 1024;

/// How much is written at once, in bytes.
const BLOCK_BYTES: usize = 64 * 1024;

/// The log of one target.
pub(in crate::sink::replay) struct RequestLog {
    /// The origin of `sent_us`.
    started: Instant,
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

struct Shared {
    /// `None` once the log is finished.
    lines: Mutex<Option<Sender<Line>>>,
    written: AtomicU64,
    lost: AtomicU64,
    /// The last write error.
    why: Mutex<Option<String>>,
}

#[derive(Serialize)]
struct Line {
    #[serde(flatten)]
    request: LoggedRequest,
    /// Microseconds since the replay began.
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    late_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dropped: Option<&'static str>,
}

/// The part of a line that describes the request.
#[derive(Serialize)]
pub(in crate::sink::replay) struct LoggedRequest {
    /// Its `X-Shadow-Id`.
    id: String,
    /// Its target.
    target: Arc<str>,
    /// When it was captured, in nanoseconds since the Unix epoch.
    #[serde(serialize_with = "nanos")]
    captured_ns: Timestamp,
    method: String,
    /// The request target.
    path: String,
}

impl LoggedRequest {
    /// Describes the request with the name `id` to `target`.
    pub(in crate::sink::replay) fn new(id: String, target: &Arc<str>, request: &Message) -> Self {
        let text = |part| String::from_utf8_lossy(part).into_owned();
        let (method, path) = (text(request.head.method()), text(request.head.target()));
        let (target, captured_ns) = (Arc::clone(target), request.started);
        Self { id, target, captured_ns, method, path }
    }
}

fn nanos<S: serde::Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(at.as_nanos())
}

/// The log entry of a request without an outcome yet.
pub(in crate::sink::replay) struct LogEntry {
    shared: Arc<Shared>,
    request: LoggedRequest,
    started: Instant,
    due: Option<Instant>,
    begun: Cell<Option<Instant>>,
}

impl RequestLog {
    /// Starts a log that is written to `file`.
    ///
    /// # Errors
    /// If no thread could be started.
    pub(in crate::sink::replay) fn start(file: Arc<File>) -> anyhow::Result<Self> {
        let (tx, rx) = bounded(MAX_WAITING);
        let shared = Arc::new(Shared {
            lines: Mutex::new(Some(tx)),
            written: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            why: Mutex::default(),
        });
        let writer = std::thread::Builder::new()
            .name("request log".into())
            .spawn({
                let shared = Arc::clone(&shared);
                move || {
                    if let Err(error) = privileges::keep_for(Duty::Nothing) {
                        emit!(PrivilegesKept, thread = "request log", "request log: {error:#}");
                    }
                    write_all(&rx, &file, &shared);
                }
            })
            .context("request log: no thread could be started")?;
        Ok(Self { started: now(), shared, writer: Some(writer) })
    }

    /// Creates the entry of a request.
    pub(in crate::sink::replay) fn entry(
        &self,
        request: LoggedRequest,
        due: Option<Instant>,
    ) -> Box<LogEntry> {
        let (shared, started) = (Arc::clone(&self.shared), self.started);
        Box::new(LogEntry { shared, request, started, due, begun: Cell::new(None) })
    }

    /// Writes the waiting lines. Later lines are counted as lost.
    pub(in crate::sink::replay) fn finish(&mut self) {
        // Without a sender the writer's loop ends.
        drop(self.shared.lines.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }

    /// How many lines were written and lost.
    pub(in crate::sink::replay) fn counts(&self) -> [(&'static str, u64); 2] {
        [("written", self.shared.written.load(Relaxed)), ("lost", self.shared.lost.load(Relaxed))]
    }

    /// A warning for the operator, if lines were lost.
    pub(in crate::sink::replay) fn warning(&self) -> Option<String> {
        let lost = self.shared.lost.load(Relaxed);
        let why = self.shared.why.lock().unwrap_or_else(PoisonError::into_inner).take();
        let why = why.unwrap_or_else(|| "its disk is too slow".into());
        (lost > 0).then(|| format!("request log: {lost} lines were lost: {why}"))
    }
}

impl Drop for RequestLog {
    fn drop(&mut self) {
        self.finish();
    }
}

impl LogEntry {
    /// The request is sent.
    pub(in crate::sink::replay) fn sent(&self, begun: Instant) {
        self.begun.set(Some(begun));
    }

    /// Sets the outcome and passes the line to the writer.
    pub(in crate::sink::replay) fn settle(self, outcome: Result<u16, NotDelivered>) {
        let Self { shared, request, started, due, begun } = self;
        let (ended, begun) = (now(), begun.get());
        let micros = |span: Duration| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        let between = |from: Option<Instant>, to: Option<Instant>| {
            Some(micros(to?.saturating_duration_since(from?)))
        };
        let answered = outcome.is_ok().then_some(ended);
        let line = Line {
            request,
            sent_us: between(Some(started), begun),
            late_us: between(due, begun),
            service_us: between(begun, answered),
            response_us: between(due.or(begun), answered),
            status: outcome.ok(),
            dropped: outcome.err().map(Into::into),
        };
        let lines = shared.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let accepted = lines.as_ref().is_some_and(|lines| lines.try_send(line).is_ok());
        if !accepted {
            shared.lost.fetch_add(1, Relaxed);
        }
    }
}

fn write_all(lines: &Receiver<Line>, file: &File, shared: &Shared) {
    let mut block = Vec::with_capacity(BLOCK_BYTES);
    let mut torn = false;
    while let Ok(first) = lines.recv() {
        block.clear();
        if torn {
            // Ends the part of a line that was written, so that it does not merge with the next
            // line.
            block.push(b'\n');
        }
        let mut count = 0;
        for line in std::iter::once(first).chain(lines.try_iter()) {
            // Serialization cannot fail: a line contains only strings and numbers.
            if serde_json::to_writer(&mut block, &line).is_ok() {
                block.push(b'\n');
                count += 1;
            }
            if block.len() >= BLOCK_BYTES {
                break;
            }
        }
        let (done, why) = write_block(file, &block);
        let whole = block.get(..done).unwrap_or_default().iter().filter(|b| **b == b'\n').count();
        let whole = (whole as u64).saturating_sub(u64::from(torn && done > 0)).min(count);
        shared.written.fetch_add(whole, Relaxed);
        if let Some(why) = why {
            shared.lost.fetch_add(count - whole, Relaxed);
            *shared.why.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.to_string());
            torn |= done > 0;
        } else {
            torn = false;
        }
    }
}

/// Writes a block. Returns how many bytes were written and, if not all, the error.
fn write_block(mut file: &File, block: &[u8]) -> (usize, Option<std::io::Error>) {
    let mut done = 0;
    while let Some(rest) = block.get(done..).filter(|rest| !rest.is_empty()) {
        match file.write(rest) {
            Ok(0) => return (done, Some(std::io::ErrorKind::WriteZero.into())),
            Ok(n) => done += n,
            Err(why) if why.kind() == std::io::ErrorKind::Interrupted => {}
            Err(why) => return (done, Some(why)),
        }
    }
    (done, None)
}
