//! An open-loop HTTP client: each request goes out at its time, whether or not those before it were
//! answered, and its answer's time counts from when it was due. A client that waits for answers
//! would ask less just when the server is slow (coordinated omission), and not see it.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use serde_json::{Value, json};

/// How long answers are waited for after the last request.
const PATIENCE: Duration = Duration::from_secs(2);

/// What each request is.
const REQUEST: &[u8] = b"GET /item?id=1234 HTTP/1.1\r\nHost: shop.example\r\nAccept: */*\r\n\r\n";

/// What stands for the timer among the connections' numbers.
const TIMER: u64 = u64::MAX;

struct Connection {
    stream: TcpStream,
    /// When the requests that wait for their answers were due.
    waiting: VecDeque<Instant>,
    /// Bytes of an answer that is not whole.
    partial: usize,
}

/// `cargo xtask load ADDRESS RATE SECONDS CONNECTIONS`: asks and prints one JSON object. All
/// answers must be of one length, as those of nginx's `return 200` are.
pub(crate) fn run(args: &[&str]) -> anyhow::Result<()> {
    let [address, rate, seconds, connections] = args else {
        bail!("usage: cargo xtask load ADDRESS RATE SECONDS CONNECTIONS");
    };
    let address = address.parse().context("ADDRESS must be one with a port")?;
    let rate: f64 = rate.parse().context("RATE must be a number of requests a second")?;
    let seconds: f64 = seconds.parse().context("SECONDS must be a number")?;
    let connections: usize = connections.parse().context("CONNECTIONS must be a number")?;
    println!("{}", ask(address, rate, seconds, connections)?);
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a load has a rate")]
fn now() -> Instant {
    Instant::now()
}

fn ask(address: SocketAddr, rate: f64, seconds: f64, connections: usize) -> anyhow::Result<Value> {
    let answer_bytes = answer_bytes(address)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    // epoll's own timeout has milliseconds.
    let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)?;
    epoll::add(&epoll, &timer, EventData::new_u64(TIMER), EventFlags::IN)?;
    let mut clients = Vec::with_capacity(connections);
    for index in 0..connections {
        let stream = TcpStream::connect(address).context("the server does not listen")?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        epoll::add(&epoll, &stream, EventData::new_u64(index as u64), EventFlags::IN)?;
        clients.push(Connection { stream, waiting: VecDeque::new(), partial: 0 });
    }
    let total = (rate * seconds) as usize;
    let mut micros = Vec::with_capacity(total);
    let mut sent = 0;
    let mut events = Vec::with_capacity(connections.max(1));
    let mut buffer = vec![0; 64 * 1024];
    let start = now();
    let due = |n: usize| start + Duration::from_secs_f64(n as f64 / rate);
    let end = due(total) + PATIENCE;
    while micros.len() < total {
        let time = now();
        if time >= end {
            break;
        }
        while sent < total && due(sent) <= time {
            let client = clients.get_mut(sent % connections).context("a connection")?;
            client.stream.write_all(REQUEST).context("the server takes nothing any more")?;
            client.waiting.push_back(due(sent));
            sent += 1;
        }
        let until = if sent < total { due(sent) } else { end };
        // Setting it anew takes back that it has fired; zero would disarm it.
        let wait = until.saturating_duration_since(now()).max(Duration::from_nanos(1));
        let it_value = Timespec::try_from(wait)?;
        let once = Itimerspec { it_interval: Timespec::default(), it_value };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &once)?;
        events.clear();
        epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), None)?;
        for event in events.iter().filter(|event| event.data.u64() != TIMER) {
            let index = usize::try_from(event.data.u64())?;
            let client = clients.get_mut(index).context("a connection")?;
            client.read(&mut buffer, answer_bytes, &mut micros)?;
        }
    }
    micros.sort_unstable();
    let at = |share: f64| {
        let last = micros.len().saturating_sub(1);
        micros.get((last as f64 * share) as usize).copied().unwrap_or_default()
    };
    Ok(json!({
        "asked": sent, "answered": micros.len(),
        "p50_us": at(0.5), "p90_us": at(0.9), "p99_us": at(0.99), "p999_us": at(0.999),
    }))
}

impl Connection {
    fn read(
        &mut self,
        buffer: &mut [u8],
        answer_bytes: usize,
        micros: &mut Vec<u64>,
    ) -> anyhow::Result<()> {
        let n = match self.stream.read(buffer) {
            Ok(0) => bail!("the server hung up"),
            Ok(n) => n,
            Err(why) if why.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(why) => return Err(why.into()),
        };
        let time = now();
        self.partial += n;
        while self.partial >= answer_bytes {
            self.partial -= answer_bytes;
            let due = self.waiting.pop_front().context("an answer to nothing")?;
            micros.push(u64::try_from(time.saturating_duration_since(due).as_micros())?);
        }
        Ok(())
    }
}

/// How many bytes an answer has.
fn answer_bytes(address: SocketAddr) -> anyhow::Result<usize> {
    let mut stream = TcpStream::connect(address).context("the server does not listen")?;
    stream.write_all(REQUEST)?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let n = stream.read(&mut buffer)?;
        ensure!(n > 0, "the server hung up");
        answer.extend_from_slice(buffer.get(..n).unwrap_or_default());
        let text = String::from_utf8_lossy(&answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let length: usize = length.context("an answer without a length")?.parse()?;
        if body.len() >= length {
            return Ok(answer.len());
        }
    }
}
