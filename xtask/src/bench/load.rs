//! An open-loop client: requests are due at a fixed rate, in small bursts, whether the server keeps up or not, and
//! what each took is counted from when it was due. A client that waits for an answer before it
//! thinks of the next request leaves out just the times in which the server was slow.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use hdrhistogram::Histogram;
use rustix::event::epoll;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

/// Connections that are kept open; a request that finds none free waits, and its time counts.
const CONNECTIONS: usize = 64;

/// Requests are due together, so many times a second. To set the hardware's timer is an exit to the
/// hypervisor on a virtual machine, which took 12 us here: at 40,000 a second half a processor, which
/// the server and whoever captures beside it are to have.
const BURSTS_A_SECOND: u64 = 5_000;

/// How long answers may be late at the end.
const PATIENCE: Duration = Duration::from_secs(10);

/// The last bytes of every answer.
const ANSWER_END: &[u8] = b"hello";

/// What stands for the timer among the connections' places.
const TIMER: u64 = u64::MAX;

struct Connection {
    stream: TcpStream,
    /// When the request that is under way was due.
    due: Instant,
    /// The last bytes of what was read.
    tail: Vec<u8>,
}

/// What the requests of one turn took that were due at a fixed rate, microseconds.
pub(super) struct Times {
    pub(super) answered: f64,
    pub(super) median: f64,
    /// The 99th percentile.
    pub(super) high: f64,
    /// The 1st to the 999th permille.
    pub(super) permilles: Vec<f64>,
}

/// Has [`run`] ask where the customers are: `there` makes a command that runs there.
pub(super) fn ask(
    there: impl FnOnce(&[&str]) -> Command,
    address: &str,
    rate: u64,
    seconds: u64,
) -> anyhow::Result<Times> {
    let this = std::env::current_exe()?.display().to_string();
    let (rate, seconds) = (rate.to_string(), seconds.to_string());
    let output = there(&[&this, "bench", "load", address, &rate, &seconds]).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout);
    let told: Vec<f64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [answered, median, high, _, permilles @ ..] = told.as_slice() else {
        bail!("the load said: {said}")
    };
    let permilles = permilles.iter().map(|nanos| nanos / 1e3).collect();
    Ok(Times { answered: *answered, median: median / 1e3, high: high / 1e3, permilles })
}

/// Asks for `/n/0`, `/n/1` and so on at `rate` a second, and prints how many were asked, and the
/// times in nanoseconds: median, 99th percentile, longest, and from the 1st to the 999th permille.
#[expect(clippy::disallowed_methods, reason = "a client measures wall time")]
pub(super) fn run(address: SocketAddr, rate: u64, seconds: u64) -> anyhow::Result<()> {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    // epoll's own timeout has milliseconds.
    let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)?;
    epoll::add(&poll, &timer, epoll::EventData::new_u64(TIMER), epoll::EventFlags::IN)?;
    let mut connections = Vec::new();
    for place in 0..CONNECTIONS {
        let stream = TcpStream::connect(address).with_context(|| address.to_string())?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let data = epoll::EventData::new_u64(place as u64);
        epoll::add(&poll, &stream, data, epoll::EventFlags::IN)?;
        connections.push(Connection { stream, due: Instant::now(), tail: Vec::new() });
    }
    let mut idle: Vec<usize> = (0..CONNECTIONS).collect();
    let mut times = Histogram::<u64>::new(3)?;
    let total = rate * seconds;
    let start = Instant::now() + Duration::from_millis(10);
    let burst = rate.div_ceil(BURSTS_A_SECOND);
    let due = |n: u64| start + Duration::from_nanos(n / burst * burst * 1_000_000_000 / rate);
    let (mut asked, mut answered) = (0, 0);
    let mut events: Vec<epoll::Event> = Vec::with_capacity(CONNECTIONS);
    let mut buffer = [0; 4096];
    while answered < total {
        let now = Instant::now();
        ensure!(now < due(total) + PATIENCE, "only {answered} of {asked} requests were answered");
        while asked < total && due(asked) <= now {
            let Some(connection) = idle.pop().and_then(|place| connections.get_mut(place)) else {
                break;
            };
            let request = format!("GET /n/{asked} HTTP/1.1\r\nHost: bench\r\n\r\n");
            let written = connection.stream.write(request.as_bytes())?;
            ensure!(written == request.len(), "the server does not read");
            connection.due = due(asked);
            asked += 1;
        }
        let wait = match asked < total && !idle.is_empty() {
            true => due(asked).saturating_duration_since(Instant::now()),
            false => Duration::from_millis(100),
        };
        // Setting it anew takes back that it has fired; zero would disarm it.
        let it_value = Timespec::try_from(wait.max(Duration::from_nanos(1)))?;
        let once = Itimerspec { it_interval: Timespec::default(), it_value };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &once)?;
        events.clear();
        epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), None)?;
        for event in events.iter().filter(|event| event.data.u64() != TIMER) {
            let place = usize::try_from(event.data.u64())?;
            let Some(connection) = connections.get_mut(place) else { continue };
            match connection.stream.read(&mut buffer) {
                Ok(0) => bail!("the server closed a connection"),
                Ok(n) => connection.tail.extend(buffer.iter().take(n)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error.into()),
            }
            if connection.tail.ends_with(ANSWER_END) {
                connection.tail.clear();
                let time = Instant::now().duration_since(connection.due);
                times.record(u64::try_from(time.as_nanos())?)?;
                answered += 1;
                idle.push(place);
            }
        }
    }
    let [median, high] = [0.5, 0.99].map(|quantile| times.value_at_quantile(quantile));
    println!("{answered} {median} {high} {}", times.max());
    let permilles = (1..1_000).map(|n| times.value_at_quantile(f64::from(n) / 1e3).to_string());
    println!("{}", permilles.collect::<Vec<_>>().join(" "));
    Ok(())
}
